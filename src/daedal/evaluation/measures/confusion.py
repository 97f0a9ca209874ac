"""One class of several: the confusion matrix, and accuracy and macro-F1, which follow from it."""

import numpy as np
from jaxtyping import Float, Int

from daedal.evaluation.bootstrap import bootstrap
from daedal.evaluation.measures.label_sets import counts
from daedal.evaluation.measures.label_sets import macro_f1 as mean_f1
from daedal.evaluation.measures.share import share


def confusion(
    truth: Int[np.ndarray, " examples"], said: Int[np.ndarray, " examples"], classes: int
) -> Int[np.ndarray, "classes classes"]:
    """How many examples of each class (rows) were said to be of each (columns)."""
    return np.bincount(truth * classes + said, minlength=classes * classes).reshape(classes, classes)


def class_scores(
    matrix: Float[np.ndarray, "*replicates classes classes"],
) -> Float[np.ndarray, "*replicates classes 3"]:
    """Precision, recall and F1 of each class; 0 where nothing is to be found or was said."""
    right = np.diagonal(matrix, axis1=-2, axis2=-1).astype(np.float64)
    said, true = matrix.sum(-2), matrix.sum(-1)
    return np.stack([share(right, said), share(right, true), share(2 * right, said + true)], axis=-1)


def macro_f1(matrix: Float[np.ndarray, "*replicates classes classes"]) -> Float[np.ndarray, "*replicates"]:
    """The mean F1 of the classes that occur or were said, all of equal weight however many examples they have (as
    scikit-learn's `f1_score(average="macro")`; Opitz and Burst 2019, arXiv:1911.03347, on what else goes by that name)."""
    occurs = (matrix.sum(-2) + matrix.sum(-1)) > 0
    scores: Float[np.ndarray, "*replicates"] = (class_scores(matrix)[..., 2] * occurs).sum(-1) / occurs.sum(-1)
    return scores


def macro_f1_interval(matrix: Int[np.ndarray, "classes classes"], seed: int = 0) -> tuple[float, float] | None:
    """Of the macro-F1 over the same classes, by the bootstrap over examples."""
    truth, said = np.nonzero(matrix)
    each = np.eye(len(matrix), dtype=bool)[:, (matrix.sum(0) + matrix.sum(1)) > 0]
    return bootstrap(counts(each[truth], each[said]), mean_f1, matrix[truth, said], seed=seed)
