"""Examples with columns, as they are measured on and learned from: a split of a data folder, or files that are read as one."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import numpy as np
from jaxtyping import Int

from daedal.data.any_build import build
from daedal.data.columns import Signals
from daedal.data.examples import ExampleDataset
from daedal.data.kind import open_kind
from daedal.data.options import SPLITS
from daedal.errors import DaedalError
from daedal.kinds import table


@dataclass(frozen=True)
class Examples:
    """Examples with columns, in memory.

    Attributes:
        name: what a person calls them, such as "validation".
        columns: the values of each.
        notes: how files were read.
    """

    name: str
    columns: Mapping[str, Sequence[Any]]
    notes: tuple[str, ...] = ()

    @classmethod
    def of_split(cls, dataset: ExampleDataset, name: str) -> Self:
        """A split of a data folder.

        Raises:
            DaedalError: it is empty, or there is none of this name.
        """
        split = dataset.split(name)
        if not len(split):
            raise DaedalError(f"The {name} split of {dataset.folder} is empty", "Choose another, or build it larger")
        there = [column for column in dataset.kind.columns if column in dataset.manifest.columns]
        lazy = {column: isinstance(dataset.kind.columns[column], Signals) for column in there}
        return cls(name, {column: split.decoded(column) if lazy[column] else split.values(column) for column in there})

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __getitem__(self, column: str) -> Sequence[Any]:
        return self.columns[column]

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the values."""
        columns = {name: list(values) for name, values in self.columns.items()}
        values = json.dumps(columns, sort_keys=True, ensure_ascii=False, default=_hashed)
        return hashlib.sha256(values.encode("utf-8", "replace")).hexdigest()

    def at(self, places: Int[np.ndarray, " chosen"]) -> "Examples":
        """Some of them."""
        chosen = {name: [values[place] for place in places] for name, values in self.columns.items()}
        return replace(self, columns=chosen)

    def some(self, count: int, seed: int) -> "Examples":
        """So many, drawn by the seed, in their order; all where there are not more."""
        return self if count >= len(self) else self.at(self.drawn(count, seed))

    def drawn(self, count: int, seed: int) -> Int[np.ndarray, " chosen"]:
        """The places of these."""
        if count >= len(self):
            return np.arange(len(self))
        return np.sort(np.random.Generator(np.random.Philox(seed)).choice(len(self), max(1, count), replace=False))


def _hashed(value: Any) -> str:
    """A value that JSON does not have: of the samples of a sound their hash."""
    return hashlib.sha256(value.tobytes()).hexdigest() if isinstance(value, np.ndarray) else str(value)


def read_examples(source: str | Path, kind: str, **how: Any) -> Examples:
    """The examples in files of any form that `daedal data build` reads as this kind, as it would read them: of sources that
    have splits of their own the test split, or the validation split; of others all. No copy is dropped.

    Args:
        how: options of the kind.

    Raises:
        DaedalError: there is none.
    """
    wanted = table()[kind]
    given = {"codec": "byte", "exact_duplicates": False, "near_duplicates": "off", **how}
    options = open_kind(kind).options.parse(given, "evaluate")
    with TemporaryDirectory(prefix="daedal-") as folder:
        try:
            data: Any = build([source], Path(folder) / "data", options, kind=kind)
        except DaedalError as error:
            fix = f"Give files of {wanted.noun[1]}: {wanted.says}"
            raise DaedalError(f"{source} cannot be measured on. {error.what}", fix) from None
        splits = [name for name in SPLITS if len(data.split(name))]
        own = any(note.startswith("splits are the sources' own") for note in data.manifest.notes)
        chosen = [name for name in ("test", "validation") if name in splits][:1] if own else splits
        parts = [Examples.of_split(data, name) for name in chosen or splits]
        columns = {name: [value for part in parts for value in part[name]] for name in parts[0].columns}
        left_out = (f"{each.count:,} left out: {each.reason}, as {each.examples[0]}" for each in data.manifest.dropped)
        notes = (note for note in data.manifest.notes if "split" not in note)  # which are not kept here
        return Examples(Path(source).name, columns, (*notes, *left_out))
