"""How likely a model finds texts: one that writes, by the tokens that come after others; one that reads both ways, by tokens
that are hidden (Salazar et al. 2020). What does not fit its context is left out and counted: half an item says nothing."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from daedal.codecs.text import TextCodec
from daedal.errors import DaedalError
from daedal.evaluation.masked_text import Hidden, MaskedText, judge
from daedal.inference.generator import Generator
from daedal.prompting.local import LocalModel
from daedal.prompting.memory import unwrapped
from daedal.prompting.respondent import Bounded, Respondent

Share = Callable[[float], None]
"""Told how much of the work is done."""


class Likely(NamedTuple):
    """Log-likelihoods of texts in nats, and how many tokens each has."""

    nats: Float[np.ndarray, " texts"]
    tokens: Int[np.ndarray, " texts"]


class Writer:
    """A language model, or whoever tells likelihoods."""

    how = "causal"

    def __init__(self, respondent: Respondent) -> None:
        self.respondent = respondent
        self.hash = respondent.identity

    def require(self, contexts: Sequence[str]) -> None:
        """See that it can tell what follows these, before it is asked.

        Raises:
            DaedalError: it cannot: an endpoint tells nothing of a text that follows nothing.
        """
        inner = unwrapped(self.respondent)
        if isinstance(inner, Bounded):
            inner.require_likelihoods(contexts)

    @property
    def tells_whole_texts(self) -> bool:
        """Whether it tells how likely a text is that follows nothing."""
        try:
            self.require([""])
        except DaedalError:
            return False
        return True

    def fits(self, pairs: Sequence[tuple[str, str]]) -> Bool[np.ndarray, " pairs"]:
        """Which texts can be read with what stands before them; all of an endpoint, which says so itself."""
        inner = unwrapped(self.respondent)
        if not isinstance(inner, LocalModel):
            return np.ones(len(pairs), dtype=bool)
        ids = inner.generator.codec.encode_batch([before + text for before, text in pairs])
        context = int(inner.generator.model.config.context)
        return np.array([len(each) <= context for each in ids], dtype=bool)

    def after(self, pairs: Sequence[tuple[str, str]], tell: Share) -> Likely:
        """Of each second text after the first; one that stands for itself comes after nothing.

        Raises:
            DaedalError: the model tells no likelihoods.
        """
        self.require([before for before, _ in pairs])
        nats, tokens = np.zeros(len(pairs)), np.zeros(len(pairs), dtype=np.int64)
        for done, (place, found) in enumerate(self.respondent.likelihoods(pairs), 1):
            nats[place], tokens[place] = found.nats, found.tokens
            tell(done / len(pairs))
        return Likely(nats, tokens)


class HiddenTokens(NamedTuple):
    """A text's tokens, and those that are hidden, each by itself, while the others are seen."""

    ids: Sequence[int]
    places: Sequence[int]


class Filler:
    """A masked language model."""

    how = "masked"

    def __init__(self, generator: Generator) -> None:
        self.generator = generator
        self.codec: TextCodec = generator.codec
        self.hash = generator.fingerprint
        if self.codec.mask_id is None:
            raise DaedalError("The tokenizer has no token that hides another", "Use a model that learned to fill in")

    @property
    def room(self) -> int:
        """Tokens of a text that are read at once."""
        return int(self.generator.model.config.context) - self.codec.framing.room

    def each(self, texts: Sequence[HiddenTokens], tell: Share) -> list[Float[np.ndarray, " hidden"]]:
        """The log-likelihood of every hidden token, in nats, of each text.

        Raises:
            DaedalError: the model's predictions are no numbers.
        """
        asked = [text for text in texts if len(text.ids) and len(text.places)]
        if not asked:
            return [np.zeros(0) for _ in texts]
        lengths = [len(text.ids) for text in asked]
        passages = MaskedText(
            "texts", self.codec, np.concatenate([np.asarray(text.ids, dtype=np.int64) for text in asked]),
            np.cumsum([0, *lengths]), np.arange(len(asked)), 0, "",
        )  # fmt: skip
        hidden = [Hidden(row, np.array([place])) for row, text in enumerate(asked) for place in text.places]
        nats = iter(np.split(-judge(self.generator.model, passages, hidden, tell).nats, _ends(asked)))
        return [next(nats) if len(text.ids) and len(text.places) else np.zeros(0) for text in texts]


Reader = Writer | Filler


def _ends(texts: Sequence[HiddenTokens]) -> list[int]:
    found: list[int] = np.cumsum([len(text.places) for text in texts])[:-1].tolist()
    return found


def reader_of(model: Generator | Respondent) -> Reader | None:
    """How a model tells likelihoods of texts; None where it tells none."""
    if not isinstance(model, Generator):
        return Writer(model)
    can: frozenset[Any] = model.capabilities
    return Writer(LocalModel(model)) if "complete" in can else Filler(model) if "fill" in can else None
