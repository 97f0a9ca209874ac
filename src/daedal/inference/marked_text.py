"""The watermark of one text that is being written: which key chance follows at its next place, or none.

- the first tokens of a text carry no mark: what stands before them is the prompt, which a detector does not have, and samples
  of one prompt would begin alike
- a faithful scheme marks what follows the same tokens only once
- what is left to chance follows from the row's own seed and the place, so that tokens that were guessed ahead change nothing
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from daedal.inference.logits import gumbel
from daedal.safety.text_marks.green_list import GreenList
from daedal.safety.text_marks.gumbel import Gumbel
from daedal.safety.text_marks.hashing import context_seed, word, words
from daedal.safety.text_marks.scheme import Scheme
from daedal.safety.text_marks.text_mark import TextMark


class MarkedText:
    """What a row knows of its mark.

    Args:
        seed: 64 bits of the row's own chance.
        prompt: how many tokens the prompt has.

    Attributes:
        key: 64 bits of the mark's key.
    """

    def __init__(self, mark: TextMark, seed: int, prompt: int) -> None:
        self.scheme: Scheme = mark.scheme
        self.key, self._seed, self._prompt = mark.seed, seed, prompt
        self._used: set[int] = set()
        self._last: tuple[Sequence[int], int] = (), 0
        self._noise: dict[tuple[int, int | None], Tensor] = {}

    def key_at(self, ids: Sequence[int]) -> int | None:
        """The seed of the token after these, by the key; None where it carries no mark."""
        width = self.scheme.context
        if len(ids) - self._prompt < width:
            return None
        before = ids[len(ids) - width :]
        if before != self._last[0]:  # it is asked for more than once
            self._last = before, context_seed(self.key, before)
        seed = self._last[1]
        return None if seed in self._used else seed

    def chance_at(self, ids: Sequence[int]) -> int:
        """The seed of the token after these, by chance."""
        return word(self._seed, len(ids))

    def take(self, ids: Sequence[int]) -> None:
        """The token after these has been chosen."""
        self._noise.clear()
        seed = self.key_at(ids) if self.scheme.faithful else None
        if seed is not None:
            self._used.add(seed)

    def noise(self, ids: Sequence[int], vocab: int) -> Float[Tensor, " vocab"]:
        """The Gumbel noise of the token after these, with the mark in it where the scheme marks by noise."""
        place = len(ids), self.key_at(ids)
        if place not in self._noise:
            self._noise[place] = self._drawn(ids, place[1], vocab)
        return self._noise[place]

    def _drawn(self, ids: Sequence[int], key: int | None, vocab: int) -> Float[Tensor, " vocab"]:
        scheme = self.scheme
        if key is not None and isinstance(scheme, Gumbel):
            return torch.from_numpy(scheme.noise(_of_all(key, vocab)))
        noise = gumbel(np.random.Generator(np.random.PCG64(self.chance_at(ids))), vocab)
        if key is not None and isinstance(scheme, GreenList):
            noise[torch.from_numpy(scheme.green(_of_all(key, vocab)))] += scheme.bias
        return noise


def _of_all(seed: int, vocab: int) -> np.ndarray:
    """The words of the whole vocabulary."""
    return words(np.array(seed, np.uint64), np.arange(vocab))
