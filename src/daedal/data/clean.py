"""Normal form of text, the cutting of text into documents, and the masking of what should not be learned.

The default normal form is mild enough for source code: line ends become `\\n`, NUL and unpaired surrogates go, nothing else.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Literal

from daedal.data.decode import mend_text
from daedal.data.document import Raw
from daedal.data.html import main_text
from daedal.data.options import MaskKind

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


def _octets(match: re.Match[str]) -> bool:
    return all(int(part) < 256 for part in match.group().split("."))


def _dialled(match: re.Match[str]) -> bool:
    return 8 <= sum(map(str.isdigit, match.group())) <= 15


def _random_looking(match: re.Match[str]) -> bool:
    """A value with letters and digits mixed, as keys have and identifiers seldom do."""
    value = match.group("value")
    return any(map(str.isdigit, value)) and any(map(str.isalpha, value)) and len(set(value)) > 9


def _always(match: re.Match[str]) -> bool:
    return True


# For each kind: what must be in the text for a search to be worth it, the pattern, and a last check of a match.
_PATTERNS: dict[MaskKind, list[tuple[str, re.Pattern[str], Callable[[re.Match[str]], bool]]]] = {
    "email": [("@", re.compile(r"\b[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4}\b"), _always)],
    "key": [
        ("", re.compile(r"\b(?:sk|pk|rk)[-_](?:live_|test_|proj-|ant-)?[A-Za-z0-9_-]{20,200}"), _always),
        ("AKIA", re.compile(r"\bAKIA[0-9A-Z]{16}\b"), _always),
        ("gh", re.compile(r"\bgh[pousr]_[A-Za-z0-9]{36,255}\b"), _always),
        ("github_pat_", re.compile(r"\bgithub_pat_[A-Za-z0-9_]{50,255}\b"), _always),
        ("hf_", re.compile(r"\bhf_[A-Za-z0-9]{30,64}\b"), _always),
        ("AIza", re.compile(r"\bAIza[0-9A-Za-z_-]{35}\b"), _always),
        ("xox", re.compile(r"\bxox[abprs]-[0-9A-Za-z-]{10,200}"), _always),
        ("eyJ", re.compile(r"\beyJ[\w-]{10,2000}\.eyJ[\w-]{10,4000}\.[\w-]{10,1000}"), _always),
        (
            "PRIVATE KEY",
            re.compile(r"-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----[\s\S]{0,10000}?-----END [A-Z ]{0,20}PRIVATE KEY-----"),
            _always,
        ),
        (
            "",
            re.compile(
                r"(?i)(?:api[_-]?key|secret|token|passwd|password)[\"']?[ \t]{0,4}[:=][ \t]{0,4}[\"']?"
                r"(?P<value>[A-Za-z0-9+/_=-]{16,200})"
            ),
            _random_looking,
        ),
    ],
    "ip": [
        (".", re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w]|\.\d)"), _octets),
        (":", re.compile(r"(?<![\w:])(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}(?![\w:])"), _always),
        ("::", re.compile(r"(?<![\w:])(?:[0-9A-Fa-f]{1,4}:){2,6}:(?:[0-9A-Fa-f]{1,4})?(?![\w:])"), _always),
    ],
    "phone": [
        (
            "+",
            re.compile(r"(?<![\w+])\+\d{1,3}[ .\-]?(?:\(\d{1,5}\)[ .\-]?)?\d{1,5}(?:[ .\-]?\d{2,5}){1,5}(?!\w)"),
            _dialled,
        ),
        ("", re.compile(r"(?<![\w.\-])(?:\(\d{3}\) ?|\d{3}[.\- ])\d{3}[.\-]\d{4}(?![\w.\-])"), _dialled),
    ],
}


def mask(text: str, kinds: tuple[MaskKind, ...], found: Counter[str]) -> str:
    """`text` with each thing of `kinds` replaced by its name in angle brackets, as `<email>`; counted in `found`."""
    for kind in kinds:
        for needle, pattern, holds in _PATTERNS[kind]:
            if needle not in text:
                continue

            def replace(
                match: re.Match[str], kind: MaskKind = kind, holds: Callable[[re.Match[str]], bool] = holds
            ) -> str:
                if not holds(match):
                    return match.group()
                found[kind] += 1
                if "value" in match.re.groupindex:
                    return match.group()[: match.start("value") - match.start()] + f"<{kind}>"
                return f"<{kind}>"

            text = pattern.sub(replace, text)
    return text
