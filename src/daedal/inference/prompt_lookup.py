"""Guesses at the next tokens that cost nothing: what followed the last time that the text said this (prompt lookup;
Saxena 2023). Useful where a text repeats its prompt: code that is edited, quotations, JSON."""

from array import array
from collections.abc import Sequence

AHEAD = 7
"""Tokens to guess at most."""
_REST = 16
"""Tokens without a guess after one that failed."""
_LONGEST, _SHORTEST = 4, 2
"""Tokens that must be the same before a guess, tried from the longest."""
_BACK = 2048
"""Tokens that are searched."""


def look_up(ids: Sequence[int], count: int) -> list[int]:
    """At most `count` tokens that followed the last earlier place where the text's last tokens stand."""
    if count <= 0:
        return []
    text = array("i", ids[-_BACK:])
    data, each = text.tobytes(), text.itemsize  # bytes are searched a hundred times as fast as a list
    for size in range(_LONGEST, _SHORTEST - 1, -1):
        ending, end = data[-size * each :], len(data) - each
        while (at := data.rfind(ending, 0, end)) % each and at >= 0:
            end = at + len(ending) - 1  # between two tokens
        if at >= 0:
            start = at // each + size
            return list(text[start : start + count])
    return []


class Caution:
    """How many tokens to guess: more while guesses hold, none for a while after one that did not hold at all."""

    def __init__(self) -> None:
        self._ahead, self._rest = AHEAD // 2, 0

    def limit(self) -> int:
        """How many may be guessed now."""
        if self._rest:
            self._rest -= 1
            return 0
        return self._ahead

    def learn(self, guessed: int, held: int) -> None:
        """What became of the last guesses."""
        self._ahead = min(AHEAD, 2 * self._ahead) if held == guessed else max(1, held)
        if not held:
            self._rest = _REST
