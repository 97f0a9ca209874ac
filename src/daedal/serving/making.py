"""A command as a model carries it out that makes or hears sounds, tunes or clips: in pieces, with others between."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from daedal.inference.generator import Generator
from daedal.safety.marking import Marking
from daedal.serving.commands import Command, Event

Tell = Callable[[Event], None]
"""Takes what is told on the way; it raises `Stopped` where nobody waits any more."""


class Stopped(Exception):
    """Nobody waits for what is being made."""


class Making(ABC):
    """A command that is being carried out, piece by piece.

    Making one takes all of its work that needs no model, in any thread.

    Attributes:
        op: the command.
        skill: what a generator needs for it.
        held: seconds of sound that are kept while it waits.
        marking: of what is given away; None leaves it bare.
        at_once: whether nothing is left to do once it is made: then it waits for no other's work.
    """

    op: ClassVar[str]
    skill: ClassVar[str]
    at_once: ClassVar[bool] = False

    def __init__(self, generator: Generator, command: Command) -> None:
        self.generator, self.id, self.owner = generator, command["id"], command.get("owner", "")
        self.held = 0.0
        self.marking: Marking | None = None

    @classmethod
    def told(cls, generator: Generator) -> dict[str, Any]:
        """What the server must know of a model for it."""
        return {}

    @abstractmethod
    def pieces(self, tell: Tell) -> Iterator[Event]:
        """The work: each step of the iterator is a piece of it, and gives what is told then; the last event ends the command.

        Raises:
            DaedalError: it cannot be made.
            Stopped: by `tell`.
        """
