"""Normal form of text, and the cutting of text into documents.

The default normal form is mild enough for source code: line ends become `\\n`, NUL and unpaired surrogates go, nothing else.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import Literal

from daedal.data.decode import mend_text
from daedal.data.document import Raw
from daedal.data.html import main_text

_BLANK_LINES = re.compile(r"\n[ \t\f\v]*\n\s*")


def text_of(raw: Raw, mend: bool = True, form: Literal["keep", "NFC", "NFKC"] = "keep") -> tuple[str, bool]:
    """The text of a document in its normal form, of a web page its main text; and whether mojibake in it was mended."""
    text = main_text(raw.text) if raw.type == "HTML" else raw.text
    mended = mend_text(text) if mend and raw.form != "code" else text
    return normalise(mended, form), mended != text


def normalise(text: str, form: Literal["keep", "NFC", "NFKC"] = "keep") -> str:
    """`text` with `\\n` line ends, without NUL and unpaired surrogates, in Unicode normal form `form`."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "\0" in text:
        text = text.replace("\0", "")
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text if form == "keep" else unicodedata.normalize(form, text)


def documents_of(text: str, unit: Literal["file", "line", "paragraph"]) -> Iterator[str]:
    """The documents in a normalised text: itself, its lines without their ends, or its blank-line separated paragraphs."""
    if unit == "file":
        yield text
    elif unit == "line":
        yield from text.split("\n")
    else:
        yield from (part.strip("\n") for part in _BLANK_LINES.split(text))
