"""The models of a server: which names they go by, which are loaded, and which make way for others."""

import asyncio
import logging
import os
import sys
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from daedal.errors import DaedalError
from daedal.models.identity import identify
from daedal.serving.background import Background
from daedal.serving.commands import Event
from daedal.serving.errors import ApiError, shown, shutting_down
from daedal.serving.metrics import Metrics
from daedal.serving.process import ModelProcess
from daedal.serving.settings import Settings

log = logging.getLogger("daedal.serving")

Command = Callable[[str, str], Sequence[str]]
"""What starts the process of a model, from its name and where it is."""
_MAKES = {"speak": "speech", "compose": "music", "film": "videos", "transcribe": "transcripts"}
"""What models of sounds, tunes and clips make, by what they can."""
_WRITERS = ("gpt", "translator")
"""Families that write text, where a folder of others does not say what its model can."""
_ROUND = 2.0
"""Seconds between two looks at which models are idle."""


def makes(where: str) -> str:
    """What a model makes that is not loaded yet: "text", "images", "speech", "music", "videos", "transcripts", or "readings"
    where it only reads; a damaged one is told when it is loaded."""
    with suppress(DaedalError):
        identity = identify(Path(where))
        if identity.kind == "pictures":
            return "images"
        made = next((made for capability, made in _MAKES.items() if capability in identity.capabilities), None)
        if made is not None:
            return made
        writes = {"complete", "translate"}.intersection(identity.capabilities)
        silent = not identity.capabilities and identity.family not in _WRITERS
        return "readings" if silent or (identity.capabilities and not writes) else "text"
    return "text"


@dataclass
class ModelCard:
    """A model that can be asked for.

    Attributes:
        kind: what it makes, as `makes` has it.
    """

    id: str
    created: int
    loaded: bool
    kind: str
    info: dict[str, Any] = field(default_factory=dict)
    aliases: list[str] = field(default_factory=list)


class Model:
    """A model that is loaded, for one request.

    Attributes:
        fields: what the request calls fields of commands, where it has other names for them: errors name its own.
    """

    def __init__(self, process: ModelProcess, metrics: Metrics) -> None:
        self._process, self._metrics = process, metrics
        self.name, self.info = process.name, process.info
        self.fields: Mapping[str, str] = {}

    async def run(self, op: str, owner: str, **fields: Any) -> AsyncGenerator[Event]:
        """The events of a command until its last. Leaving early cancels it.

        Raises:
            ApiError: it is refused, too many wait, or the process crashed.
        """
        name, count = self.name, self._metrics
        written, next_token = count.generation_tokens.labels(name), count.next_token.labels(name)
        began, before = time.perf_counter(), dict[int, float]()  # when the last piece of each text came
        async with self._named(), aclosing(self._process.run(op, owner, **fields)) as events:
            async for event in events:
                match event["event"]:
                    case "text":
                        now, index = time.perf_counter(), event["index"]
                        if index in before:
                            next_token.observe(now - before[index])
                        elif not before:
                            count.first_token.labels(name).observe(now - began)
                        before[index] = now
                        written.inc(event["count"])
                    case "started":
                        count.queue.labels(name).observe(event["waited"])
                        count.prompt_tokens.labels(name).inc(event["prompt_tokens"])
                        count.cache_queries.labels(name).inc(event["prompt_tokens"])
                        count.cache_hits.labels(name).inc(event["cached_tokens"])
                    case "finished":
                        count.finished.labels(name, event["reason"]).inc()
                self._measure(event)
                yield event

    async def ask(self, op: str, owner: str, **fields: Any) -> Event:
        """The one answer to a command.

        Raises:
            ApiError: as `run`.
        """
        async with self._named():
            result = await self._process.ask(op, owner, **fields)
        if "tokens" in result:
            self._metrics.prompt_tokens.labels(self.name).inc(sum(result["tokens"]))
        self._measure(result)
        return result

    def _measure(self, event: Event) -> None:
        if "seconds" in event:
            self._metrics.media_seconds.labels(self.name).inc(event["seconds"])

    @asynccontextmanager
    async def _named(self) -> AsyncGenerator[None]:
        try:
            yield
        except ApiError as error:
            error.param = self.fields.get(error.param or "", error.param)
            raise


class Models:
    """All models of a server.

    Args:
        command: what starts the process of a model; Daedal's own worker unless given.
    """

    def __init__(self, settings: Settings, command: Command | None = None) -> None:
        self._settings, self._command, self.metrics = settings, command or self._worker, Metrics()
        self._processes: dict[str, ModelProcess] = {}
        self._lock = asyncio.Lock()
        self._tasks = Background()
        self._round: asyncio.Task[None] | None = None
        self.closing = False
        self.failed = asyncio.Event()  # a model that the server is for cannot be loaded; `failure` says why
        self.failure = ""
        for alias, target in settings.aliases.items():
            if target not in settings.models and settings.folder is None:
                raise DaedalError(
                    f"The alias {alias} is for {target}, which is no model here", "Name one of the models"
                )

    def _worker(self, name: str, where: str) -> list[str]:
        settings = self._settings
        # Not from the folder that the server was started in: files there may have the names of modules
        command = [sys.executable, "-P", "-m", "daedal.serving.worker", "--model", where, "--name", name]
        command += ["--rows", str(settings.rows)]
        command += [f"--{part}" for part in ("watermark", "signed", "noted") if getattr(settings, part)]
        if settings.certificate is not None:
            command += ["--certificate", str(settings.certificate)]
        return [*command, "--quantize", settings.quantize] if settings.quantize else command

    # -- names -----------------------------------------------------------------------------------------------------------

    def _places(self) -> dict[str, str]:
        """Where the model of each name is. Names are looked up among what is there: a request never makes a path."""
        places = dict(self._settings.models)
        folder = self._settings.folder
        if folder is not None:
            with suppress(OSError):
                for path in sorted(folder.iterdir()):
                    if (path / "config.json").is_file():
                        places.setdefault(path.name, str(path))
        return places

    async def cards(self) -> list[ModelCard]:
        """All models that can be asked for."""
        places = await asyncio.to_thread(self._places)
        return await asyncio.to_thread(lambda: [self._card(name, where) for name, where in places.items()])

    async def card(self, name: str) -> ModelCard:
        """
        Raises:
            ApiError: 404, there is no such model.
        """
        return await asyncio.to_thread(self._card, *await self._find(name))

    def _card(self, name: str, where: str) -> ModelCard:
        process = self._processes.get(name)
        try:
            created = int(Path(where).stat().st_mtime)
        except OSError:
            created = 0
        aliases = [alias for alias, target in self._settings.aliases.items() if target == name]
        loaded = process is not None and process.ready
        info = dict(process.info) if process is not None else {}
        kind = info.get("kind") or makes(where)
        return ModelCard(name, created, loaded, kind, info, aliases)

    async def only(self, kind: str) -> str:
        """The name of the only model of a kind, which a request may leave out.

        Raises:
            ApiError: 400, there are several, or none.
        """
        names = await self.that_make(kind)
        if len(names) == 1:
            return names[0]
        message = f"Say which model: {len(names)} that make {kind} are served"
        raise ApiError(400, message, param="model", code="missing_required_parameter")

    async def that_make(self, kind: str) -> list[str]:
        """The names of the models of a kind."""
        return [card.id for card in await self.cards() if card.kind == kind]

    async def _find(self, name: str) -> tuple[str, str]:
        name = self._settings.aliases.get(name, name)
        if name in self._settings.models:
            return name, self._settings.models[name]
        places = await asyncio.to_thread(self._places)
        if name not in places:
            there = ", ".join(list(places)[:10]) or "none"
            said = f"There is no model '{shown(name)}' here. The models are: {there}"
            raise ApiError(404, said, param="model", code="model_not_found")
        return name, places[name]

    # -- loading ---------------------------------------------------------------------------------------------------------

    async def open(self, name: str) -> Model:
        """A model, loaded if it is not.

        Raises:
            ApiError: 404, there is no such model; 503, it cannot be loaded.
        """
        process, where = await self._process(name)
        process.used = time.monotonic()
        if not process.ready:
            async with self._lock:
                if not (process.ready or process.loading or process.resting):
                    await self._make_way(process, where)
                    process.begin()
            await process.load()
        return Model(process, self.metrics)

    async def _process(self, name: str) -> tuple[ModelProcess, str]:
        name, where = await self._find(name)
        if name not in self._processes:
            self._processes[name] = ModelProcess(name, self._command(name, where), self._settings.waiting)
        return self._processes[name], where

    async def unload(self, name: str) -> None:
        """End a model's process; it is loaded again when it is asked for.

        Raises:
            ApiError: 404, there is no such model; 409, it is busy.
        """
        process, _ = await self._process(name)
        if process.calls:
            raise ApiError(409, f"The model {process.name} is busy", code="model_busy", retry_after=5)
        await process.stop()

    async def _make_way(self, wanted: ModelProcess, where: str) -> None:
        """Unload models that nobody uses, the longest unused first, until there is memory for another."""
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * self._settings.memory
        wanted.weight = await asyncio.to_thread(_weight, Path(where))
        held = [process for process in self._processes.values() if process is not wanted and process.bytes]
        held.sort(key=lambda process: process.used)
        while held and sum(process.bytes for process in held) + wanted.weight > total:
            idle = next((process for process in held if process.ready and not process.calls), None)
            if idle is None:
                raise ApiError(
                    503, f"There is no memory for the model {wanted.name} now", code="overloaded", retry_after=10
                )
            log.info("model %s makes way for %s", idle.name, wanted.name)
            await idle.stop()
            held.remove(idle)

    # -- all of them -----------------------------------------------------------------------------------------------------

    @property
    def processes(self) -> list[ModelProcess]:
        return list(self._processes.values())

    @property
    def ready(self) -> bool:
        """Whether all models that are loaded from the start are there, or were unloaded for good reason."""
        started = [self._processes.get(name) for name in self._settings.models]
        return not self.closing and all(
            process is not None and (process.ready or not process.wanted) for process in started
        )

    async def start(self) -> None:
        """Load the models that are named, and begin to look after them."""
        self._round = self._tasks.begin(self._look_after())
        for name in self._settings.models:
            self._tasks.begin(self._first(name))

    async def _first(self, name: str) -> None:
        try:
            await self.open(name)
        except ApiError as error:
            if self.closing:
                return
            process = self._processes.get(name)
            self.failure = (process.fault if process else "") or error.message
            self.failed.set()

    async def _try_again(self, name: str) -> None:
        with suppress(ApiError):  # the log has it
            await self.open(name)

    async def _look_after(self) -> None:
        """Unload what nobody has used for long, and try again to load what could not be."""
        while True:
            await asyncio.sleep(_ROUND)
            for process in self.processes:
                kept = process.name in self._settings.models
                unused = time.monotonic() - process.used
                if kept and process.wanted and not (process.ready or process.loading or process.resting):
                    self._tasks.begin(self._try_again(process.name))
                elif not kept and process.ready and not process.calls and 0 < self._settings.idle * 60 < unused:
                    log.info("model %s was not used for %.0f minutes, and is unloaded", process.name, unused / 60)
                    await process.stop()

    async def stop(self) -> None:
        """End all processes."""
        self.closing = True
        if self._round is not None:
            self._round.cancel()
        await asyncio.gather(*(process.stop(shutting_down()) for process in self.processes))


def _weight(folder: Path) -> int:
    """About the memory that a model will take: its weights, and as much again for what they are turned into."""
    try:
        return 2 * sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    except OSError:
        return 0
