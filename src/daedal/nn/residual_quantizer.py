"""Residual quantization: a book of codes says what the books before it left (Zeghidour et al. 2021, arXiv:2107.03312), each by
FSQ (Mentzer et al. 2023, arXiv:2309.15505) in a few channels of its own (Kumar et al. 2023, arXiv:2306.06546)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from daedal.nn.quantizer import FSQ

_STEEP = 1.5
"""Of what goes into a hyperbolic tangent: beyond, its slope is less than a fifth."""


class ResidualFSQ(nn.Module):
    """States as a code of each book.

    Args:
        width: of the states.
        levels: of the channels of every book.
        books: how many there are.
    """

    def __init__(self, width: int, levels: Sequence[int], books: int) -> None:
        super().__init__()
        self.books = nn.ModuleList(FSQ(levels) for _ in range(books))
        self.down = nn.ModuleList(nn.Linear(width, len(levels)) for _ in range(books))
        self.up = nn.ModuleList(nn.Linear(len(levels), width) for _ in range(books))

    def initialise(self, generator: torch.Generator) -> None:
        """Its state anew; the layers are filled by whom they belong to."""
        for book in self.all_books:
            book.initialise(generator)

    @property
    def all_books(self) -> list[FSQ]:
        """The books, from the coarsest to the finest."""
        return [book for book in self.books if isinstance(book, FSQ)]

    @property
    def size(self) -> int:
        """Codes of a book."""
        return self.all_books[0].size

    def forward(
        self, states: Float[Tensor, "batch time width"], heard: Int[Tensor, " batch"] | None = None
    ) -> tuple[Float[Tensor, "batch time width"], Int[Tensor, "batch time books"], Float[Tensor, " batch"]]:
        """What the codes stand for, and the codes; gradients pass through as if nothing had been rounded. And of each row what
        is to be small: the mean square of what each book leaves, which makes the first books say most, and of what goes into a
        book that by which it is beyond the steep part of FSQ's bound, from where it would not come back.

        Args:
            heard: of how many books each row is made; of all unless given. The codes are of all.
        """
        left, made, ids, cost = states, torch.zeros_like(states), [], []
        for number, (book, down, up) in enumerate(zip(self.books, self.down, self.up, strict=True)):
            narrow = down(left)
            quantized = book(narrow.mT[..., None])
            ids.append(quantized.ids[..., 0])
            part = up(quantized.codes[..., 0].mT)
            made = made + (part if heard is None else part * (heard > number)[:, None, None])
            left = left - part
            cost.append(left.square().mean((1, 2)) + F.relu(narrow.abs() - _STEEP).square().mean((1, 2)))
        return made, torch.stack(ids, -1), torch.stack(cost).mean(0)

    def states(self, ids: Int[Tensor, "batch time books"]) -> Float[Tensor, "batch time width"]:
        """What codes stand for."""
        made: list[Tensor] = []
        for book, up, own in zip(self.all_books, self.up, ids.unbind(-1), strict=True):
            made.append(up(book.codes(own[..., None])[..., 0].mT))
        return torch.stack(made).sum(0)

    def observe(self, ids: Int[Tensor, "batch time books"]) -> None:
        """Take note of the codes that were used in training."""
        for book, own in zip(self.all_books, ids.unbind(-1), strict=True):
            book.counts += torch.bincount(own.flatten(), minlength=book.size)

    def usage(self) -> dict[str, float]:
        """Of each book the share of codes in use and their perplexity; counted anew from one call to the next."""
        found = {}
        for number, book in enumerate(self.all_books, 1):
            found |= {f"{name}_{number}": value for name, value in book.usage().items()}
        return found
