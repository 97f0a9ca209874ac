"""Jupyter notebooks (nbformat 3 and 4) -> Markdown: the prose as it is, the code in fences that name its language.

Outputs, and pictures that stand as numbers in the text, are left out and counted.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

from daedal.data.decode import Decoder
from daedal.data.document import Coded, Event, Omitted, Raw
from daedal.data.plain_text import read_whole

_PICTURE = re.compile(r"data:[\w.+-]{1,50}/[\w.+-]{1,50};base64,[A-Za-z0-9+/=]{100,}")


def read(label: str, stream: BinaryIO, size: int, encoding: str | None) -> Iterator[Event]:
    """The document in a notebook: code for the rules of quality, where more of it is code than prose."""
    data = read_whole(stream)
    decoder = Decoder(encoding)
    book = json.loads(decoder.decode(data, final=True))
    if not isinstance(book, dict) or not isinstance(cells := _cells(book), list):
        raise ValueError("it is no notebook: it has no cells")
    language = _language(book)
    texts, code, outputs, pictures = [], 0, 0, 0
    for cell in cells:
        if not isinstance(cell, dict):
            continue
        text, found = _PICTURE.subn("", _source(cell).strip("\n"))
        pictures += found
        outputs += len(cell["outputs"]) if isinstance(cell.get("outputs"), list) else 0
        if not text.strip():
            continue
        if cell.get("cell_type") == "code":
            code += len(text)
            fence = "````" if "```" in text else "```"
            text = f"{fence}{_text(cell.get('language')) or language}\n{text}\n{fence}"
        elif cell.get("cell_type") == "heading":
            level = cell.get("level")
            text = f"{'#' * (level if isinstance(level, int) and 0 < level < 7 else 1)} {text}"
        texts.append(text)
    whole = "\n\n".join(texts)
    yield Raw(label, -1, whole, "code" if 2 * code > len(whole) else "prose", "Jupyter")
    yield Coded(label, decoder.encoding, decoder.replaced)
    told = {"outputs of notebooks": outputs, "pictures in the text of notebooks": pictures}
    yield from (Omitted(what, number) for what, number in told.items() if number)


def _cells(book: dict[str, Any]) -> Any:
    """The cells: those of all sheets in nbformat 3."""
    sheets = book.get("worksheets")
    if isinstance(sheets, list):
        return [cell for sheet in sheets if isinstance(sheet, dict) for cell in sheet.get("cells") or ()]
    return book.get("cells")


def _language(book: dict[str, Any]) -> str:
    """The language that the code is in; empty where the notebook does not say."""
    about = book.get("metadata")
    for part, name in (("language_info", "name"), ("kernelspec", "language")):
        inner = about.get(part) if isinstance(about, dict) else None
        if isinstance(inner, dict) and (found := _text(inner.get(name))):
            return found
    return ""


def _source(cell: dict[str, Any]) -> str:
    value = cell.get("source", cell.get("input"))
    return "".join(each for each in value if isinstance(each, str)) if isinstance(value, list) else _text(value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
