"""Pairs: scores of how alike two sentences are, what is told of odd pairs, and which way a translation goes."""

import gzip
import json
from pathlib import Path
from typing import Any

from built import build, every
from command_line import mistake
from daedal.data.recognition import recognise
from kind_examples import sentence


def rows_in(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def scored(of: str = "score") -> list[dict[str, Any]]:
    return [{"sentence1": sentence(row), "sentence2": f"b {sentence(row + 50)}", of: row % 26 / 5} for row in range(60)]


def test_two_sentences_and_a_score_are_pairs_with_a_score(tmp_path: Path) -> None:
    for of in ("score", "label"):  # as the hub and GLUE call it
        data = build(rows_in(tmp_path / f"{of}.jsonl", scored(of)), f"{of}.out", near_duplicates="off")
        assert data.manifest.kind == "pairs"
        for name in data.manifest.splits:
            split = data.split(name)
            assert split.numbers("score").tolist() == split.values("score")
        assert max(every(data, "score")) == 5.0
        assert any("scores are from 0 to 5" in note for note in data.manifest.notes)


def test_pairs_have_no_score_unless_it_is_asked_for(tmp_path: Path) -> None:
    rows = [{"source": sentence(row), "target": f"b {sentence(row)}", "score": row / 7} for row in range(60)]
    source = rows_in(tmp_path / "a.jsonl", rows)
    data = build(source)
    assert not data.has("score")
    assert set(every(data, "score")) == {None}
    asked = build(source, "asked", column=("score=score",))
    assert asked.stored("score") == "numbers"


def test_two_sentences_and_a_class_stay_labelled(tmp_path: Path) -> None:
    rows = [row | {"label": place % 2} for place, row in enumerate(scored("label"))]
    assert recognise(rows_in(tmp_path / "a.jsonl", rows), {}) == "labelled"


def odd(folder: Path) -> Path:
    lines = [(f"de {sentence(row)}", f"en {sentence(row)}") for row in range(60)]
    lines += [("Ja", f"en {sentence(70, 20)}"), ("the same words here", "the same words here"), ("", "en nothing")]
    lines += [(f"de {sentence(1)}", f"en another {sentence(90)}")]
    for place, code in enumerate(("de", "en")):
        text = "".join(f"{line[place]}\n" for line in lines)
        (folder / f"train.{code}.gz").write_bytes(gzip.compress(text.encode()))
    return folder


def test_what_is_odd_is_told_with_an_example_and_dropped_as_asked(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    source = odd(tmp_path / "in")
    data = build(source)
    told = "\n".join(data.manifest.notes)
    assert "1 pairs have a side more than 4 times as long as the other, as 'Ja' and 'en" in told
    assert "1 pairs have the same text on both sides, as 'the same words here'" in told
    assert "1 texts have more than one target, at most 2" in told
    assert [(each.reason, each.count) for each in data.manifest.dropped] == [("no source", 1)]
    assert "en nothing" in data.manifest.dropped[0].examples[0]
    strict = build(source, "strict", ratio=4)
    assert "Ja" not in every(strict, "source")
    assert {each.reason for each in strict.manifest.dropped} == {
        "no source",
        "a side more than 4 times as long as the other",
    }
    assert "ratio" in mistake("data", "build", source, "--set", "ratio=0.5", "--out", tmp_path / "no")


def test_halves_of_unequal_length_alone_are_an_error_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "x.de").write_text("eins\nzwei\n")
    (tmp_path / "in" / "x.en").write_text("one\n")
    line = mistake("data", "build", tmp_path / "in", "--kind", "pairs", "--out", tmp_path / "out")
    assert "have 2 and 1 lines" in line


def test_files_that_are_named_as_halves_are_never_taken_for_text(tmp_path: Path) -> None:
    """Of other names, as `guide.de.md` and `guide.en.md`, those of unequal length are pages."""
    for stem, kind in (
        ("train.de", "pairs"),
        ("corpus.de", "pairs"),
        ("test_de.txt", "pairs"),
        ("guide.de.md", "text"),
    ):
        folder = tmp_path / stem
        folder.mkdir()
        (folder / stem).write_text("ein Satz\n" * 30)
        (folder / stem.replace("de", "en")).write_text("a sentence\n" * 31)
        assert recognise(folder, {}) == kind


def test_lines_that_are_empty_at_the_end_of_one_side_are_lines(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "train.de").write_text("".join(f"ja {sentence(row)}\n" for row in range(28)) + "\n\n")
    (tmp_path / "in" / "train.en").write_text("".join(f"yes {sentence(row)}\n" for row in range(30)))
    data = build(tmp_path / "in")
    assert sum(len(data.split(name)) for name in data.manifest.splits) == 28
    assert [(each.reason, each.count) for each in data.manifest.dropped] == [("no source", 2)]


def test_codes_of_a_format_are_no_text_of_a_translation_memory(tmp_path: Path) -> None:
    unit = "<seg>{} <bpt i='1'>&lt;b></bpt><hi>{}</hi><ept i='1'>&lt;/b></ept><ph>&lt;br/></ph> {}</seg>"
    units = "".join(
        "<tu>" + "".join(
            f"<tuv xml:lang='{code}'>{unit.format(code, 'very', sentence(row))}</tuv>" for code in ("en", "de")
        ) + "</tu>"
        for row in range(30)
    )  # fmt: skip
    (tmp_path / "a.tmx").write_text(f"<?xml version='1.0'?><tmx><body>{units}</body></tmx>")
    assert set(every(build(tmp_path / "a.tmx"), "source")) == {f"en very {sentence(row)}" for row in range(30)}


def test_both_directions_are_folders_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    source = odd(tmp_path / "in")
    ahead, back = build(source), build(source, "back", column=("target=de",))
    assert [every(ahead, "source")[0][:2], every(back, "source")[0][:2]] == ["de", "en"]
    assert sorted(every(ahead, "source")) == sorted(every(back, "target"))
