"""The green list as Transformers has it, bit for bit: what its WatermarkLogitsProcessor marks is found here, and what is marked
here is found by its WatermarkDetector (Kirchenbauer et al. 2023, arXiv:2301.10226 and arXiv:2306.04634).

It draws a permutation of the vocabulary for every token, on the CPU as here; what was marked on a GPU has other lists. For
what Daedal marks itself `green_list` does the same in a hundredth of the time.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Float64, Int, Int64, UInt64
from pydantic import Field
from torch import Tensor

from daedal.safety.text_marks.scheme import Scheme
from daedal.safety.text_marks.tails import binomial_tail

_TABLE = 1_000_003
_TRIED = 40
"""Of the likeliest tokens, those that are asked whether they are green by themselves."""


class Kgw(Scheme):
    """The fields of Transformers' WatermarkingConfig by their names here.

    Attributes:
        context: tokens that the seed is made of (context_width); with "selfhash" the token itself is one of them.
        vocab: size of the vocabulary, which the lists depend on.
        share: greenlist_ratio.
        bias: added to the logits of green tokens.
        seeding: "lefthash": the last token says which are green; "selfhash": the token itself does too.
        hashing_key: Transformers' public one unless given; None derives one from the key.
    """

    label = "kgw/transformers"
    faithful = False

    context: int = Field(default=1, ge=1, le=64)
    vocab: int = Field(ge=2)
    share: float = Field(default=0.25, gt=0, lt=1)
    bias: float = 2.0
    seeding: Literal["lefthash", "selfhash"] = "lefthash"
    hashing_key: int | None = Field(default=15485863, repr=False, ge=1, lt=2**63)

    def _told(self, field: str) -> bool:
        return field not in ("vocab", "bias", "hashing_key") and super()._told(field)

    @property
    def width(self) -> int:
        return self.context - (self.seeding == "selfhash")

    def favoured(self, seed: int, before: Sequence[int], logits: Float[Tensor, " vocab"]) -> Int[Tensor, " green"]:
        """The tokens whose logits are raised after these."""
        key = self._key(seed)
        if len(before) < self.context:
            return torch.zeros(0, dtype=torch.long)
        if self.seeding == "lefthash":
            return torch.from_numpy(self._list(key * before[-1])[: self._count])
        tried = logits.sort(descending=True).indices[:_TRIED].tolist()
        green = [id for id in tried if self._is_green(key, [*before, id])]
        return torch.tensor(green, dtype=torch.long)

    def evidence(self, seed: int, ids: Int[np.ndarray, " time"]) -> Float64[np.ndarray, " places"]:
        key, text = self._key(seed), ids.tolist()
        places = range(self.width, len(text))
        return np.array([self._is_green(key, text[max(0, at - self.width) : at + 1]) for at in places], np.float64)

    def fit(self, words: UInt64[np.ndarray, " places"]) -> Float64[np.ndarray, " places"]:
        raise NotImplementedError  # Transformers knows no words: `evidence` draws its lists

    def tail(self, total: float, places: int) -> float:
        return binomial_tail(round(total), places, self._count / self.vocab)

    @property
    def _count(self) -> int:
        return int(self.vocab * self.share)

    def _key(self, seed: int) -> int:
        return self.hashing_key if self.hashing_key is not None else 1 + seed % (2**31 - 1)

    def _is_green(self, key: int, gram: Sequence[int]) -> bool:
        if self.seeding == "lefthash":
            drawn = key * gram[-2]
        else:
            table = _table(key)
            last = table[np.array(gram[-self.context :]) % _TABLE] + 1
            with np.errstate(over="ignore"):
                drawn = int((np.int64(key) * last * last[-1]).min())
        return gram[-1] in self._green(drawn)

    def _green(self, drawn: int) -> frozenset[int]:
        return _greens(drawn % (2**64 - 1), self.vocab, self._count)

    def _list(self, drawn: int) -> Int64[np.ndarray, " vocab"]:
        return _permutation(drawn % (2**64 - 1), self.vocab)


@lru_cache(maxsize=4)
def _table(key: int) -> Int64[np.ndarray, " table"]:
    return _permutation(key, _TABLE)


@lru_cache(maxsize=256)
def _greens(seed: int, vocab: int, count: int) -> frozenset[int]:
    return frozenset(_permutation(seed, vocab)[:count].tolist())


def _permutation(seed: int, size: int) -> Int64[np.ndarray, " size"]:
    drawn = torch.randperm(size, generator=torch.Generator().manual_seed(seed))
    numbers: Int64[np.ndarray, " size"] = drawn.numpy()
    return numbers
