"""What the server moderates by: rules, and a classifier that is one of its models. It judges what requests say; what models
write is judged by `held_back`, and POST /v1/moderations asks the same judge.
"""

import asyncio
import hashlib
import json
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from starlette.requests import HTTPConnection

from daedal.errors import DaedalError
from daedal.safety.moderation.categories import ModerationCategories
from daedal.safety.moderation.rules import Rules
from daedal.safety.moderation.verdict import Verdict, decide, pieces, worst
from daedal.serving.errors import ApiError
from daedal.serving.metrics import Metrics
from daedal.serving.settings import Settings
from daedal.serving.supervisor import Model, Models

CODE = "content_filter"
"""Of an error for a prompt; also the reason that a text ended for, and what ends with the first one."""
_OF_PICTURES = "moderation_blocked"
"""The same where OpenAI has another word for it: of pictures, sounds and clips."""
_KEPT = 4096
"""Texts whose verdict is remembered: a conversation comes again with each of its turns."""
_MOST, _LONGEST = 1_000_000, 200_000
"""Characters of a text that rules read, and that the classifier reads, piece by piece."""
_SPELLED = 16
"""Characters of a text for each token of a model's context, at most: none has so many on average."""
_AT_ONCE = 10_000
"""Characters that rules read in the server's own thread."""


class Moderation:
    """The judge of a server.

    Raises:
        DaedalError: the rules cannot be read.
    """

    def __init__(self, settings: Settings, models: Models, metrics: Metrics) -> None:
        self.rules = None if settings.moderation_rules is None else Rules.read(settings.moderation_rules)
        self.name, self.threshold = settings.moderation, settings.moderation_threshold
        self.window, self.delay = settings.moderation_window, settings.moderation_delay
        self.metrics = metrics
        self._map, self._models = settings.moderation_map, models
        self._known: OrderedDict[bytes, str] = OrderedDict()  # the category of texts that were judged

    @property
    def on(self) -> bool:
        """Whether anything is judged."""
        return self.rules is not None or self.name is not None

    async def categories(self) -> tuple[Model | None, ModerationCategories | None]:
        """The classifier, loaded, and what its labels stand for; neither where there is none.

        Raises:
            ApiError: 503, it cannot be loaded, or cannot moderate.
        """
        if self.name is None:
            return None, None
        model = await self._models.open(self.name)
        if "classify" not in model.info.get("can", ()):
            raise ApiError(503, f"The moderation model {self.name} does not classify texts", code="model_load_failed")
        try:
            return model, ModerationCategories.of(model.info["classes"], model.info["problem"], self._map)
        except DaedalError as error:  # of a model of the hub, whose labels nobody knew when the server started
            raise ApiError(503, str(error), code="model_load_failed") from None

    async def scores(self, texts: Sequence[str], asker: str, param: str = "input") -> list[dict[str, float]]:
        """What the classifier says of each text, by category; nothing without one.

        Raises:
            ApiError: it cannot be asked, or a text is too long: then nothing was judged, and nothing is let through.
        """
        model, categories = await self.categories()
        if model is None or categories is None:
            return [{} for _ in texts]
        if any(len(text) > _LONGEST for text in texts):
            said = f"A text has more than {_LONGEST:,} characters, which is more than the moderation model reads"
            raise ApiError(400, said, param=param, code="context_length_exceeded")
        cut = [pieces(text) for text in texts]
        flat = [{"text": piece} for some in cut for piece in some]
        began = time.perf_counter()
        found = iter((await model.ask("classify", asker, inputs=flat))["found"] if flat else ())
        self.metrics.moderation.observe(time.perf_counter() - began)
        none = dict.fromkeys(categories.known, 0.0)
        return [worst([none, *(categories.known_scores(next(found)["probs"]) for _ in some)]) for some in cut]

    async def judge(self, texts: Sequence[str], asker: str, param: str = "input") -> list[Verdict]:
        """The verdict on each text.

        Raises:
            ApiError: as `scores`.
        """
        if any(len(text) > _MOST for text in texts):
            raise ApiError(
                400, f"A text has more than {_MOST:,} characters", param=param, code="context_length_exceeded"
            )
        scores = await self.scores(texts, asker, param)
        rules, made = self.rules, list[Verdict]()
        for text, score in zip(texts, scores, strict=True):
            if rules is None:
                matches = []
            elif len(text) <= _AT_ONCE:
                matches = rules.find(text)
            else:
                matches = await asyncio.to_thread(rules.find, text)
            made.append(decide(text, matches, score, self.threshold, rules.categories if rules else ()))
        return made

    async def require_fine(
        self, model: Model, asker: str, texts: Iterable[str], param: str = "prompt", code: str = _OF_PICTURES
    ) -> None:
        """See that a model may be asked that.

        Raises:
            ApiError: 400, a text is flagged; or as `scores`.
        """
        if not self.on:
            return
        asked = {hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest(): text for text in texts if text}
        known = {key: self._known[key] for key in asked if key in self._known}
        new = [key for key in asked if key not in known]
        param = model.fields.get(param, param)
        most = _SPELLED * model.info.get("context", _MOST)
        if any(len(asked[key]) > most for key in new):  # which takes long to judge, and the model would refuse anyway
            said = f"A text of the prompt has more than {most:,} characters, which is more than the model reads"
            raise ApiError(400, said, param=param, code="context_length_exceeded")
        verdicts = await self.judge([asked[key] for key in new], asker, param) if new else []
        known |= {key: verdict.category for key, verdict in zip(new, verdicts, strict=True)}
        for key, found in known.items():
            self._known[key] = found
            self._known.move_to_end(key)
        while len(self._known) > _KEPT:
            self._known.popitem(last=False)
        category = next((found for found in known.values() if found != "none"), None)
        if category is not None:
            self.metrics.refusals.labels(model.name, "input", category).inc()
            said = f"Moderation refuses what is asked: {category}"
            raise ApiError(400, said, param=param, code=code)


def moderation(request: HTTPConnection) -> Moderation:
    """The server's."""
    found: Moderation = request.app.state.moderation
    return found


async def said(model: Model, asker: str, prompt: Mapping[str, Any]) -> list[str]:
    """The texts of a prompt as the wire has it: whoever says them, they are judged, as anybody may have made them up."""
    texts = [prompt[name] for name in ("text", "raw", "suffix") if prompt.get(name)]
    if "ids" in prompt:
        texts.append((await model.ask("detokenize", asker, ids=prompt["ids"]))["text"])
    for turn in prompt.get("messages") or ():
        texts += [str(turn.get(name) or "") for name in ("content", "name")]
        texts += ["\n".join(_strings(turn["tool_calls"]))] if turn.get("tool_calls") else []
    return [*texts, *(["\n".join(_strings(prompt["tools"]))] if prompt.get("tools") else [])]


def _strings(value: Any) -> Iterator[str]:
    """The texts in a JSON value, names too; what is itself JSON as a text, as arguments of calls are, is read."""
    if isinstance(value, str):
        with suppress(ValueError, RecursionError):
            if value.lstrip()[:1] in ("{", "["):
                yield from _strings(json.loads(value))
                return
        yield value
    elif isinstance(value, Mapping):
        for name, each in value.items():
            yield str(name)
            yield from _strings(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _strings(each)
