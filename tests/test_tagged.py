"""Tagged words: the layouts in which they come are read alike, tags are whole, and their names are in the manifest."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st

import daedal
from built import build
from command_line import mistake
from daedal.data import card_html
from daedal.data.examples import ExampleDataset
from daedal.data.recognition import recognise
from daedal.data.tag_schemes import Span, mended, scheme_of, spans, tags_of
from kind_examples import sentence, tagged

NAMES = ("O", "B-LOC", "B-PER", "I-LOC")
TAGGED = [
    (
        [*sentence(row).split(), "Green", "Valley", "Ann"],
        [*("O" for _ in sentence(row).split()), "B-LOC", "I-LOC", "B-PER"],
    )
    for row in range(40)
]


def every(data: ExampleDataset) -> set[tuple[tuple[str, ...], tuple[str, ...]]]:
    splits = [data.split(name) for name in data.manifest.splits]
    return {
        (tuple(words), tuple(tags))
        for split in splits
        for words, tags in zip(split.values("words"), split.values("tags"), strict=True)
    }


def as_lines(between: str, more: str = "") -> str:
    return "\n".join(
        "".join(f"{word}{between}{more}{tag}\n" for word, tag in zip(*each, strict=True)) for each in TAGGED
    )


def universal() -> str:
    parts = []
    for number, (words, tags) in enumerate(TAGGED):
        rows = [
            f"{place}\t{word}\t_\t{tag}\t_\t_\t0\troot\t_\t_"
            for place, (word, tag) in enumerate(zip(words, tags, strict=True), 1)
        ]
        rows.insert(1, "2-3\tof the\t_\t_\t_\t_\t_\t_\t_\t_")
        rows.insert(4, "3.1\tnothing\t_\tX\t_\t_\t_\t_\t_\t_")
        parts.append("\n".join([f"# sent_id = {number}", f"# text = {' '.join(words)}", *rows, ""]))
    return "\n".join(parts)


def germeval() -> str:
    blocks = (
        "".join(
            [f"#\thttp://a.de/{number}\t[2009-10-17]\n"]
            + [f"{place}\t{word}\t{tag}\tO\n" for place, (word, tag) in enumerate(zip(*each, strict=True), 1)]
        )
        for number, each in enumerate(TAGGED)
    )
    return "\n".join(blocks)


def rows(tags: Sequence[str] | None = None) -> str:
    cells = ([tags.index(each) for each in said] if tags else said for _, said in TAGGED)
    return "".join(
        json.dumps({"id": "0", "tokens": words, "ner_tags": said}) + "\n"
        for (words, _), said in zip(TAGGED, cells, strict=True)
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ned.train", as_lines(" ", "N ")),
        ("wnut.conll", as_lines("\t")),
        ("words.txt", as_lines("\t")),
        ("words.tsv", as_lines("\t")),
        ("windows.bio", as_lines(" ").replace("\n", "\r\n")),
        ("en-ud-dev.conllu", universal()),
        ("NER-de.tsv", germeval()),
        ("a.jsonl", rows()),
    ],
)
def test_every_layout_gives_the_same_sentences(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(text.encode())
    assert recognise(tmp_path / name, {}) == "tagged"
    data = build(tmp_path / name, near_duplicates="off")
    assert every(data) == {(tuple(words), tuple(tags)) for words, tags in TAGGED}
    assert data.classes("tags") == NAMES
    assert data.stored("tags") == "tags"
    assert "tags" in "\n".join(data.manifest.notes)


def test_conll_2003_is_read_with_its_splits_and_becomes_iob2(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    data = build(tagged(tmp_path / "in"), near_duplicates="off")
    assert [data.manifest.splits[name].examples for name in ("train", "validation", "test")] == [40, 6, 6]
    words, tags = data.split("train").values("words")[0], data.split("train").values("tags")[0]
    assert "-DOCSTART-" not in words
    assert tags[-4:] == ["B-LOC", "I-LOC", "B-PER", "O"]
    told = "\n".join(data.manifest.notes)
    assert "tags are IOB1, and become IOB2" in told
    assert "names: LOC 52, PER 52" in told
    assert data.split("train").record.classes["tags"] == (440, 40, 40, 40)
    assert data.codec("text").encode([" ".join(words)]).counts[0] > 1  # learned from the words
    assert "Tags of words" in card_html(data)
    chunks = build(tmp_path / "in", "chunks", near_duplicates="off", column=("tags=1",))
    assert chunks.classes("tags") == (".", "IN", "NN", "NNP")


def test_rows_of_numbers_have_the_names_that_datasets_wrote(tmp_path: Path) -> None:
    features = datasets.Features(
        {
            "tokens": datasets.Sequence(datasets.Value("string")),
            "ner_tags": datasets.Sequence(datasets.ClassLabel(names=list(NAMES))),
        }
    )
    table = [{"tokens": words, "ner_tags": [NAMES.index(each) for each in tags]} for words, tags in TAGGED]
    datasets.Dataset.from_list(table, features).to_parquet(tmp_path / "train.parquet")
    assert build(tmp_path / "train.parquet", near_duplicates="off").classes("tags") == NAMES
    (tmp_path / "a.jsonl").write_text(rows(NAMES))
    assert build(tmp_path / "a.jsonl", "numbers", near_duplicates="off").classes("tags") == ("0", "1", "2", "3")


def test_broken_tags_are_mended_and_broken_lines_leave_out_their_sentence(tmp_path: Path) -> None:
    text = as_lines(" ") + "\nAnn B-PER\nValley I-LOC\nsleeps O\nGreen I-LOC\n\nA O\nlone\nword O\n"
    (tmp_path / "a.conll").write_text(text)
    data = build(tmp_path / "a.conll", near_duplicates="off")
    assert (("Ann", "Valley", "sleeps", "Green"), ("B-PER", "B-LOC", "O", "B-LOC")) in every(data)
    assert any("tags of 1 sentences were broken" in note for note in data.manifest.notes)
    assert [(each.reason, each.count) for each in data.manifest.dropped] == [("a broken sentence", 1)]
    assert "'lone' has not 2 columns" in data.manifest.dropped[0].examples[0]


def test_rows_that_do_not_fit_are_left_out_and_counted(tmp_path: Path) -> None:
    wrong: list[Any] = [
        {"tokens": ["A", "B"], "ner_tags": ["O"]},
        {"tokens": ["A", ""], "ner_tags": ["O", "O"]},
        {"tokens": "A B", "ner_tags": ["O", "O"]},
        {"tokens": ["A", {"b": 1}], "ner_tags": ["O", "O"]},
        {"tokens": None, "ner_tags": None},
        {"tokens": ["A"], "ner_tags": [None]},
        {"tokens": ["A"], "ner_tags": [["O"]]},
    ]
    (tmp_path / "a.jsonl").write_text(rows() + "".join(json.dumps(row) + "\n" for row in wrong))
    data = build(tmp_path / "a.jsonl", kind="tagged", near_duplicates="off")
    assert len(every(data)) in (40, 41)
    assert sum(each.count for each in data.manifest.dropped) >= 6


@pytest.mark.parametrize("text", ["", "\n\n\n", "A meadow.\nA harbour of the river.\n", "\x00\x01" * 99])
def test_what_has_no_tags_is_refused_in_a_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.conll").write_text(text)
    assert "There is no sentence in" in mistake(
        "data", "build", tmp_path / "a.conll", "--kind", "tagged", "--out", tmp_path / "out"
    )


def test_columns_of_files_are_asked_for_by_number(tmp_path: Path) -> None:
    (tmp_path / "a.conll").write_text(as_lines(" "))
    line = mistake(
        "data", "build", tmp_path / "a.conll", "--kind", "tagged", "--column", "tags=ner", "--out", tmp_path / "o"
    )
    assert "tags=3" in line


def test_lists_of_words_and_other_tables_are_not_tagged(tmp_path: Path) -> None:
    files = {
        "lexicon.tsv": "".join(
            f"{word}\t{('positive', 'negative')[len(word) % 2]}\n" for word in sentence(1).split() * 9
        ),
        "matrix.txt": "\n\n".join("1.5 2.5\n3.5 4.5" for _ in range(30)),
        "poem.txt": "\n\n".join("Green meadow\nBlue river\nRed lantern" for _ in range(30)),
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
        try:
            assert recognise(tmp_path / name, {}) != "tagged"
        except daedal.DaedalError:
            continue


def test_a_sentence_of_two_taggings_is_told(tmp_path: Path) -> None:
    words, tags = TAGGED[0]
    other = {"tokens": words, "ner_tags": ["O"] * len(tags)}
    (tmp_path / "a.jsonl").write_text(rows() + json.dumps(other) + "\n")
    data = build(tmp_path / "a.jsonl", near_duplicates="off")
    assert any("1 sentences are tagged in two ways" in note for note in data.manifest.notes)


# -- schemes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tags", "scheme"),
    [
        ("O I-A I-A B-A O I-B", "IOB1"),
        ("O B-A I-A B-A O B-B", "IOB2"),
        ("O B-A I-A I-B O B-B", "IOB2"),
        ("O S-A B-A E-A", "BIOES"),
        ("O U-A B-A L-A", "BILOU"),
        ("DET NOUN O", "plain"),
        ("O O", "IOB2"),
    ],
)
def test_schemes_are_told_apart(tags: str, scheme: str) -> None:
    assert scheme_of([tags.split()]) == scheme


def test_spans_are_read_as_conlleval_reads_them() -> None:
    assert spans(["O", "I-A", "I-A", "B-A", "I-B", "O"]) == [Span("A", 1, 3), Span("A", 3, 4), Span("B", 4, 5)]
    assert spans(["S-A", "B-A", "I-A", "E-A", "E-A", "I-A"]) == [
        Span("A", 0, 1),
        Span("A", 1, 4),
        Span("A", 4, 5),
        Span("A", 5, 6),
    ]
    assert mended(["I-A", "I-A", "B-A"], "IOB1") == ["B-A", "I-A", "B-A"]
    assert mended(["I-A", "E-A", "E-A", "O", "I-B"], "BIOES") == ["B-A", "E-A", "S-A", "O", "S-B"]
    assert spans([]) == []


@given(
    st.lists(st.tuples(st.integers(1, 3), st.sampled_from(["A", "B-c", ""])), max_size=6),
    st.sampled_from(["IOB2", "BIOES", "BILOU"]),
)
def test_tags_and_spans_are_each_others_inverse(parts: list[tuple[int, str]], scheme: Any) -> None:
    found, place = [], 0
    for length, label in parts:
        if label:
            found.append(Span(label, place, place + length))
        place += length
    tags = tags_of(found, place, scheme)
    assert spans(tags) == found
    assert mended(tags, scheme) == tags
