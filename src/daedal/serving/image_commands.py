"""What the process of a model of images does with commands: those that wait and are drawn in the same way begin as one batch,
and batches that are on their way take each step together, so that a late one need not wait until the others are done. Owners
take turns: who has been given the fewest pictures comes next."""

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from daedal.errors import DaedalError
from daedal.inference.fair_queue import Turns
from daedal.inference.generator import Generator
from daedal.inference.picture import Picture
from daedal.inference.skills.draw import Drawing, PictureRequest
from daedal.inference.skills.edit import VARIED
from daedal.models.image import Sketch
from daedal.safety.marking import Marking
from daedal.serving.commands import Command, Event, Refused
from daedal.serving.given import as_base64, checked, given_picture

_BATCH = 16
"""Pictures of a batch."""
_ABREAST = 4
"""Batches that are on their way."""
_OPTIONS = ("steps", "guidance", "temperature", "top_k")


@dataclass
class Job:
    """A command that is being carried out.

    Attributes:
        request: all that it asks for.
        unknown: words of its prompt that no caption had which the model learned.
        first: how many pictures are drawn.
        sketched: sketches that were sent of the pictures at hand.
    """

    id: int
    owner: str
    request: PictureRequest
    unknown: tuple[str, ...]
    previews: int
    format: str
    quality: int | None
    first: int = 0
    sketched: int = 0

    @property
    def left(self) -> int:
        return self.request.noise.count - self.first


@dataclass
class Batch:
    """Pictures that are being drawn, for several jobs."""

    jobs: list[Job]
    drawing: Drawing
    gone: set[int] = field(default_factory=set)

    @property
    def ids(self) -> list[int]:
        """Of its jobs."""
        return [job.id for job in self.jobs]


class ImageDesk:
    """Carries out the commands for one model of images.

    `prepare` may be called from any thread; all else from one.

    Args:
        marking: of the pictures that are given away; previews are not marked.
    """

    def __init__(self, generator: Generator, marking: Marking | None = None) -> None:
        self._generator, self._marking = generator, marking
        self._waiting: list[Job] = []
        self._batches: list[Batch] = []
        self._turns = Turns()

    @property
    def info(self) -> dict[str, Any]:
        """What the server must know of the model."""
        generator, config = self._generator, self._generator.model.config
        can = [skill for skill in ("draw", "edit", "vary") if skill in generator.skills]
        return {
            "kind": "images",
            "size": [config.height, config.width],
            "channels": config.channels,
            "conditions": "caption" if generator.captions is not None else "class" if generator.classes else None,
            "classes": list(generator.classes),
            "can": can,
            "options": sorted(generator.model.options & set(_OPTIONS)),
            "parameters": sum(parameter.numel() for parameter in generator.model.parameters()),
            "fingerprint": generator.fingerprint,
        }

    @property
    def busy(self) -> bool:
        return bool(self._batches or self._waiting)

    def prepare(self, command: Command) -> Job:
        """All of a command's work that needs no model.

        Raises:
            Refused: it asks for something wrong.
        """
        if command["op"] != "draw":
            raise Refused(400, "A model of images cannot do that", "unsupported_operation")
        values = {name: command[name] for name in (*_OPTIONS, "seed") if command.get(name) is not None}
        if command.get("prompt") is not None:
            values["prompt" if self._generator.captions is not None else "label"] = command["prompt"]
        given = {
            name: given_picture(command[name], name) for name in ("image", "mask") if command.get(name) is not None
        }
        count = command.get("n", 1)
        request = checked(lambda: self._generator.request(count, **values), lambda: self._at_fault(values))
        if given:
            picture = checked(lambda: self._generator.fit(given["image"]), "image")
            vary, strength = command.get("vary"), command.get("strength")
            values["strength"] = strength or (VARIED if vary else 1.0)
            if vary and "edit" not in self._generator.skills:
                how = {name: values[name] for name in ("strength", "seed") if name in values}
                request = self._generator.request_vary(picture, count, **how)
            else:
                request = checked(
                    lambda: self._generator.request_edit(picture, given.get("mask"), count, **values),
                    "mask" if "mask" in given else "strength",
                )
        captions, prompt = self._generator.captions, values.get("prompt")
        return Job(
            id=command["id"],
            owner=command.get("owner", ""),
            request=request,
            unknown=captions.unknown(prompt) if captions is not None and prompt is not None else (),
            previews=command.get("previews") or 0,
            format=command.get("format") or "png",
            quality=command.get("quality"),
        )

    def _at_fault(self, values: dict[str, Any]) -> str | None:
        """The first of some values without which nothing is wrong."""
        for name in values:
            with suppress(DaedalError):
                self._generator.request(1, **{other: value for other, value in values.items() if other != name})
                return "prompt" if name == "label" else name
        return None

    def begin(self, job: Job) -> None:
        """Start what was prepared."""
        here = [*self._waiting, *(other for batch in self._batches for other in batch.jobs)]
        self._turns.join(job.owner, {other.owner for other in here})
        self._waiting.append(job)

    def cancel(self, id: int) -> None:
        """Nobody waits for that any more."""
        self._waiting = [job for job in self._waiting if job.id != id]
        for batch in self._batches:
            batch.gone.add(id)
        self._batches = [batch for batch in self._batches if not batch.gone.issuperset(batch.ids)]

    def step(self) -> list[Event]:
        """Begin what waits, as far as there is room, and take a step of all that is being drawn."""
        first, events = self._next() if len(self._batches) < _ABREAST else None, list[Event]()
        if first is not None:
            self._batches.append(self._gather(first))
        batches, self._batches = self._batches, []
        try:
            several = self._generator.go_on([batch.drawing for batch in batches])
        except DaedalError as error:
            return events + [
                Refused(400, str(error), "invalid_value").event(id) for batch in batches for id in batch.ids
            ]
        for batch, drawn in zip(batches, several, strict=True):
            if drawn.done < 1:
                self._batches.append(batch)
                events += self._sketched(batch, drawn)
                continue
            for job, pictures in zip(batch.jobs, drawn.show(), strict=True):
                if job.id not in batch.gone:
                    events += self._drew(job, pictures)
        return events

    def stats(self) -> Event:
        """How much is going on."""
        return {
            "event": "result",
            "running": sum(len(batch.jobs) for batch in self._batches),
            "waiting": len(self._waiting),
            "cache_tokens": 0,
        }

    def _next(self, like: PictureRequest | None = None) -> Job | None:
        """The job whose turn it is; of those that can be drawn as one batch with a request, if one is given."""
        first: dict[str, Job] = {}
        for job in self._waiting:
            if like is None or job.request.fits(like):
                first.setdefault(job.owner, job)
        return first[self._turns.next(first)] if first else None

    def _take(self, job: Job, room: int) -> int:
        """How many of a job's pictures are drawn now."""
        count = min(job.left, room)
        self._waiting.remove(job)
        self._turns.charge(job.owner, count)
        return count

    def _gather(self, first: Job) -> Batch:
        """A job, and the next ones that can be drawn together with it."""
        jobs, requests, room = [], list[PictureRequest](), _BATCH
        job: Job | None = first
        while job is not None and room:
            count = self._take(job, room)
            jobs.append(job)
            requests.append(job.request.part(job.first, job.first + count))
            room -= count
            job = self._next(first.request)
        return Batch(jobs, self._generator.begin(requests))

    def _sketched(self, batch: Batch, drawn: Sketch[list[list[Picture]]]) -> list[Event]:
        """Previews, for the jobs that want one by now."""
        wanting = [
            job
            for job in batch.jobs
            if job.id not in batch.gone and job.previews and drawn.done >= (job.sketched + 1) / (job.previews + 1)
        ]
        if not wanting:
            return []
        shown, events = dict(zip(batch.ids, drawn.show(), strict=True)), []
        for job in wanting:
            events += _pictured("preview", job, shown[job.id], number=job.sketched)
            job.sketched += 1
        return events

    def _drew(self, job: Job, pictures: list[Picture]) -> list[Event]:
        """What goes out of finished pictures; a job that wants more waits for its turn."""
        marking = None if self._marking is None else self._marking.of_owner(job.owner)
        events = _pictured("image", job, pictures, marking)
        job.first, job.sketched = job.first + len(pictures), 0
        if job.left:
            self._waiting.append(job)
            return events
        return [*events, {"id": job.id, "event": "done"}]


def _pictured(kind: str, job: Job, pictures: list[Picture], marking: Marking | None = None, **more: Any) -> list[Event]:
    return [
        {
            "id": job.id,
            "event": kind,
            "index": job.first + i,
            "png": as_base64(picture.encoded(job.format, job.quality, marking)),
            "seed": job.request.noise.seed,
            "unknown": job.unknown,
            **more,
        }
        for i, picture in enumerate(pictures)
    ]
