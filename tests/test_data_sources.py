"""Every kind of file gives its text, through any nesting, and nothing harmful gets in."""

import bz2
import csv
import gzip
import io
import json
import lzma
import os
import sys
import tarfile
import types
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from daedal.data import delimited
from daedal.data.archives import safe_name
from daedal.data.delimited import read_csv
from daedal.data.document import Lost, Note, Raw
from daedal.data.readers import Reading
from daedal.data.recognise import modality
from daedal.data.sources import plan_units, read_item, resolve
from daedal.errors import DaedalError

ROWS = ["First text, with a comma.", 'Second "quoted" text\nin two lines.', "Drittes, mit Umlaut: ä."]


def read(path: Path, **reading: Any) -> tuple[list[str], list[Lost], list[str]]:
    texts, lost, notes = [], [], []
    for item in resolve(str(path), "train").items:
        for event in read_item(item, Reading(**reading)):
            if isinstance(event, Raw):
                texts.append(event.text)
            elif isinstance(event, Lost):
                lost.append(event)
            elif isinstance(event, Note):
                notes.append(event.text)
    return texts, lost, notes


def jsonl(rows: list[str], field: str = "text") -> bytes:
    return "".join(json.dumps({"id": str(number), field: row}) + "\n" for number, row in enumerate(rows)).encode()


def table(rows: list[str]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerows([["id", "text"], *([number, row] for number, row in enumerate(rows))])
    return out.getvalue().encode()


def columns(rows: list[str], **more: list[Any]) -> bytes:
    out = io.BytesIO()
    parquet.write_table(pa.table({"id": list(range(len(rows))), "content": rows, **more}), out, row_group_size=2)
    return out.getvalue()


def zipped(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def tarred(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


FORMATS: dict[str, Callable[[list[str]], bytes]] = {"jsonl": jsonl, "csv": table, "parquet": columns}


@pytest.mark.parametrize("end", FORMATS)
def test_rows_are_documents(tmp_path: Path, end: str) -> None:
    (tmp_path / f"a.{end}").write_bytes(FORMATS[end](ROWS))
    texts, lost, notes = read(tmp_path / f"a.{end}")
    assert texts == ROWS
    assert lost == []
    assert ("text" if end != "parquet" else "content") in notes[0]


def test_tsv_keeps_quotation_marks_and_needs_no_header(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text('sentence\tlabel\nhe said "no\tway\n"open quote\t1\n')
    assert read(tmp_path / "a.tsv")[0] == ['he said "no', '"open quote']
    (tmp_path / "b.tsv").write_text("one thing and another\t0\nsecond thing\t1\n")
    assert read(tmp_path / "b.tsv")[0] == ["one thing and another", "second thing"]


def test_csv_in_another_encoding_is_read(tmp_path: Path) -> None:
    text = "text,n\n" + "".join(f"Der Käse kostet {number} Mäuse für Bären,1\n" for number in range(50))
    (tmp_path / "a.csv").write_bytes(text.encode("cp1252"))
    assert read(tmp_path / "a.csv")[0][7] == "Der Käse kostet 7 Mäuse für Bären"


def rows_of(tmp_path: Path, name: str, data: str | bytes, **reading: Any) -> tuple[list[str], list[str]]:
    """The texts of a file, and why rows of it were lost."""
    (tmp_path / name).write_bytes(data.encode() if isinstance(data, str) else data)
    texts, lost, _ = read(tmp_path / name, **reading)
    assert not any(each.broken for each in lost)
    return texts, [f"{each.reason}: {each.detail}" for each in lost]


@pytest.mark.parametrize("delimiter", [",", ";", "|", "\t"])
def test_the_delimiter_of_a_csv_is_seen_from_its_rows(tmp_path: Path, delimiter: str) -> None:
    meadow = [f"Quiet meadow {number}" for number in range(5)]
    bare = "".join(f"{number}{delimiter}{text}\n" for number, text in enumerate(meadow))
    assert rows_of(tmp_path, "a.csv", bare) == (meadow, [])
    assert rows_of(tmp_path, "a.csv", f"id{delimiter}text\n{bare}") == (meadow, [])
    prose = "Sätze, mit Komma; und | mehr"
    assert rows_of(tmp_path, "a.csv", f'id{delimiter}text\n1{delimiter}"{prose}"\n2{delimiter}ok\n') == (
        [prose, "ok"],
        [],
    )
    assert rows_of(tmp_path, "a.csv", f"id{delimiter} text\r\n1{delimiter}ok\r2{delimiter}ok\n") == (["ok", "ok"], [])


def test_a_csv_may_say_its_delimiter_and_rows_wider_than_its_names_are_counted(tmp_path: Path) -> None:
    assert rows_of(tmp_path, "a.csv", "sep=;\r\nid;text\r\n1;ok, yes\r\n") == (["ok, yes"], [])
    texts, lost = rows_of(tmp_path, "a.csv", 'id,text\n"1","a",5\n"2","b",7\n')
    assert texts == []
    assert lost[0].startswith("broken row: 3 columns where 2 were expected")


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.json"])
def test_a_workbook_under_the_name_of_a_table_is_no_text(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(zipped({"xl/worksheets/sheet1.xml": b"<row/>" * 900}))
    texts, lost, _ = read(tmp_path / name)
    assert (texts, [each.reason for each in lost]) == ([], ["binary"])


def test_a_csv_of_one_column_has_no_delimiter(tmp_path: Path) -> None:
    assert rows_of(tmp_path, "a.csv", 'text\nHello, world\nOne; two\n"quoted, one"\n')[0] == [
        "Hello, world",
        "One; two",
        "quoted, one",
    ]


def test_names_of_columns_may_be_missing_or_twice(tmp_path: Path) -> None:
    assert rows_of(tmp_path, "a.csv", "text,text\nfirst one,second\n") == (["first one"], [])
    assert rows_of(tmp_path, "a.csv", "text,text\nfirst one,second\n", field="text.1") == (["second"], [])
    assert rows_of(tmp_path, "a.csv", ",text\n0,as pandas writes it\n") == (["as pandas writes it"], [])
    assert rows_of(tmp_path, "a.csv", '\ufeff"text","n"\n"as Excel writes it",1\n') == (["as Excel writes it"], [])
    wide = "id\ttext\r\n1\tüber\r\n".encode("utf-16")
    assert rows_of(tmp_path, "a.csv", wide) == (["über"], [])


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        ('1,"he said\n2,fine\n3,fine\n4,"closed"\n5,last\n', ["fine", "fine", "closed", "last"]),
        ('1,"he said\n2,"ok"\n3,last\n', ["ok", "last"]),
        ('1,fine\n2,"never closed\n3,fine\n4,last\n', ["fine", "fine", "last"]),
        ('1,fine\n2,"cut off', ["fine"]),
        ("1,fine\n2,too,many\n3,last\n", ["fine", "last"]),
        ('1,fine\n2,"two\nlines",and,more\n3,last\n', ["fine", "last"]),
    ],
)
def test_a_broken_row_of_a_csv_is_lost_alone(tmp_path: Path, body: str, kept: list[str]) -> None:
    texts, lost = rows_of(tmp_path, "a.csv", "id,text\n" + body)
    assert texts == kept
    assert len(lost) == 1
    assert lost[0].startswith("broken row: ")


def test_a_csv_that_begins_with_many_broken_rows_is_read_on(tmp_path: Path) -> None:
    whole = "".join(f"{number},a quiet meadow\n" for number in range(150))
    texts, lost = rows_of(tmp_path, "a.csv", "id,text\n" + "1,2,3\n" * 120 + whole)
    assert (texts, len(lost)) == (["a quiet meadow"] * 150, 120)


def test_a_csv_that_is_cut_in_a_character_keeps_its_rows(tmp_path: Path) -> None:
    data = ("id,text\n" + "".join(f"{number},Grüße ä\n" for number in range(9))).encode()[:-2]
    assert rows_of(tmp_path, "a.csv", data) == (["Grüße ä"] * 8 + ["Grüße \ufffd"], [])


def test_rows_that_never_close_cost_no_more_than_so_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each line ends in a cell that is open, also when it is read as the first: the rest of the file would be read for each."""
    read = 0

    def counted(self: delimited.Dialect, lines: Any, strict: bool) -> Any:
        def passed() -> Any:
            nonlocal read
            for line in lines:
                read += len(line)
                yield line

        return plain(self, passed(), strict)

    plain = delimited.Dialect.reader
    monkeypatch.setattr(delimited.Dialect, "reader", counted)
    monkeypatch.setattr(delimited, "_IN_VAIN", 2**16)
    data = b"text,b\n" + b"whole,row\n" * 300 + b'x","\n' * 4000 + b"whole,row\n"
    events = list(read_csv("a.csv", io.BytesIO(data), None, "CSV", None))
    assert sum(isinstance(event, Lost) for event in events) == 4000
    assert sum(isinstance(event, Raw) for event in events) == 301
    assert read < 2**16 + 8 * len(data)


def test_quotation_marks_are_read_as_the_table_has_them(tmp_path: Path) -> None:
    said = ['he said "hi", then left', "x"]
    assert rows_of(tmp_path, "a.csv", 'id,text\n1,"he said \\"hi\\", then left"\n2,"x"\n') == (said, [])
    assert rows_of(tmp_path, "a.csv", 'id, text\n1, "he said ""hi"", then left"\n2, "x"\n') == (said, [])
    assert rows_of(tmp_path, "a.csv", 'id,text\n1,6\' 2" tall\n2,"6\'" tall\n') == (["6' 2\" tall", "6' tall"], [])
    assert rows_of(tmp_path, "a.tsv", 'id\ttext\n1\t"he said ""hi"", then left"\n2\tx\n') == (said, [])
    assert rows_of(tmp_path, "a.tsv", 'id\ttext\n1\t"a\nb"\n2\tx\n') == (["a\nb", "x"], [])
    assert rows_of(tmp_path, "a.tsv", 'id\ttext\n1\t"he\n2\tx\n') == (['"he', "x"], [])


def test_a_cell_may_be_a_whole_book(tmp_path: Path) -> None:
    book = "It was the best of times.\n" * 60_000
    out = io.StringIO()
    csv.writer(out).writerows([["id", "text"], [1, book], [2, "short"]])
    assert rows_of(tmp_path, "a.csv", out.getvalue()) == ([book, "short"], [])


CELL = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\r\0\x1f\ufeff"), max_size=20)


@settings(max_examples=60)
@given(
    rows=st.lists(st.tuples(CELL, CELL, CELL), min_size=1, max_size=8),
    delimiter=st.sampled_from(",;|\t"),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
)
def test_a_table_reads_as_it_was_written(rows: list[tuple[str, str, str]], delimiter: str, quoting: Any) -> None:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, quoting=quoting)
    writer.writerows([("label", "text", "note"), *rows])
    events = read_csv("a.csv", io.BytesIO(out.getvalue().encode()), "text", "CSV", None)
    assert [event.text for event in events if isinstance(event, Raw)] == [row[1] for row in rows]


@settings(max_examples=60)
@given(
    rows=st.lists(st.tuples(st.integers(), CELL), min_size=1, max_size=8),
    delimiter=st.sampled_from(",;|"),
)
def test_a_table_with_the_fewest_marks_reads_as_it_was_written(rows: list[tuple[int, str]], delimiter: str) -> None:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerows([("id", "text"), *rows])
    events = read_csv("a.csv", io.BytesIO(out.getvalue().encode()), "text", "CSV", "utf-8")
    assert [event.text for event in events if isinstance(event, Raw)] == [row[1] for row in rows]


def test_json_that_is_a_list_is_rows_and_other_json_is_text(tmp_path: Path) -> None:
    assert rows_of(tmp_path, "a.json", json.dumps([{"text": row} for row in ROWS]))[0] == ROWS
    assert rows_of(tmp_path, "a.json", json.dumps(ROWS)) == (ROWS, [])
    assert rows_of(tmp_path, "a.json", json.dumps([ROWS[0], None, ROWS[1]])) == (ROWS[:2], [])
    assert rows_of(tmp_path, "a.json", json.dumps({"version": "1.1", "data": ROWS}))[0] == ROWS
    assert rows_of(tmp_path, "a.json", json.dumps({"data": [{"body": row} for row in ROWS]}), field="body")[0] == ROWS
    for source in (
        '{"name": "package", "files": ["dist"]}',
        "[[1, 2], [3]]",
        "[1, 2]",
        "[]",
        '{"data": {}}',
        "// comment\n{}",
    ):
        assert rows_of(tmp_path, "a.json", source) == ([source], [])
    events = list(read_item(resolve(str(tmp_path / "a.json"), "train").items[0], Reading()))
    assert [event.type for event in events if isinstance(event, Raw)] == ["JSON source"]
    assert any(isinstance(event, Note) and "not valid JSON" in event.text for event in events)


def test_what_json_lacks_is_said_and_what_it_has_is_not_called_a_guess(tmp_path: Path) -> None:
    def told(value: object) -> list[str]:
        path = tmp_path / "a.json"
        path.write_text(json.dumps(value))
        events = list(read_item(resolve(str(path), "train").items[0], Reading()))
        return [each.text for each in events if isinstance(each, Note)] + [
            each.detail for each in events if isinstance(each, Lost)
        ]

    assert told(ROWS) == []  # texts have no field
    assert "guessed" in told([{"id": "7", "text": row} for row in ROWS])[0]
    assert "no field with text" in told([{"id": 7}, {"id": 8}])[0]
    assert "lists or objects of 'messages'; make rows" in told([{"messages": [{"role": "user", "content": "Hi"}]}])[0]


def test_a_table_of_one_column_leaves_no_guess(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text\nA meadow in the morning sun\nA harbour at night\n")
    parquet.write_table(pa.table({"text": ROWS}), tmp_path / "a.parquet")
    for name in ("a.csv", "a.parquet"):
        events = read_item(resolve(str(tmp_path / name), "train").items[0], Reading())
        assert not [event.text for event in events if isinstance(event, Note)]


def test_json_lines_are_known_under_the_name_json_too(tmp_path: Path) -> None:
    assert rows_of(tmp_path, "a.json", jsonl(ROWS)) == (ROWS, [])


def test_json_that_is_cut_keeps_the_rows_before(tmp_path: Path) -> None:
    whole = json.dumps([{"text": row} for row in ROWS])
    texts, lost = rows_of(tmp_path, "a.json", whole[:-5])
    assert texts == ROWS[:2]
    assert lost[0].startswith("broken JSON: ")


def test_json_lines_end_at_line_feeds_alone(tmp_path: Path) -> None:
    odd = ["one\u2028two", "three\u0085four", "five\u000csix"]
    data = "\r\n".join(json.dumps({"text": row}, ensure_ascii=False) for row in odd)
    assert rows_of(tmp_path, "a.jsonl", data) == (odd, [])
    assert rows_of(tmp_path, "a.jsonl", data.encode("utf-16")) == (odd, [])
    assert rows_of(tmp_path, "a.jsonl", data.replace("\r\n", " ")) == (odd, [])  # all objects on one line
    assert rows_of(tmp_path, "a.jsonl", "[" + data.replace("\r\n", ", ") + "]") == (odd, [])


def test_a_line_in_another_encoding_costs_its_own_letters(tmp_path: Path) -> None:
    lines = [b'{"text": "caf\xc3\xa9 \xc3\xbcber"}', b'{"text": "caf\xe9"}', '{"text": "Brücke ä"}'.encode()]
    assert rows_of(tmp_path, "a.jsonl", b"\n".join(lines)) == (["café über", "caf\ufffd", "Brücke ä"], [])
    late = [b'{"text": "plain"}'] * 70_000 + [b'{"text": "na\xefve caf\xe9 d\xe9j\xe0 vu"}'] * 3
    assert rows_of(tmp_path, "a.jsonl", b"\n".join(late))[0][-1] == "naïve café déjà vu"


def test_text_that_is_nested_in_rows_is_refused_and_no_title_taken_for_it(tmp_path: Path) -> None:
    questions = {"data": [{"title": "Oaks", "paragraphs": [{"context": ROWS[0] * 9, "qas": []}]}]}
    (tmp_path / "squad.json").write_text(json.dumps(questions))
    texts, lost, _ = read(tmp_path / "squad.json")
    assert texts == []
    assert [(each.reason, each.broken) for each in lost] == [("no text", True)]
    assert "'paragraphs'" in lost[0].detail
    chat = {"id": "a1", "messages": [{"role": "user", "content": ROWS[0] * 9}]}
    (tmp_path / "chat.jsonl").write_text(json.dumps(chat) + "\n")
    with pytest.raises(DaedalError, match=r"'messages', which is no text.*--field id"):
        read(tmp_path / "chat.jsonl")
    assert read(tmp_path / "chat.jsonl", field="id")[0] == ["a1"]


def test_a_field_of_lists_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": ["a", "b"], "title": "x"}\n')
    with pytest.raises(DaedalError, match=r"'text' of a.jsonl holds no text \(but lists\).*title"):
        read(tmp_path / "a.jsonl", field="text")
    parquet.write_table(pa.table({"text": [["a", "b"]], "title": ["x"]}), tmp_path / "a.parquet")
    with pytest.raises(DaedalError, match=r"'text' of a.parquet holds no text \(list.*title"):
        read(tmp_path / "a.parquet", field="text")


def test_parquet_columns_of_bytes_are_text_where_they_are_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    values = [*(row.encode() for row in ROWS), None, b"caf\xe9", *[b"plain"] * 5]
    texts = [*ROWS, "caf\ufffd", *["plain"] * 5]
    parquet.write_table(pa.table({"text": pa.array(values, pa.binary())}), path)
    assert read(path)[0] == texts
    assert modality([path]) == "text"
    buffers = pa.array([value or b"" for value in values], pa.binary()).buffers()
    parquet.write_table(pa.table({"text": pa.Array.from_buffers(pa.string(), len(values), buffers)}), path)
    assert [text for text in read(path)[0] if text] == texts  # strings that are no UTF-8, which nothing checks
    hashes = [bytes(range(place, place + 16)) for place in range(100, 200)]
    parquet.write_table(pa.table({"digest": pa.array(hashes, pa.binary())}), path)
    with pytest.raises(DaedalError, match=r"no field with text"):
        read(path)
    with pytest.raises(DaedalError, match=r"'digest' of a.parquet holds no text \(binary\)"):
        read(path, field="digest")


@pytest.mark.parametrize("end", FORMATS)
def test_a_field_can_be_named_and_must_be_there(tmp_path: Path, end: str) -> None:
    path = tmp_path / f"a.{end}"
    path.write_bytes(FORMATS[end](ROWS))
    with pytest.raises(DaedalError, match=r"no field 'body'.*(id|content)"):
        read(path, field="body")
    path.write_bytes(jsonl(ROWS, "body") if end == "jsonl" else table(ROWS).replace(b"text", b"body", 1))
    if end != "parquet":
        assert read(path, field="body")[0] == ROWS


@pytest.mark.parametrize("end", FORMATS)
def test_a_table_without_text_says_so(tmp_path: Path, end: str) -> None:
    data = {"jsonl": b'{"a": 1}\n{"a": 2}\n', "csv": b"", "parquet": b""}[end]
    if end == "parquet":
        out = io.BytesIO()
        parquet.write_table(pa.table({"a": [1, 2]}), out)
        data = out.getvalue()
    (tmp_path / f"a.{end}").write_bytes(data)
    if end == "csv":
        assert read(tmp_path / "a.csv")[1][0].reason == "empty"
    else:
        with pytest.raises(DaedalError, match=r"no field with text.*a"):
            read(tmp_path / f"a.{end}")


def test_a_broken_line_is_dropped_and_the_others_stay(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(jsonl(ROWS) + b'{"text": "cut off\n[1, 2]\n' + jsonl(["last"]))
    texts, lost, _ = read(tmp_path / "a.jsonl")
    assert texts == [*ROWS, "last"]
    assert [each.reason for each in lost] == ["broken JSON line"] * 2


@pytest.mark.parametrize(
    ("end", "pack"),
    [
        ("gz", gzip.compress),
        ("zst", zstandard.ZstdCompressor().compress),
        ("bz2", bz2.compress),
        ("xz", lzma.compress),
    ],
)
@pytest.mark.parametrize("inner", [*FORMATS, "txt", "tar"])
def test_compressed_files_are_read_like_plain_ones(
    tmp_path: Path, end: str, pack: Callable[[bytes], bytes], inner: str
) -> None:
    data = {"txt": ROWS[0].encode(), "tar": tarred({"x/a.jsonl": jsonl(ROWS)})}.get(inner) or FORMATS[inner](ROWS)
    (tmp_path / f"a.{inner}.{end}").write_bytes(pack(data))
    assert read(tmp_path / f"a.{inner}.{end}")[0] == (ROWS[:1] if inner == "txt" else ROWS)


@pytest.mark.parametrize("name", ["a.txt", "a.html", "a.json", "a.csv"])
def test_a_long_file_inside_zstd_is_read_to_its_end(tmp_path: Path, name: str) -> None:
    text = "".join(f"{number} quiet meadows\n" for number in range(30_000))  # zstd gives 128 KiB at once
    data = {"a.json": json.dumps([text]), "a.csv": "".join(f'"{text}"\n')}.get(name, text)
    data = f"<article><pre>{text}</pre>" if name == "a.html" else data
    (tmp_path / f"{name}.zst").write_bytes(zstandard.ZstdCompressor().compress(data.encode()))
    texts, lost, _ = read(tmp_path / f"{name}.zst")
    assert lost == []
    assert text in "".join(texts)


def test_archives_nest(tmp_path: Path) -> None:
    inner = zipped({"b.csv": table(ROWS), "c.txt.gz": gzip.compress(b"deep")})
    (tmp_path / "a.tgz").write_bytes(gzip.compress(tarred({"m.zip": inner, "n.md": b"# Title\n"})))
    texts, lost, _ = read(tmp_path / "a.tgz")
    assert texts == [*ROWS, "deep", "# Title\n"]
    assert lost == []


def test_archives_nested_too_deeply_are_refused(tmp_path: Path) -> None:
    data, name = b"deep", "a.txt"
    for _ in range(6):
        data, name = gzip.compress(data), name + ".gz"
    (tmp_path / name).write_bytes(data)
    texts, lost, _ = read(tmp_path / name)
    assert texts == []
    assert lost[0].reason == "nested too deeply"


@pytest.mark.parametrize("kind", ["gz", "zip", "zst"])
def test_a_bomb_is_refused(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daedal.data.archives._FLOOR", 2**20)
    row = b'{"text": "' + b"a" * 100_000 + b'"}\n'
    data = row * 300
    packed = {
        "gz": lambda: gzip.compress(data),
        "zip": lambda: zipped({f"{number}.txt": b"a" * 3_000_000 for number in range(10)}),
        "zst": lambda: zstandard.ZstdCompressor().compress(data),
    }[kind]()
    assert len(packed) * 300 < len(data)
    path = tmp_path / ("a.zip" if kind == "zip" else f"a.jsonl.{kind}")
    path.write_bytes(packed)
    texts, lost, _ = read(path)
    assert sum(map(len, texts)) < 300 * len(packed) + 2**21
    assert [each.reason for each in lost] == ["archive bomb"]


def test_names_in_archives_lead_nowhere(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.zip").write_bytes(zipped({"../../evil.txt": b"text", "/etc/evil.txt": b"other"}))
    info = tarfile.TarInfo("link.txt")
    info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
    with tarfile.open(tmp_path / "in" / "b.tar", "w") as archive:
        archive.addfile(info)
    texts, lost, _ = read(tmp_path / "in")
    assert texts == ["text", "other"]
    assert [each.reason for each in lost] == ["link or device"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]
    assert safe_name("..\\..\\c:/x/./y") == "c:/x/y"


@pytest.mark.parametrize("name", ["a.gz", "a.jsonl.zst", "a.zip", "a.tar", "a.parquet", "a.txt.xz"])
@pytest.mark.parametrize("cut", [False, True])
def test_a_broken_file_is_lost_and_not_a_crash(tmp_path: Path, name: str, cut: bool) -> None:
    whole = {
        "a.gz": gzip.compress(b"some text " * 500),
        "a.jsonl.zst": zstandard.ZstdCompressor().compress(jsonl(ROWS * 100)),
        "a.zip": zipped({"a.txt": b"some text" * 50}),
        "a.tar": tarred({"a.txt": b"some text" * 4000}),
        "a.parquet": columns(ROWS),
        "a.txt.xz": lzma.compress(b"some text " * 500),
    }[name]
    (tmp_path / name).write_bytes(whole[: len(whole) // 2] if cut else b"this is not what it says it is " * 40)
    _, lost, _ = read(tmp_path / name)
    assert {each.reason for each in lost} == {"broken file"}
    assert lost[0].broken


def test_web_pages_give_their_main_text(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(
        """<html><head><title>T</title><style>p {}</style></head><body><nav><a href=/>Home</a> <a>About</a></nav>
        <header><ul><li><a href=x>Menu one</a><li><a>Menu two</a></ul></header>
        <article><h1>Heading</h1><p>A paragraph with <b>bold</b> &amp; a <a href=y>link</a>,<br>on.</p>
        <script>var x = "<p>no</p>";</script><pre>def f():
    return 1</pre><p>Second one.</article><footer>Copyright</footer></body></html>"""
    )
    from daedal.data.html import main_text

    text = main_text((tmp_path / "a.html").read_text())
    assert text == "Heading\n\nA paragraph with bold & a link,\n\non.\n\ndef f():\n    return 1\n\nSecond one."
    assert main_text("<p>unclosed <b>tags <div>and &nonsense; <").startswith("unclosed tags")


def test_names_that_are_no_utf_8_are_read_and_can_be_shown(tmp_path: Path) -> None:
    folder = os.path.join(os.fsencode(tmp_path), b"caf\xe9")
    os.mkdir(folder)
    Path(os.fsdecode(folder), "a.txt").write_text("words")
    (item,) = resolve(os.fsdecode(folder), "train").items
    assert item.label == "caf\u00e9/a.txt"
    assert read(Path(os.fsdecode(folder))) == (["words"], [], [])


def test_folders_are_read_through_without_hidden_and_binary_files(tmp_path: Path) -> None:
    for name in ("a.txt", "sub/b.py", ".git/c.txt", "sub/.hidden", "__pycache__/d.py", "e.png", "noend"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "sub" / "circle").symlink_to(tmp_path)
    texts, lost, _ = read(tmp_path)
    assert texts == ["a.txt", "noend", "sub/b.py"]
    assert [(each.reason, each.broken) for each in lost] == [("binary", False)]


def test_units_are_the_same_in_any_order(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"{number}.txt").write_text("x" * number)
    named = [resolve(str(path), "train") for path in tmp_path.iterdir()]
    assert plan_units(named) == plan_units(named[::-1])


def fake_datasets(monkeypatch: pytest.MonkeyPatch, load: Callable[..., Any]) -> None:
    module = types.ModuleType("datasets")
    module.load_dataset = load  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "datasets", module)


def test_a_hub_dataset_is_streamed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def load(name: str, configuration: str | None, *, split: str, streaming: bool) -> Any:
        asked.append((name, configuration, split, streaming))
        return [{"id": number, "text": row} for number, row in enumerate(ROWS)]

    fake_datasets(monkeypatch, load)
    (item,) = resolve("hf:owner/name#small:validation", "train").items
    events = list(read_item(item, Reading()))
    assert [event.text for event in events if isinstance(event, Raw)] == ROWS
    assert asked == [("owner/name", "small", "validation", True)]


def test_a_hub_dataset_without_network_or_package_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*_: Any, **__: Any) -> Any:
        raise ConnectionError("Couldn't reach the hub\nlong traceback")

    fake_datasets(monkeypatch, load)
    (item,) = resolve("hf:owner/name", "train").items
    with pytest.raises(DaedalError, match=r"hf:owner/name cannot be read.*Couldn't reach the hub.*network"):
        list(read_item(item, Reading()))
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DaedalError, match=r"daedal\[hub\]"):
        list(read_item(item, Reading()))
    with pytest.raises(DaedalError, match="names no dataset"):
        resolve("hf:", "train")
