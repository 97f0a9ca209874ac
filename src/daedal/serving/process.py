"""One model in a process of its own, as the server sees it: started, fed with commands, watched, and started again.

- a crash fails the commands that were under way, with an error, and the process comes back at once; later, if it does
  nothing but crash
- a process that takes no commands for a minute while it has work is taken for hung, and is killed
"""

import asyncio
import itertools
import logging
import os
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from typing import Any

import orjson

from daedal.serving.background import Background
from daedal.serving.commands import LAST, Event
from daedal.serving.errors import ApiError, clean
from daedal.serving.memory import resident
from daedal.serving.process_link import Call

log = logging.getLogger("daedal.serving")

_LINE = 2**28
"""Bytes of an event: pictures travel in them."""
_READY = 300.0
"""Seconds that a model may take to load."""
_ASK, _HUNG = 15.0, 60.0
"""Seconds between two looks at a process with work, and seconds without an answer after which it is hung."""
_STEADY = 30.0
"""Seconds after which a process that crashed before is trusted again, and one that could not be loaded is tried again."""
_SOON, _LATE = 0.5, 30.0
"""Seconds between a crash and the next start: after the second in a row, and at most."""
_ENDING = 2.0
"""Seconds that a process has to end by itself."""
_STATS = "stats"
"""The command that asks how it goes, and is no work."""


class ModelProcess:
    """The process of one model.

    Args:
        command: what starts it.
        waiting: commands that may wait, beyond those that it works on at once.

    Attributes:
        info: what it said of itself, once it is ready.
        used: when it last had something to do.
        wanted: whether it is to run: it was not unloaded.
        fault: why it could not be loaded, in words that are not for clients.
        weight: about how many bytes of memory it will take.
    """

    def __init__(self, name: str, command: Sequence[str], waiting: int) -> None:
        self.name, self._command, self._waiting = name, list(command), waiting
        self.info: dict[str, Any] = {}
        self.used = time.monotonic()
        self.crashes = 0
        self.wanted = True
        self.fault = ""
        self.weight = 0
        self._calls: dict[int, Call] = {}
        self._ids = itertools.count(1)
        self._stops = 0
        self._why: ApiError | None = None
        self._tasks = Background()
        self._process: asyncio.subprocess.Process | None = None
        self._loading: asyncio.Task[None] | None = None
        self._life: asyncio.Task[None] | None = None
        self._rest: tuple[float, str, str] | None = None
        self._delay: float | None = None
        self._pace = Pace()

    # -- its life --------------------------------------------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        return self.wanted and bool(self.info)

    @property
    def calls(self) -> list[Call]:
        """The work under way; who only asks how it goes does not count."""
        return [call for call in self._calls.values() if call.op != _STATS]

    @property
    def loading(self) -> bool:
        return self._loading is not None

    @property
    def resting(self) -> float:
        """Seconds until it may be started again, after it failed."""
        return 0.0 if self._rest is None else max(0.0, self._rest[0] - time.monotonic())

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    @property
    def bytes(self) -> int:
        """Memory that the process holds, or will hold once it is loaded."""
        if self._process is None and not self.loading:
            return 0
        return max(0 if self.pid is None else resident(self.pid), self.weight)

    async def load(self) -> None:
        """Make sure that it runs: whoever comes while it loads waits for the same load.

        Raises:
            ApiError: 503, it cannot be loaded, or could not a moment ago, or does nothing but crash.
        """
        self.begin()
        if self._loading is not None:
            await asyncio.shield(self._loading)
        elif self._rest is not None and not self.ready:
            raise ApiError(503, self._rest[1], code=self._rest[2], retry_after=self.resting)

    def begin(self) -> None:
        """Start it, if it neither runs nor rests."""
        if not self.ready and not self.loading and not self.resting:
            self._loading = asyncio.create_task(self._start(self._stops))
            self._loading.add_done_callback(self._loaded)

    def _loaded(self, task: asyncio.Task[None]) -> None:
        self._loading = None
        if not task.cancelled():
            task.exception()  # whoever waited has been told

    async def _start(self, stops: int) -> None:
        if self._life is not None:  # it is ending still
            await asyncio.wait({self._life})
        if self._stops != stops:
            raise self._unloaded()
        self.wanted, self._rest = True, None
        began, pipe, process = time.monotonic(), asyncio.subprocess.PIPE, None
        first: Event = {"event": "failed", "message": "its process ended while it loaded"}
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command, stdin=pipe, stdout=pipe, limit=_LINE, env=_environment()
            )
            assert process.stdout is not None
            self._process = process
            line = await asyncio.wait_for(process.stdout.readline(), _READY) if self.wanted else b""
            first = orjson.loads(line) if line else first
        except (OSError, ValueError, TimeoutError) as error:
            first = {"event": "failed", "message": str(error) or "it takes too long"}
        if process is not None and process.stdout is not None and first["event"] == "ready" and self.wanted:
            self.info = first["info"]
            self.used = time.monotonic()
            log.info("model %s is loaded, after %.1f seconds", self.name, self.used - began)
            self._life = self._tasks.begin(self._live(process, process.stdout))
            return
        self._process = None
        if process is not None:
            await _end(process)
        if not self.wanted:
            raise self._unloaded()
        reason = f"The model {self.name} cannot be loaded: {clean(first['message'])}"
        self.fault = f"The model {self.name} cannot be loaded: {first['message']}"
        log.error("%s", self.fault)
        self._rest = (time.monotonic() + _STEADY, reason, "model_load_failed")
        raise ApiError(503, reason, code="model_load_failed", retry_after=_STEADY)

    async def _live(self, process: asyncio.subprocess.Process, stdout: asyncio.StreamReader) -> None:
        """Hand out events until the process ends, and see to what is left then."""
        began, watch = time.monotonic(), self._tasks.begin(self._look(process))
        try:
            while (line := await stdout.readline()).endswith(b"\n"):  # one who is killed may leave half a line
                event: Event = orjson.loads(line)
                call = self._calls.get(event["id"])
                if call is not None:
                    if event["event"] in LAST:
                        del self._calls[event["id"]]
                    call.put(event)
        except (ValueError, KeyError, TypeError):
            log.exception("model %s said something that is no event", self.name)
            _kill(process)
        watch.cancel()
        self._process, self.info = None, {}
        reason = self._crashed(began, len(self.calls), process) if self.wanted else self._unloaded()
        calls, self._calls = list(self._calls.values()), {}
        for call in calls:
            call.put(reason)
        await _end(process)
        self._life = None
        if self.wanted:
            self._tasks.begin(self._again())

    def _unloaded(self) -> ApiError:
        return self._why or ApiError(503, f"The model {self.name} was unloaded", code="model_unloaded", retry_after=1)

    def _crashed(self, began: float, calls: int, process: asyncio.subprocess.Process) -> ApiError:
        """Note a crash, and when to start again: at once after work that was done, and later where there was none."""
        self.crashes += 1
        log.error("the process %s of model %s ended; requests that fail: %d", process.pid, self.name, calls)
        useful = self._pace.last > began or time.monotonic() - began > _STEADY
        self._delay = 0.0 if useful or self._delay is None else min(_LATE, max(_SOON, 2 * self._delay))
        reason = f"The process of model {self.name} has crashed, and is restarting"
        self._rest = (time.monotonic() + self._delay, reason, "engine_crashed")
        return ApiError(503, reason, code="engine_crashed", retry_after=max(1.0, self._delay))

    async def _again(self) -> None:
        await asyncio.sleep(self.resting)
        if self.wanted:
            try:
                await self.load()
            except ApiError:
                return  # the log has it

    async def _look(self, process: asyncio.subprocess.Process) -> None:
        """Kill the process when it has work and takes no more commands."""
        while True:
            await asyncio.sleep(_ASK)
            if self.calls:
                try:
                    with suppress(ApiError):
                        await asyncio.wait_for(self.ask(_STATS, ""), _HUNG)
                except TimeoutError:
                    log.error("model %s hangs, and is killed", self.name)
                    _kill(process)
                    return

    async def stop(self, why: ApiError | None = None) -> None:
        """End the process: at once, and whatever it works on.

        Args:
            why: what that ends with, other than that the model was unloaded.
        """
        self._stops, self.wanted, self._why = self._stops + 1, False, why
        tasks = {task for task in (self._life, self._loading) if task is not None}
        if self._process is not None:
            await _end(self._process)
        if tasks:
            await asyncio.wait(tasks)

    # -- commands --------------------------------------------------------------------------------------------------------

    async def run(self, op: str, owner: str, **fields: Any) -> AsyncGenerator[Event]:
        """The events of a command. Leaving early cancels it.

        Raises:
            ApiError: it is refused, too many wait, or the process crashed.
        """
        if not self.ready:
            if not self.wanted:
                raise self._unloaded()
            await self.load()
        call = Call(next(self._ids), op)
        if op != _STATS:
            self._take_in()
        self._calls[call.id] = call
        try:
            await self._say({"id": call.id, "op": op, "owner": owner, **fields})
            async for event in call.events():
                if op != _STATS and event["event"] in LAST:
                    self._pace.done()
                yield event
        finally:
            if op != _STATS:
                self.used = time.monotonic()
            if self._calls.pop(call.id, None) is not None:
                self._say_at_once({"op": "cancel", "target": call.id})

    def _take_in(self) -> None:
        """Note that there is something to do.

        Raises:
            ApiError: 429, too many wait.
        """
        at_once, under_way = self.info.get("max_rows", 1), len(self.calls)
        if under_way >= at_once + self._waiting:
            raise ApiError(
                429,
                f"The queue of {self.name} is full: {under_way - at_once} are in it",
                code="queue_full",
                retry_after=self._pace.seconds(under_way + 1 - at_once),
            )
        self.used = time.monotonic()
        if not under_way:
            self._pace.begin()

    async def ask(self, op: str, owner: str, **fields: Any) -> Event:
        """The one answer to a command.

        Raises:
            ApiError: as `run`.
        """
        async with aclosing(self.run(op, owner, **fields)) as events:
            return await anext(events)

    async def _say(self, command: dict[str, Any]) -> None:
        if not self._say_at_once(command):
            raise self._unloaded()
        assert self._process is not None
        assert self._process.stdin is not None
        with suppress(ConnectionError):  # whoever listens sees the end, and fails the call
            await self._process.stdin.drain()

    def _say_at_once(self, command: dict[str, Any]) -> bool:
        process = self._process
        if process is None or process.stdin is None or process.stdin.is_closing():
            return False
        process.stdin.write(orjson.dumps(command) + b"\n")
        return True


class Pace:
    """How fast commands are finished, as measured while there were some to do.

    Attributes:
        last: when the last was finished.
    """

    def __init__(self) -> None:
        self.last = 0.0
        self._since, self._gap, self._count = 0.0, 1.0, 0

    def begin(self) -> None:
        """There is something to do, after nothing."""
        self._since = time.monotonic()

    def done(self) -> None:
        """A command is finished."""
        now = time.monotonic()
        self._count += 1
        self._gap += max(0.1, 1 / self._count) * (now - max(self.last, self._since) - self._gap)
        self.last = now

    def seconds(self, count: int) -> float:
        """In which so many will be finished."""
        return self._gap * count


async def _end(process: asyncio.subprocess.Process) -> None:
    """Tell the process to end, and end it if it does not."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), _ENDING)
    except TimeoutError:
        _kill(process)
        await process.wait()


def _kill(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):  # it has ended by itself
        process.kill()


def _environment() -> dict[str, str]:
    """The server's own, and large pages for the model's memory: its weights are read through from end to end for each token,
    which takes a fifth to a third less time. Only glibc heeds it."""
    return {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1", **os.environ}
