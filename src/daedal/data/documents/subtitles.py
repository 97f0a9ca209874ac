"""Subtitles (SubRip's `.srt`, WebVTT's `.vtt`) -> what is said, a sentence a line, without times, tags and repetitions.

A cue goes on in the next one, unless it ended a sentence, a new speaker begins with a dash, or nothing is said for a while.
"""

import html
import re
from collections.abc import Iterator
from typing import BinaryIO

from daedal.data.decode import Decoder
from daedal.data.document import Coded, Event, Omitted, Raw
from daedal.data.plain_text import read_whole

_CLOCK = r"(?:(\d{1,3}):)?(\d{1,2}):(\d{2})[.,](\d{1,3})"
_TIMES = re.compile(rf"\s*{_CLOCK}\s*-->\s*{_CLOCK}")
_TAGS = re.compile(r"<[^<>]{1,200}>|\{\\[^{}]{0,200}\}")
_SENTENCE_END = re.compile(r"[.!?…。！？♪]['\"”’»)\]]*$")
_NO_SPACES = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uff00-\uffef\u0e00-\u0eff]$")
_PAUSE = 3.0  # seconds


def read(label: str, stream: BinaryIO, size: int, encoding: str | None) -> Iterator[Event]:
    """The document in a file of subtitles."""
    data = read_whole(stream)
    decoder = Decoder(encoding)
    lines = decoder.decode(data, final=True).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    said, repeated, cues = _said(lines)
    if not cues:
        raise ValueError("it is no file of subtitles: it has no times")
    yield Raw(label, -1, said, "prose", "subtitles")
    yield Coded(label, decoder.encoding, decoder.replaced)
    if repeated:
        yield Omitted("repeated lines of subtitles", repeated)


def _said(lines: list[str]) -> tuple[str, int, int]:
    """What is said; how many lines only repeat the cue before, as rolling captions do; and how many cues there are."""
    sentences, open_ = list[str](), list[str]()
    before, ended, repeated, cues = frozenset[str](), 0.0, 0, 0

    def close() -> None:
        if open_:
            sentences.append(" ".join(open_))
            open_.clear()

    for begin, end, cue in _cues(lines):
        cues += 1
        if begin - ended > _PAUSE:
            close()
        for text in cue:
            if text in before:
                repeated += 1
                continue
            if text.startswith(("-", "–", "—")) and not text.startswith("--"):
                close()
            open_.append(text)
            if _SENTENCE_END.search(text) or _NO_SPACES.search(text):
                close()
        before, ended = frozenset(cue), max(ended, end)
    close()
    return "\n".join(sentences), repeated, cues


def _cues(lines: list[str]) -> Iterator[tuple[float, float, list[str]]]:
    """Begin, end and lines of each cue. What is in none (numbers, names, notes, styles) is not said."""
    place = 0
    while place < len(lines):
        times = _TIMES.match(lines[place])
        place += 1
        if times is None:
            continue
        cue = []
        while place < len(lines) and lines[place].strip() and not _TIMES.match(lines[place]):
            text = html.unescape(_TAGS.sub("", lines[place]))
            cue.append(" ".join(text.replace("\u200e", "").replace("\u200f", "").split()))
            place += 1
        if place < len(lines) and _TIMES.match(lines[place]) and cue and cue[-1].isdecimal():
            cue.pop()  # the number of the next cue, where no empty line is between
        yield _seconds(*times.groups()[:4]), _seconds(*times.groups()[4:]), [each for each in cue if each]


def _seconds(hours: str | None, minutes: str, seconds: str, parts: str) -> float:
    return int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds) + float(f"0.{parts}")
