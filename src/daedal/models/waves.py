"""Recordings to learn from, as samples."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from daedal.models.sequences import Batch
from daedal.nn.noise import Noise


@dataclass(frozen=True)
class WaveBatch(Batch):
    """Pieces of recordings, of one length.

    Attributes:
        waves: samples from -1 to 1.
        noise: the random numbers that belong to each.
    """

    waves: Float[Tensor, "batch samples"]
    noise: Noise

    @property
    def count(self) -> int:
        return len(self.waves)
