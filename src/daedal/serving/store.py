"""What a server keeps: files, answers and videos, in one folder that survives whatever happens to the server.

- what was acknowledged is there after `kill -9`
- the bytes of a file lie under their SHA-256: written beside, synchronised, then named, and only then in the table
- every row belongs to the owner of a key; ids are made here, and a name that a client gives is data, never a path
- what an owner keeps has a quota, all together, and some of the disk stays free
- all of it runs in threads: the event loop never waits for a disk
"""

import hashlib
import os
import re
import secrets
import sqlite3
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from daedal.errors import DaedalError
from daedal.files import flush
from daedal.serving.database import KEPT, Database, Room, held_by, in_thread
from daedal.serving.video_store import Videos

_PIECE = 2**20
_ABANDONED = 3600.0
"""Seconds without a byte after which nobody writes a file any more."""


@dataclass(frozen=True)
class StoredFile:
    """A file that a client sent.

    Attributes:
        expires_at: when it is gone, in seconds since 1970; None for never.
    """

    id: str
    owner: str
    filename: str
    purpose: str
    bytes: int
    sha256: str
    created_at: int
    expires_at: int | None


class Files:
    """The files of all owners. The methods wait for the disk in a thread."""

    def __init__(self, database: Database, folder: Path, room: Room) -> None:
        self._database, self._folder, self._room = database, folder, room
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob("*.part"):  # of a server that was killed, but not of another that is writing now
            with suppress(FileNotFoundError):
                if left.stat().st_mtime < time.time() - _ABANDONED:
                    left.unlink()
        self._forget_expired()
        self._remove_forgotten()

    async def add(
        self, owner: str, source: BinaryIO, filename: str, purpose: str, seconds: int | None = None
    ) -> StoredFile:
        """Keep a file; when this returns, it is on the disk.

        Raises:
            ApiError: 413, the owner would have too much; 503, the disk is full.
        """
        return await in_thread(lambda: self._add(owner, source, filename, purpose, seconds))

    async def get(self, owner: str, id: str) -> StoredFile | None:
        """An owner's file, if there is one of this id."""
        return await in_thread(lambda: self._get(owner, id))

    async def page(
        self, owner: str, purpose: str | None, after: str | None, limit: int, newest: bool
    ) -> list[StoredFile]:
        """An owner's files in the order in which they came, from the one after `after`."""
        return await in_thread(lambda: self._page(owner, purpose, after, limit, newest))

    async def delete(self, owner: str, id: str) -> bool:
        """Forget a file; whether there was one."""
        return await in_thread(lambda: self._delete(owner, id))

    def path(self, file: StoredFile) -> Path:
        """Where the bytes of a file are."""
        return self._folder / file.sha256

    def _add(self, owner: str, source: BinaryIO, filename: str, purpose: str, seconds: int | None) -> StoredFile:
        self._forget_expired()
        with self._database.transaction() as rows:
            held = held_by(rows, owner)
        digest, size = hashlib.sha256(), 0
        part = self._folder / f"{secrets.token_hex(16)}.part"
        try:
            with part.open("xb") as target:
                while piece := source.read(_PIECE):
                    size += len(piece)
                    self._room.check(held + size)
                    digest.update(piece)
                    target.write(piece)
                target.flush()
                os.fsync(target.fileno())
            now = int(time.time())
            expires = None if seconds is None else now + seconds
            id = f"file-{secrets.token_hex(16)}"
            file = StoredFile(id, owner, filename, purpose, size, digest.hexdigest(), now, expires)
            with self._database.transaction() as rows:
                self._room.check(held_by(rows, owner) + size)  # others may have come in the meantime
                rows.execute("INSERT INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?)", tuple(vars(file).values()))
                # Named within the transaction: a file that is deleted at this moment does not take the bytes with it
                os.replace(part, self.path(file))
                flush(self._folder)
        finally:
            part.unlink(missing_ok=True)
        return file

    def _forget_expired(self) -> None:
        """Of all owners: one who never comes again keeps nothing that is over."""
        with self._database.transaction() as rows:
            query = "SELECT owner, id FROM files WHERE expires_at <= ?"
            expired = rows.execute(query, (int(time.time()),)).fetchall()
        for owner, id in expired:
            self._delete(owner, id)

    def _remove_forgotten(self) -> None:
        """Bytes that no row knows of: the server was killed, or its disk full, between the two."""
        with self._database.transaction() as rows:  # nobody names a file meanwhile
            known = {name for (name,) in rows.execute("SELECT sha256 FROM files")}
            for path in self._folder.iterdir():
                if re.fullmatch("[0-9a-f]{64}", path.name) and path.name not in known:
                    path.unlink(missing_ok=True)

    def _get(self, owner: str, id: str) -> StoredFile | None:
        with self._database.transaction() as rows:
            query = "SELECT * FROM files WHERE id = ? AND owner = ? AND (expires_at IS NULL OR expires_at > ?)"
            row = rows.execute(query, (id, owner, int(time.time()))).fetchone()
        return None if row is None else StoredFile(*row)

    def _page(self, owner: str, purpose: str | None, after: str | None, limit: int, newest: bool) -> list[StoredFile]:
        order, beyond = ("DESC", "<") if newest else ("ASC", ">")
        where, values = ["owner = ?", "(expires_at IS NULL OR expires_at > ?)"], [owner, int(time.time())]
        if purpose is not None:
            where.append("purpose = ?")
            values.append(purpose)
        if after is not None:
            where.append(f"rowid {beyond} (SELECT rowid FROM files WHERE id = ? AND owner = ?)")
            values += [after, owner]
        query = f"SELECT * FROM files WHERE {' AND '.join(where)} ORDER BY rowid {order} LIMIT ?"
        with self._database.transaction() as rows:
            return [StoredFile(*row) for row in rows.execute(query, (*values, limit))]

    def _delete(self, owner: str, id: str) -> bool:
        with self._database.transaction() as rows:
            query = "DELETE FROM files WHERE id = ? AND owner = ? RETURNING sha256"
            found = rows.execute(query, (id, owner)).fetchone()
        if found is None:
            return False
        # Once the row is gone for good, and while nobody adds one: no row is ever without its bytes
        with self._database.transaction() as rows:
            (others,) = rows.execute("SELECT count(*) FROM files WHERE sha256 = ?", found).fetchone()
            if not others:
                (self._folder / found[0]).unlink(missing_ok=True)
        return True


class Responses:
    """Answers that can be asked for again, by their id and their owner. The methods wait for the disk in a thread."""

    def __init__(self, database: Database, room: Room) -> None:
        self._database, self._room = database, room
        with database.transaction() as rows:
            _forget_old(rows)

    async def require_room(self, owner: str) -> None:
        """Before an answer is made that could not be kept.

        Raises:
            ApiError: 413, the owner has too much; 503, the disk is full.
        """

        def work() -> None:
            with self._database.transaction() as rows:
                held = held_by(rows, owner)
            self._room.check(held + 1)

        await in_thread(work)

    async def put(self, owner: str, id: str, value: bytes) -> None:
        """Keep an answer.

        Raises:
            ApiError: 413, the owner would have too much; 503, the disk is full.
        """

        def work() -> None:
            with self._database.transaction() as rows:
                _forget_old(rows)
                self._room.check(held_by(rows, owner) + len(value))
                rows.execute("INSERT INTO responses VALUES (?, ?, ?, ?)", (id, owner, int(time.time()), value))

        await in_thread(work)

    async def get(self, owner: str, id: str) -> bytes | None:
        """An answer, if it is the owner's."""

        def work() -> bytes | None:
            with self._database.transaction() as rows:
                query = "SELECT value FROM responses WHERE id = ? AND owner = ? AND created_at >= ?"
                found = rows.execute(query, (id, owner, int(time.time()) - KEPT)).fetchone()
            return None if found is None else bytes(found[0])

        return await in_thread(work)

    async def delete(self, owner: str, id: str) -> bool:
        """Forget an answer; whether there was one."""

        def work() -> bool:
            with self._database.transaction() as rows:
                return rows.execute("DELETE FROM responses WHERE id = ? AND owner = ?", (id, owner)).rowcount > 0

        return await in_thread(work)


class Store:
    """Everything that a server keeps, in one folder.

    Raises:
        DaedalError: the folder cannot be used.
    """

    def __init__(self, folder: Path, quota: int) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._database = Database(folder / "state.sqlite")
            room = Room(folder, quota)
            self.files = Files(self._database, folder / "files", room)
            self.responses = Responses(self._database, room)
            self.videos = Videos(self._database, room)
        except (OSError, sqlite3.Error) as error:
            raise DaedalError(
                f"{folder} cannot keep the server's state ({error})", "Name another with --data"
            ) from None

    def close(self) -> None:
        self._database.close()


def _forget_old(rows: sqlite3.Connection) -> None:
    """Answers of all owners that have been kept long enough."""
    rows.execute("DELETE FROM responses WHERE created_at < ?", (int(time.time()) - KEPT,))
