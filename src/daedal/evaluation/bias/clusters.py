"""Scores that are functions of sums over items, with intervals by clusters.

Items of one template stand or fall together: a set of 3,000 questions has 25 templates, and says no more than these allow. The
bootstrap draws whole clusters (templates, writers, target terms), so that an interval does not pretend otherwise.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from daedal.evaluation.bootstrap import bootstrap, clustered, method
from daedal.evaluation.measurement import Measurement, define

Sums = Float[np.ndarray, "replicates statistics"]
_FEWEST = 5
"""Clusters below which no interval is given: draws of a few tell nothing of the others."""
Formula = Callable[[Sums], Float[np.ndarray, " replicates"]]


def share(part: int, whole: int, scale: float = 1.0) -> Formula:
    """A sum over another, times `scale`; NaN where the other is nothing."""

    def formula(sums: Sums) -> Float[np.ndarray, " replicates"]:
        return divided(scale * sums[:, part], sums[:, whole])

    return formula


def divided(one: Float[np.ndarray, " n"], other: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """A quotient, NaN where the divisor is 0."""
    found: Float[np.ndarray, " n"] = np.divide(one, other, out=np.full(len(one), np.nan), where=other != 0)
    return found


@dataclass(frozen=True)
class Scoring:
    """What the measurements of one set have in common.

    Attributes:
        statistics: of each item.
        cluster: of each item, by any name.
        clusters: what they are called.
        pieces: what the items are called.
    """

    statistics: Float[np.ndarray, "items statistics"]
    cluster: Sequence[Any]
    clusters: str
    pieces: str
    model_hash: str
    data_hash: str
    seed: int

    def of(self, keep: Sequence[bool] | np.ndarray) -> "Scoring":
        """The same of some of the items."""
        kept = np.flatnonzero(np.asarray(keep)).tolist()
        return Scoring(
            self.statistics[kept], [self.cluster[at] for at in kept], self.clusters, self.pieces, self.model_hash,
            self.data_hash, self.seed,
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.cluster)

    def value(self, formula: Formula) -> float:
        """NaN where it is not defined."""
        return float(formula(self.statistics.sum(0, keepdims=True))[0]) if len(self) else float("nan")

    def measure(
        self,
        name: str,
        quantity: str,
        formula: Formula,
        conditions: Mapping[str, object] = {},
        *,
        unit: str = "",
        better: Literal["lower", "higher", "neither"] = "neither",
    ) -> Measurement | None:
        """A score, or None where these items do not define it.

        Args:
            conditions: of its definition.
        """
        value = self.value(formula)
        if not np.isfinite(value):
            return None

        def replicates(sums: Sums) -> Float[np.ndarray, " replicates"]:
            found = formula(sums)
            return np.where(np.isfinite(found), found, value)  # a draw that does not define it says nothing against it

        numbers = np.unique([str(each) for each in self.cluster], return_inverse=True)[1]
        summed = clustered(self.statistics, numbers)
        ends = bootstrap(summed, replicates, seed=self.seed) if len(summed) >= _FEWEST else None
        if ends is not None and ends[0] == ends[1]:  # all say the same: how sure that is, no draw of them tells
            ends = None
        return Measurement(
            name=name, value=value, unit=unit, interval=ends,
            interval_method=f"{method(self.clusters)} ({len(summed):,})" if ends else "", n=len(self), pieces=self.pieces,
            definition=define(quantity, 1, **conditions), model_hash=self.model_hash, data_hash=self.data_hash,
            seed=self.seed, better=better,
        )  # fmt: skip


def digest(texts: Iterable[str]) -> str:
    """SHA-256 of texts in their order."""
    found = hashlib.sha256()
    for text in texts:
        written = text.encode("utf-8", "replace")
        found.update(len(written).to_bytes(8, "little") + written)
    return found.hexdigest()


def plain(name: str) -> str:
    """A name as a definition can hold it."""
    return "-".join("".join(c if c.isalnum() or c in "-._" else " " for c in name).split()) or "unnamed"


def evenly(count: int, most: int | None) -> list[int]:
    """The places of at most so many of `count`, from first to last."""
    return list(range(count)) if most is None or count <= most else [at * count // most for at in range(most)]
