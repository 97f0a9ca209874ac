"""What a model did on each item of a task: what paired comparisons, baselines and intervals are made of."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from daedal.evaluation.tasks.metrics import Metric, Number


@dataclass(frozen=True)
class Scored:
    """A metric on some items.

    Attributes:
        statistics: of each item.
        filter: of the answers, where there are several.
        better: as the task has it.
    """

    metric: Metric
    statistics: Float[np.ndarray, "items statistics"]
    filter: str = ""
    better: str = ""

    @property
    def name(self) -> str:
        return f"{self.metric.name} ({self.filter})" if self.filter else self.metric.name

    @property
    def values(self) -> Float[np.ndarray, " items"]:
        """Of each item; only where the metric is their mean."""
        return self.statistics[:, 0]

    def number(self, seed: int = 0) -> Number:
        """The value over all items with its interval."""
        return self.metric.number(self.statistics, seed)


@dataclass(frozen=True)
class ItemResults:
    """A model's results on the items of a task.

    Attributes:
        hashes: of the items, by which results of two models are put beside one another.
        scores: by the names of metrics.
        truncated: answers that were cut at the most tokens.
        answers: what was said of each item, in words.
    """

    task: str
    shots: int
    hashes: tuple[str, ...]
    scores: Mapping[str, Scored]
    truncated: int = 0
    answers: tuple[str, ...] = ()

    def values(self, metric: str) -> Float[np.ndarray, " items"]:
        """Of each item."""
        return self.scores[metric].values
