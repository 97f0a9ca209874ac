"""What every scheme of a watermark of text tells: what it does with chance where a text is written, and how it judges tokens.

A scheme says of the word of a token (64 bits of the key, the tokens before it and the token itself, `hashing.py`) how well the
token fits the key. In a text of somebody else's, words are chance, so the sum over a text has a distribution that is known to
the last digit.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
from jaxtyping import Float64, Int, UInt64
from pydantic import Field

from daedal.config import Config
from daedal.safety.text_marks.hashing import context_seeds, words


class Scheme(Config, ABC):
    """How text is marked. Its fields have to be known for the mark to be found.

    Attributes:
        context: tokens before a place that say, with the key, what is favoured there. More of them repeat less and tell less
            of the key; every token that is changed later spoils this many places and its own.
    """

    label: ClassVar[str]
    faithful: ClassVar[bool]
    """Whether, averaged over keys, the marked text is distributed as the unmarked. It marks what follows the same tokens only
    once in a text: a second time its choice would not be free."""

    context: int = Field(default=4, ge=1, le=64)

    @property
    def name(self) -> str:
        """The scheme with its version, and whatever is set otherwise than usual."""
        changed = (f" {field}={getattr(self, field)}" for field in type(self).model_fields if self._told(field))
        return self.label + "".join(changed)

    def _told(self, field: str) -> bool:
        return bool(getattr(self, field) != type(self).model_fields[field].default)

    @property
    def width(self) -> int:
        """Tokens before a place that tell, with its own, how well it fits."""
        return self.context

    def evidence(self, seed: int, ids: Int[np.ndarray, " time"]) -> Float64[np.ndarray, " places"]:
        """How well each token fits a key, that has enough tokens before it."""
        return self.fit(words(context_seeds(seed, ids, self.context), ids[self.context :]))

    @abstractmethod
    def fit(self, words: UInt64[np.ndarray, " places"]) -> Float64[np.ndarray, " places"]:
        """How well tokens fit the key, by their words."""

    @abstractmethod
    def tail(self, total: float, places: int) -> float:
        """How probable at least such a sum over so many places is where words are chance."""
