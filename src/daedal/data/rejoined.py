"""A stream whose first bytes were already read, to see what is in it."""

from typing import BinaryIO


class Rejoined:
    """`head`, and after it what `stream` still holds."""

    closed = False

    def __init__(self, head: bytes, stream: BinaryIO) -> None:
        self._head = head
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes, or all; fewer only at the end."""
        if size < 0:
            taken, self._head = self._head, b""
            return taken + self._stream.read()
        taken, self._head = self._head[:size], self._head[size:]
        return taken + self._stream.read(size - len(taken)) if len(taken) < size else taken
