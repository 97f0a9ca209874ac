"""Statistics of items with choices, and what sums of them are."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float

from daedal.evaluation.tasks.calibration import calibrated
from daedal.evaluation.tasks.outcomes import Chosen, Row, column


def accuracy(found: Sequence[Chosen], by: Callable[[Chosen], Float[np.ndarray, " choices"]]) -> Row:
    return column([float(int(np.argmax(by(each))) in each.gold) for each in found])


def raw(each: Chosen) -> Float[np.ndarray, " choices"]:
    return each.nats


def by_characters(each: Chosen) -> Float[np.ndarray, " choices"]:
    found: Float[np.ndarray, " choices"] = each.nats / np.array([len(choice) for choice in each.choices])
    return found


def by_bytes(each: Chosen) -> Float[np.ndarray, " choices"]:
    found: Float[np.ndarray, " choices"] = each.nats / np.array([len(choice.encode()) for choice in each.choices])
    return found


def information(each: Chosen) -> Float[np.ndarray, " choices"]:
    assert each.alone is not None
    found: Float[np.ndarray, " choices"] = each.nats - each.alone
    return found


def without_prejudice(each: Chosen) -> Float[np.ndarray, " choices"]:
    assert each.free is not None
    return calibrated(each.nats, each.free)


def shares(each: Chosen) -> Float[np.ndarray, " choices"]:
    """The likelihoods of the choices as probabilities."""
    found = np.exp(each.nats - each.nats.max())
    shares: Float[np.ndarray, " choices"] = found / found.sum()
    return shares


def brier(found: Sequence[Chosen]) -> Row:
    values = []
    for each in found:
        right = np.zeros(len(each.choices))
        right[list(each.gold[:1])] = 1
        values.append(float(((shares(each) - right) ** 2).sum()))
    return column(values)


def true_mass(found: Sequence[Chosen]) -> Row:
    return column([float(shares(each)[list(each.gold)].sum()) for each in found])


def greedy_choice(found: Sequence[Chosen]) -> Row:
    return column([float(any(each.greedy[place] for place in each.gold)) for each in found])


def confusion(found: Sequence[Chosen]) -> Row:
    """Of each item a one among pairs of a right and a said choice."""
    classes = max((len(each.choices) for each in found), default=0)
    counts = np.zeros((len(found), classes, classes))
    for place, each in enumerate(found):
        counts[place, each.gold[0], int(np.argmax(each.nats))] = 1
    return counts.reshape(len(found), -1)


def squared(sums: Float[np.ndarray, "replicates statistics"]) -> Float[np.ndarray, "replicates right said"]:
    classes = math.isqrt(sums.shape[1])
    return sums.reshape(-1, classes, classes)


def f1_of(table: Float[np.ndarray, "replicates right said"]) -> Float[np.ndarray, "replicates classes"]:
    hits = np.diagonal(table, axis1=1, axis2=2)
    both = table.sum(1) + table.sum(2)
    found: Float[np.ndarray, "replicates classes"] = np.where(both > 0, 2 * hits / np.maximum(both, 1e-300), 0.0)
    return found


def f1_of_second(sums: Float[np.ndarray, "replicates statistics"]) -> Float[np.ndarray, " replicates"]:
    return f1_of(squared(sums))[:, 1]


def macro_f1(sums: Float[np.ndarray, "replicates statistics"]) -> Float[np.ndarray, " replicates"]:
    found: Float[np.ndarray, " replicates"] = f1_of(squared(sums)).mean(1)
    return found


def mcc(sums: Float[np.ndarray, "replicates statistics"]) -> Float[np.ndarray, " replicates"]:
    """Matthews' correlation, for any number of classes (Gorodkin 2004)."""
    table = squared(sums)
    right, said, n = table.sum(2), table.sum(1), table.sum((1, 2))
    hits = np.diagonal(table, axis1=1, axis2=2).sum(1)
    above = hits * n - (right * said).sum(1)
    below = np.sqrt((n**2 - (said**2).sum(1)) * (n**2 - (right**2).sum(1)))
    found: Float[np.ndarray, " replicates"] = np.where(below > 0, above / np.maximum(below, 1e-300), 0.0)
    return found
