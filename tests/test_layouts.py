"""Public data sets are read as what they are, in the layouts in which they come; what nothing reads rightly is refused."""

from pathlib import Path
from typing import Any

import datasets  # type: ignore[import-untyped]
import pytest

import daedal
from command_line import mistake
from daedal.data.examples import ExampleDataset
from daedal.data.recognition import recognise
from kind_examples import sentence
from layouts import LAYOUTS, ROWS, lines, oasst, write


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


def test_what_datasets_saves_is_read_with_its_splits_and_the_names_of_its_classes(tmp_path: Path) -> None:
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["bad", "good"])}
    )
    rows = [{"text": sentence(row), "label": row % 2} for row in range(60)]
    parts = {"train": rows[:40], "test": rows[40:]}
    saved = datasets.DatasetDict({name: datasets.Dataset.from_list(part, features) for name, part in parts.items()})
    saved.save_to_disk(tmp_path / "saved")
    for name, part in saved.items():
        part.to_parquet(tmp_path / "cloned" / "data" / f"{name}-00000-of-00001.parquet")
    (tmp_path / "cloned" / "README.md").write_text("---\nlicense: mit\n---\nReviews.\n")
    for number, source in enumerate(
        (f"{tmp_path}/saved", f"{tmp_path}/cloned", f"hf:{tmp_path}/saved", f"hf:{tmp_path}/cloned")
    ):
        data = daedal.build_data([source], tmp_path / f"out{number}", near_duplicates="off")
        assert isinstance(data, ExampleDataset)
        assert data.manifest.kind == "labelled"
        assert data.classes("label") == ("bad", "good")
        assert data.manifest.splits["test"].examples == 20
    texts = daedal.build_data([f"{tmp_path}/saved/train"], tmp_path / "text", kind="text", near_duplicates="off")
    assert texts.manifest.splits["train"].documents > 30


@pytest.mark.parametrize(
    ("files", "says"),
    [
        (  # 20 Newsgroups without splits may be chapters of books
            {f"news/{of}/{row:03d}": f"{of} {sentence(row)}" for of in ("alt.atheism", "sci.space") for row in ROWS},
            "may be text or labelled",
        ),
        (
            {"a.jsonl": [{"text": sentence(row), "label": row % 2} for row in ROWS], "b.jsonl": oasst()},
            "several kinds: in/a.jsonl of labelled, in/b.jsonl of chat",
        ),
        ({"links.csv": lines(lambda row: f"{row},{row + 1}")}, "numbers and no text"),
    ],
)
def test_what_nothing_reads_rightly_is_refused(files: dict[str, Any], says: str, tmp_path: Path) -> None:
    assert says in mistake("data", "build", write(tmp_path / "in", files), "--out", tmp_path / "out")


def test_tables_that_only_look_like_another_kind_stay_text(tmp_path: Path) -> None:
    said = {
        "log.tsv": lines(lambda row: f"2021-03-12 10:{row:02d}:22\t{('INFO', 'WARN')[row % 2]}\t{sentence(row)}"),
        "log.txt": lines(lambda row: f"2021-03-12 10:{row:02d}:22\t{('INFO', 'WARN')[row % 2]}\t{sentence(row)}"),
        "survey.csv": "Timestamp,How are you?,Why.\n"
        + lines(lambda row: f"2021-01-0{1 + row % 9},{sentence(row)},so {row}"),
        "set in.txt": lines(lambda row: f"\t{sentence(row)}"),
        "quiz.csv": "question,A,B,C,D,answer\n" + lines(lambda row: f"{sentence(row)},x,y,z,w,{'ABCD'[row % 4]}"),
    }
    for name, text in said.items():
        (tmp_path / name).write_text(text)
        assert recognise(tmp_path / name, {}) == "text", name


def test_parallel_files_of_which_only_the_heads_are_looked_into_are_pairs(tmp_path: Path) -> None:
    for language, times in (("de", 2), ("en", 3)):
        (tmp_path / f"long.{language}").write_text(
            lines(lambda row, times=times: sentence(row, 10 * times), range(2000))
        )
    assert recognise(tmp_path, {}) == "pairs"
