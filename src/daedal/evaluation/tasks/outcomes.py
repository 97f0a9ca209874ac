"""What a model did with an item of a task: it found choices likely, wrote an answer, or found a text likely."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import regex
from jaxtyping import Float

Row = Float[np.ndarray, "items statistics"]


class Chosen(NamedTuple):
    """What a model says of an item with choices.

    Attributes:
        nats: log-likelihood of each choice.
        alone: the same without the question, where a metric needs it.
        free: the same after questions without content, where a metric needs it.
        gold: the numbers of the right ones.
    """

    choices: Sequence[str]
    nats: Float[np.ndarray, " choices"]
    greedy: Sequence[bool]
    gold: tuple[int, ...]
    alone: Float[np.ndarray, " choices"] | None = None
    free: Float[np.ndarray, "inputs choices"] | None = None


class Written(NamedTuple):
    """What a model wrote for an item, filtered.

    Attributes:
        targets: right answers, of which one is enough.
        row: the item.
    """

    answers: Sequence[Any]
    targets: Sequence[str]
    row: Mapping[str, Any]

    @property
    def answer(self) -> str:
        """The first one."""
        found = self.answers[0] if self.answers else ""
        return found if isinstance(found, str) else str(found)


class Predicted(NamedTuple):
    """How likely a text is: an answer after its question, or a whole text."""

    nats: float
    greedy: bool
    text: str


Outcome = Chosen | Written | Predicted


def column(values: Sequence[float]) -> Row:
    """Values as the only statistic of each item."""
    return np.array(values, dtype=np.float64).reshape(-1, 1)


def greedy(found: Sequence[Predicted]) -> Row:
    return column([float(each.greedy) for each in found])


def nats(found: Sequence[Predicted]) -> Row:
    return column([each.nats for each in found])


def per_word(found: Sequence[Predicted]) -> Row:
    return np.array([(each.nats, len(regex.split(r"\s+", each.text))) for each in found], dtype=np.float64)


def per_byte(found: Sequence[Predicted]) -> Row:
    return np.array([(each.nats, len(each.text.encode())) for each in found], dtype=np.float64)
