"""The ledger of what this installation made: a file of SQLite that only grows, whose rows are chained by their hashes.

Each row commits to the one before it: `chain[n] = SHA-256(chain[n-1] || digest[n])`, where `digest[n]` is the hash of what row
n says. A row that was changed, taken out or put in breaks the chain. What is purged loses all that it said and keeps its digest
(with the id, which is drawn by lot, nobody guesses what it was), and a row of its own says which and when; so the chain holds.
Whoever may write the file can write it anew from a row on: note `head` elsewhere to know.

No prompt, no text and no picture is in it: hashes and likenesses (`daedal.safety.likeness`), the model, the time, and whose key
of a server asked.
"""

import contextlib
import hashlib
import json
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from daedal.config import Config
from daedal.errors import DaedalError
from daedal.safety import likeness
from daedal.safety.claim import Claim
from daedal.safety.installation import installation

Kind = Literal["picture", "sound", "clip", "tune", "text"]
_FILE = "ledger.sqlite"
_BEGIN = hashlib.sha256(b"daedal ledger/1").digest()
_PATIENCE = 10.0
"""Seconds to wait for other processes that write."""
_TABLES = """
CREATE TABLE IF NOT EXISTS rows (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    chain BLOB NOT NULL,
    digest BLOB NOT NULL,
    said TEXT,
    id TEXT,
    owner TEXT,
    media BLOB,
    purge INTEGER
);
CREATE INDEX IF NOT EXISTS by_media ON rows (media) WHERE media IS NOT NULL;
CREATE INDEX IF NOT EXISTS by_id ON rows (substr(id, 1, 8)) WHERE id IS NOT NULL;
CREATE INDEX IF NOT EXISTS by_owner ON rows (owner) WHERE owner IS NOT NULL;
CREATE TABLE IF NOT EXISTS likenesses (number INTEGER PRIMARY KEY, bits BLOB, words BLOB);
"""


class Entry(Config):
    """What a row says.

    Attributes:
        id: of the artifact; 32 hexadecimal digits.
        made: when, as RFC 3339 has it.
        kind: of artifact.
        model: the name that the model was opened by.
        fingerprint: SHA-256 of its weights.
        media: SHA-256 of the file.
        owner: the key of a server that asked; empty for the command line.
        place: where the model's run folder is on this machine; empty where it is none.
        bits: the likeness of a picture, a sound or a clip, in hexadecimal digits.
        words: that of a text.
    """

    id: str
    made: str
    kind: Kind
    model: str
    fingerprint: str
    media: str
    owner: str = ""
    place: str = ""
    bits: str | None = None
    words: str | None = None


@dataclass(frozen=True)
class Match:
    """A row that something fits.

    Attributes:
        how: by the very bytes, by what a watermark says, or by likeness.
        far: of a likeness, bits of 64 that differ, or the share of words' hashes that do.
    """

    entry: Entry
    how: Literal["bytes", "watermark", "likeness"]
    far: float = 0.0


@dataclass(frozen=True)
class Purge:
    """What a purge took out."""

    rows: int
    made: str


class Ledger:
    """A ledger. Several processes may write it at once.

    Args:
        path: of its file; that of the installation unless given.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = installation() / _FILE if path is None else path
        self._lock = threading.Lock()
        self._kept: tuple[int, sqlite3.Connection] | None = None
        """The process, and its connection: opening one and closing it costs ten times what a row does."""

    def __repr__(self) -> str:
        return f"<the ledger {self.path}>"

    @property
    def begun(self) -> bool:
        """Whether there is one."""
        return self.path.exists()

    def note(
        self,
        claim: Claim,
        kind: Kind,
        data: bytes,
        *,
        owner: str = "",
        place: str = "",
        bits: bytes | None = None,
        words: bytes | None = None,
    ) -> Entry:
        """Add what was made.

        Args:
            data: the file as it is given away.
            bits: its likeness, of a picture, a sound or a clip; `words` of a text.

        Raises:
            DaedalError: the ledger cannot be written, or is damaged.
        """
        entry = Entry(
            id=claim.id, made=claim.made, kind=kind, model=claim.model, fingerprint=claim.fingerprint,
            media=hashlib.sha256(data).hexdigest(), owner=owner, place=place,
            bits=None if bits is None else bits.hex(), words=None if words is None else words.hex(),
        )  # fmt: skip
        with self._open(write=True) as rows:
            number = _append(rows, entry.model_dump_json())
            columns = "id = ?, owner = ?, media = ?"
            rows.execute(
                f"UPDATE rows SET {columns} WHERE number = ?", (entry.id, owner, bytes.fromhex(entry.media), number)
            )
            if bits is not None or words is not None:
                rows.execute("INSERT INTO likenesses VALUES (?, ?, ?)", (number, bits, words))
        return entry

    def find(
        self, data: bytes, *, payload: int | None = None, bits: bytes | None = None, words: bytes | None = None
    ) -> list[Match]:
        """The rows that something fits, the surest first.

        Args:
            data: the file.
            payload: what its watermark says.
            bits: its likeness, or `words`.

        Raises:
            DaedalError: the ledger cannot be read, or is damaged.
        """
        if not self.begun:
            return []
        with self._open() as rows:
            query = "SELECT said FROM rows WHERE media = ? ORDER BY number DESC LIMIT 10"
            found = [Match(_entry(said), "bytes") for (said,) in rows.execute(query, (hashlib.sha256(data).digest(),))]
            if payload is not None:
                query = "SELECT said FROM rows WHERE substr(id, 1, 8) = ? LIMIT 10"
                found += [Match(_entry(said), "watermark") for (said,) in rows.execute(query, (f"{payload:08x}",))]
            found += self._alike(rows, bits, words)
        first: dict[str, Match] = {}
        for match in found:
            first.setdefault(match.entry.id, match)
        return list(first.values())

    def models(self, kind: Kind) -> list[str]:
        """Where the models are that made something of a kind, the latest first.

        Raises:
            DaedalError: the ledger cannot be read, or is damaged.
        """
        query = "SELECT said FROM rows WHERE said LIKE ? ORDER BY number DESC LIMIT 1000"
        with self._open() as rows:
            found = [_entry(said).place for (said,) in rows.execute(query, (f'%"kind":"{kind}"%',))]
        return list(dict.fromkeys(filter(None, found)))

    def purge(self, owner: str) -> Purge:
        """Take out all that rows say of what a key of a server asked for; the chain stays whole.

        Raises:
            DaedalError: the ledger cannot be written, or is damaged.
        """
        made = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        if not self.begun:
            return Purge(0, made)
        with self._open(write=True) as rows:
            numbers = [n for (n,) in rows.execute("SELECT number FROM rows WHERE owner = ? ORDER BY number", (owner,))]
            if numbers:
                told = json.dumps({"purged": len(numbers), "made": made, "numbers": _digest_of_numbers(numbers)})
                purge = _append(rows, told)
                blank = "said = NULL, id = NULL, owner = NULL, media = NULL, purge = ?"
                rows.execute(f"UPDATE rows SET {blank} WHERE owner = ?", (purge, owner))
                several = [(number,) for number in numbers]
                rows.executemany("DELETE FROM likenesses WHERE number = ?", several)
        if numbers:
            with self._open() as rows:  # the file is to keep nothing of it either
                rows.execute("VACUUM")
                rows.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return Purge(len(numbers), made)

    def check(self) -> int:
        """Make sure that nothing in it was changed; gives how many rows there are.

        Raises:
            DaedalError: something was, or it cannot be read.
        """
        if not self.begun:
            return 0
        with self._open() as rows:
            try:
                count = self._follow(rows)
            except (KeyError, TypeError, AttributeError) as error:
                raise ValueError(f"a row says {type(error).__name__}") from None
            (last,) = rows.execute(
                "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'rows'), 0)"
            ).fetchone()
            if last != count:
                raise self._broken(count + 1, "it is missing, and so is what came after it")
            return count

    @property
    def head(self) -> str:
        """The last link of the chain: who notes it elsewhere knows later whether anything before it was changed."""
        if not self.begun:
            return _BEGIN.hex()
        with self._open() as rows:
            return _last(rows).hex()

    # -- inside ----------------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _open(self, write: bool = False) -> Iterator[sqlite3.Connection]:
        """The connection; what is written is kept as a whole where the block ends well."""
        try:
            with self._lock:
                rows = self._connected(write)
                if not write:
                    yield rows
                    return
                rows.execute("BEGIN IMMEDIATE")
                try:
                    yield rows
                    rows.execute("COMMIT")
                except BaseException:
                    rows.execute("ROLLBACK")
                    raise
        except (sqlite3.Error, ValueError, TypeError) as error:  # of types that no row of ours has
            raise self._fault(error) from None
        except OSError as error:
            raise DaedalError(f"{self.path} cannot be written ({error.strerror})", "Check its permissions") from None

    def _connected(self, write: bool) -> sqlite3.Connection:
        if self._kept is not None and self._kept[0] == os.getpid() and self.begun:
            return self._kept[1]
        if write and not self.begun:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with contextlib.suppress(FileExistsError):
                os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        rows = sqlite3.connect(self.path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
        rows.execute("PRAGMA synchronous = NORMAL")
        if not rows.execute("SELECT 1 FROM sqlite_master WHERE name = 'likenesses'").fetchone():
            rows.execute("PRAGMA journal_mode = WAL")  # a row waits for no disk
            rows.executescript(_TABLES)
        self._kept = (os.getpid(), rows)
        return rows

    def _fault(self, error: Exception) -> DaedalError:
        if isinstance(error, sqlite3.OperationalError):
            if "locked" in str(error):
                return DaedalError(f"{self.path} is being written by another process", "Try again")
            return DaedalError(
                f"{self.path} cannot be used ({error})", "Free some space, check its permissions, or give --no-ledger"
            )
        return DaedalError(f"{self.path} is damaged ({error})", "Move it away: a new ledger is begun")

    def _broken(self, number: int, why: str) -> DaedalError:
        return DaedalError(f"{self.path}: row {number:,} was changed: {why}", "Bring the ledger back from a copy")

    def _follow(self, rows: sqlite3.Connection) -> int:
        """Go along the chain from its beginning."""
        chain, expected = _BEGIN, 0
        purged: dict[int, list[int]] = {}
        told: dict[int, str] = {}
        query = (
            "SELECT number, chain, digest, said, id, owner, media, bits, words, purge "
            "FROM rows LEFT JOIN likenesses USING (number) ORDER BY number"
        )
        for number, link, digest, said, id, owner, media, bits, words, purge in rows.execute(query):
            expected += 1
            chain = hashlib.sha256(chain + digest).digest()
            if number != expected:
                raise self._broken(expected, "it is missing")
            if link != chain:
                raise self._broken(number, "it does not follow from those before it")
            if said is None:
                purged.setdefault(int(purge or 0), []).append(number)
                continue
            if hashlib.sha256(said.encode()).digest() != digest:
                raise self._broken(number, "it does not say what it said")
            if said.startswith('{"purged"'):
                told[number] = json.loads(said)["numbers"]
                continue
            entry = _entry(said)
            looked_up = (id, owner, *(None if value is None else value.hex() for value in (media, bits, words)))
            if looked_up != (entry.id, entry.owner, entry.media, entry.bits, entry.words):
                raise self._broken(number, "it is not found by what it says")
        for purge, numbers in purged.items():
            if told.get(purge) != _digest_of_numbers(numbers):
                raise self._broken(numbers[0], "it was emptied, and no purge says so")
        return expected

    def _alike(self, rows: sqlite3.Connection, bits: bytes | None, words: bytes | None) -> list[Match]:
        found: list[tuple[float, int]] = []
        if bits is not None:
            numbers, others = _table(rows, "bits", len(bits))
            far = likeness.bits_apart(bits, others)
            found += [(float(far[i]), numbers[i]) for i in np.flatnonzero(far <= likeness.NEAR_BITS)]
        if words is not None:
            numbers, others = _table(rows, "words", len(words))
            share = likeness.words_shared(words, others)
            found += [(float(1 - share[i]), numbers[i]) for i in np.flatnonzero(share >= likeness.NEAR_WORDS)]
        matches = []
        for far_apart, number in sorted(found)[:10]:
            (said,) = rows.execute("SELECT said FROM rows WHERE number = ?", (number,)).fetchone()
            matches.append(Match(_entry(said), "likeness", far_apart))
        return matches


def _append(rows: sqlite3.Connection, said: str) -> int:
    digest = hashlib.sha256(said.encode()).digest()
    chain = hashlib.sha256(_last(rows) + digest).digest()
    number = rows.execute("INSERT INTO rows (chain, digest, said) VALUES (?, ?, ?)", (chain, digest, said)).lastrowid
    return int(number or 0)


def _last(rows: sqlite3.Connection) -> bytes:
    row = rows.execute("SELECT chain FROM rows ORDER BY number DESC LIMIT 1").fetchone()
    if row is None:
        return _BEGIN
    if not isinstance(row[0], bytes):  # of a whole number bytes() would make so many zeros
        raise ValueError("a link of the chain is none")
    return row[0]


def _entry(said: Any) -> Entry:
    try:
        return Entry.model_validate_json(said)
    except (ValueError, TypeError):
        raise ValueError("a row cannot be read") from None


def _digest_of_numbers(numbers: list[int]) -> str:
    return hashlib.sha256(",".join(map(str, numbers)).encode()).hexdigest()


def _table(rows: sqlite3.Connection, column: str, width: int) -> tuple[list[int], np.ndarray]:
    """All likenesses of a sort, and whose they are."""
    query = f"SELECT number, {column} FROM likenesses WHERE length({column}) = ? ORDER BY number"
    several = rows.execute(query, (width,)).fetchall()
    joined = b"".join(value for _, value in several)
    return [number for number, _ in several], np.frombuffer(joined, dtype=np.uint8).reshape(len(several), width)
