"""A model behind a URL that speaks the OpenAI API, asked through the `openai` client: conversations by /chat/completions, texts
by /completions, likelihoods by /completions with `echo` and `logprobs`. What can go wrong on the way is `connection.py`'s.
"""

import hashlib
import json
import math
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from daedal.errors import DaedalError
from daedal.printable import printable
from daedal.prompting.address import key_of, split_url
from daedal.prompting.connection import Connection, Garbage, Got, Missing, Prices
from daedal.prompting.respondent import Likelihood, Message, Prompt, Question, Reply, Wording

_MOST_STOPS = 4  # of OpenAI's API; the answer is cut here in any case


class Endpoint(Connection):
    """A model that is asked over a network.

    Args:
        url: of the API, as `http://127.0.0.1:8000/v1`; `/v1` is added where it names a host alone, and the model may follow
            after a `#`.
        model: its name; the only one that the API lists unless given.
        api_key_env: the environment variable that holds the key. OPENAI_API_KEY unless given, if it is set.
        requests_per_minute: at most.
        most_requests: that may be sent; beyond them nothing is.
        prices: of tokens.
        timeout: seconds for an answer.

    Attributes:
        used: what was sent so far.
        prices: of tokens.

    Raises:
        DaedalError: the URL or key is not usable, the API is not there, or it lists several models and none is named.
    """

    def __init__(
        self,
        url: str,
        *,
        model: str | None = None,
        api_key_env: str | None = None,
        requests_per_minute: float | None = None,
        most_requests: int | None = None,
        prices: Prices | None = None,
        timeout: float = 300.0,
    ) -> None:
        address, named = split_url(url)
        key = key_of(api_key_env, address)
        super().__init__(address, key, requests_per_minute, most_requests, prices, timeout)
        self._old_limit: bool | None = None
        self._echo_tokens = 0
        entry = self._listed(model or named)
        self.model = str(entry["id"])
        self.name = f"{self.model} at {self._host}"
        # `created` is when it was trained, or only when it was asked: where it is ours, it tells weights apart
        kept = ("id", "root", *(("created",) if entry.get("owned_by") == "daedal" else ()))
        known = json.dumps([address, {name: entry.get(name) for name in kept}], sort_keys=True)
        self.identity = hashlib.sha256(known.encode("utf-8", "surrogatepass")).hexdigest()

    def __repr__(self) -> str:
        return f"Endpoint({self.url!r}, model={self.model!r})"

    # -- what a respondent does ------------------------------------------------------------------------------------------

    def answer(self, questions: Sequence[Question], wording: Wording) -> Iterator[tuple[int, Reply]]:
        """As `Respondent.answer`: several requests are under way at once.

        Raises:
            DaedalError: more would be sent than may be, or a request fails for good.
        """
        self._allow([(_characters(each.prompt), wording.max_tokens) for each in questions])
        yield from self._together([partial(self._reply, each, wording) for each in questions])

    def likelihoods(self, pairs: Sequence[tuple[Prompt, str]]) -> Iterator[tuple[int, Likelihood]]:
        """As `Respondent.likelihoods`: spaces that end a context begin the continuation, as in lm-eval; so does a token that
        reaches over.

        Raises:
            DaedalError: as `answer`; of an answer in a conversation, which this API does not tell; the API gives none.
        """
        texts = [(self._text_before(context), text) for context, text in pairs]
        self._allow([(len(context) + len(text), 0) for context, text in texts])
        yield from self._together([partial(self._likelihood, *each) for each in texts])

    def rolling(self, texts: Sequence[str]) -> Iterator[tuple[int, Likelihood]]:
        """Not to be had: the API tells nothing of a text's first token."""
        raise self._whole()

    def require_likelihoods(self, contexts: Sequence[Prompt] | None) -> None:
        """See that the API can tell likelihoods of what follows these, or of whole texts where it is None; nothing is sent.

        Raises:
            DaedalError: it cannot.
        """
        if contexts is None:
            raise self._whole()
        for context in contexts:
            self._text_before(context)

    def rendered(self, messages: Sequence[Message]) -> str:
        raise DaedalError(f"The chat template of {self.name} is not known here", "Ask the model on this machine")

    def _text_before(self, context: Prompt) -> str:
        """A text that has a token whose likelihood may be left out."""
        if not isinstance(context, str):
            raise DaedalError(
                f"{self.name} tells no likelihoods of answers in conversations",
                "Leave the chat template out, or ask the model on this machine",
            )
        if not context.rstrip():
            raise DaedalError(
                f"{self.name} tells no likelihood of a text that follows nothing",
                "Give the task a description, or ask the model on this machine",
            )
        return context

    def _whole(self) -> DaedalError:
        return DaedalError(
            f"{self.name} tells no likelihoods of whole texts, as its API leaves out the first token",
            "Ask the model on this machine",
        )

    # -- one request -----------------------------------------------------------------------------------------------------

    def _reply(self, question: Question, wording: Wording, ended: threading.Event) -> Reply:
        began = time.monotonic()
        fields: dict[str, Any] = {
            "model": self.model, "temperature": wording.temperature,
            "seed": (wording.seed + 1_000_003 * question.sample) % 2**31,
        }  # fmt: skip
        if wording.stop:
            fields["stop"] = list(wording.stop[:_MOST_STOPS])
        if isinstance(question.prompt, str):
            if wording.answer_schema is not None:
                raise DaedalError(
                    f"{self.name} keeps answers to a schema in conversations alone",
                    "Put the prompt as a user's message",
                )
            fields |= {"prompt": question.prompt, "max_tokens": wording.max_tokens}
            got = self._request(lambda: self._client.completions.with_raw_response.create(**fields), _text, ended)
        else:
            fields["messages"] = [dict(message) for message in question.prompt]
            if wording.answer_schema is not None:
                schema = {"name": "answer", "schema": wording.answer_schema}
                fields["response_format"] = {"type": "json_schema", "json_schema": schema}
            got = self._request(lambda: self._chat(fields, wording.max_tokens), _said, ended)
        cut = min((at for each in wording.stop if (at := got.text.find(each)) >= 0), default=None)
        cost = None if self.prices is None else self.prices.of(got.prompt_tokens, got.completion_tokens)
        return Reply(
            text=got.text[:cut], finish_reason=got.finish_reason if cut is None else "stop",
            prompt_tokens=got.prompt_tokens, completion_tokens=got.completion_tokens,
            seconds=time.monotonic() - began, cost=cost,
        )  # fmt: skip

    def _chat(self, fields: Mapping[str, Any], most: int) -> Any:
        """Newer models of OpenAI's know `max_completion_tokens` alone, other servers often only `max_tokens`."""
        create = self._client.chat.completions.with_raw_response.create
        if self._old_limit is not False:
            try:
                return create(**fields, max_tokens=most)
            except Exception as error:
                if getattr(error, "status_code", None) != 400 or "max_completion_tokens" not in str(error):
                    raise
                self._old_limit = False
        return create(**fields, max_completion_tokens=most)

    def _likelihood(self, context: str, text: str, ended: threading.Event) -> Likelihood:
        whole, begins = context + text, len(context.rstrip())

        def send() -> Any:
            fields: dict[str, Any] = {
                "model": self.model,
                "prompt": whole,
                "echo": True,
                "logprobs": 1,
                "temperature": 0,
            }
            create = self._client.completions.with_raw_response.create
            if self._echo_tokens == 0:
                try:
                    return create(**fields, max_tokens=0)
                except Exception as error:
                    if getattr(error, "status_code", None) != 400 or "max_tokens" not in str(error):
                        raise
                    self._echo_tokens = 1  # some servers write at least one token
            return create(**fields, max_tokens=1)

        def read(body: Any) -> "Got":
            columns = body["choices"][0]["logprobs"]
            if not isinstance(columns, Mapping):
                raise DaedalError(
                    f"{self.name} gives no log-probabilities of prompts (echo with logprobs)",
                    "Ask a server that does, such as daedal serve or vLLM, or have answers generated",
                )
            likely = columns.get("top_logprobs") or [None] * len(columns["tokens"])
            tokens = list(
                zip(columns["tokens"], columns["text_offset"], columns["token_logprobs"], likely, strict=True)
            )
            ends = [*(at for _, at, _, _ in tokens[1:]), len(whole)]
            own = [
                (logprob, top)
                for (_, at, logprob, top), end in zip(tokens, ends, strict=True)
                if at < len(whole) and (at >= begins or end > begins)
            ]
            nats = [float(logprob) for logprob, _ in own]
            if not nats or not all(math.isfinite(each) and each < 1e-3 for each in nats):
                raise Garbage("a log-probability that is no number")
            greedy = all(top and logprob >= max(top.values()) for logprob, top in own)
            return Got("", "stop", *_usage(body), Likelihood(sum(nats), greedy, len(nats)))

        found = self._request(send, read, ended).likelihood
        assert found is not None
        return found

    # -- opening ---------------------------------------------------------------------------------------------------------

    def _listed(self, model: str | None) -> Mapping[str, Any]:
        """What the API lists of the model; its name alone where it lists nothing.

        Raises:
            DaedalError: the API is not there, or has several models and none is named, or not this one.
        """

        def read(body: Any) -> Got:
            data = body["data"]
            if not isinstance(data, list) or not all(isinstance(each["id"], str) for each in data):
                raise Garbage("a list of models that is none")
            return Got("", "stop", 0, 0, listed=data)

        try:
            listed = self._request(lambda: self._client.models.with_raw_response.list(), read).listed
        except Missing:
            if model is None:
                raise
            return {"id": model}  # some servers list none
        finally:
            self.used = self.used._replace(requests=0)
        if model is not None:
            # aliases and fine-tuned models are not always listed
            return next((each for each in listed if each["id"] == model), {"id": model})
        if len(listed) != 1:
            names = ", ".join(printable(each["id"])[:60] for each in listed[:8])
            raise DaedalError(
                f"{self._host} has {len(listed)} models{': ' if names else ''}{names}", f"Name one: {self.url}#MODEL"
            )
        return listed[0]


def _usage(body: Mapping[str, Any]) -> tuple[int, int]:
    """Tokens of the prompt and of the answer; none where the server does not count."""
    used = body.get("usage")
    counts = [used.get(name) if isinstance(used, Mapping) else 0 for name in ("prompt_tokens", "completion_tokens")]
    prompt, completion = (each if isinstance(each, int) and 0 <= each < 2**53 else 0 for each in counts)
    return prompt, completion


def _text(body: Any) -> Got:
    choice = body["choices"][0]
    if not isinstance(choice["text"], str):
        raise Garbage("an answer without a text")
    return Got(choice["text"], _reason(choice), *_usage(body))


def _said(body: Any) -> Got:
    choice = body["choices"][0]
    message = choice["message"]
    text = message.get("content")
    if text is None:
        text = message.get("refusal") or ""
    if not isinstance(text, str):
        raise Garbage("an answer without a text")
    return Got(text, _reason(choice), *_usage(body))


def _reason(choice: Mapping[str, Any]) -> str:
    reason = choice.get("finish_reason")
    return printable(reason)[:40] if isinstance(reason, str) and reason else "stop"


def _characters(prompt: Prompt) -> int:
    return len(prompt) if isinstance(prompt, str) else sum(len(str(each.get("content") or "")) for each in prompt)
