"""Guesses at the next tokens that cost nothing: what followed the last time that the text said this (prompt lookup;
Saxena 2023). Useful where a text repeats its prompt: code that is edited, quotations, JSON."""

from collections.abc import Sequence

_MOST, _REST = 7, 16
"""Tokens to guess at most, and tokens without a guess after one that failed."""
_LONGEST, _SHORTEST = 4, 2
"""Tokens that must be the same before a guess, tried from the longest."""
_BACK = 2048
"""Tokens that are searched."""


def look_up(ids: Sequence[int], count: int) -> list[int]:
    """At most `count` tokens that followed the last earlier place where the text's last tokens stand."""
    if count <= 0:
        return []
    text = list(ids[-_BACK:])
    for size in range(_LONGEST, _SHORTEST - 1, -1):
        ending = text[-size:]
        for start in range(len(text) - size - 1, -1, -1):
            if text[start] == ending[0] and text[start : start + size] == ending:
                return text[start + size : start + size + count]
    return []


class Caution:
    """How many tokens to guess: more while guesses hold, none for a while after one that did not hold at all."""

    def __init__(self) -> None:
        self._ahead, self._rest = _MOST // 2, 0

    def limit(self) -> int:
        """How many may be guessed now."""
        if self._rest:
            self._rest -= 1
            return 0
        return self._ahead

    def learn(self, guessed: int, held: int) -> None:
        """What became of the last guesses."""
        self._ahead = min(_MOST, 2 * self._ahead) if held == guessed else max(1, held)
        if not held:
            self._rest = _REST
