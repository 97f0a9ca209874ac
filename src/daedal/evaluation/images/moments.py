"""Mean and covariance of features from one pass, in parts that can be merged: n, the mean, and the centred sum of
squares."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Moments:
    """What a Fréchet distance needs to know of a set of features, in float64.

    Attributes:
        scatter: sum over the features of the outer product of their distance to the mean.
    """

    n: int
    mean: Float[Tensor, " features"]
    scatter: Float[Tensor, "features features"]

    @classmethod
    def of(cls, features: Float[Tensor, "n features"]) -> Self:
        """The moments of one part. Centred before they are squared, so that a large mean costs no digits."""
        x = features.double()
        mean = x.mean(0)
        x = x - mean
        return cls(len(x), mean, x.T @ x)

    @classmethod
    def merged(cls, parts: Iterable[Self]) -> Self:
        """The moments of all parts together, wherever each was computed."""
        first, *rest = parts
        for part in rest:
            first = first + part
        return first

    def __add__(self, other: Self) -> Self:
        """Chan, Golub and LeVeque 1979."""
        n = self.n + other.n
        apart = other.mean - self.mean
        scatter = self.scatter + other.scatter + torch.outer(apart, apart) * (self.n * other.n / n)
        return type(self)(n, self.mean + apart * (other.n / n), scatter)

    def without(self, part: Self) -> Self:
        """The moments of what is left when a part is taken away."""
        n = self.n - part.n
        mean = self.mean + (self.mean - part.mean) * (part.n / n)
        apart = part.mean - mean
        scatter = self.scatter - part.scatter - torch.outer(apart, apart) * (n * part.n / self.n)
        return type(self)(n, mean, scatter)

    @property
    def covariance(self) -> Float[Tensor, "features features"]:
        """With the divisor n - 1, as NumPy's `cov`."""
        return self.scatter / (self.n - 1)
