"""A command as a model carries it out that reads whole texts: what goes into its batches, and what is told of it."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Hashable, Iterable
from typing import Any, ClassVar

from daedal.codecs.text import TextCodec
from daedal.inference.engine_request import TooLong
from daedal.inference.generator import Generator
from daedal.serving.commands import Command, Event, Refused

CHARACTERS = 16
"""Of a text, for each token that it may have, that are read before it is said to be too long."""

LONGEST = 2**12
"""Tokens of a text that is longer than the context, and is read in windows: all in one batch, and the process hears
nothing meanwhile."""


class Operation(ABC):
    """A command that is being carried out, text by text.

    Making one takes all of its work that needs no model, in any thread.

    Args:
        texts: what goes into batches, in this order.
        tokens: of each.

    Attributes:
        op: the command.
        skill: what a generator needs for it.
        together: tokens of a batch.
        left: texts that are still to be read, and their tokens.
        tokens: of all texts.
        waited: seconds until the first of them was read.
    """

    op: ClassVar[str]
    skill: ClassVar[str]
    together: ClassVar[int] = 2048

    def __init__(self, generator: Generator, command: Command, texts: Iterable[Any], tokens: Iterable[int]) -> None:
        self.generator, self.id, self.owner = generator, command["id"], command.get("owner", "")
        self.tokens = list(tokens)
        self.left = deque(zip(texts, self.tokens, strict=True))
        self.waited = 0.0
        self._found: list[Any] = []

    @classmethod
    @abstractmethod
    def of(cls, generator: Generator, command: Command) -> "Operation":
        """That of a command.

        Raises:
            Refused: it asks for something wrong.
            DaedalError: as well.
        """

    @classmethod
    def fits(cls, generator: Generator) -> bool:
        """Whether a model can do it."""
        return cls.skill in generator.skills

    @classmethod
    def told(cls, generator: Generator) -> dict[str, Any]:
        """What the server must know of a model for it."""
        return {}

    @property
    def like(self) -> Hashable:
        """Texts of commands for which this is equal are read together."""
        return self.skill

    @abstractmethod
    def read(self, texts: list[Any]) -> list[Any]:
        """What comes of each of some texts of commands that are alike.

        Raises:
            DaedalError: it cannot be found.
        """

    @abstractmethod
    def result(self, found: list[Any]) -> dict[str, Any]:
        """What is answered when something has come of all texts."""

    @property
    def done(self) -> bool:
        """Whether all has been answered."""
        return len(self._found) == len(self.tokens)

    def begin(self) -> list[Event]:
        """What is told before anything is read."""
        return []

    def take(self, found: Any) -> list[Event]:
        """What is told once this has come of the next text."""
        self._found.append(found)
        return [{"event": "result", "tokens": self.tokens, **self.result(self._found)}] if self.done else []


def encoded(codec: TextCodec, text: str, room: int, param: str, around: int = 0) -> list[int]:
    """The ids of a text.

    Args:
        room: tokens that it may have at most.
        param: the field of the command that has it.
        around: tokens that the model has around it.

    Raises:
        Refused: it is longer. One that is far too long is refused by its beginning: a million characters take a second to read.
    """
    head, most = text[: CHARACTERS * room], room + around
    ids = codec.encode(head)
    if len(head) < len(text) and len(ids) <= room:
        head, ids = text, codec.encode(text)
    if len(ids) > room:
        where = "" if len(head) == len(text) else f"in its first {len(head):,} characters alone"
        told = str(TooLong(len(ids) + around, most, most, where))
        raise Refused(400, told, "context_length_exceeded", param)
    return ids
