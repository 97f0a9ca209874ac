"""One model in a process of its own, as the server sees it: started, fed with commands, watched, and started again.

- a crash fails the commands that were under way, with an error, and the process comes back at once; later, if it goes on
- a process that takes no commands for a minute while it has work is taken for hung, and is killed
"""

import asyncio
import itertools
import logging
import os
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Any

import orjson

from daedal.serving.background import Background
from daedal.serving.errors import ApiError, clean
from daedal.serving.wire import LAST, Call, Event

log = logging.getLogger("daedal.serving")

_LINE = 2**28
"""Bytes of an event: pictures travel in them."""
_READY = 300.0
"""Seconds that a model may take to load."""
_ASK, _HUNG = 15.0, 60.0
"""Seconds between two looks at a process with work, and seconds without an answer after which it is hung."""
_STEADY = 30.0
"""Seconds after which a process that crashed before is trusted again."""
_SLOWEST = 30.0


class ModelProcess:
    """The process of one model.

    Args:
        command: what starts it.
        waiting: commands that may wait, beyond those that it works on at once.
    """

    def __init__(self, name: str, command: Sequence[str], waiting: int, changed: Callable[[], None]) -> None:
        self.name, self._command, self._waiting, self._changed = name, list(command), waiting, changed
        self.info: dict[str, Any] = {}
        self.calls: dict[int, Call] = {}
        self.used = time.monotonic()
        self.crashes = 0
        self._ids = itertools.count(1)
        self._tasks = Background()
        self._process: asyncio.subprocess.Process | None = None
        self._loading: asyncio.Task[None] | None = None
        self._watch: asyncio.Task[None] | None = None
        self._stopping = False
        self._failed: tuple[float, str] | None = None
        self._delay = 0.0
        self._seconds = 1.0  # that a command takes, smoothed

    # -- its life --------------------------------------------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        return self._process is not None and bool(self.info) and self._loading is None

    @property
    def loading(self) -> bool:
        return self._loading is not None

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    @property
    def bytes(self) -> int:
        """Memory that the process holds."""
        try:
            with open(f"/proc/{self.pid}/statm") as file:
                return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, ValueError, IndexError):
            return 0

    async def load(self) -> None:
        """Make sure that it runs: whoever comes while it loads waits for the same load.

        Raises:
            ApiError: 503, it cannot be loaded, or could not a moment ago.
        """
        if self.ready:
            return
        if self._failed is not None:
            until, reason = self._failed
            left = until - time.monotonic()
            if left > 0:
                raise ApiError(
                    503, f"The model {self.name} cannot be loaded: {reason}", code="model_load_failed", retry_after=left
                )
            self._failed = None
        if self._loading is None:
            self._loading = asyncio.create_task(self._start())
            self._loading.add_done_callback(self._loaded)
        await asyncio.shield(self._loading)

    def _loaded(self, task: asyncio.Task[None]) -> None:
        self._loading = None
        if not task.cancelled():
            task.exception()  # whoever waited has been told
        self._changed()

    async def _start(self) -> None:
        self._stopping, self.info = False, {}
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*self._command, stdin=pipe, stdout=pipe, limit=_LINE)
        self._process = process
        assert process.stdout is not None
        try:
            line = await asyncio.wait_for(process.stdout.readline(), _READY)
        except TimeoutError:
            line = b""
            process.kill()
        first: dict[str, Any] = (
            orjson.loads(line) if line else {"event": "failed", "message": "its process ended while it loaded"}
        )
        if first["event"] != "ready":
            self._process = None
            reason = clean(first["message"])
            self._failed = (time.monotonic() + _STEADY, reason)
            log.error("model %s cannot be loaded: %s", self.name, reason)
            raise ApiError(
                503, f"The model {self.name} cannot be loaded: {reason}", code="model_load_failed", retry_after=_STEADY
            )
        self.info = first["info"]
        self.used = time.monotonic()
        self._tasks.begin(self._listen(process, process.stdout))
        self._watch = self._tasks.begin(self._look(process))

    async def _listen(self, process: asyncio.subprocess.Process, stdout: asyncio.StreamReader) -> None:
        """Hand out events until the process ends."""
        began = time.monotonic()
        try:
            while line := await stdout.readline():
                event: Event = orjson.loads(line)
                call = self.calls.get(event["id"])
                if call is not None:
                    if event["event"] in LAST:
                        del self.calls[event["id"]]
                    call.put(event)
        except ValueError:
            log.exception("model %s said something that is no event", self.name)
            process.kill()
        await process.wait()
        if self._watch is not None:
            self._watch.cancel()
        self._process, self.info = None, {}
        calls, self.calls = list(self.calls.values()), {}
        if self._stopping:
            reason = ApiError(503, f"The model {self.name} was unloaded", code="model_unloaded", retry_after=1)
        else:
            self.crashes += 1
            log.error(
                "the process of model %s ended with %s; %d requests fail", self.name, process.returncode, len(calls)
            )
            reason = ApiError(
                503,
                f"The process of model {self.name} has crashed, and is restarting",
                code="engine_crashed",
                retry_after=5,
            )
        for call in calls:
            call.fail(reason)
        if not self._stopping:
            steady = time.monotonic() - began > _STEADY
            self._delay = 0.0 if steady else min(_SLOWEST, max(0.5, 2 * self._delay)) if self.crashes > 1 else 0.0
            self._tasks.begin(self._again(self._delay))

    async def _again(self, delay: float) -> None:
        await asyncio.sleep(delay)
        if not self._stopping and not self.ready:
            try:
                await self.load()
            except ApiError as error:
                log.error("%s", error.message)

    async def _look(self, process: asyncio.subprocess.Process) -> None:
        """Kill the process when it has work and takes no more commands."""
        while True:
            await asyncio.sleep(_ASK)
            if self.calls:
                try:
                    await asyncio.wait_for(self.ask("stats", ""), _HUNG)
                except TimeoutError:
                    log.error("model %s hangs, and is killed", self.name)
                    process.kill()
                    return
                except ApiError:
                    return

    async def stop(self) -> None:
        """End the process: at once, and whatever it works on."""
        self._stopping = True
        process = self._process
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 2)
        except TimeoutError:
            process.kill()
            await process.wait()
        self._process, self.info = None, {}

    # -- commands --------------------------------------------------------------------------------------------------------

    async def run(self, op: str, owner: str, **fields: Any) -> AsyncGenerator[Event]:
        """The events of a command. Leaving early cancels it.

        Raises:
            ApiError: it is refused, too many wait, or the process crashed.
        """
        at_once = self.info.get("max_rows", 1)
        if op != "stats" and len(self.calls) >= at_once + self._waiting:
            wait = self._seconds * (len(self.calls) + 1 - at_once) / at_once
            raise ApiError(
                429, f"{len(self.calls)} requests wait for {self.name} already", code="queue_full", retry_after=wait
            )
        self.used = began = time.monotonic()
        call = Call(next(self._ids))
        self.calls[call.id] = call
        try:
            await self._say({"id": call.id, "op": op, "owner": owner, **fields})
            async for event in call.events():
                yield event
            self._seconds += 0.1 * (time.monotonic() - began - self._seconds)
        finally:
            self.used = time.monotonic()
            if self.calls.pop(call.id, None) is not None:
                self._say_at_once({"op": "cancel", "target": call.id})

    async def ask(self, op: str, owner: str, **fields: Any) -> Event:
        """The one answer to a command.

        Raises:
            ApiError: as `run`.
        """
        async with aclosing(self.run(op, owner, **fields)) as events:
            return await anext(events)

    async def _say(self, command: dict[str, Any]) -> None:
        if self._say_at_once(command):
            assert self._process is not None
            assert self._process.stdin is not None
            try:
                await self._process.stdin.drain()
            except (ConnectionError, BrokenPipeError):
                return  # whoever listens sees the end, and fails the call
        else:
            raise ApiError(503, f"The model {self.name} is not loaded", code="model_unloaded", retry_after=1)

    def _say_at_once(self, command: dict[str, Any]) -> bool:
        process = self._process
        if process is None or process.stdin is None or process.stdin.is_closing():
            return False
        process.stdin.write(orjson.dumps(command) + b"\n")
        return True
