"""What must be known of all examples together to draw splits and to name classes: read once, before copies are dropped.

Next stage: `daedal.data.duplicates`, then `daedal.data.split`; names are asked for when the data folder is written.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import numpy as np
from jaxtyping import Int8, Int64

from daedal.data import strata
from daedal.data.columns import Classes, Column, Numbers, Sets, Tags
from daedal.data.kind import InTime, Kind, Stratified

Array = np.ndarray


@dataclass
class Facts:
    """What splits and classes are drawn from.

    Attributes:
        count: of all examples; those that were left out have no facts.
        columns: of an example, by name.
        names: of a column's values, the number of each, in the order in which they were found.
        numbers: by column, of each value the number of its name, or of a column of numbers the value itself. An example has
            one, of sets and tags as many as it has names.
        owners: of these the example.
        same: pairs of examples that must stay together.
    """

    count: int
    columns: Mapping[str, Column]
    names: dict[str, dict[Any, int]] = field(default_factory=dict)
    numbers: dict[str, Array] = field(default_factory=dict)
    owners: dict[str, Int64[Array, " values"]] = field(default_factory=dict)
    same: Int64[Array, "pairs 2"] = field(default_factory=lambda: np.zeros((0, 2), dtype=np.int64))

    def by(self, split: InTime | Stratified) -> Array | None:
        """What splits are drawn by, of each example: when it is from, or its stratum; nothing where no example has a time."""
        name = split.column
        values, column = self.numbers[name], self.columns[name]
        if isinstance(column, Sets):
            return strata.of_sets(values, np.bincount(self.owners[name], minlength=self.count))
        if isinstance(column, Numbers) and isinstance(split, Stratified):
            values = strata.of_numbers(values)
        elif isinstance(split, InTime):
            values = np.where(np.isnan(values), -np.inf, values)  # what has no time is of the past
            if not np.isfinite(values).any():
                return None
        every = np.zeros(self.count, dtype=values.dtype)
        every[self.owners[name]] = values
        return every

    def found(
        self, column: str, splits: Int8[Array, " examples"]
    ) -> tuple[Int64[Array, " names"], Int64[Array, " names"]]:
        """How many examples have each name of a column: of the train split, and of the others."""
        numbers, mine = self.numbers[column], splits[self.owners[column]]
        size = len(self.names[column])
        return np.bincount(numbers[mine == 0], minlength=size), np.bincount(numbers[mine > 0], minlength=size)


def look(
    kind: Kind, columns: Mapping[str, Column], examples: Iterable[tuple[int, Mapping[str, Any]]], count: int
) -> Facts:
    """The facts of examples, given with their numbers.

    Args:
        columns: what each column was found to be.
        count: of all examples, of which some may have been left out.
    """
    facts = Facts(count, columns)
    wanted = wanted_of(kind, columns)
    found: dict[str, list[Any]] = {name: [] for name in wanted}
    owners: dict[str, list[int]] = {name: [] for name in wanted}
    firsts: dict[bytes, int] = {}
    same = []
    for number, example in examples if wanted or kind.together else ():
        for name, values in found.items():
            column = columns[name]
            value = column.of(example[name])
            if isinstance(column, Numbers):
                values.append(np.nan if value is None else value)
                owners[name].append(number)
                continue
            names = facts.names.setdefault(name, {})
            several = sorted(set(value)) if isinstance(column, Sets | Tags) else (value,)
            values += [names.setdefault(each, len(names)) for each in several]
            owners[name] += [number] * len(several)
        if kind.together is not None:
            packed = kind.columns[kind.together].pack(example[kind.together])
            same.append((number, firsts.setdefault(blake2b(packed, digest_size=16).digest(), number)))
    for name, values in found.items():
        dtype = np.float64 if isinstance(columns[name], Numbers) else np.int64
        facts.names.setdefault(name, {})
        facts.numbers[name] = np.array(values, dtype=dtype)
        facts.owners[name] = np.array(owners[name], dtype=np.int64)
    facts.same = np.array(same, dtype=np.int64).reshape(-1, 2)
    return facts


def wanted_of(kind: Kind, columns: Mapping[str, Column]) -> set[str]:
    """The columns that have names, and that by which splits are drawn."""
    wanted = {name for name, column in columns.items() if isinstance(column, Classes | Sets | Tags)}
    drawn_by = {kind.split.column} if isinstance(kind.split, InTime | Stratified) else set()
    return wanted | (drawn_by & columns.keys())
