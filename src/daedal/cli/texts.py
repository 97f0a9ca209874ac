"""Texts that a command is given: as arguments, or in a file of lines or of JSON; and what it says of them, shown or written."""

import json as json_text
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from daedal.cli import console
from daedal.errors import DaedalError
from daedal.files import require_place, write_text

if TYPE_CHECKING:
    from daedal.inference.generator import Generator

Texts = Annotated[list[str] | None, Parameter(negative=())]
TextFile = Annotated[Path | None, Parameter(allow_leading_hyphen=True)]
"""A file, or - for standard input."""
Quantize = Literal["int8"]
_TOGETHER = 1024
_JSON = (".jsonl", ".ndjson", ".json")
_TABLES = {".csv": "CSV", ".tsv": "TSV"}


def open_texts(run: str, skill: str, quantize: Quantize | None) -> "Generator":
    """A model that has a skill, with as many threads as are fastest.

    Raises:
        DaedalError: it cannot do that.
    """
    from daedal import api

    api.use_fastest_threads()
    generator = api.load(run, quantize=quantize)
    getattr(generator, skill)  # refused in one line, before anything is read
    return generator


def read(texts: Sequence[str] | None, file: Path | None, field: str = "text", out: Path | None = None) -> list[str]:
    """The texts of the command line, or of a file: each line one, or in JSON Lines and tables its `field`; `-` reads lines from
    standard input.

    Raises:
        DaedalError: there is none, or both are given, or the file cannot be read; or `out` is that file, or cannot be written.
    """
    if out is not None:
        require_place(out)
        if file is not None and out.exists() and file.exists() and out.samefile(file):
            raise DaedalError(f"--out is {file}, the file that is read", "Name another file to write")
    if (not texts) == (file is None):
        raise (
            DaedalError("There is no text", "Give texts, or name a file of them by --file")
            if not texts
            else DaedalError("Texts are given twice", "Give them by --file, or as arguments")
        )
    if file is None:
        given = list(texts or ())
        if not all(map(str.strip, given)):
            raise DaedalError("A text is empty", "Give texts with something in them")
        return given
    if type_name := _TABLES.get(file.suffix.lower()):
        return _column(file, type_name, field)
    try:
        whole = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DaedalError(f"{file} cannot be read as text ({error})", "Name a file of UTF-8 text") from None
    lines = whole.removesuffix("\n").split("\n")  # other ends of lines, as of JSON's strings, stay within a text
    if not any(map(str.strip, lines)):
        raise DaedalError(f"{file} is empty", "Name a file with a text on each line")
    if file.suffix.lower() in _JSON:
        return [_field(line, field, f"{file}, line {number}") for number, line in enumerate(lines, 1) if line.strip()]
    return lines


def _column(file: Path, type_name: str, field: str) -> list[str]:
    """The cells of a column, one for each row: none is left out, so that what is said of them stands in their order."""
    from daedal.data.delimited import open_csv
    from daedal.data.document import Lost

    try:
        with file.open("rb") as stream:
            names, rows, _ = open_csv(str(file), stream, type_name, None, field)
            if field not in names:
                columns = ", ".join(names[:20]) or "none"
                raise DaedalError(f"{file} has no column {field!r}", f"Name that of the texts by --field: {columns}")
            cells, place = list[str](), names.index(field)
            for row in rows:
                if isinstance(row, Lost):
                    raise DaedalError(f"{file} has a broken row ({row.detail})", "Mend it, or take it out")
                cells.append(row[place])
    except OSError as error:
        raise DaedalError(f"{file} cannot be read ({error})", "Name a file of text") from None
    if not any(map(str.strip, cells)):
        raise DaedalError(f"{file} has no text under {field!r}", "Name another column by --field")
    return cells


def _field(line: str, field: str, where: str) -> str:
    try:
        value = json_text.loads(line)
    except (ValueError, RecursionError):
        raise DaedalError(f"{where} is no JSON", "Write an object on each line") from None
    if isinstance(value, str):
        return value
    found = value.get(field) if isinstance(value, dict) else None
    if not isinstance(found, str):
        raise DaedalError(f"{where} has no text under {field!r}", f'Write {{"{field}": "..."}} on each line')
    return found


def answer(
    texts: Sequence[str],
    told: Callable[[Sequence[str]], Iterable[Any]],
    plain: Callable[[Any], str],
    out: Path | None,
    json: bool,
    named: bool,
) -> None:
    """Say something of each text, shown or written.

    Args:
        told: what is said of several.
        plain: that of one, as a person reads it.
        out: the file to write: JSON Lines by its ending, else a line each.
        named: whether the text stands before what is shown of it.
    """
    found: list[Any] = []
    with console.progress() as progress:
        for first in range(0, len(texts), _TOGETHER):
            found += told(texts[first : first + _TOGETHER])
            progress("texts", min(first + _TOGETHER, len(texts)), len(texts))
    records = [{"text": text, **_record(each)} for text, each in zip(texts, found, strict=True)]
    if out is not None:
        whole = out.suffix.lower() in _JSON
        lines = [
            json_text.dumps(record, ensure_ascii=False) if whole else " ".join(plain(each).splitlines())
            for record, each in zip(records, found, strict=True)
        ]
        write_text(out, "".join(f"{line}\n" for line in lines))
        console.note(f"{len(texts):,} texts: {out}")
    elif json:
        console.show_json(records)
    else:
        shown = [plain(each) for each in found]
        width = max(map(len, shown))
        for text, said in zip(texts, shown, strict=True):
            console.show(f"{said:<{width}}  {text}" if named else said)


def _record(found: Any) -> dict[str, Any]:
    if isinstance(found, list):
        return {"found": [each.model_dump(mode="json", exclude={"provenance"}) for each in found]}
    values: dict[str, Any] = found.model_dump(mode="json", exclude={"provenance", "source"})
    return {
        ("translation" if name == "text" and hasattr(found, "source") else name): value
        for name, value in values.items()
    }
