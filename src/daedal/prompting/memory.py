"""Answers that were had before, kept on disk: what is asked again is not sent or computed again, and a stopped run goes on.

- one SQLite file; the key of an answer is a SHA-256 of the model's identity, the prompt, the wording and the sample: no prompt
  is in it
- each answer is written as it comes, in a transaction of the write-ahead log: a process that is killed loses none that it gave,
  and several processes share the file
- where it cannot be kept (a full disk, a folder that is not writable) asking goes on without; a damaged file is put aside
"""

import hashlib
import json
import os
import sqlite3
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from daedal.errors import DaedalError
from daedal.files import cache_folder
from daedal.printable import printable
from daedal.prompting.respondent import Likelihood, Message, Prompt, Question, Reply, Respondent, Wording

FILE = "answers.sqlite"
_VERSION = 1
_PATIENCE = 10.0
"""Seconds to wait for another process that writes."""
_AT_ONCE = 500  # keys in a query
_BEGINS = b"SQLite format 3\0"

T = TypeVar("T")


def default_memory() -> Path:
    """Where answers are kept unless a place is given."""
    return cache_folder() / FILE


class Remembered:
    """A respondent who is asked only what it was not asked before.

    Args:
        path: of the file; it is made where there is none.

    Attributes:
        inner: who is asked.
        hits: answers that were there already.
    """

    def __init__(self, inner: Respondent, path: Path | None = None) -> None:
        self.inner, self.name, self.identity = inner, inner.name, inner.identity
        self.hits = 0
        self._memory = _Memory(path or default_memory())

    def answer(self, questions: Sequence[Question], wording: Wording) -> Iterator[tuple[int, Reply]]:
        # nothing of chance is in a greedy answer
        said = wording.but(seed=0) if wording.temperature == 0 else wording
        told = said.model_dump(mode="json")
        keys = [self._key("answer", each.prompt, told, each.sample if wording.temperature else 0) for each in questions]

        def read(kept: Any) -> Reply:
            reply = Reply.model_validate(kept)
            prices = getattr(self.inner, "prices", None)  # those of now
            cost = prices.of(reply.prompt_tokens, reply.completion_tokens) if prices is not None else None
            return reply.model_copy(update={"remembered": True, "cost": cost})

        def ask(places: Sequence[int]) -> Iterator[tuple[int, Reply]]:
            return self.inner.answer([questions[place] for place in places], wording)

        yield from self._through(keys, read, ask, lambda reply: reply.model_dump(mode="json"))

    def likelihoods(self, pairs: Sequence[tuple[Prompt, str]]) -> Iterator[tuple[int, Likelihood]]:
        keys = [self._key("likelihood", context, text) for context, text in pairs]
        yield from self._through(
            keys, _likelihood, lambda places: self.inner.likelihoods([pairs[place] for place in places]), list
        )

    def rolling(self, texts: Sequence[str]) -> Iterator[tuple[int, Likelihood]]:
        keys = [self._key("rolling", text) for text in texts]
        yield from self._through(
            keys, _likelihood, lambda places: self.inner.rolling([texts[place] for place in places]), list
        )

    def rendered(self, messages: Sequence[Message]) -> str:
        return self.inner.rendered(messages)

    def _key(self, *what: Any) -> bytes:
        text = json.dumps([_VERSION, self.identity, *what], sort_keys=True, default=dict)
        return hashlib.sha256(text.encode()).digest()

    def _through(
        self,
        keys: Sequence[bytes],
        read: Callable[[Any], T],
        ask: Callable[[Sequence[int]], Iterator[tuple[int, T]]],
        plain: Callable[[T], Any],
    ) -> Iterator[tuple[int, T]]:
        """What is kept, and then what is asked, each with its place. What is asked twice is asked once."""
        places: dict[bytes, list[int]] = defaultdict(list)
        for place, key in enumerate(keys):
            places[key].append(place)
        found: dict[bytes, T] = {}
        for key, kept in self._memory.read(list(places)):
            with suppress(ValueError, TypeError):  # written by something else
                found[key] = read(kept)
        for key, known in found.items():
            self.hits += len(places[key])
            yield from ((place, known) for place in places[key])
        missing = [key for key in places if key not in found]
        if not missing:
            return
        for place, result in ask([places[key][0] for key in missing]):
            key = missing[place]
            self._memory.write(key, plain(result))
            yield from ((own, result) for own in places[key])


def unwrapped(respondent: Respondent) -> Respondent:
    """Who answers what is not kept."""
    return respondent.inner if isinstance(respondent, Remembered) else respondent


def require_database(path: Path) -> None:
    """See that a file that a person names for answers is none of something else.

    Raises:
        DaedalError: it is no database, and would be put aside as a damaged one.
    """
    with suppress(OSError):
        if path.is_file() and path.stat().st_size:
            with path.open("rb") as file:
                if file.read(len(_BEGINS)) != _BEGINS:
                    raise DaedalError(f"{path} is no file of answers", "Name another, or a new one")


class _Memory:
    """The file. Trouble with it is told once, and ends nothing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: sqlite3.Connection | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists() and not path.is_file():  # SQLite would write beside a device
                raise OSError("it is no regular file")
            try:
                self._file = self._opened()
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError):
                    raise
                self._put_aside()
                self._file = self._opened()
        except (OSError, ValueError, sqlite3.Error) as error:
            self._give_up(error)

    def read(self, keys: Sequence[bytes]) -> Iterator[tuple[bytes, Any]]:
        for first in range(0, len(keys), _AT_ONCE):
            some = keys[first : first + _AT_ONCE]
            for key, kept in self._rows(some):
                with suppress(ValueError, RecursionError):
                    yield key, json.loads(kept)

    def write(self, key: bytes, value: Any) -> None:
        if self._file is None:
            return
        try:
            # plain ASCII: half of a surrogate pair would be refused
            self._file.execute("INSERT OR REPLACE INTO answers VALUES (?, ?)", (key, json.dumps(value)))
        except sqlite3.Error as error:
            self._trouble(error)

    def _rows(self, keys: Sequence[bytes]) -> list[tuple[bytes, str]]:
        if self._file is None:
            return []
        try:
            asked = f"SELECT key, value FROM answers WHERE key IN ({','.join('?' * len(keys))})"
            return self._file.execute(asked, keys).fetchall()
        except sqlite3.Error as error:
            self._trouble(error)
            return []

    def _opened(self) -> sqlite3.Connection:
        if not self._path.exists():  # prompts may be private, and answers tell of them
            os.close(os.open(self._path, os.O_CREAT | os.O_WRONLY, 0o600))
        file = sqlite3.connect(self._path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
        try:
            file.execute("PRAGMA journal_mode=WAL")
            file.execute("PRAGMA synchronous=NORMAL")
            file.execute("CREATE TABLE IF NOT EXISTS answers (key BLOB PRIMARY KEY, value TEXT) WITHOUT ROWID")
        except sqlite3.Error:
            file.close()
            raise
        return file

    def _trouble(self, error: sqlite3.Error) -> None:
        """A file that is damaged inside is put aside, and all goes on with a new one; else without."""
        if self._file is not None:
            self._file.close()
        self._file = None
        if isinstance(error, sqlite3.OperationalError):
            self._give_up(error)
            return
        try:
            self._put_aside()
            self._file = self._opened()
        except (OSError, sqlite3.Error) as another:
            self._give_up(another)

    def _put_aside(self) -> None:
        aside = self._path.with_name(f"{self._path.name}.damaged")
        warnings.warn(f"{printable(str(self._path))} is damaged, and put aside as {aside.name}", stacklevel=2)
        os.replace(self._path, aside)
        for ending in ("-wal", "-shm"):
            self._path.with_name(self._path.name + ending).unlink(missing_ok=True)

    def _give_up(self, error: Exception) -> None:
        self._file = None
        warnings.warn(
            f"Answers are not kept: {printable(str(self._path))} cannot be used ({printable(str(error))[:100]})",
            stacklevel=2,
        )


def _likelihood(kept: Any) -> Likelihood:
    nats, greedy, tokens = kept
    return Likelihood(float(nats), bool(greedy), int(tokens))
