"""The jobs that make videos: worked on beside requests, whoever waits for them; begun again by the next server where this one
stops or is killed before they are done."""

import asyncio
import base64
import logging
import time
from collections import defaultdict
from contextlib import aclosing, suppress
from typing import Any

from daedal.serving.abilities import unable
from daedal.serving.background import Background
from daedal.serving.errors import ApiError
from daedal.serving.supervisor import Models
from daedal.serving.video_store import Content, Job, Videos

log = logging.getLogger("daedal.serving")

_ABREAST = 2
"""Jobs of an owner that a model is given at once."""
_BEGUN = 3
"""Times that a job is begun: one after which the server was killed each time is not begun again."""
_LATER = ("queue_full", "overloaded", "model_unloaded")
"""Codes of faults that pass."""


class VideoJobs:
    """The jobs of all owners that have not ended."""

    def __init__(self, models: Models, videos: Videos) -> None:
        self._models, self._videos = models, videos
        self._tasks: dict[str, asyncio.Task[Any]] = {}
        self._background = Background()
        self._progress: dict[str, int] = {}
        self._lanes: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(_ABREAST))

    async def start(self) -> None:
        """Begin what an earlier server did not finish."""
        for owner, job in await self._videos.unfinished():
            self.begin(owner, job)

    async def stop(self) -> None:
        """End all work; what is not done is begun again by the next server."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def begin(self, owner: str, job: Job) -> None:
        """Work on a job that is kept."""
        id = job["id"]
        task = self._background.begin(self._carry_out(owner, job))
        self._tasks[id] = task
        task.add_done_callback(lambda _: self._tasks.pop(id, None))

    async def cancel(self, id: str) -> None:
        """Nobody wants that any more."""
        task = self._tasks.get(id)
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    def status(self, job: Job) -> tuple[str, int]:
        """How a job stands, and how much of it is done in percent."""
        if job["status"] == "queued" and job["id"] in self._progress:
            return "in_progress", self._progress[job["id"]]
        return job["status"], 100 if job["status"] == "completed" else 0

    async def _carry_out(self, owner: str, job: Job) -> None:
        begun = job["begun"]
        try:
            async with self._lanes[owner]:
                await self._make(owner, job)
        except asyncio.CancelledError:
            await self._later(job, begun)
            raise
        except ApiError as error:
            if self._models.closing or error.code == "shutting_down":
                await self._later(job, begun)
                return
            job |= {"status": "failed", "error": {"code": error.code or "server_error", "message": error.message}}
        except Exception:
            log.exception("video %s failed", job["id"])
            job |= {"status": "failed", "error": {"code": "server_error", "message": "It could not be made"}}
        finally:
            self._progress.pop(job["id"], None)
        if job["status"] == "failed":
            with suppress(ApiError):  # the log has it
                await self._videos.put(job)

    async def _later(self, job: Job, begun: int) -> None:
        """Leave a job to the next server, as if it had not been begun here."""
        with suppress(ApiError):
            await self._videos.put({**job, "begun": begun})

    async def _make(self, owner: str, job: Job) -> None:
        """
        Raises:
            ApiError: it cannot be made, or the server stops.
        """
        if job["begun"] >= _BEGUN:
            raise ApiError(500, f"It was begun {_BEGUN} times, and the server ended each time", code="server_error")
        job["begun"] += 1
        await self._videos.put(job)
        while True:
            try:
                result = await self._result(owner, job)
                break
            except ApiError as error:
                if error.code not in _LATER or self._models.closing:
                    raise
                await asyncio.sleep(max(1.0, error.retry_after or 0.0))
        contents = {
            variant: Content(each["type"], base64.b64decode(each["data"]))
            for variant, each in result["contents"].items()
        }
        done = {**job, "status": "completed", "completed_at": int(time.time())}
        await self._videos.put(done, contents)
        job |= done

    async def _result(self, owner: str, job: Job) -> dict[str, Any]:
        model = await self._models.open(job["model"])
        if "film" not in model.info.get("can", ()):
            raise unable(model, "make clips")
        self._progress[job["id"]] = 0
        async with aclosing(model.run("film", owner, **job["asked"])) as events:
            async for event in events:
                if event["event"] == "result":
                    return event
                self._progress[job["id"]] = min(99, int(100 * event["done"]))
        raise ApiError(500, "It could not be made", code="server_error")
