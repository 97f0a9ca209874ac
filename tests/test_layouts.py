"""Public data sets are read as what they are, in the layouts in which they come; what nothing reads rightly is refused."""

from pathlib import Path

import pytest

import daedal
from daedal.data.examples import ExampleDataset
from layouts import LAYOUTS, write


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_public_data_set_is_read_as_what_it_is(name: str, tmp_path: Path) -> None:
    layout = LAYOUTS[name]
    source = write(tmp_path / "in", layout.files)
    data = daedal.build_data([source], tmp_path / "out", workers=1, near_duplicates="off", **layout.options)
    assert isinstance(data, ExampleDataset)
    assert data.manifest.kind == layout.kind
    splits = {name: data.manifest.splits[name].examples for name in data.manifest.splits}
    rows = [
        {column: data.split(split).values(column)[row] for column in layout.first}
        for split in splits
        for row in range(splits[split])
    ]
    assert layout.first in rows
    assert splits == splits | layout.splits
    told = [*data.manifest.notes, *(f"{each.reason} {each.examples}" for each in data.manifest.dropped)]
    assert not layout.told or any(layout.told in line for line in told), told
