"""Rules that say why a document is not worth learning from.

- `gopher`: Rae et al., "Scaling Language Models: Methods, Analysis & Insights from Training Gopher", 2021, table A1.
- `c4`: Raffel et al., "Exploring the Limits of Transfer Learning", 2020, section 2.2, at the level of documents.
- `mild`: only what no corpus wants: little but symbols, one line over and over, long unbroken blobs, placeholder text.
"""

import re
from collections import Counter
from typing import Literal

_STOP_WORDS = frozenset(("the", "be", "to", "of", "and", "that", "have", "with"))
_WORD = re.compile(r"\S+")
_BLOB_LENGTH = 2000
_BLOB = re.compile(r"(?<![A-Za-z0-9+/=_-])[A-Za-z0-9+/=_-]{2000}")
_NOT_LETTERS = bytes(byte for byte in range(128) if byte != 32 and not chr(byte).isalpha())
_BOILERPLATE = (
    "lorem ipsum dolor",
    "please enable javascript",
    "javascript is disabled",
    "enable cookies to continue",
    "403 forbidden",
    "404 not found",
    "access denied",
)
_MILD_ENOUGH = 200  # characters below which statistics say nothing

Preset = Literal["off", "mild", "gopher", "c4"]


def fault(text: str, preset: Preset) -> str | None:
    """Why `text` fails the rules of `preset`; `None` where it passes."""
    if preset == "off":
        return None
    if preset == "mild":
        return _mild(text)
    return _mild(text) or (_gopher(text) if preset == "gopher" else _c4(text))


def _mild(text: str) -> str | None:
    if len(text) < 2000:
        lowered = text.lower()
        for phrase in _BOILERPLATE:
            if phrase in lowered:
                return "boilerplate"
    if len(text) < _MILD_ENOUGH:
        return None
    sample = text[:20_000]
    encoded = sample.encode()
    if len(encoded.translate(None, _NOT_LETTERS)) < 0.35 * len(encoded):
        return "mostly symbols or digits"
    if max(map(len, text.split()), default=0) >= _BLOB_LENGTH and _BLOB.search(text):
        return "unbroken blob of characters"
    lines = [line for line in sample.split("\n") if line]
    if len(lines) >= 20 and len(set(lines)) < 0.3 * len(lines):
        return "the same lines over and over"
    return None


def _gopher(text: str) -> str | None:
    words = _WORD.findall(text)
    if not 50 <= len(words) <= 100_000:
        return "gopher: fewer than 50 or more than 100,000 words"
    if not 3 <= sum(map(len, words)) / len(words) <= 10:
        return "gopher: mean word length outside 3 to 10"
    if max(text.count("#"), text.count("...") + text.count("…")) > 0.1 * len(words):
        return "gopher: more than one symbol in ten words"
    lines = [line for line in text.split("\n") if line.strip()]
    if sum(line.lstrip().startswith(("•", "-", "*")) for line in lines) > 0.9 * len(lines):
        return "gopher: almost all lines are list items"
    if sum(line.rstrip().endswith(("...", "…")) for line in lines) > 0.3 * len(lines):
        return "gopher: lines end in an ellipsis"
    if sum(any(map(str.isalpha, word)) for word in words) < 0.8 * len(words):
        return "gopher: words without letters"
    if len(_STOP_WORDS.intersection(word.lower() for word in words)) < 2:
        return "gopher: fewer than two English stop words"
    repeated = sum(len(line) * (count - 1) for line, count in Counter(lines).items() if count > 1)
    if repeated > 0.2 * len(text):
        return "gopher: repeated lines"
    return None


def _c4(text: str) -> str | None:
    if "{" in text:
        return "c4: curly bracket"
    lines = [line.strip() for line in text.split("\n")]
    sentences = [line for line in lines if line.endswith((".", "!", "?", '"', "”"))]
    if sum(len(re.findall(r"[.!?](?:\s|$)", line)) for line in sentences) < 5:
        return "c4: fewer than five sentences"
    if len(sentences) < 0.5 * sum(1 for line in lines if line):
        return "c4: most lines do not end a sentence"
    if sum("javascript" in line.lower() for line in lines) > 0.1 * len(lines):
        return "c4: javascript warnings"
    return None
