"""Tables about pictures: every form that people keep them in, and every way in which their rows name pictures."""

import json
import unicodedata
from collections.abc import Mapping, Sequence

import pytest

from daedal.data.images.origin import Origin
from daedal.data.images.records import read_records
from daedal.data.images.tables import match, read_rows
from daedal.errors import DaedalError

A_AND_B = [{"file": "a.png", "caption": "a cat"}, {"file": "b.png", "caption": "a dog, asleep"}]


def rows_of(text: str | bytes, name: str) -> tuple[list[Mapping[str, str]], str]:
    records = read_records(name, name, text if isinstance(text, bytes) else text.encode())
    return records.rows, " ".join(records.notes)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.jsonl", "\n".join(map(json.dumps, A_AND_B))),
        ("a.jsonl", " ".join(map(json.dumps, A_AND_B))),
        ("a.jsonl", json.dumps(A_AND_B)),
        ("a.json", json.dumps(A_AND_B, indent=2)),
        ("a.json", json.dumps({"version": 1, "data": A_AND_B})),
        ("a.json", json.dumps({"a.png": "a cat", "b.png": "a dog, asleep"})),
        ("a.json", json.dumps({row["file"]: {"caption": row["caption"]} for row in A_AND_B})),
        ("a.csv", 'file,caption\na.png,a cat\nb.png,"a dog, asleep"\n'),
        ("a.csv", "file;caption\r\na.png;a cat\r\nb.png;a dog, asleep\r\n"),
        ("a.csv", "file|caption\ra.png|a cat\rb.png|a dog, asleep\r"),
        ("a.csv", "\ufefffile\tcaption\na.png\ta cat\nb.png\ta dog, asleep"),
        ("a.tsv", "file\tcaption\na.png\ta cat\nb.png\ta dog, asleep\t\t\n"),
    ],
)
def test_tables_of_every_form_give_their_rows(name: str, text: str) -> None:
    assert rows_of(text, name) == (A_AND_B, "")


def test_parquet_is_a_table_too() -> None:
    import io

    import pyarrow as pa
    from pyarrow import parquet

    buffer = io.BytesIO()
    parquet.write_table(
        pa.table({"file": ["a.png", "b.png"], "good": [True, None], "tone": [1.5, float("nan")]}), buffer
    )
    wanted = [{"file": "a.png", "good": "true", "tone": "1.5"}, {"file": "b.png", "good": "", "tone": ""}]
    assert rows_of(buffer.getvalue(), "a.parquet") == (wanted, "")


def test_coco_gives_the_first_caption_of_a_picture_and_its_only_category() -> None:
    images = [{"id": number, "file_name": f"{number}.jpg"} for number in range(3)]
    said = [{"image_id": 1, "caption": "one"}, {"image_id": 1, "caption": "again"}, {"image_id": 0, "caption": "none"}]
    rows, _ = rows_of(json.dumps({"info": {}, "images": images, "annotations": said}), "captions.json")
    assert [row["caption"] for row in rows] == ["none", "one", ""]
    boxes = [{"image_id": of, "category_id": category} for of, category in ((0, 7), (0, 7), (1, 7), (1, 8))]
    names = [{"id": 7, "name": "cat"}, {"id": 8, "name": "dog"}]
    rows, notes = rows_of(json.dumps({"images": images, "annotations": boxes, "categories": names}), "boxes.json")
    assert [row["label"] for row in rows] == ["cat", "", ""]
    assert "1 pictures show things of several categories" in notes


def test_values_are_what_csv_would_say() -> None:
    line = (
        '{"file": "a.png", "good": true, "bad": false, "none": null, "nan": NaN, "all": ["x", "y"], "half": "\\ud83d!"}'
    )
    (row,), _ = rows_of(line, "a.jsonl")
    assert row == {
        "file": "a.png", "good": "true", "bad": "false", "none": "", "nan": "", "all": "x", "half": "\ufffd!",
    }  # fmt: skip
    assert rows_of("file,caption\na.png,nan\n", "a.csv")[0] == [{"file": "a.png", "caption": ""}]


def test_line_separators_of_unicode_end_no_row() -> None:
    text = "one\u2028two\u0085three\x0cfour"
    for name, line in (
        ("a.jsonl", json.dumps({"file": "a.png", "caption": text}, ensure_ascii=False)),
        ("a.csv", f"file,caption\na.png,{text}"),
    ):
        assert rows_of(line, name)[0] == [{"file": "a.png", "caption": text}], name


@pytest.mark.parametrize(
    ("name", "text", "lines", "told"),
    [
        ("a.jsonl", '{"file": "0.png"}\n{"file": "1.png"}\n{"file": "2.p', 2, "1 rows cannot be read and were left out"),
        ("a.jsonl", '{"file": "0.png"}\n{"file": "x" "y"}\n{"file": "1.png"}', 2, "the first: line 2 is not a JSON object"),
        ("a.json", '[{"file": "0.png"},\n{"file": "1.png"},\n{"fi', 2, "the first: line 3"),
        ("a.csv", 'file,text\n0.png,"a"\n1.png,"b\n2.png,"c"\n', 2, "line 3 has a quotation mark that is not closed"),
        ("a.csv", "file,text\n0.png,a\n1.png,red, round\n2.png,c\n", 2, "line 3 has 3 cells for 2 columns"),
        ("a.tsv", 'file\ttext\n0.png\t"The" dog\n1.png\t"open\n', 2, ""),
    ],
)  # fmt: skip
def test_only_the_rows_that_cannot_be_read_are_lost_and_told_with_their_line(
    name: str, text: str, lines: int, told: str
) -> None:
    rows, notes = rows_of(text, name)
    assert len(rows) == lines
    assert told in notes
    assert bool(told) == bool(notes)


def test_a_table_of_which_nothing_can_be_read_says_its_line() -> None:
    with pytest.raises(DaedalError, match=r"a\.jsonl cannot be read: line 1 is not a JSON object"):
        rows_of("file,caption\na.png,a cat\n", "a.jsonl")
    with pytest.raises(DaedalError, match=r"a\.parquet cannot be read"):
        rows_of("file,caption\na.png,a cat\n", "a.parquet")


def matched(names: Sequence[str], pictures: Sequence[str]) -> tuple[dict[str, str], str]:
    """The name in the table for each picture that has one, and the notes."""
    table = read_rows(
        "said.jsonl", "said.jsonl", "\n".join(json.dumps({"file": each}) for each in names).encode(), None
    )
    found = match(table, {place: Origin(each) for place, each in enumerate(pictures)})
    return {pictures[place]: row["file"] for place, row in found.of.items()}, " ".join(found.notes)


@pytest.mark.parametrize(
    ("name", "picture"),
    [
        ("set/cat/1.png", "set/cat/1.png"),
        ("cat/1.png", "set/cat/1.png"),
        ("1", "set/cat/1.png"),
        ("./cat\\1.png", "set/cat/1.png"),
        ("cat #0.png", "set/cat #0.png"),
        ("best!/1.png", "set/best!/1.png"),
        ("a@b:c.png", "set/a@b:c.png"),
        (unicodedata.normalize("NFC", "Füße.png"), unicodedata.normalize("NFD", "set/Füße.png")),
        (unicodedata.normalize("NFD", "Füße.png"), unicodedata.normalize("NFC", "set/Füße.png")),
        ("/home/me/other/cat/1.png", "set/cat/1.png"),
        ("C:\\Users\\me\\cat\\1.PNG", "set/cat/1.png"),
        ("https://somewhere/set/cat/1.png?size=2", "set/cat/1.png"),
        ("whole/set/cat/1.png", "set/cat/1.png"),
        ("my%20cat.png", "set/my cat.png"),
        ("Cat/1.JPG", "set/cat/1.jpg"),
    ],
)
def test_a_row_finds_its_picture_however_it_writes_the_path(name: str, picture: str) -> None:
    assert matched([name], [unicodedata.normalize("NFC", picture), "set/other.png"])[0] == {
        unicodedata.normalize("NFC", picture): name
    }


def test_a_row_that_names_another_picture_finds_none() -> None:
    for name in ("dog/1.png", "cat/2.png", "1.jpg", "100%25.png"):
        assert not matched([name], ["set/cat/1.png", "set/100.png"])[0], name


def test_the_longest_end_of_an_absolute_path_decides() -> None:
    found, notes = matched(["/x/dog/1.png", "/x/cat/1.png", "/x/bird/1.png"], ["set/cat/1.png", "set/dog/1.png"])
    assert found == {"set/cat/1.png": "/x/cat/1.png", "set/dog/1.png": "/x/dog/1.png"}
    assert "2 rows were matched by the end of their paths, as /x/cat/1.png with set/cat/1.png" in notes
    assert "1 rows name pictures that are not there, as /x/bird/1.png" in notes
    found, notes = matched(["/x/dog/1.png", "/x/cat/1.png"], ["1.png"])
    assert not found
    assert "1 pictures could be those of several rows, and have none, as 1.png" in notes
    with pytest.raises(DaedalError, match=r"'/x/1\.png', which is 2 pictures"):
        matched(["/x/1.png"], ["set/cat/1.png", "set/dog/1.png"])


def test_exact_names_go_before_loose_ones() -> None:
    found, _ = matched(["A.png", "a.png"], ["set/a.png", "set/A.png"])
    assert found == {"set/a.png": "a.png", "set/A.png": "A.png"}
    assert not matched(["a.PNG"], ["set/a.png", "set/A.png"])[0]  # one of two: no guess
