"""The mean over the tasks of a group, each of equal weight, as BLiMP and MMLU are told."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from daedal.evaluation.intervals import LEVEL, normal
from daedal.evaluation.means import STRATIFIED, stratified
from daedal.evaluation.tasks.metrics import Number


def mean_of_group(values: Sequence[Float[np.ndarray, " items"]]) -> Number:
    """The mean of the means of tasks, whose items are independent samples."""
    means = np.array([each.mean() for each in values])
    if all(np.isin(each, (0.0, 1.0)).all() for each in values):
        ends = stratified([float(each.sum()) for each in values], [len(each) for each in values])
        return Number(float(means.mean()), ends, STRATIFIED)
    if min(len(each) for each in values) < 2:
        return Number(float(means.mean()), None, "")
    error = math.sqrt(sum(float(each.var(ddof=1)) / len(each) for each in values)) / len(values)
    half = normal((1 + LEVEL) / 2) * error
    mean = float(means.mean())
    return Number(mean, (mean - half, mean + half), "normal, over the items of each task, 95 %")
