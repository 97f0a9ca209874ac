"""Made sources of text for test_golden.py, one of every kind that builds read: whole numbers decide all of it."""

import bz2
import gzip
import hashlib
import io
import json
import lzma
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import zstandard
from pyarrow import parquet

import daedal

WHO = ("the king", "a queen", "my brother", "the old fox", "a sailor", "the moon", "our neighbour", "a wizard")
DID = ("saw", "followed", "forgot", "painted", "sold", "feared", "called", "carried", "dreamed of")
WHEN = ("at noon", "in winter", "by the sea", "without a word", "twice", "before dawn", "in the garden", "for gold")
FRENCH = "Où êtes-vous allés cet été, et où étaient les élèves ? À côté de la forêt, répète le garçon déçu. "
RUSSIAN = "Однажды весной, в час небывало жаркого заката, на прудах появились два гражданина. "
JAPANESE = "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。"
Made = tuple[list[str | Path], dict[str, Any]]
"""What is built: its sources, and its options."""


def tale(seed: int, sentences: int = 5) -> str:
    """A little text, another for each seed."""
    state, chosen = seed * 7919 + 17, list[str]()
    for number in range(sentences):
        parts = []
        for words in (WHO, DID, WHO, WHEN):
            state = (state * 1103515245 + 12345) % 2**31
            parts.append(words[(state >> 12) % len(words)])
        chosen.append(f"{' '.join(parts).capitalize()}, and number {state % 1000} of {seed * 10 + number} was there.")
    return " ".join(chosen) + "\n"


def tales(count: int, first: int = 0) -> list[str]:
    return [tale(seed) for seed in range(first, first + count)]


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def digest(*parts: Any, place: Path | None = None) -> str:
    """The first half of a SHA-256 of arrays of whole numbers, and of what is JSON."""
    whole = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            whole.update(f"{part.shape}".encode() + np.ascontiguousarray(part.astype(np.int64)).tobytes())
        else:
            whole.update(json.dumps(part).replace(str(place), "PLACE").encode())
    return whole.hexdigest()[:32]


def members(count: int = 12) -> dict[str, bytes]:
    """Files of an archive."""
    return {f"shelf {number % 3}/tale-{number}.txt": tale(number).encode() for number in range(count)}


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def tarred(files: dict[str, bytes], form: str = "w:gz") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=form) as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def quoted(rows: Sequence[Sequence[str]], mark: str) -> str:
    """Delimited rows, every cell in quotation marks."""
    return "".join(mark.join('"' + cell.replace('"', '""') + '"' for cell in row) + "\n" for row in rows)


def table(mark: str, head: bool = True, count: int = 30) -> str:
    rows = [[str(number), f'A "title" of the {number}th', tale(number, 3)] for number in range(count)]
    return quoted([["id", "title", "text"], *rows] if head else rows, mark)


def shelf(folder: Path) -> Path:
    """A folder with everything in it that is left out: hidden, empty and binary files, copies and near copies."""
    for number, text in enumerate(tales(40)):
        write(folder / f"part {number % 4}" / f"tale-{number:02}.txt", text)
    write(folder / ".hidden.txt", tale(900))
    write(folder / "empty.txt", "")
    write(folder / "blank.txt", " \n\t\n")
    write(folder / "binary.txt", bytes(range(256)) * 20)
    write(folder / "copy.txt", tale(3))
    write(folder / "copy too.txt", tale(3).replace("\n", "\r\n"))
    long = tale(500, 40)
    write(folder / "long.txt", long)
    write(folder / "nearly long.txt", long.replace("number", "figure", 1))
    return folder


def encodings(folder: Path) -> Path:
    """The same kind of text in many encodings; and one that was decoded wrongly once."""
    written = {
        "french": (FRENCH * 6, "cp1252"),
        "dos": (FRENCH * 7, "cp850"),
        "wide": (FRENCH * 8 + JAPANESE, "utf-16"),
        "wide-big": (FRENCH * 9, "utf-16-be"),
        "marked": (FRENCH * 10, "utf-8-sig"),
        "russian": (RUSSIAN * 6, "koi8_r"),
        "windows-russian": (RUSSIAN * 7, "cp1251"),
        "japanese": (JAPANESE * 6, "shift_jis"),
        "escaped": (JAPANESE * 7, "iso2022_jp"),
        "euc": (JAPANESE * 8, "euc_jp"),
    }
    for name, (text, encoding) in written.items():
        write(folder / f"{name}.txt", text.encode(encoding))
    write(folder / "mended.txt", (FRENCH * 11).encode().decode("latin-1"))
    write(folder / "broken.txt", tale(1).encode() + b"\xff\xfe caf\xc3")
    return folder


def pages(folder: Path) -> Path:
    for number, text in enumerate(tales(16)):
        menu = "".join(f'<li><a href="/{word}">{word}</a></li>' for word in ("home", "news", "about"))
        body = "".join(f"<p>{sentence}.</p>" for sentence in text.strip().split(". "))
        head = f"<head><title>Tale {number}</title><script>var n = {number};</script></head>"
        page = f"<nav><ul>{menu}</ul></nav><article><h1>Tale &amp; {number}</h1>{body}</article>"
        write(folder / f"page-{number}.html", f"<!doctype html><html>{head}<body>{page}</body></html>")
    return folder


def programs(folder: Path) -> Path:
    for number in range(16):
        write(
            folder / f"part_{number}.py",
            f'"""Part {number}."""\n\n\ndef f{number}(x: int) -> int:\n    return x * {number}\n',
        )
        write(
            folder / f"part_{number}.c", f"/* Part {number} */\nint f{number}(int x) {{\n\treturn x + {number};\n}}\n"
        )
        write(
            folder / f"part-{number}.js",
            f"// Part {number}\nexport const f{number} = x => `${{x}} caf\u00c3\u00a9 {number}`\n",
        )
    return folder


def notes(folder: Path) -> Path:
    for number, text in enumerate(tales(16)):
        code = f"```python\nprint({number})\n```"
        write(
            folder / f"note-{number}.md",
            f"---\nid: {number}\n---\n# Note {number}\n\n*{text.strip()}*\n\n- one\n- two\n\n{code}\n",
        )
    return folder


def held_out(folder: Path) -> Made:
    """Files for validation and for test; some of what they say is also elsewhere."""
    elsewhere = write(folder / "own.jsonl", rows([*tales(20), tale(60)]))
    own = write(folder / "later.txt", tale(60) + "\n" + tale(61))
    last = write(folder / "last.txt", tale(5))
    return [elsewhere], {"validation": (str(own),), "test": (str(last),)}


def several(folder: Path) -> Made:
    """Sources of several kinds in one build, in no order."""
    jsonl = write(folder / "z.jsonl", rows(tales(10)))
    archive = write(
        folder / "b.zip", zipped({"deep/a.csv": table(",", count=10).encode(), "deep/b.md": tales(1, 90)[0].encode()})
    )
    return [jsonl, archive, notes(folder / "notes"), write(folder / "a.txt", tale(91))], {"licence": "MIT", "seed": 9}


def with_tokenizer(folder: Path) -> Made:
    """Text for a model whose tokenizer is taken as it is."""
    daedal.build_data(
        [write(folder / "first.jsonl", rows(tales(20)))], folder / "first", codec="bpe", vocab_size=280, workers=1
    )
    return [write(folder / "second.jsonl", rows(tales(20, 40)))], {"tokenizer": str(folder / "first")}


def rows(texts: Sequence[str]) -> str:
    return "".join(json.dumps({"id": number, "text": text}) + "\n" for number, text in enumerate(texts))


def parquet_of(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(
        pa.table({"id": list(range(30)), "text": tales(30), "size": [1.5] * 30}), path, row_group_size=7
    )
    return path


def personal() -> str:
    who = [
        f"Write to anna.{n}@example.org or +49 30 90{n:02}1820, from 192.168.{n}.7, key sk-{n:02}aB3dE5fG7hI9jK1lM3nO5pQ7r."
        for n in range(20)
    ]
    return "".join(f"{tale(n, 2).strip()} {line}\n" for n, line in enumerate(who))


def one(name: str, content: str | bytes, **options: Any) -> Callable[[Path], Made]:
    """A source of one file."""
    return lambda folder: ([write(folder / name, content)], options)


def of(make: Callable[[Path], Path], name: str = "source", **options: Any) -> Callable[[Path], Made]:
    """A source that is a folder, or that a function writes."""
    return lambda folder: ([make(folder / name)], options)


LONG = "\n".join(tale(number, 8) for number in range(40))
ALL_ROWS = rows(tales(30))
TEXTS: dict[str, Callable[[Path], Made]] = {
    "a long text, cut in order": one("long.txt", LONG),
    "a long text, by bytes": one("long.txt", LONG, codec="byte", split=(80.0, 10.0, 10.0)),
    "a long text, by characters": one("long.txt", LONG + JAPANESE, codec="char"),
    "a long text, by byte pairs": one("long.txt", LONG, codec="bpe", vocab_size=400),
    "a folder": of(shelf),
    "near copies kept together": of(shelf, near_duplicates="keep", seed=3),
    "copies not looked for": of(shelf, near_duplicates="off", exact_duplicates=False),
    "a folder, cut in order": of(shelf, split_by="order", split=(80.0, 10.0, 10.0)),
    "a folder, with rules of quality": of(shelf, quality="gopher", min_characters=100, unicode="NFKC"),
    "paragraphs of a file": one("long.txt", LONG, document="paragraph", licence="CC0-1.0"),
    "lines of a file": one("long.txt", LONG, document="line", min_characters=20),
    "Markdown": of(notes),
    "HTML": of(pages),
    "source code": of(programs),
    "encodings": of(encodings, codec="byte", near_duplicates="off"),
    "an encoding that is told": one("a.txt", (FRENCH * 20).encode("mac_roman"), encoding="mac-roman", mend=False),
    "commas": one("a.csv", table(",")),
    "semicolons": one("a.csv", table(";")),
    "bars, without names": one("a.csv", table("|", head=False), field="2"),
    "tabs, a column that is told": one("a.tsv", table("\t"), field="title", near_duplicates="off", split_by="content"),
    "a broken row": one("a.csv", table(",") + '31,"one","two","three","four"\n'),
    "a JSON array": one("a.json", json.dumps([{"id": n, "text": text} for n, text in enumerate(tales(30))])),
    "JSON with rows inside": one("a.json", json.dumps({"version": 1, "data": [{"text": text} for text in tales(30)]})),
    "JSON that is no rows": one("a.json", json.dumps({"tale": tales(30)[0], "n": [1, 2]}, indent=1), split_by="order"),
    "JSON Lines with a broken line": one("a.jsonl", ALL_ROWS + '{"id": 31, "text": "half\n' + rows(tales(3, 50))),
    "Parquet": of(parquet_of, "a.parquet"),
    "a zip": one("a.zip", zipped(members())),
    "a zip in a tar.gz": one("a.tar.gz", tarred({"inner/a.zip": zipped(members(9)), "b.txt": tale(70).encode()})),
    "a gz": one("a.jsonl.gz", gzip.compress(ALL_ROWS.encode(), mtime=0)),
    "a bz2": one("a.jsonl.bz2", bz2.compress(ALL_ROWS.encode())),
    "an xz": one("a.jsonl.xz", lzma.compress(ALL_ROWS.encode())),
    "a zst": one("a.jsonl.zst", zstandard.ZstdCompressor().compress(ALL_ROWS.encode())),
    "files that are held out": held_out,
    "several sources": several,
    "a tokenizer that is given": with_tokenizer,
    "personal facts, masked": one("a.txt", personal(), document="line", mask=("email", "key", "ip", "phone")),
}  # fmt: skip
"""What is built, by what it shows. None is of a kind that holds more than text (labels, pairs, splits by name)."""
