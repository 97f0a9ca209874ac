"""What a server keeps: files and answers, in one folder that survives whatever happens to the server.

- SQLite with a write-ahead log, synchronised at every commit; what was acknowledged is there after `kill -9`
- the bytes of a file lie under their SHA-256: written beside, synchronised, then named, and only then in the table
- every row belongs to the owner of a key; ids are made here, and a name that a client gives is data, never a path
- files and answers of an owner have a quota together, and some of the disk stays free
- all of it runs in threads: the event loop never waits for a disk
"""

import asyncio
import hashlib
import logging
import os
import re
import secrets
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar

from daedal.errors import DaedalError
from daedal.files import flush
from daedal.serving.errors import ApiError

T = TypeVar("T")

_LOG = logging.getLogger(__name__)
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
    # What each owner holds is counted as it changes: adding it up would take the longer, the more an owner has
    """
    CREATE INDEX files_until ON files (expires_at) WHERE expires_at IS NOT NULL;
    CREATE INDEX responses_since ON responses (created_at);
    CREATE TABLE held (owner TEXT PRIMARY KEY, bytes INTEGER NOT NULL) STRICT;
    INSERT INTO held SELECT owner, sum(bytes) FROM (
        SELECT owner, bytes FROM files UNION ALL SELECT owner, length(value) FROM responses
    ) GROUP BY owner;
    CREATE TRIGGER file_came AFTER INSERT ON files BEGIN
        INSERT INTO held VALUES (new.owner, new.bytes) ON CONFLICT (owner) DO UPDATE SET bytes = bytes + excluded.bytes;
    END;
    CREATE TRIGGER file_went AFTER DELETE ON files BEGIN
        UPDATE held SET bytes = bytes - old.bytes WHERE owner = old.owner;
    END;
    CREATE TRIGGER response_came AFTER INSERT ON responses BEGIN
        INSERT INTO held VALUES (new.owner, length(new.value))
        ON CONFLICT (owner) DO UPDATE SET bytes = bytes + excluded.bytes;
    END;
    CREATE TRIGGER response_went AFTER DELETE ON responses BEGIN
        UPDATE held SET bytes = bytes - length(old.value) WHERE owner = old.owner;
    END;
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
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # a full disk may have ended it
                    self._connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        with self._lock:
            self._connection.close()


@dataclass(frozen=True)
class Room:
    """For what owners keep.

    Attributes:
        quota: bytes of the files and answers of one owner.
    """

    folder: Path
    quota: int

    def check(self, size: int) -> None:
        """
        Raises:
            ApiError: 413, an owner may not have so many bytes; 503, the disk is full.
        """
        if size > self.quota:
            message = f"Your files and answers may have {self.quota:,} bytes together; delete some of them"
            raise ApiError(413, message, code="quota_exceeded")
        if shutil.disk_usage(self.folder).free < _SPARE:
            raise disk_full()


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
        self._forget_expired()
        with self._database.transaction() as rows:
            held = _held(rows, owner)
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
                self._room.check(_held(rows, owner) + size)  # others may have come in the meantime
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
                held = _held(rows, owner)
            self._room.check(held + 1)

        await _in_thread(work)

    async def put(self, owner: str, id: str, value: bytes) -> None:
        """Keep an answer.

        Raises:
            ApiError: 413, the owner would have too much; 503, the disk is full.
        """

        def work() -> None:
            with self._database.transaction() as rows:
                _forget_old(rows)
                self._room.check(_held(rows, owner) + len(value))
                rows.execute("INSERT INTO responses VALUES (?, ?, ?, ?)", (id, owner, int(time.time()), value))

        await _in_thread(work)

    async def get(self, owner: str, id: str) -> bytes | None:
        """An answer, if it is the owner's."""

        def work() -> bytes | None:
            with self._database.transaction() as rows:
                query = "SELECT value FROM responses WHERE id = ? AND owner = ? AND created_at >= ?"
                found = rows.execute(query, (id, owner, int(time.time()) - _KEPT)).fetchone()
            return None if found is None else bytes(found[0])

        return await _in_thread(work)

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
            room = Room(folder, quota)
            self.files = Files(self._database, folder / "files", room)
            self.responses = Responses(self._database, room)
        except (OSError, sqlite3.Error) as error:
            raise DaedalError(
                f"{folder} cannot keep the server's state ({error})", "Name another with --data"
            ) from None

    def close(self) -> None:
        self._database.close()


def disk_full() -> ApiError:
    """The answer where something cannot be written."""
    return ApiError(503, "The server's disk is full or broken", code="disk_full", retry_after=60)


async def _in_thread(work: Callable[[], T]) -> T:
    """Work that waits for the disk; once begun it is finished, even where nobody waits for it any more.

    Raises:
        ApiError: 503, the disk is full or broken.
    """
    try:
        return await asyncio.shield(asyncio.ensure_future(asyncio.to_thread(work)))
    except (OSError, sqlite3.OperationalError) as error:
        _LOG.error("The disk: %s", error)
        raise disk_full() from error


def _forget_old(rows: sqlite3.Connection) -> None:
    """Answers of all owners that have been kept long enough."""
    rows.execute("DELETE FROM responses WHERE created_at < ?", (int(time.time()) - _KEPT,))


def _held(rows: sqlite3.Connection, owner: str) -> int:
    """Bytes of an owner's files and answers."""
    found = rows.execute("SELECT bytes FROM held WHERE owner = ?", (owner,)).fetchone()
    return 0 if found is None else int(found[0])
