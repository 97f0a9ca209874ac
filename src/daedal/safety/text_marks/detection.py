"""Which watermark a text carries: from its tokens and the keys, without the model.

- what follows the same tokens a second time is no new evidence: it is left out, or repetitive texts would look marked
- the p-value is exact for the whole text, of the sums that `tails` has
- a passage is found too: windows of 32 places and more, each twice as long as the one before, a quarter of their length apart.
  Half of the error is spent on the whole text, and half on all windows together, each of which counts as one more try
- everything that was tried, schemes and keys and payloads, counts (Bonferroni): the least p-value of all findings may be taken
- a text that was decoded and encoded anew may have other tokens at its ends, which costs evidence and never validity
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int

from daedal.codecs.text import TextCodec
from daedal.errors import DaedalError
from daedal.safety.mark_finding import MarkFinding
from daedal.safety.text_marks.green_list import GreenList
from daedal.safety.text_marks.gumbel import Gumbel
from daedal.safety.text_marks.hashing import context_seeds
from daedal.safety.text_marks.scheme import Scheme
from daedal.safety.text_marks.text_mark import PAYLOADS, TextMark
from daedal.safety.text_marks.tournament import Tournament
from daedal.safety.watermark_keys import WatermarkKey

SCHEMES: tuple[Scheme, ...] = (Tournament(), Gumbel(), GreenList())
"""What is looked for unless said."""
_LEAST = 16
"""Places below which nothing is judged."""
_WINDOW = 32
"""Places of the shortest window."""
_CLEAR = 0.05
"""A p-value below which it is told which passage speaks for it."""


class _Sum(NamedTuple):
    """Evidence of the part of a text that is the most unlike chance, with the p-value of having looked for it."""

    p_value: float
    begin: int
    end: int


def find_text_mark(
    text: str | Sequence[int] | Int[np.ndarray, " time"],
    keys: Sequence[WatermarkKey],
    codec: TextCodec | None = None,
    *,
    schemes: Sequence[Scheme] = SCHEMES,
    payloads: bool = False,
) -> list[MarkFinding]:
    """What is found of each scheme and key, the most certain first; nothing without keys.

    Args:
        text: or the ids of its tokens.
        codec: of the model that may have written it; a text needs it.
        payloads: whether a mark may say a number, all of which are tried.

    Raises:
        DaedalError: a text is given without a codec.
    """
    ids = np.asarray(_ids(text, codec), dtype=np.int64)
    tried: list[int | None] = list(range(PAYLOADS)) if payloads else [None]
    tests = len(schemes) * len(keys) * len(tried)
    findings = []
    for scheme in schemes:
        fresh = _first_times(ids, scheme)
        judged = int(fresh.sum())
        for key in keys:
            if judged < _LEAST:
                few = f"too little text: {judged} tokens can be judged, and {_LEAST} are the least"
                findings.append(_finding(scheme, key, None, judged, note=few))
                continue
            sums = [
                _most_unlike(scheme, scheme.evidence(TextMark(key, scheme, each).seed, ids), fresh) for each in tried
            ]
            place = min(range(len(sums)), key=lambda number: sums[number].p_value)
            best = sums[place]
            p_value, note = min(1.0, tests * best.p_value), None
            if p_value < _CLEAR and best.end - best.begin < len(fresh):
                note = f"tokens {best.begin + 1:,} to {best.end + scheme.width:,} of {len(ids):,}"
            findings.append(_finding(scheme, key, p_value, judged, tried[place], note))
    return sorted(findings, key=lambda found: 2.0 if found.p_value is None else found.p_value)


def _finding(
    scheme: Scheme,
    key: WatermarkKey,
    p_value: float | None,
    judged: int,
    payload: int | None = None,
    note: str | None = None,
) -> MarkFinding:
    return MarkFinding(
        scheme=scheme.name, key=key.id, p_value=p_value, payload=payload, judged=judged, unit="tokens", note=note
    )


def _ids(
    text: str | Sequence[int] | Int[np.ndarray, " time"], codec: TextCodec | None
) -> Sequence[int] | Int[np.ndarray, " time"]:
    if not isinstance(text, str):
        return text
    if codec is None:
        raise DaedalError("A text is judged by its tokens, which only a tokenizer knows", "Give the codec of a model")
    return codec.encode(text)


def _first_times(ids: Int[np.ndarray, " time"], scheme: Scheme) -> Bool[np.ndarray, " places"]:
    """Which places count: the first after the same tokens, or with the same token after the same, as the scheme marks them."""
    grams = (
        context_seeds(0, ids, scheme.width)
        if scheme.faithful
        else context_seeds(0, np.append(ids, 0), scheme.width + 1)  # with the token itself: the 0 is behind the last
    )
    fresh = np.zeros(len(grams), dtype=bool)
    fresh[np.unique(grams, return_index=True)[1]] = True
    return fresh


def _most_unlike(scheme: Scheme, evidence: Float64[np.ndarray, " places"], fresh: Bool[np.ndarray, " places"]) -> _Sum:
    """The whole text, or the window in it that speaks more clearly after all windows have been paid for."""
    where = np.flatnonzero(fresh)
    sums = np.concatenate([[0.0], evidence[where].cumsum()])
    count = len(where)
    whole = scheme.tail(float(sums[-1]), count)
    windows: list[tuple[float, int, int]] = []
    tries, length = 0, _WINDOW
    while length < count:
        begins = np.arange(0, count - length + 1, length // 4)
        inside = sums[begins + length] - sums[begins]
        best = int(inside.argmax())
        tries += len(begins)
        windows.append((scheme.tail(float(inside[best]), length), int(begins[best]), length))
        length *= 2
    if not windows:
        return _Sum(whole, 0, len(fresh))
    chance, begin, length = min(windows)
    if whole <= tries * chance:
        return _Sum(min(1.0, 2 * whole), 0, len(fresh))
    return _Sum(min(1.0, 2 * tries * chance), int(where[begin]), int(where[begin + length - 1]) + 1)
