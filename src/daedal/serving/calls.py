"""Calls of tools in the text of an answer, found as the text comes.

<tool_call>
{"name": "weather", "arguments": {"city": "Paris"}}
</tool_call>
"""

import re
from dataclasses import dataclass
from typing import Literal

from daedal.serving.tools import CALL, END_OF_CALL

_HEAD = re.compile(r'\s*\{"name":\s*"([^"\\]*)",\s*"arguments":\s*(?=\{)')
_MARKS = re.compile(r'["\\{}\[\]]')


@dataclass(frozen=True)
class Piece:
    """What a bit of text turned out to be.

    Attributes:
        kind: words of the answer; the name of a called function; a bit of its arguments, which are JSON.
        call: which call of the answer, from 0.
    """

    kind: Literal["words", "name", "arguments"]
    text: str
    call: int = -1


class CallReader:
    """Tells words from calls: `feed` it text, then `finish`."""

    def __init__(self) -> None:
        self.calls = 0
        self._state: Literal["words", "head", "arguments", "tail", "between"] = "words"
        self._held = ""
        self._depth, self._quoted, self._escaped = 0, False, False

    def feed(self, text: str) -> list[Piece]:
        """What is certain now."""
        self._held += text
        pieces: list[Piece] = []
        while (piece := getattr(self, f"_{self._state}")()) is not None:
            if piece.text:
                pieces.append(piece)
        return pieces

    def finish(self, cut: bool = False) -> list[Piece]:
        """The rest: nothing of a call that was cut off before its arguments.

        Args:
            cut: the text was cut off, so an ending that may be the beginning of a call is taken for that.
        """
        rest, self._held = "" if cut else self._held, ""
        return [Piece("words", rest)] if self._state == "words" and rest else []

    # Each takes from the held text what it can and tells what that was; None: it needs more

    def _words(self) -> Piece | None:
        words, mark, after = self._held.partition(CALL)
        if mark:
            self._state, self._held = "head", after
            return Piece("words", words.rstrip())
        # What may be the beginning of a call, and the space before it, is held back
        begun = next(length for length in range(len(CALL) - 1, -1, -1) if self._held.endswith(CALL[:length]))
        keep = len(self._held[: len(self._held) - begun].rstrip())
        words, self._held = self._held[:keep], self._held[keep:]
        return Piece("words", words) if words else None

    def _head(self) -> Piece | None:
        found = _HEAD.match(self._held)
        if found is None:
            return None
        self._state, self._held = "arguments", self._held[found.end() :]
        self._depth, self._quoted, self._escaped = 0, False, False
        self.calls += 1
        return Piece("name", found[1], self.calls - 1)

    def _arguments(self) -> Piece | None:
        if not self._held:
            return None
        end = self._end_of_value()
        text, self._held = self._held[:end], self._held[end:]
        if self._depth == 0 and not self._quoted:
            self._state = "tail"
        return Piece("arguments", text, self.calls - 1)

    def _end_of_value(self) -> int:
        """Where the object ends, or else all that there is; keeps depth, quotes and escapes for the next time."""
        position, length = 0, len(self._held)
        while position < length:
            if self._escaped:
                self._escaped, position = False, position + 1
                continue
            mark = _MARKS.search(self._held, position)
            if mark is None:
                return length
            character, position = mark[0], mark.end()
            if self._quoted:
                self._escaped, self._quoted = character == "\\", character != '"'
            elif character == '"':
                self._quoted = True
            else:
                self._depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(character, 0)
                if self._depth == 0:
                    return position
        return length

    def _tail(self) -> Piece | None:
        _, mark, after = self._held.partition(END_OF_CALL)
        if not mark:
            return None
        self._state, self._held = "between", after
        return Piece("words", "")

    def _between(self) -> Piece | None:
        """The line ends that follow a call, which may come one by one, are no words."""
        self._held = self._held.lstrip("\n")
        if not self._held:
            return None
        self._state = "words"
        return Piece("words", "")
