"""How pictures, classes and captions share one vocabulary and one sequence (Ramesh et al. 2021).

The ids: those of a picture's tokens, then the one that begins a picture, then either one for each class in its place, or the
one that begins a caption and those of its words, of which the last ends it.

    to draw     words of the caption . begin picture . tokens of the picture
    to tell                            begin picture . tokens of the picture . begin caption . words . end

A picture stands at the same positions in both; where a caption is hidden or short, ends stand in its place.
"""

from dataclasses import dataclass
from typing import Self

import torch
from jaxtyping import Int
from torch import Tensor

from daedal.models.gpt import GPTConfig
from daedal.models.image import Labels
from daedal.models.model import IGNORE, TokenBatch


@dataclass(frozen=True)
class TokenLayout:
    """The ids and positions of one model.

    Attributes:
        tokens: ids of pictures.
        places: tokens of a picture.
        classes: labels that a picture may have; with `words`, none.
        words: ids of captions.
        window: ids of a caption.
    """

    tokens: int
    places: int
    classes: int = 0
    words: int = 0
    window: int = 0

    @classmethod
    def of(cls, config: GPTConfig, tokens: int, places: int) -> Self:
        """That of a model for pictures of so many tokens."""
        rest = config.vocab_size - tokens - 1
        return (
            cls(tokens, places, words=rest - 1, window=config.grid_at) if config.grid_at else cls(tokens, places, rest)
        )

    @property
    def vocab_size(self) -> int:
        return self.tokens + 1 + (self.words + 1 if self.words else self.classes)

    @property
    def length(self) -> int:
        """Tokens of a sequence to learn."""
        return self.places + (self.window + 1 if self.words else 0)

    @property
    def context(self) -> int:
        """Positions that there are: those of a sequence to tell begin where a picture does."""
        return self.window + self.length

    def opening(self, labels: Labels) -> Int[Tensor, "batch opening"]:
        """What stands before a picture; -1 is no class, or no word."""
        begin = labels.new_full((len(labels), 1), self.tokens)
        return torch.cat((self._words(labels), begin), 1) if self.words else begin + (1 + labels)[:, None]

    def to_draw(self, ids: Int[Tensor, "batch *grid"], labels: Labels) -> TokenBatch:
        """Sequences that teach to draw what labels say."""
        targets, opening = ids.flatten(1), self.opening(labels)
        if not self.words:
            return TokenBatch(torch.cat((opening, targets[:, :-1]), 1), targets)
        unasked = targets.new_full((len(ids), self.window), IGNORE)
        return TokenBatch(torch.cat((opening, targets), 1), torch.cat((unasked, targets, unasked[:, :1]), 1))

    def to_tell(self, ids: Int[Tensor, "batch *grid"], labels: Labels) -> TokenBatch:
        """Sequences that teach to say what a picture shows; a picture without a caption teaches itself alone."""
        tokens, words = ids.flatten(1), self._words(labels)
        begin = tokens.new_full((len(ids), 1), self.tokens)
        # words stand at the end of their row; here they come first, and the end after them
        order = ((labels < 0).int() * (self.window + 1) + torch.arange(self.window, device=ids.device)).argsort(1)
        said = words.gather(1, order)
        after = torch.cat((said, words.new_full((len(ids), 1), self.end)), 1)
        counts = (labels >= 0).sum(1, keepdim=True)
        learned = (torch.arange(self.window + 1, device=ids.device) <= counts) & (counts > 0)
        inputs = torch.cat((begin, tokens, begin + 1, said[:, :-1]), 1)
        told = after.masked_fill(~learned, IGNORE)[:, : self.window]
        targets = torch.cat((tokens, torch.full_like(begin, IGNORE), told), 1)
        return TokenBatch(inputs, targets, first=inputs.new_full((len(ids),), self.window))

    @property
    def end(self) -> int:
        """The id that ends a caption."""
        return self.vocab_size - 1

    @property
    def first_word(self) -> int:
        """The id of a caption's word 0."""
        return self.tokens + 2

    def _words(self, labels: Labels) -> Int[Tensor, "batch window"]:
        return torch.where(labels < 0, self.end, labels + self.first_word)
