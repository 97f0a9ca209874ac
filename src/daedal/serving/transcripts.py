"""What was heard in a recording, in the forms in which it is asked for: pieces of a stream, segments, subtitles."""

import re
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

Heard = Mapping[str, Any]
"""A transcript as JSON has it: `text`, `words` with `text`, `start` and `end`, and `seconds`."""
_PAUSE, _LONGEST = 0.8, 6.0
"""Seconds of silence after which a segment begins, and that one may last."""


def lines_of(text: str) -> list[str]:
    """Its words one by one, each with the space before it."""
    return re.findall(r"\s*\S+", text) or ([text] if text else [])


def segments_of(heard: Heard) -> list[dict[str, Any]]:
    """Words that follow each other closely, as the API has segments. What it has besides and nobody knows here is null."""
    return [
        {
            "id": number,
            "seek": 0,
            "start": start,
            "end": end,
            "text": text,
            "tokens": [],
            "temperature": 0.0,
            "avg_logprob": None,
            "compression_ratio": len(text.encode()) / len(zlib.compress(text.encode())),
            "no_speech_prob": None,
        }
        for number, (start, end, text) in enumerate(_spans(heard))
    ]


def srt(heard: Heard) -> str:
    """Subtitles, as SubRip has them."""
    spans = enumerate(_spans(heard), 1)
    return "".join(
        f"{number}\n{_clock(start, ',')} --> {_clock(end, ',')}\n{text}\n\n" for number, (start, end, text) in spans
    )


def vtt(heard: Heard) -> str:
    """Subtitles, as WebVTT has them."""
    return "WEBVTT\n\n" + "".join(
        f"{_clock(start, '.')} --> {_clock(end, '.')}\n{text}\n\n" for start, end, text in _spans(heard)
    )


def _spans(heard: Heard) -> list[tuple[float, float, str]]:
    """When segments begin and end, and what they say; one of all where times of words are not known."""
    words: Sequence[Mapping[str, Any]] = heard["words"]
    if not words:
        return [(0.0, heard["seconds"], heard["text"])] if heard["text"] else []
    spans: list[tuple[float, float, str]] = []
    for word in words:
        start, end, text = spans[-1] if spans else (0.0, 0.0, "")
        if spans and word["start"] - end < _PAUSE and word["end"] - start < _LONGEST:
            spans[-1] = (start, word["end"], f"{text} {word['text']}")
        else:
            spans.append((word["start"], word["end"], word["text"]))
    return spans


def _clock(seconds: float, point: str) -> str:
    whole, thousandths = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}{point}{thousandths:03}"
