"""Several labels for one text: micro- and macro-F1, and how often the whole set is right (Tsoumakas and Katakis 2007)."""

import numpy as np
from jaxtyping import Bool, Float

from daedal.evaluation.measures.share import share


def counts(
    truth: Bool[np.ndarray, "examples labels"], said: Bool[np.ndarray, "examples labels"]
) -> Float[np.ndarray, "examples three_times_labels"]:
    """Of each example: the labels that were rightly said, that were said, and that are true, end to end."""
    return np.concatenate([truth & said, said, truth], axis=1).astype(np.float64)


def micro_f1(sums: Float[np.ndarray, "replicates three_times_labels"]) -> Float[np.ndarray, " replicates"]:
    """F1 of all labels of all examples together, from sums of `counts`."""
    right, said, true = np.split(sums, 3, axis=-1)
    return _f1(right.sum(-1), said.sum(-1), true.sum(-1))


def label_f1(sums: Float[np.ndarray, "replicates three_times_labels"]) -> Float[np.ndarray, "replicates labels"]:
    """F1 of each label."""
    return _f1(*np.split(sums, 3, axis=-1))


def macro_f1(sums: Float[np.ndarray, "replicates three_times_labels"]) -> Float[np.ndarray, " replicates"]:
    """The mean of the labels' F1; of one that is neither true nor said of any example it is 0, as scikit-learn has it."""
    mean: Float[np.ndarray, " replicates"] = label_f1(sums).mean(-1)
    return mean


def whole_sets(truth: Bool[np.ndarray, "examples labels"], said: Bool[np.ndarray, "examples labels"]) -> int:
    """Of how many examples all labels are right."""
    return int((truth == said).all(1).sum())


def _f1(
    right: Float[np.ndarray, "*n"], said: Float[np.ndarray, "*n"], true: Float[np.ndarray, "*n"]
) -> Float[np.ndarray, "*n"]:
    return share(2 * right, said + true)
