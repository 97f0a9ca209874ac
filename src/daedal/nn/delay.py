"""How the codes of several books lie side by side: the delay pattern (Copet et al. 2023, arXiv:2306.05284).

A step of a sound has a code of each book. Book `k` is written `delays[k]` places later than the first, so that what a place
says of a step has the coarser books of that step before it, and all books of a place can be written at once:

    book 0    a0  a1  a2  a3  .   .
    book 1    .   b0  b1  b2  b3  .
    book 2    .   .   c0  c1  c2  c3
"""

from typing import Self

import torch
from jaxtyping import Int
from pydantic import Field, model_validator
from torch import Tensor

from daedal.config import Config


class Pattern(Config):
    """Where the codes of each book lie.

    Attributes:
        delays: of the books, in places; the first has none, and each has more than the one before.
    """

    delays: tuple[int, ...] = Field(min_length=1, max_length=64)

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if self.delays[0] or list(self.delays) != sorted(set(self.delays)):
            raise ValueError("delays begin with 0, and rise from book to book")
        return self

    @classmethod
    def one_by_one(cls, books: int) -> Self:
        """Each book a place after the one before."""
        return cls(delays=tuple(range(books)))

    @property
    def most(self) -> int:
        """Places after the last step."""
        return self.delays[-1]

    def laid(self, codes: Int[Tensor, "batch steps books"], nothing: int) -> Int[Tensor, "batch places books"]:
        """The codes where they are written, and `nothing` where there is none."""
        batch, steps, books = codes.shape
        laid = codes.new_full((batch, steps + self.most, books), nothing)
        for book, delay in enumerate(self.delays):
            laid[:, delay : delay + steps, book] = codes[..., book]
        return laid

    def undone(self, laid: Int[Tensor, "batch places books"]) -> Int[Tensor, "batch steps books"]:
        """The codes of each step, as `laid` was given them."""
        steps = laid.shape[1] - self.most
        return torch.stack([laid[:, delay : delay + steps, book] for book, delay in enumerate(self.delays)], -1)
