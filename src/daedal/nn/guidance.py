"""Guidance: a prediction that asks for its condition more strongly than was learned.

A prediction is whatever the model gives: a velocity, or the logits of the next token. `progress` is how much of the sample
is made, 0 to 1.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


class Guidance(Protocol):
    """How strongly the condition is asked for."""

    def strength(self, progress: float) -> float:
        """0 ignores the condition, 1 is as learned, more asks for it more."""


@dataclass(frozen=True)
class ClassifierFree:
    """The same strength throughout (Ho & Salimans 2022)."""

    scale: float = 1.0

    def strength(self, progress: float) -> float:
        return self.scale


@dataclass(frozen=True)
class Interval:
    """Guidance between `low` and `high` only (Kynkäänniemi et al. 2024): elsewhere it harms variety, at twice the cost."""

    guidance: Guidance
    low: float = 0.0
    high: float = 1.0

    def strength(self, progress: float) -> float:
        return self.guidance.strength(progress) if self.low <= progress < self.high else 1.0


def guided(
    predict: Callable[[Tensor, Tensor], Tensor],
    state: Tensor,
    condition: Tensor,
    nothing: Tensor,
    guidance: Guidance,
    progress: float,
) -> Tensor:
    """`nothing + strength * (condition - nothing)`, of the predictions under each; both are one batch of twice the size.

    Args:
        predict: from states and conditions, row by row.
        nothing: the condition that asks for nothing, for each row.
    """
    strength = guidance.strength(progress)
    if strength == 1.0:
        return predict(state, condition)
    if strength == 0.0:
        return predict(state, nothing)
    asked, free = predict(torch.cat((state, state)), torch.cat((condition, nothing))).chunk(2)
    return torch.lerp(free, asked, strength)
