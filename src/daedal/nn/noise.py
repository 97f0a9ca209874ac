"""Random numbers that belong to an example, not to a place in a batch.

A number is a pure function of the seed, the example's own number and the name of what it is drawn for (Philox, a counter-based
generator: Salmon et al. 2011). So an accumulated batch sees what one large batch sees, two processes what one sees, a resumed
run what an uninterrupted one sees, and a picture of sixteen is the picture alone.
"""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

_CPU = torch.device("cpu")


@dataclass(frozen=True)
class Noise:
    """The random numbers of examples `first` to `first + count`.

    Attributes:
        device: where they are given; they are drawn on the CPU, so that every device has the same.
    """

    seed: int
    first: int
    count: int
    device: torch.device = _CPU

    def to(self, device: torch.device) -> Self:
        return replace(self, device=device)

    def part(self, start: int, stop: int) -> Self:
        """The noise of examples `start` to `stop` of these."""
        return replace(self, first=self.first + start, count=max(0, min(stop, self.count) - start))

    @staticmethod
    def join(parts: Sequence["Noise"]) -> "Noise":
        """The noise of examples of several seeds, as one batch."""
        return (
            parts[0]
            if len(parts) == 1
            else _Joined(parts[0].seed, 0, sum(part.count for part in parts), parts[0].device, tuple(parts))
        )

    def normal(self, stream: str, *shape: int) -> Float[Tensor, "batch *shape"]:
        """Standard normal numbers; another `stream` has others."""
        return self._draw(stream, lambda generator: generator.standard_normal(shape, dtype=np.float32))

    def uniform(self, stream: str, *shape: int) -> Float[Tensor, "batch *shape"]:
        """Numbers from 0 up to 1."""
        return self._draw(stream, lambda generator: generator.random(shape, dtype=np.float32))

    def integers(self, stream: str, high: int, *shape: int) -> Int[Tensor, "batch *shape"]:
        """Whole numbers from 0 to `high - 1`."""
        return self._draw(stream, lambda generator: generator.integers(high, size=shape))

    def _draw(self, stream: str, draw: Callable[[np.random.Generator], Any]) -> Tensor:
        return torch.from_numpy(np.stack(self._rows(stream, draw))).to(self.device)

    def _rows(self, stream: str, draw: Callable[[np.random.Generator], Any]) -> list[Any]:
        key = np.array([self.seed, zlib.crc32(stream.encode())], dtype=np.uint64)
        return [
            draw(np.random.Generator(np.random.Philox(key=key, counter=np.array([0, 0, 0, example], dtype=np.uint64))))
            for example in range(self.first, self.first + self.count)
        ]


@dataclass(frozen=True)
class _Joined(Noise):
    """What `join` gives."""

    parts: tuple[Noise, ...] = ()

    def part(self, start: int, stop: int) -> Self:
        raise TypeError("joined noise has no parts that follow each other")

    def _rows(self, stream: str, draw: Callable[[np.random.Generator], Any]) -> list[Any]:
        return [row for part in self.parts for row in part._rows(stream, draw)]
