"""Text to image in stages and one budget: the tokens of pictures, then a GPT that learns them after their captions.

What was asked for is kept beside the run, so that it goes on where it stands. With `prior="flow"` a flow learns it all at once.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, create_model

from daedal.config import Config
from daedal.data import open_data
from daedal.data.images.dataset import ImageDataset
from daedal.duration import parse_duration
from daedal.errors import DaedalError
from daedal.files import absolute, read_json, write_json
from daedal.training.learned_data import own_data
from daedal.training.picture_codes import require_captions
from daedal.training.plan import options_of, plan_class
from daedal.training.planning import DEFAULT_BUDGET, ShortBudget
from daedal.training.run import RunFolder, claimed
from daedal.training.session import Session, TrainingResult

_TOKENS_SHARE = 0.25  # of the budget: with more, tokens lose hardly less (docs/log.md)
_SHARED = ("steps", "seed", "device", "threads", "precision")  # options of both stages


def options() -> type[Config]:
    """The options of both priors; the plan of the one that is chosen refuses what is the other's alone."""
    plans = [plan_class(family, "pictures") for family in ("flow", "gpt")]
    fields = options_of(plans, settled=frozenset({"condition"})).model_fields
    prior = Field(None, description="tokens: a tokenizer and a GPT; flow: a flow, all in one stage")
    values: dict[str, Any] = {"prior": (Literal["tokens", "flow"] | None, prior)}
    values |= {name: (field.annotation, field) for name, field in fields.items()}
    return create_model("TextToImageOptions", __base__=Config, **values)


def train(
    session: Session,
    data: str | Path,
    out: Path,
    budget: str | float | None,
    init: str | None,
    codec: str | Path | None,
    options: dict[str, Any],
) -> TrainingResult:
    """Begin.

    Raises:
        DaedalError: an option is wrong, the data has no captions, or the budget is too short.
    """
    if init is not None or options.get("condition", "caption") != "caption":
        raise DaedalError("Text to image learns captions, and from nothing", "Leave --init and --condition away")
    prior = options.pop("prior", "tokens")
    if prior == "flow":
        return session.begin(prior, data, out, budget, None, codec, {**options, "condition": "caption"})
    if prior != "tokens":
        raise DaedalError(f"There is no prior {prior!r} of text to image", "Use tokens or flow")
    request = TextToImage(
        data=absolute(data),
        budget=None if "steps" in options else parse_duration(DEFAULT_BUDGET if budget is None else budget),
        codec=None if codec is None else absolute(codec),
        options=options,
    )
    return request.train(session, out)


class TextToImage(Config):
    """What was asked of a run of text to image, for its second stage.

    Attributes:
        budget: seconds for both stages; None where their steps are given.
        codec: a tokenizer that there is already; then there is no first stage.
        spent: seconds that the first stage took, once it is done.
    """

    data: str
    budget: float | None
    codec: str | None
    options: dict[str, Any]
    spent: float = 0.0

    @classmethod
    def of(cls, run: RunFolder) -> Self | None:
        """What was asked of a run, where it is one of text to image.

        Raises:
            DaedalError: the file is damaged.
        """
        return cls.parse(read_json(run.request), str(run.request)) if run.request.exists() else None

    def train(self, session: Session, out: Path) -> TrainingResult:
        """Both stages, or what is left of them."""
        dataset, folder = open_data(self.data), RunFolder(out)
        if not isinstance(dataset, ImageDataset):
            raise DaedalError(f"Text to image learns pictures, and {self.data} holds others", "Name data of pictures")
        require_captions(dataset)
        if session.group.main:
            write_json(folder.request, self.model_dump())
        codec, budget, spent = self.codec, self.budget, self.spent
        if codec is None:
            codec = str(folder.tokens)
            budget = None if budget is None else (1 - _TOKENS_SHARE) * budget
            spent = self._learn_tokens(session, folder)
        options = {**self.options, "condition": "caption"}
        now = replace(session, started=time.monotonic())
        with _part_of_budget(1.0 if self.codec is not None else 1 - _TOKENS_SHARE, "the GPT"):
            return now.begin("gpt", self.data, out, budget, None, codec, options, spent)

    def go_on(self, session: Session, run: RunFolder, data: str | Path | None) -> TrainingResult:
        """What is left of both stages; `data` names where the data was moved to."""
        if data is None and RunFolder(run.tokens).begun:
            data = own_data(RunFolder(run.tokens)).folder
        return (self if data is None else self.but(data=absolute(data))).train(session, run.path)

    def _learn_tokens(self, session: Session, folder: RunFolder) -> float:
        """The first stage, unless it is done; gives the seconds that it took."""
        tokens, group = RunFolder(folder.tokens), session.group
        begun, measured = group.agree([tokens.begun, tokens.measured])
        if measured:
            return self.spent
        with claimed(tokens, group, new=not begun):
            if begun:
                first = session.go_on(tokens, self.data)
            else:
                share = None if self.budget is None else _TOKENS_SHARE * self.budget
                shared = {name: self.options[name] for name in _SHARED if name in self.options}
                with _part_of_budget(_TOKENS_SHARE, "the tokenizer"):
                    first = session.begin("vqvae", self.data, tokens.path, share, None, None, shared)
        if group.main:
            write_json(folder.request, self.but(spent=first.seconds).model_dump())
        return first.seconds


@contextmanager
def _part_of_budget(share: float, what: str) -> Iterator[None]:
    """A stage that has a share of a budget: where that is too short, the line tells what the whole should be."""
    try:
        yield
    except ShortBudget as error:
        raise (error if share == 1 else error.of_share(share, what)) from None
