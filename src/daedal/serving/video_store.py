"""Videos and the jobs that make them, in the server's database: what was asked for, how it stands, what can be fetched."""

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from daedal.serving.database import KEPT, Database, Room, held_by, in_thread
from daedal.serving.errors import ApiError

Job = dict[str, Any]
"""What is kept of a job, as JSON: `id`, `status`, what it was asked for, and all that clients are told of it."""

_OPEN = 64
"""Jobs of an owner that have not ended."""


class Content(NamedTuple):
    """What can be fetched of a video."""

    type: str
    data: bytes


class Videos:
    """The videos of all owners. The methods wait for the disk in a thread."""

    def __init__(self, database: Database, room: Room) -> None:
        self._database, self._room = database, room
        self._forget_old()

    async def add(self, owner: str, job: Job) -> None:
        """Keep a new job; when this returns, it is on the disk.

        Raises:
            ApiError: 429, too many of the owner's have not ended; 413, the owner would have too much; 503, the disk is full.
        """

        def work() -> None:
            self._forget_old()
            value = orjson.dumps(job)
            with self._database.transaction() as rows:
                query = "SELECT count(*) FROM videos WHERE owner = ? AND NOT ended"
                if int(rows.execute(query, (owner,)).fetchone()[0]) >= _OPEN:
                    raise ApiError(429, f"{_OPEN} videos of this key are to be made", code="queue_full", retry_after=10)
                self._room.check(held_by(rows, owner) + len(value))
                rows.execute("INSERT INTO videos VALUES (?, ?, ?, 0, ?)", (job["id"], owner, int(time.time()), value))

        await in_thread(work)

    async def get(self, owner: str, id: str) -> Job | None:
        """An owner's video, if there is one of this id."""

        def work() -> Job | None:
            with self._database.transaction() as rows:
                query = "SELECT value FROM videos WHERE id = ? AND owner = ? AND created_at >= ?"
                row = rows.execute(query, (id, owner, int(time.time()) - KEPT)).fetchone()
            return None if row is None else orjson.loads(row[0])

        return await in_thread(work)

    async def page(self, owner: str, after: str | None, limit: int, newest: bool) -> list[Job]:
        """An owner's videos in the order in which they were asked for, from the one after `after`."""

        def work() -> list[Job]:
            order, beyond = ("DESC", "<") if newest else ("ASC", ">")
            where, values = "owner = ? AND created_at >= ?", [owner, int(time.time()) - KEPT]
            if after is not None:
                where += f" AND rowid {beyond} (SELECT rowid FROM videos WHERE id = ? AND owner = ?)"
                values += [after, owner]
            query = f"SELECT value FROM videos WHERE {where} ORDER BY rowid {order} LIMIT ?"
            with self._database.transaction() as rows:
                return [orjson.loads(value) for (value,) in rows.execute(query, (*values, limit))]

        return await in_thread(work)

    async def unfinished(self) -> list[tuple[str, Job]]:
        """Jobs that have not ended, in order, and whose they are."""

        def work() -> list[tuple[str, Job]]:
            query = "SELECT owner, value FROM videos WHERE NOT ended ORDER BY rowid"
            with self._database.transaction() as rows:
                return [(owner, orjson.loads(value)) for owner, value in rows.execute(query)]

        return await in_thread(work)

    async def put(self, job: Job, contents: Mapping[str, Content] | None = None) -> None:
        """Note how a job stands, if it is still there; and of one that has come to something, that.

        Raises:
            ApiError: 413, the owner would have too much; 503, the disk is full.
        """

        def work() -> None:
            ended = job["status"] in ("completed", "failed")
            with self._database.transaction() as rows:
                query = "UPDATE videos SET ended = ?, value = ? WHERE id = ? RETURNING owner"
                found = rows.execute(query, (ended, orjson.dumps(job), job["id"])).fetchone()
                if found is None or contents is None:
                    return
                self._room.check(held_by(rows, found[0]) + sum(len(each.data) for each in contents.values()))
                for variant, each in contents.items():
                    values = (job["id"], variant, each.type, found[0], each.data)
                    rows.execute("INSERT OR REPLACE INTO video_contents VALUES (?, ?, ?, ?, ?)", values)

        await in_thread(work)

    async def content(self, owner: str, id: str, variant: str) -> Content | None:
        """What can be fetched of an owner's video."""

        def work() -> Content | None:
            with self._database.transaction() as rows:
                query = "SELECT type, content FROM video_contents WHERE id = ? AND owner = ? AND variant = ?"
                row = rows.execute(query, (id, owner, variant)).fetchone()
            return None if row is None else Content(row[0], bytes(row[1]))

        return await in_thread(work)

    async def delete(self, owner: str, id: str) -> bool:
        """Forget a video; whether there was one."""

        def work() -> bool:
            with self._database.transaction() as rows:
                return rows.execute("DELETE FROM videos WHERE id = ? AND owner = ?", (id, owner)).rowcount > 0

        return await in_thread(work)

    def _forget_old(self) -> None:
        with self._database.transaction() as rows:
            rows.execute("DELETE FROM videos WHERE created_at < ?", (int(time.time()) - KEPT,))
