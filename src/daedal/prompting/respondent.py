"""Whom prompts are put to: a model on this machine (`local.py`), or one that is served behind a URL (`endpoint.py`).

Answers come as they are ready, each with the place of its question: whoever asks can keep them, and a run that was stopped has
lost none.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

from pydantic import Field

from daedal.config import Config

Message = Mapping[str, Any]
Prompt = str | tuple[Message, ...]
"""A text to go on with, or a conversation to answer."""


class Question(NamedTuple):
    """A prompt that is put to a model.

    Attributes:
        sample: its number, where one prompt is asked several times: another sample of the same distribution.
    """

    prompt: Prompt
    sample: int = 0


class Wording(Config):
    """How answers are to be worded.

    Attributes:
        max_tokens: of an answer, at most.
        temperature: 0 is greedy.
        stop: texts that end an answer; it is cut before them.
        seed: the same seed, question and model give the same answer on the same machine; an endpoint promises as much as its
            server does.
        answer_schema: a JSON schema that an answer must match.
    """

    max_tokens: int = Field(256, ge=1)
    temperature: float = Field(0.0, ge=0)
    stop: tuple[str, ...] = ()
    seed: int = Field(0, ge=0, lt=2**31)
    answer_schema: dict[str, Any] | None = None


class Reply(Config):
    """An answer.

    Attributes:
        finish_reason: "stop", "length" or "context".
        prompt_tokens, completion_tokens: as the model counts them.
        seconds: until it was complete.
        cost: in dollars, where prices were given.
        remembered: it was asked before, and nothing was sent or computed; the seconds are those of then.
    """

    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    cost: float | None = None
    remembered: bool = False


class Likelihood(NamedTuple):
    """How likely a text is after another.

    Attributes:
        nats: its natural log-likelihood.
        greedy: whether the most likely token came at every place.
        tokens: of it.
    """

    nats: float
    greedy: bool
    tokens: int


class Respondent(Protocol):
    """Whoever answers.

    Attributes:
        name: as the user named it.
        identity: SHA-256 of the weights, or of an endpoint's address and the name of its model.
    """

    name: str
    identity: str

    def answer(self, questions: Sequence[Question], wording: Wording) -> Iterator[tuple[int, Reply]]:
        """Answers as they come, each with the place of its question.

        Raises:
            DaedalError: a question does not fit the context, or the endpoint cannot be asked.
        """
        ...

    def likelihoods(self, pairs: Sequence[tuple[Prompt, str]]) -> Iterator[tuple[int, Likelihood]]:
        """Of each text after a text or as the answer in a conversation, with its place; tokens are counted as lm-eval does
        (`continuations.py`).

        Raises:
            DaedalError: the model gives no likelihoods of texts, or none of answers.
        """
        ...

    def rolling(self, texts: Sequence[str]) -> Iterator[tuple[int, Likelihood]]:
        """Of whole texts from their beginning, in windows that do not overlap but for one token."""
        ...

    def rendered(self, messages: Sequence[Message]) -> str:
        """A conversation as the text that the model reads, up to where its answer begins.

        Raises:
            DaedalError: it has no chat template that is known here.
        """
        ...


@runtime_checkable
class Bounded(Protocol):
    """A respondent who cannot tell all likelihoods, and says which before it is asked."""

    def require_likelihoods(self, contexts: Sequence[Prompt] | None) -> None:
        """See that likelihoods can be told of what follows these, or of whole texts where it is None.

        Raises:
            DaedalError: they cannot.
        """
        ...
