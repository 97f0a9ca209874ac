"""Who may ask for what: named keys, of which a server keeps only hashes."""

import hashlib
import hmac
import logging
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from pydantic import Field

from daedal.config import Config
from daedal.errors import DaedalError
from daedal.files import read_json, write_json

Scope = Literal["admin", "user", "read"]
_PREFIX = "dk-"
_LOG = logging.getLogger(__name__)


class Key(Config):
    """A key, without the key itself.

    Attributes:
        scope: "admin" may load and unload models and see the metrics; "user" may use models and keep files; "read" may look,
            and count tokens.
        sha256: of the key.
        id: made with the key, and never again; no name looks like it. Keys of older files have none.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")
    scope: Scope = "user"
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    created: int = 0
    id: str = Field("", pattern=r"^(:[0-9a-f]{32})?$")

    @property
    def owner(self) -> str:
        """Whose files, answers and cached prefixes are meant: a later key of the same name is somebody else."""
        return self.id or self.name


LOCAL = Key(name="local", scope="admin", sha256="0" * 64)
"""Whoever reaches a server that has no keys: it listens on loopback alone."""


class KeyRing(Config):
    """The keys of a server."""

    keys: tuple[Key, ...] = ()

    @classmethod
    def load(cls, path: Path) -> "KeyRing":
        """
        Raises:
            DaedalError: there is no such file, or it is damaged.
        """
        if not path.exists():
            raise DaedalError(f"{path} is missing", f"Make a key with: daedal keys add NAME --file {path}")
        values = read_json(path)
        if not isinstance(values, dict):
            raise DaedalError(f"{path} does not hold keys", f"Make one with: daedal keys add NAME --file {path}")
        return cls.parse(values, str(path))

    def save(self, path: Path) -> None:
        """Write the file, for its owner's eyes alone."""
        write_json(path, self.model_dump())
        path.chmod(0o600)

    def add(self, name: str, scope: Scope) -> tuple["KeyRing", str]:
        """With another key; and that key, which is told this once.

        Raises:
            DaedalError: the name is taken, or no name.
        """
        if any(key.name == name for key in self.keys):
            raise DaedalError(f"There is a key named {name}", "Choose another name, or revoke that one")
        token = _PREFIX + secrets.token_urlsafe(32)
        id = f":{secrets.token_hex(16)}"
        key = {"name": name, "scope": scope, "sha256": _hash(token), "created": int(time.time()), "id": id}
        return KeyRing(keys=(*self.keys, Key.parse(key, "key"))), token

    def without(self, name: str) -> "KeyRing":
        """
        Raises:
            DaedalError: there is no such key.
        """
        if all(key.name != name for key in self.keys):
            raise DaedalError(f"There is no key named {name}", "See the names with: daedal keys list")
        return KeyRing(keys=tuple(key for key in self.keys if key.name != name))

    def find(self, token: str) -> Key | None:
        """Whose key that is. It takes as long for one that is nobody's."""
        hashed, found = _hash(token), None
        for key in self.keys:
            if hmac.compare_digest(hashed, key.sha256):
                found = key
        return found


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """While a file of keys is read, changed and written nobody else changes it.

    Raises:
        DaedalError: its folder is not there.
    """
    try:
        folder = os.open(path.parent, os.O_RDONLY)
    except OSError as error:
        raise DaedalError(
            f"{path.parent} cannot be opened ({error.strerror})", "Make the folder first, or check the path"
        ) from None
    try:
        import fcntl

        fcntl.flock(folder, fcntl.LOCK_EX)  # the file itself is another one once it is written
        yield
    finally:
        os.close(folder)


class KeyFile:
    """The keys in a file, which is read again when it has changed: a key that is revoked is refused at once.

    A file that is damaged or gone changes nothing, so that nobody is let in or locked out by a slip; the log tells.

    Raises:
        DaedalError: there is no such file, or it is damaged, at the beginning.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._mark, self._ring = path, _mark(path), KeyRing.load(path)

    def find(self, token: str) -> Key | None:
        """Whose key that is now."""
        mark = _mark(self._path)
        if mark != self._mark:
            self._mark = mark
            try:
                self._ring = KeyRing.load(self._path)
            except DaedalError as error:
                _LOG.error("%s The keys stay as they were", error)
            else:
                _LOG.info("Read %s again: %d keys", self._path, len(self._ring.keys))
        return self._ring.find(token)


def _mark(path: Path) -> tuple[int, ...] | None:
    """What changes when a file does."""
    try:
        told = path.stat()
    except OSError:
        return None
    return told.st_mtime_ns, told.st_size, told.st_ino


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
