"""What the process of a model of sounds, tunes or clips does with commands: one piece of one command at a time, in a thread
beside the one that hears of commands; whose owner was given the least time comes next."""

import queue
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from daedal.errors import DaedalError
from daedal.inference.fair_queue import Turns
from daedal.inference.generator import Generator
from daedal.safety.marking import Marking
from daedal.serving.commands import LAST, Command, Event, Refused
from daedal.serving.compose_making import ComposeTunes
from daedal.serving.film_making import CheckClip, MakeClip
from daedal.serving.making import Making, Stopped
from daedal.serving.speak_making import Say
from daedal.serving.transcribe_making import Transcribe

MAKINGS: tuple[type[Making], ...] = (Say, Transcribe, ComposeTunes, MakeClip, CheckClip)
_PATIENCE = 0.05
"""Seconds between two looks at which commands have come."""
_HELD = 3600.0
"""Seconds of recordings that wait."""


@dataclass
class _Job:
    """A command that has begun.

    Attributes:
        pieces: what is left of its work.
        told: whether anything was said of it.
    """

    making: Making
    pieces: Iterator[Event]
    told: bool = False


class MediaDesk:
    """Carries out the commands for one model of sounds, tunes or clips.

    `prepare` may be called from any thread; all else from one.

    Args:
        marking: of what is given away.
    """

    def __init__(self, generator: Generator, marking: Marking | None = None) -> None:
        self._generator, self._marking = generator, marking
        self._makings = {making.op: making for making in MAKINGS if making.skill in generator.skills}
        self._jobs: dict[int, _Job] = {}
        self._running: int | None = None
        self._turns = Turns()
        self._work: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._said: queue.SimpleQueue[tuple[int, Event | None, float]] = queue.SimpleQueue()
        threading.Thread(target=self._carry_out, daemon=True).start()

    @property
    def info(self) -> dict[str, Any]:
        """What the server must know of the model."""
        told: dict[str, Any] = {"kind": "readings"}
        for making in self._makings.values():
            told |= making.told(self._generator)
        return {
            **told,
            "can": [op for op in self._makings if op != CheckClip.op],
            "parameters": sum(parameter.numel() for parameter in self._generator.model.parameters()),
            "fingerprint": self._generator.fingerprint,
        }

    @property
    def busy(self) -> bool:
        return bool(self._jobs) or self._running is not None

    def prepare(self, command: Command) -> Making:
        """All of a command's work that needs no model.

        Raises:
            Refused: it asks for something wrong.
        """
        if command["op"] not in self._makings:
            raise Refused(400, f"{self._generator.kind} cannot do that", "unsupported_operation")
        making = self._makings[command["op"]](self._generator, command)
        making.marking = None if self._marking is None else self._marking.of_owner(making.owner)
        return making

    def begin(self, making: Making) -> None:
        """Start what was prepared.

        Raises:
            Refused: too much of what would have to be kept waits.
        """
        if making.held and sum(job.making.held for job in self._jobs.values()) + making.held > _HELD:
            raise Refused(429, f"More than {_HELD:,.0f} s of recordings wait", "queue_full")
        job = _Job(making, making.pieces(lambda event: self._tell(making.id, event)))
        if making.at_once:
            self._said.put((making.id, next(job.pieces), 0.0))
        else:
            self._turns.join(making.owner, {job.making.owner for job in self._waiting})
        self._jobs[making.id] = job

    def cancel(self, id: int) -> None:
        """Nobody waits for that any more."""
        self._jobs.pop(id, None)

    def step(self) -> list[Event]:
        """Begin the next piece of work where none is being done, and say what has come of it by now."""
        if self._running is None and (waiting := self._waiting):
            first: dict[str, _Job] = {}
            for job in waiting:
                first.setdefault(job.making.owner, job)
            job = first[self._turns.next(first)]
            self._running = job.making.id
            self._work.put(job)
        events: list[Event] = []
        try:
            said = [self._said.get(timeout=_PATIENCE)]
            while not self._said.empty():
                said.append(self._said.get())
        except queue.Empty:
            return events
        for id, event, seconds in said:
            going = self._jobs.get(id)
            if event is None:  # the piece is done
                self._running = None
                if going is not None:
                    self._turns.charge(going.making.owner, seconds)
                    self._jobs[id] = self._jobs.pop(id)  # others of its owner come first now
            elif going is not None:
                going.told = True
                events.append({"id": id, **event})
                if event["event"] in LAST:
                    del self._jobs[id]
        return events

    @property
    def _waiting(self) -> list[_Job]:
        """Those whose pieces have turns."""
        return [job for job in self._jobs.values() if not job.making.at_once]

    def stats(self) -> Event:
        """How much is going on."""
        running = int(self._running is not None)
        return {
            "event": "result", "running": running, "waiting": max(0, len(self._jobs) - running), "cache_tokens": 0
        }  # fmt: skip

    # -- in the thread that works ----------------------------------------------------------------------------------------

    def _tell(self, id: int, event: Event) -> None:
        if id not in self._jobs:
            raise Stopped
        self._said.put((id, event, 0.0))

    def _carry_out(self) -> None:
        while True:
            job = self._work.get()
            began = time.perf_counter()
            try:
                self._said.put((job.making.id, next(job.pieces), 0.0))
            except Stopped:
                pass
            except Exception as error:  # a fault of the code too must not end the thread: its command fails
                self._said.put((job.making.id, _fault(error, job.told), 0.0))
            self._said.put((job.making.id, None, time.perf_counter() - began))


def _fault(error: Exception, told: bool) -> Event:
    """What is told of what went wrong: before anything was told, of what was asked for."""
    if isinstance(error, Refused):
        refused = error
    elif isinstance(error, DaedalError):
        refused = Refused(500, str(error), "generation_failed") if told else Refused(400, str(error), "invalid_value")
    else:
        import traceback

        traceback.print_exception(error)
        refused = Refused(500, "It could not be made", "server_error")
    event = refused.event(0)
    del event["id"]
    return event
