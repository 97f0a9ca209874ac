"""Labelled texts: what a label is, one class, several or a number, is seen from all of them, told, and opened as what it is."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import datasets  # type: ignore[import-untyped]
import numpy as np
import pytest

from built import build, every
from command_line import daedal as command
from command_line import mistake
from daedal.data import card_html
from daedal.data.examples import ExampleDataset
from daedal.data.recognition import recognise
from daedal.data.strata import of_numbers, of_sets
from daedal.errors import DaedalError
from kind_examples import sentence

EMOTIONS = ("joy", "anger", "fear")


def rows_in(path: Path, rows: Iterable[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def notes(data: ExampleDataset) -> str:
    return "\n".join(data.manifest.notes)


def felt(row: int) -> list[str]:
    """Any set of the emotions, of which the last is rare."""
    return [each for place, each in enumerate(EMOTIONS[:2]) if row >> place & 1] + ["fear"] * (row % 20 == 0)


# -- what a label is ---------------------------------------------------------------------------------------------------


def test_lists_are_sets_of_classes(tmp_path: Path) -> None:
    source = rows_in(tmp_path / "a.jsonl", ({"text": sentence(row), "labels": felt(row)} for row in range(800)))
    data = build(source, near_duplicates="off")
    assert data.manifest.kind == "labelled"
    assert data.stored("label") == "sets"
    assert data.classes("label") == ("anger", "fear", "joy")
    for name in data.manifest.splits:
        split = data.split(name)
        has = split.target("label")
        assert has.dtype == np.bool_
        assert has.shape == (len(split), 3)
        said = [{each for each, yes in zip(data.classes("label"), row, strict=True) if yes} for row in has]
        assert said == [set(value) for value in split.values("label")]
        assert split.record.classes["label"] == tuple(has.sum(0).tolist())
        assert has[:, 1].any()  # the rare one is in every split
    assert "label is a set of classes" in notes(data)
    assert "Classes of label" in card_html(data)


def test_columns_of_0_and_1_are_classes_of_their_names(tmp_path: Path) -> None:
    head = "id,comment_text,toxic,severe_toxic,insult\n"
    lines = [f'{row:04x},"{sentence(row)}",{int(row % 3 == 0)},0,{int(row % 9 == 0)}' for row in range(90)]
    lines.append("ffff,a text of nobody,-1,-1,-1")
    (tmp_path / "train.csv").write_text(head + "\n".join(lines))
    data = build(tmp_path / "train.csv")
    assert data.manifest.kind == "labelled"
    assert data.classes("label") == ("insult", "toxic")
    assert "columns of toxic, severe_toxic, insult that have 1" in notes(data)
    assert "60 texts have none" in notes(data)
    assert [(each.reason, each.count) for each in data.manifest.dropped] == [("no label", 1)]
    said = build(tmp_path / "train.csv", "said", column=("label=toxic,insult",))
    assert sorted(map(tuple, every(said, "label"))) == sorted(map(tuple, every(data, "label")))
    assert "has no column 'rude'" in mistake(
        "data", "build", tmp_path / "train.csv", "--column", "label=toxic,rude", "--out", tmp_path / "no"
    )


@pytest.mark.parametrize("separator", ["|", ","])
def test_a_cell_has_several_classes_only_where_that_is_asked(separator: str, tmp_path: Path) -> None:
    rows = ({"text": sentence(row), "label": separator.join(felt(row)) or "joy"} for row in range(90))
    source = rows_in(tmp_path / "a.jsonl", rows)
    data = build(source, near_duplicates="off")
    assert data.stored("label") == "classes"
    assert f"joy{separator}anger" in data.classes("label")
    asked = build(source, "asked", near_duplicates="off", separator=separator)
    assert asked.classes("label") == ("anger", "fear", "joy")


def test_many_different_numbers_are_numbers_and_stars_are_classes(tmp_path: Path) -> None:
    scores = rows_in(tmp_path / "s.jsonl", ({"text": sentence(row), "score": row % 43 / 10} for row in range(90)))
    data = build(scores, near_duplicates="off")
    assert data.manifest.kind == "labelled"
    assert data.stored("label") == "numbers"
    assert data.manifest.split_by == "number"
    assert "label is a number, from 0 to 4.2, 43 different ones" in notes(data)
    for name in data.manifest.splits:
        target = data.split(name).target("label")
        assert target.dtype == np.float64
        assert target.tolist() == data.split(name).values("label")
        assert target.min() < 1.5 or len(target) < 3
    classes = build(scores, "classes", label="class", near_duplicates="off", split=(100, 0, 0))
    assert len(classes.classes("label")) == 43

    stars = rows_in(tmp_path / "t.jsonl", ({"text": sentence(row), "stars": 1 + row % 5} for row in range(90)))
    assert build(stars, "stars").classes("label") == ("1", "2", "3", "4", "5")
    numbers = build(stars, "numbers", label="number")
    assert numbers.stored("label") == "numbers"
    assert set(every(numbers, "label")) == {1.0, 2.0, 3.0, 4.0, 5.0}


def test_what_is_no_number_among_numbers_is_left_out_and_told(tmp_path: Path) -> None:
    rows = [{"text": sentence(row), "label": row % 7} for row in range(60)]
    rows += [{"text": "A text of no number", "label": "much"}, {"text": "A text of two numbers", "label": [1, 2]}]
    data = build(rows_in(tmp_path / "a.jsonl", rows), label="number", kind="labelled")
    assert [(each.reason, each.count) for each in data.manifest.dropped] == [("no number as its label", 2)]
    assert "a.jsonl#60: A text of no number much" in data.manifest.dropped[0].examples
    rows = [{"text": sentence(row), "label": "much"} for row in range(60)]
    with pytest.raises(DaedalError, match="60 no number as its label"):
        build(rows_in(tmp_path / "b.jsonl", rows), "none", label="number", kind="labelled")


def test_a_few_texts_of_several_classes_are_left_out_of_one_class_each(tmp_path: Path) -> None:
    rows = [{"text": sentence(row), "label": "ab"[row % 2]} for row in range(60)]
    rows += [{"text": "A text of both", "label": ["a", "b"]}, {"text": "A text of none", "label": []}]
    source = rows_in(tmp_path / "a.jsonl", rows)
    data = build(source, kind="labelled")
    assert data.classes("label") == ("a", "b")
    assert {(each.reason, each.count) for each in data.manifest.dropped} == {("several classes", 1), ("no label", 1)}
    sets = build(source, "sets", kind="labelled", label="classes")
    assert [] in every(sets, "label")
    assert ["a", "b"] in every(sets, "label")


def test_what_is_left_out_changes_nothing_of_the_others(tmp_path: Path) -> None:
    rows = [{"text": sentence(row), "label": "ab"[row % 2]} for row in range(60)]
    clean = build(rows_in(tmp_path / "a.jsonl", rows), kind="labelled")
    rows.insert(7, {"text": "A text of both", "label": ["a", "b"]})
    (tmp_path / "in").mkdir()
    rows_in(tmp_path / "in" / "a.jsonl", rows)
    again = build(tmp_path / "in" / "a.jsonl", kind="labelled")
    assert again.fingerprint == clean.fingerprint


def test_classes_in_lists_have_the_names_that_datasets_wrote(tmp_path: Path) -> None:
    features = datasets.Features(
        {"text": datasets.Value("string"), "labels": datasets.Sequence(datasets.ClassLabel(names=list(EMOTIONS)))}
    )
    rows = [{"text": sentence(row), "labels": [EMOTIONS.index(each) for each in felt(row)]} for row in range(60)]
    table = datasets.Dataset.from_list(rows, features)
    table.to_parquet(tmp_path / "a.parquet")
    table.save_to_disk(tmp_path / "saved")
    for source in (tmp_path / "a.parquet", tmp_path / "saved"):
        assert build(source, f"{source.name}.out", near_duplicates="off").classes("label") == (
            "anger",
            "fear",
            "joy",
        )


def test_files_of_lines_are_called_after_their_class(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("neg", "pos"):
        (tmp_path / "in" / f"rt-polarity.{name}").write_text("".join(f"{name} {sentence(row)}\n" for row in range(40)))
    (tmp_path / "in" / "README.txt").write_text("Reviews.")
    data = build(tmp_path / "in", near_duplicates="off")
    assert data.manifest.kind == "labelled"
    assert all(text.startswith(label) for text, label in zip(every(data, "text"), every(data, "label"), strict=True))
    assert len(every(data, "text")) == 80


def test_tables_of_other_numbers_stay_text(tmp_path: Path) -> None:
    posts = ({"title": sentence(row, 3), "body": sentence(row), "score": row / 7, "author": "A"} for row in range(60))
    assert recognise(rows_in(tmp_path / "posts.jsonl", posts), {}) == "text"
    whole = ({"text": sentence(row), "score": row} for row in range(60))
    assert recognise(rows_in(tmp_path / "whole.jsonl", whole), {}) == "text"


# -- checks ------------------------------------------------------------------------------------------------------------


def test_texts_of_two_labels_are_kept_or_dropped_but_not_from_a_test_split(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    long = " ".join(sentence(row) for row in range(5))
    rows = [{"text": sentence(row), "label": "ab"[row % 2]} for row in range(60)]
    both = [{"text": long, "label": "a"}, {"text": long, "label": "b"}, {"text": sentence(3), "label": "a"}]
    rows_in(tmp_path / "in" / "train.jsonl", rows + both)
    rows_in(
        tmp_path / "in" / "test.jsonl", [{"text": sentence(100), "label": "a"}, {"text": sentence(4), "label": "b"}]
    )
    kept = build(tmp_path / "in", kind="labelled")
    assert "3 texts have more than one class" in notes(kept)  # also where only one of two near copies stays
    dropped = build(tmp_path / "in", "dropped", kind="labelled", conflicts="drop")
    assert "more than one class" not in notes(dropped)
    told = {each.reason: each.count for each in dropped.manifest.dropped}
    assert told == {"two labels for one text": 5}
    assert len(dropped.split("test")) == 2
    assert not {long, sentence(3), sentence(4)} & {
        *dropped.split("train").values("text"),
        *dropped.split("validation").values("text"),
    }


@pytest.mark.parametrize(
    ("label", "says"), [("a", "all texts are of one class, 'a'"), (2, "all texts have one number, 2")]
)
def test_what_teaches_nothing_is_told_and_built(label: Any, says: str, tmp_path: Path) -> None:
    rows = [{"text": sentence(row), "label": label} for row in range(30)]
    data = build(
        rows_in(tmp_path / "a.jsonl", rows), kind="labelled", label="class" if isinstance(label, str) else "number"
    )
    assert says in notes(data)
    assert "there is nothing to learn" in notes(data)


def test_numbers_among_which_a_few_are_none_are_told_to_be_classes(tmp_path: Path) -> None:
    rows = [{"text": sentence(row), "label": "n/a" if row % 10 == 0 else row / 7} for row in range(60)]
    path = rows_in(tmp_path / "a.jsonl", rows)
    data = build(path, kind="labelled", near_duplicates="off")
    assert "54 labels are numbers and 6 are not, as 'n/a': all are taken as classes" in notes(data)
    asked = build(path, "asked", kind="labelled", near_duplicates="off", label="number")
    assert {each.reason: each.count for each in asked.manifest.dropped} == {"no number as its label": 6}


@pytest.mark.parametrize(
    ("label", "says"), [([], "the same classes"), (["a"], "the same classes"), (0.5, "one number")]
)
def test_a_classifier_has_nothing_to_learn_where_all_labels_are_the_same(label: Any, says: str, tmp_path: Path) -> None:
    rows = [{"text": sentence(row), "label": label} for row in range(40)]
    build(
        rows_in(tmp_path / "a.jsonl", rows), kind="labelled", label="classes" if isinstance(label, list) else "number"
    )
    line = mistake("train", "classifier", "--data", tmp_path / "out", "--out", tmp_path / "run", "--steps", "2")
    assert f"{says}: there is nothing to learn" in line
    assert not (tmp_path / "run").exists()


def test_a_context_without_room_for_a_text_trains_nothing(tmp_path: Path) -> None:
    build(rows_in(tmp_path / "a.jsonl", [{"text": sentence(row), "label": "ab"[row % 2]} for row in range(40)]))
    line = mistake("train", "classifier", "--data", tmp_path / "out", "--out", tmp_path / "run", "--context", "2")
    assert "A context of 2 has no room for a text" in line


def test_labels_of_a_test_file_that_train_lacks_are_counted(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    rows_in(tmp_path / "in" / "train.jsonl", ({"text": sentence(row), "label": felt(row)[:2]} for row in range(1, 19)))
    unseen = [{"text": sentence(row), "label": ["joy", "awe"]} for row in range(50, 53)]
    rows_in(tmp_path / "in" / "test.jsonl", unseen)
    data = build(tmp_path / "in", near_duplicates="off", kind="labelled")
    assert "3 held-out texts have a label that train lacks ('awe')" in notes(data)
    assert data.split("test").target("label").tolist() == [[False, True]] * 3
    assert data.split("test").values("label") == [["awe", "joy"]] * 3


def test_options_of_labels_are_set_from_the_command_line(tmp_path: Path) -> None:
    rows = [{"text": sentence(row), "label": row % 5} for row in range(40)]
    source = rows_in(tmp_path / "a.jsonl", rows)
    done = command("data", "build", source, "--kind", "labelled", "--set", "label=number", "--out", tmp_path / "out")
    assert done.code == 0
    assert ExampleDataset.open(tmp_path / "out").stored("label") == "numbers"
    assert "label" in mistake(
        "data", "build", source, "--kind", "labelled", "--set", "label=wide", "--out", tmp_path / "no"
    )


def test_a_damaged_set_is_told_in_a_line(tmp_path: Path) -> None:
    source = rows_in(tmp_path / "a.jsonl", ({"text": sentence(row), "labels": felt(row)} for row in range(60)))
    data = build(source, near_duplicates="off")
    path = data.folder / "train.label.ids.npy"
    ids = np.load(path)
    ids[0] = 99
    np.save(path, ids)
    with pytest.raises(DaedalError, match="does not fit the manifest"):
        data.split("train").target("label")
    with pytest.raises(DaedalError, match="has no classes and no numbers"):
        data.split("train").target("text")


def test_forged_manifests_and_classes_are_told_in_a_line(tmp_path: Path) -> None:
    rows = ({"text": sentence(row), "labels": felt(row), "stars": row % 3} for row in range(60))
    source = rows_in(tmp_path / "a.jsonl", rows)
    folder = build(source, near_duplicates="off", label="classes", column=("label=labels",)).folder
    whole = json.loads((folder / "manifest.json").read_text())
    forgeries: list[dict[str, Any]] = [
        {"stored": "sets", "names": ["a"], "dtype": None},
        {"stored": "sets", "names": ["a"], "dtype": "uint16"},
        {"stored": "classes", "names": ["anger", "fear", "joy"]},
        {"stored": "numbers"},
        {"stored": "tags", "names": [1]},
        {"stored": "pickles"},
    ]
    for forged in forgeries:
        columns = {**whole["columns"], "label": forged}
        (folder / "manifest.json").write_text(json.dumps({**whole, "columns": columns}))
        with pytest.raises(DaedalError):
            ExampleDataset.open(folder).split("train").target("label")
    stars = build(source, "stars", near_duplicates="off", column=("label=stars",))
    path = stars.folder / "train.label.npy"
    np.save(path, np.load(path) + 1)
    with pytest.raises(DaedalError, match="does not fit the manifest"):
        stars.split("train").classes("label")


# -- strata ------------------------------------------------------------------------------------------------------------


def test_an_example_is_drawn_with_the_rarest_of_its_classes() -> None:
    ids, counts = np.array([0, 0, 1, 0, 2, 1]), np.array([1, 2, 0, 2, 1])
    assert of_sets(ids, counts).tolist() == [0, 1, -1, 2, 1]
    assert of_sets(ids[:0], np.zeros(3, dtype=np.int64)).tolist() == [-1, -1, -1]


def test_numbers_are_drawn_in_tenths() -> None:
    assert of_numbers(np.arange(20.0)[::-1]).tolist() == [9 - place // 2 for place in range(20)]
    assert of_numbers(np.ones(5)).tolist() == [0] * 5
