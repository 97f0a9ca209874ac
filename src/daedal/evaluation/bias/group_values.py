"""A quantity in groups: its value in each and the difference between them, with intervals.

Shares have Wilson's interval, and the difference of two of them Newcombe's (1998, Statistics in Medicine 17, method 10),
which are never a point where all of a group are alike; everything else has the bootstrap over rows.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from daedal.evaluation.bias.clusters import plain
from daedal.evaluation.bootstrap import bootstrap, method
from daedal.evaluation.means import WILSON, wilson
from daedal.evaluation.measurement import Measurement, define

Sums = Float[np.ndarray, "replicates statistics"]
NEWCOMBE = "Newcombe's of Wilson's intervals, 95 %"


class Quantity(NamedTuple):
    """Something that every row has a value of.

    Attributes:
        name: what it is called; `slug` in definitions.
        values: of each row, whose mean is taken; or several columns, whose absolute sums are added up.
        counts: which rows it is of.
    """

    name: str
    slug: str
    values: Float[np.ndarray, "rows *columns"]
    counts: Bool[np.ndarray, " rows"]
    conditions: Mapping[str, str] = {}

    def of(self, kept: Bool[np.ndarray, " rows"]) -> "Quantity":
        """The same of some rows."""
        return self._replace(values=self.values[kept], counts=self.counts[kept])


class GroupValues:
    """A quantity by group.

    Args:
        names: of the groups, whose number each row has.
        about: hashes and the seed of the measurements.
        column: what says the group, for the definition.
    """

    def __init__(
        self,
        quantity: Quantity,
        names: Sequence[str],
        group: Int[np.ndarray, " rows"],
        about: Mapping[str, Any],
        column: str,
    ) -> None:
        self.quantity, self.names, self.group, self.about, self.column = quantity, names, group, about, column
        values = quantity.values.reshape(len(group), -1)
        self.width = values.shape[1]
        self.shares = self.width == 1 and bool(np.isin(values[quantity.counts], (0, 1)).all())
        statistics = np.zeros((len(group), len(names), 1 + self.width))
        rows = np.arange(len(group))
        statistics[rows, group, 0] = quantity.counts
        statistics[rows, group, 1:] = values * quantity.counts[:, None]
        self.statistics = statistics.reshape(len(group), -1)

    def measurements(self) -> list[Measurement]:
        """The difference first, then each group that has rows of it."""
        found = [
            self._measured(f"{self.quantity.name}, {self.names[at][:40]}", *self._of_group(at)) for at in self.known
        ]
        if len(self.known) == 2:
            one, other = (self.names[at][:40] for at in self.known)
            return [self._measured(f"{self.quantity.name}, {one} minus {other}", *self._difference()), *found]
        if len(self.known) > 2:
            value = float(np.nanmax(self.values) - np.nanmin(self.values))
            more = self._bootstrap(lambda drawn: np.nanmax(drawn, 1) - np.nanmin(drawn, 1), value)
            n = int(self.quantity.counts.sum())
            return [self._measured(f"{self.quantity.name}, largest minus smallest", "range", value, n, more), *found]
        return found

    @cached_property
    def values(self) -> Float[np.ndarray, " groups"]:
        """Of each group; NaN where it has no rows."""
        found: Float[np.ndarray, " groups"] = self._each(self.statistics.sum(0, keepdims=True))[0]
        return found

    @cached_property
    def sizes(self) -> Int[np.ndarray, " groups"]:
        """How many rows each group has."""
        return np.bincount(self.group[self.quantity.counts], minlength=len(self.names))

    @property
    def known(self) -> list[int]:
        """The groups that have rows."""
        return [at for at in range(len(self.names)) if np.isfinite(self.values[at])]

    def _of_group(self, at: int) -> tuple[str, float, int, dict[str, object]]:
        value, n = float(self.values[at]), int(self.sizes[at])
        if self.shares:
            more: dict[str, object] = {"interval": wilson(round(value * n), n), "interval_method": WILSON}
        else:
            more = self._bootstrap(lambda drawn: drawn[:, at], value)
        return plain(self.names[at]), value, n, more

    def _difference(self) -> tuple[str, float, int, dict[str, object]]:
        """Of the first group minus the second."""
        one, other = self.known
        value = float(self.values[one] - self.values[other])
        if self.shares:
            (low, high), (below, above) = (
                wilson(round(float(self.values[at]) * int(self.sizes[at])), int(self.sizes[at])) or (0.0, 1.0)
                for at in (one, other)
            )
            first, second = float(self.values[one]), float(self.values[other])
            ends = value - math.hypot(first - low, above - second), value + math.hypot(high - first, second - below)
            more: dict[str, object] = {"interval": ends, "interval_method": NEWCOMBE}
        else:
            more = self._bootstrap(lambda drawn: drawn[:, one] - drawn[:, other], value)
        return "difference", value, int(self.quantity.counts.sum()), more

    def _each(self, sums: Sums) -> Float[np.ndarray, "replicates groups"]:
        """The value of each group from sums of statistics."""
        cut = sums.reshape(len(sums), len(self.names), 1 + self.width)
        total = cut[..., 1] if self.width == 1 else np.abs(cut[..., 1:]).sum(2)
        found: Float[np.ndarray, "replicates groups"] = np.divide(
            total, cut[..., 0], out=np.full(total.shape, np.nan), where=cut[..., 0] > 0
        )
        return found

    def _bootstrap(self, of: Callable[[Any], Any], value: float) -> dict[str, object]:
        def replicates(sums: Sums) -> Float[np.ndarray, " replicates"]:
            drawn = of(self._each(sums))
            return np.where(np.isfinite(drawn), drawn, value)  # a draw without the group says nothing against it

        found = bootstrap(self.statistics[self.quantity.counts], replicates, seed=int(self.about["seed"]))
        return {"interval": found, "interval_method": method("rows") if found else ""}

    def _measured(self, name: str, of: str, value: float, n: int, more: Mapping[str, object]) -> Measurement:
        definition = define(f"group-{self.quantity.slug}", 1, column=self.column, of=of, **self.quantity.conditions)
        return Measurement.parse({
            "name": name, "value": value, "unit": "", "n": n, "pieces": "rows", "definition": definition, "better": "neither",
            **self.about, **more,
        }, name)  # fmt: skip
