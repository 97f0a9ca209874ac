"""What a server keeps: files and answers, in one folder that survives whatever happens to the server.

- SQLite with a write-ahead log, synchronised at every commit; what was acknowledged is there after `kill -9`
- the bytes of a file lie under their SHA-256: written beside, synchronised, then named, and only then in the table
- every row belongs to the owner of a key; ids are made here, and a name that a client gives is data, never a path
- all of it runs in threads: the event loop never waits for a disk
"""

import asyncio
import hashlib
import os
import secrets
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import orjson

from daedal.errors import DaedalError
from daedal.files import flush
from daedal.serving.errors import ApiError

T = TypeVar("T")

_PIECE = 2**20
_KEPT = 30 * 86_400
"""Seconds that an answer is kept, as OpenAI keeps it."""
_SPARE = 2**28
"""Bytes that stay free on the disk."""
_ABANDONED = 3600.0
"""Seconds without a byte after which nobody writes a file any more."""
_MIGRATIONS = (
    """
    CREATE TABLE files (
        id TEXT PRIMARY KEY, owner TEXT NOT NULL, filename TEXT NOT NULL, purpose TEXT NOT NULL, bytes INTEGER NOT NULL,
        sha256 TEXT NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER
    ) STRICT;
    CREATE INDEX files_of ON files (owner, created_at, id);
    CREATE INDEX files_with ON files (sha256);
    CREATE TABLE responses (
        id TEXT PRIMARY KEY, owner TEXT NOT NULL, created_at INTEGER NOT NULL, value BLOB NOT NULL
    ) STRICT;
    """,
)
"""Each is applied once, in order, to a database that is older."""


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


class Database:
    """One connection, for one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=10)
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=10000"):
            self._connection.execute(f"PRAGMA {pragma}")
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if version > len(_MIGRATIONS):
            raise DaedalError(f"{path} is of a newer Daedal", "Use that one, or another --data folder")
        for number, script in enumerate(_MIGRATIONS[version:], version + 1):
            self._connection.executescript(f"BEGIN; {script} PRAGMA user_version={number}; COMMIT;")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def close(self) -> None:
        with self._lock:
            self._connection.close()


class Files:
    """The files of all owners. The methods wait for the disk in a thread.

    Args:
        quota: bytes of the files of one owner.
    """

    def __init__(self, database: Database, folder: Path, quota: int) -> None:
        self._database, self._folder, self._quota = database, folder, quota
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob("*.part"):  # of a server that was killed, but not of another that is writing now
            with suppress(FileNotFoundError):
                if left.stat().st_mtime < time.time() - _ABANDONED:
                    left.unlink()

    async def add(
        self, owner: str, source: BinaryIO, filename: str, purpose: str, seconds: int | None = None
    ) -> StoredFile:
        """Keep a file; when this returns, it is on the disk.

        Raises:
            ApiError: 413, the owner's files would be too large together; 503, the disk is full.
        """
        return await _in_thread(lambda: self._add(owner, source, filename, purpose, seconds))

    async def get(self, owner: str, id: str) -> StoredFile | None:
        """An owner's file, if there is one of this id."""
        return await _in_thread(lambda: self._get(owner, id))

    async def page(
        self, owner: str, purpose: str | None, after: str | None, limit: int, newest: bool
    ) -> list[StoredFile]:
        """An owner's files in the order in which they came, from the one after `after`."""
        return await _in_thread(lambda: self._page(owner, purpose, after, limit, newest))

    async def delete(self, owner: str, id: str) -> bool:
        """Forget a file; whether there was one."""
        return await _in_thread(lambda: self._delete(owner, id))

    def path(self, file: StoredFile) -> Path:
        """Where the bytes of a file are."""
        return self._folder / file.sha256

    def _add(self, owner: str, source: BinaryIO, filename: str, purpose: str, seconds: int | None) -> StoredFile:
        self._forget_expired(owner)
        with self._database.transaction() as rows:
            held = _held(rows, owner)
        digest, size = hashlib.sha256(), 0
        part = self._folder / f"{secrets.token_hex(16)}.part"
        try:
            with part.open("xb") as target:
                while piece := source.read(_PIECE):
                    size += len(piece)
                    self._check_quota(held + size)
                    if shutil.disk_usage(self._folder).free < _SPARE:
                        raise ApiError(503, "The server's disk is full", code="disk_full", retry_after=60)
                    digest.update(piece)
                    target.write(piece)
                target.flush()
                os.fsync(target.fileno())
            now = int(time.time())
            expires = None if seconds is None else now + seconds
            id = f"file-{secrets.token_hex(16)}"
            file = StoredFile(id, owner, filename, purpose, size, digest.hexdigest(), now, expires)
            with self._database.transaction() as rows:
                self._check_quota(_held(rows, owner) + size)  # others may have come in the meantime
                # Named within the transaction: a file that is deleted at this moment does not take the bytes with it
                os.replace(part, self.path(file))
                flush(self._folder)
                rows.execute("INSERT INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?)", tuple(vars(file).values()))
        except (OSError, sqlite3.OperationalError) as error:
            raise ApiError(
                503, "The server cannot keep the file: its disk is full or broken", code="disk_full", retry_after=60
            ) from error
        finally:
            part.unlink(missing_ok=True)
        return file

    def _check_quota(self, size: int) -> None:
        if size > self._quota:
            raise ApiError(413, f"Your files may have {self._quota:,} bytes together", code="quota_exceeded")

    def _forget_expired(self, owner: str) -> None:
        with self._database.transaction() as rows:
            query = "SELECT id FROM files WHERE owner = ? AND expires_at <= ?"
            expired = rows.execute(query, (owner, int(time.time()))).fetchall()
        for (id,) in expired:
            self._delete(owner, id)

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

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, owner: str, id: str, value: dict[str, Any]) -> None:
        """Keep an answer, in place of an earlier one of this id."""
        now = int(time.time())
        row = (id, owner, now, orjson.dumps(value))

        def work() -> None:
            with self._database.transaction() as rows:
                rows.execute("DELETE FROM responses WHERE owner = ? AND created_at < ?", (owner, now - _KEPT))
                rows.execute("INSERT OR REPLACE INTO responses VALUES (?, ?, ?, ?)", row)

        await _in_thread(work)

    async def get(self, owner: str, id: str) -> dict[str, Any] | None:
        """An answer, if it is the owner's."""

        def work() -> Any:
            with self._database.transaction() as rows:
                return rows.execute("SELECT value FROM responses WHERE id = ? AND owner = ?", (id, owner)).fetchone()

        row = await _in_thread(work)
        return None if row is None else orjson.loads(row[0])

    async def delete(self, owner: str, id: str) -> bool:
        """Forget an answer; whether there was one."""

        def work() -> bool:
            with self._database.transaction() as rows:
                return rows.execute("DELETE FROM responses WHERE id = ? AND owner = ?", (id, owner)).rowcount > 0

        return await _in_thread(work)


class Store:
    """Everything that a server keeps, in one folder.

    Raises:
        DaedalError: the folder cannot be used.
    """

    def __init__(self, folder: Path, quota: int) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._database = Database(folder / "state.sqlite")
            self.files = Files(self._database, folder / "files", quota)
        except (OSError, sqlite3.Error) as error:
            raise DaedalError(
                f"{folder} cannot keep the server's state ({error})", "Name another with --data"
            ) from None
        self.responses = Responses(self._database)

    def close(self) -> None:
        self._database.close()


async def _in_thread(work: Callable[[], T]) -> T:
    """Work that waits for the disk; once begun it is finished, even where nobody waits for it any more."""
    return await asyncio.shield(asyncio.ensure_future(asyncio.to_thread(work)))


def _held(rows: sqlite3.Connection, owner: str) -> int:
    """Bytes of an owner's files."""
    (held,) = rows.execute("SELECT coalesce(sum(bytes), 0) FROM files WHERE owner = ?", (owner,)).fetchone()
    return int(held)
