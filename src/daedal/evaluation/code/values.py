"""Values that go between a program and its judge: plain data as JSON, anything else as a handle on what stays where it is.

What arrives is made anew of Python's own types, so that no object of a program's can say of itself that it equals another.
It runs inside of the sandbox (`server.py`), so it needs the standard library alone.
"""

import builtins
import collections
import datetime
import decimal
import fractions
import json
import os
import struct
from collections.abc import Callable
from typing import Any

Send = Callable[[object], list[Any]]
"""How to write what is not plain."""

Receive = Callable[[list[Any]], object]
"""How to read that."""

MOST = 2**24  # bytes of a message
_LARGEST_INT = 2**1000
_NAMED = {id(value): name for name, value in vars(builtins).items() if isinstance(value, type)}
_TIMES: dict[str, Any] = {"datetime": datetime.datetime, "date": datetime.date, "time": datetime.time}


def encode(value: Any, send: Send) -> Any:
    """As JSON has it. A subclass of a plain type is that type.

    Raises:
        RecursionError: it contains itself, or is as deep as that.
    """
    if value is None or value is True or value is False or type(value) in (str, float):
        return value
    match value:
        case int():
            plain = int.__pos__(value)
            return plain if -_LARGEST_INT < plain < _LARGEST_INT else ["int", hex(plain)]
        case float():
            return float.__pos__(value)
        case str():
            return str.__str__(value)
        case list():
            return ["list", *(encode(each, send) for each in list.__iter__(value))]
        case tuple():
            return ["tuple", *(encode(each, send) for each in tuple.__iter__(value))]
        case set() | frozenset():
            return ["set" if isinstance(value, set) else "frozenset", *(encode(each, send) for each in list(value))]
        case dict():
            return ["dict", *([encode(key, send), encode(each, send)] for key, each in dict.items(value))]
        case bytes() | bytearray():
            return ["bytes" if isinstance(value, bytes) else "bytearray", value.hex()]
        case complex():
            return ["complex", value.real, value.imag]
        case range():
            return ["range", value.start, value.stop, value.step]
        case collections.deque():
            return ["deque", *(encode(each, send) for each in list(value))]
        case decimal.Decimal():
            return ["decimal", str(value)]
        case fractions.Fraction():
            return ["fraction", hex(value.numerator), hex(value.denominator)]
        case datetime.datetime() | datetime.date() | datetime.time():
            kind = next(name for name, each in _TIMES.items() if isinstance(value, each))
            return [kind, value.isoformat()]
        case datetime.timedelta():
            return ["timedelta", value.days, value.seconds, value.microseconds]
        case type() if id(value) in _NAMED:
            return ["type", _NAMED[id(value)]]
    return send(value)


def decode(value: Any, receive: Receive) -> Any:
    """The value that was encoded.

    Raises:
        ValueError, TypeError, KeyError, IndexError: nothing that `encode` writes.
    """
    if not isinstance(value, list):
        return value
    kind, rest = value[0], value[1:]
    if kind in ("list", "tuple", "set", "frozenset", "deque"):
        made = [decode(each, receive) for each in rest]
        if kind == "list":
            return made
        return {"tuple": tuple, "set": set, "frozenset": frozenset, "deque": collections.deque}[kind](made)
    if kind == "dict":
        return {decode(key, receive): decode(each, receive) for key, each in rest}
    if kind in _TIMES:
        return _TIMES[kind].fromisoformat(rest[0])
    simple: dict[str, Callable[..., Any]] = {
        "int": lambda text: int(text, 16), "bytes": bytes.fromhex, "bytearray": bytearray.fromhex, "complex": complex,
        "range": range, "decimal": decimal.Decimal, "timedelta": datetime.timedelta,
        "fraction": lambda over, under: fractions.Fraction(int(over, 16), int(under, 16)),
        "type": _builtin_type,
    }  # fmt: skip
    return simple[kind](*rest) if kind in simple else receive(value)


def _builtin_type(name: str) -> type:
    found = vars(builtins)[name]
    if not isinstance(found, type):
        raise ValueError(name)
    return found


class Line:
    """Messages over two pipes, each with its length before it."""

    def __init__(self, reads: int, writes: int) -> None:
        self._reads, self._writes = reads, writes

    def say(self, message: object) -> None:
        """Send a message.

        Raises:
            OSError: nobody is there.
            ValueError: it is too long, or cannot be written.
        """
        data = json.dumps(message).encode()
        if len(data) > MOST:
            raise ValueError("a value is too large to be handed over")
        data = struct.pack("=I", len(data)) + data
        while data:
            data = data[os.write(self._writes, data) :]

    def hear(self) -> Any:
        """The next message.

        Raises:
            EOFError: nobody is there.
            ValueError: it is no message.
        """
        (length,) = struct.unpack("=I", self._take(4))
        if length > MOST:
            raise ValueError("a message is too long")
        return json.loads(self._take(length))

    def _take(self, count: int) -> bytes:
        parts = []
        while count:
            part = os.read(self._reads, min(count, 2**20))
            if not part:
                raise EOFError
            parts.append(part)
            count -= len(part)
        return b"".join(parts)
