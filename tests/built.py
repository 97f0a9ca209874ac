"""Data folders of examples with columns: built from a source, and what they hold."""

from pathlib import Path
from typing import Any

import daedal
from daedal.data.examples import ExampleDataset


def build(source: Path, out: str = "out", **options: Any) -> ExampleDataset:
    data = daedal.build_data([source], source.parent / out, workers=1, **options)
    assert isinstance(data, ExampleDataset)
    return data


def every(data: ExampleDataset, column: str) -> list[Any]:
    return [value for name in data.manifest.splits for value in data.split(name).values(column)]
