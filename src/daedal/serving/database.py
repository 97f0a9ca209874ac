"""The database of a server's state: its tables, transactions, and the room that owners have.

SQLite with a write-ahead log, synchronised at every commit; what was acknowledged is there after `kill -9`.
"""

import asyncio
import logging
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from daedal.errors import DaedalError
from daedal.serving.errors import ApiError

T = TypeVar("T")

KEPT = 30 * 86_400
"""Seconds that an answer or a video is kept, as OpenAI keeps answers."""
_LOG = logging.getLogger(__name__)
_SPARE = 2**28
"""Bytes that stay free on the disk."""
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
    """
    CREATE TABLE videos (
        id TEXT PRIMARY KEY, owner TEXT NOT NULL, created_at INTEGER NOT NULL, ended INTEGER NOT NULL, value BLOB NOT NULL
    ) STRICT;
    CREATE INDEX videos_of ON videos (owner);
    CREATE INDEX videos_since ON videos (created_at);
    CREATE TABLE video_contents (
        id TEXT NOT NULL REFERENCES videos ON DELETE CASCADE, variant TEXT NOT NULL, type TEXT NOT NULL,
        owner TEXT NOT NULL, content BLOB NOT NULL, PRIMARY KEY (id, variant)
    ) STRICT;
    CREATE TRIGGER video_came AFTER INSERT ON videos BEGIN
        INSERT INTO held VALUES (new.owner, length(new.value))
        ON CONFLICT (owner) DO UPDATE SET bytes = bytes + excluded.bytes;
    END;
    CREATE TRIGGER video_changed AFTER UPDATE ON videos BEGIN
        UPDATE held SET bytes = bytes + length(new.value) - length(old.value) WHERE owner = old.owner;
    END;
    CREATE TRIGGER video_went AFTER DELETE ON videos BEGIN
        UPDATE held SET bytes = bytes - length(old.value) WHERE owner = old.owner;
    END;
    CREATE TRIGGER content_came AFTER INSERT ON video_contents BEGIN
        UPDATE held SET bytes = bytes + length(new.content) WHERE owner = new.owner;
    END;
    CREATE TRIGGER content_went AFTER DELETE ON video_contents BEGIN
        UPDATE held SET bytes = bytes - length(old.content) WHERE owner = old.owner;
    END;
    """,
)
"""Each is applied once, in order, to a database that is older."""


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
        quota: bytes of the files, answers and videos of one owner.
    """

    folder: Path
    quota: int

    def check(self, size: int) -> None:
        """
        Raises:
            ApiError: 413, an owner may not have so many bytes; 503, the disk is full.
        """
        if size > self.quota:
            message = f"Your files, answers and videos may have {self.quota:,} bytes together; delete some of them"
            raise ApiError(413, message, code="quota_exceeded")
        if shutil.disk_usage(self.folder).free < _SPARE:
            raise disk_full()


def held_by(rows: sqlite3.Connection, owner: str) -> int:
    """Bytes of an owner's files, answers and videos."""
    found = rows.execute("SELECT bytes FROM held WHERE owner = ?", (owner,)).fetchone()
    return 0 if found is None else int(found[0])


def disk_full() -> ApiError:
    """The answer where something cannot be written."""
    return ApiError(503, "The server's disk is full or broken", code="disk_full", retry_after=60)


async def in_thread(work: Callable[[], T]) -> T:
    """Work that waits for the disk; once begun it is finished, even where nobody waits for it any more.

    Raises:
        ApiError: 503, the disk is full or broken.
    """
    try:
        return await asyncio.shield(asyncio.ensure_future(asyncio.to_thread(work)))
    except (OSError, sqlite3.OperationalError) as error:
        _LOG.error("The disk: %s", error)
        raise disk_full() from error
