"""Baselines of a task: what no model is needed for, scored by the same metrics on the same items."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from daedal.evaluation.tasks.items import ItemResults
from daedal.evaluation.tasks.metrics import Number
from daedal.evaluation.tasks.run import Job

_BY_CHOICE = ("acc", "acc_norm", "acc_bytes", "acc_mutual_info")


class Simple(NamedTuple):
    """A baseline and its numbers, by the names of the metrics."""

    name: str
    why: str
    numbers: Mapping[str, Number]


def simple_baselines(job: Job, result: ItemResults) -> list[Simple]:
    """Those that a task has."""
    if job.task.definition.output_type != "multiple_choice":
        return []
    names = [name for name in result.scores if name in _BY_CHOICE]
    if not names:
        return []
    chance = float(np.mean([len(set(item.gold)) / len(item.choices) for item in job.items]))
    return [Simple("chance", "a choice at random", {name: Number(chance, None, "") for name in names})]
