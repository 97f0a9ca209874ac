"""A lock on a folder that dies with its process: `flock` on a file, in which its holder says who it is and since when.

The file goes with the lock. After a kill it stays, and nobody holds it. On Windows, and on file systems that know no locks,
nothing is locked.
"""

import errno
import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

from daedal.errors import DaedalError
from daedal.files import disk_error

if sys.platform != "win32":
    import fcntl

_UNSUPPORTED = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK)
_HELD = (errno.EWOULDBLOCK, errno.EACCES)


class Holder(NamedTuple):
    """Who holds a lock.

    Attributes:
        process: its number; 0 where it has not said so yet.
        host: the machine on which it runs.
        since: when it took the lock, in local time.
    """

    process: int
    host: str
    since: str

    @property
    def this(self) -> bool:
        """Whether it is the process that asks."""
        return self.process == os.getpid() and self.host == socket.gethostname()

    def __str__(self) -> str:
        if not self.process:
            return "another process"
        elsewhere = f" on {self.host}" if self.host != socket.gethostname() else ""
        return f"process {self.process}{elsewhere}, since {self.since}"


@contextmanager
def locked(path: Path, what: str) -> Iterator[None]:
    """Hold the lock `path` while the block runs. Its folder must be there.

    Args:
        what: what is going on where it is held, such as "runs/mine is being trained".

    Raises:
        DaedalError: another process holds it: names that process and when it began.
    """
    file = _take(path, what)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        file.close()


def holder(path: Path) -> Holder | None:
    """Who holds the lock `path`, if anybody does."""
    try:
        with open(path, encoding="utf-8", opener=_itself) as file:
            return None if _lock(file, shared=True) else _read(file)
    except OSError:
        return None


def _take(path: Path, what: str) -> IO[str]:
    while True:
        try:
            file = open(path, "a+", encoding="utf-8", opener=_itself)  # noqa: SIM115 (held as long as the lock)
            free = _lock(file)
        except OSError as error:
            raise disk_error(error, path) from None
        if not free:
            with file:
                raise DaedalError(f"{what} by {_read(file)}", "Wait for it, or stop it")
        if _is_at(file, path):
            break
        file.close()  # its holder was done, and removed it, between the two
    file.truncate(0)
    now = time.strftime("%Y-%m-%d %H:%M:%S")
    file.write(json.dumps(Holder(os.getpid(), socket.gethostname(), now)._asdict()))
    file.flush()
    return file


def _itself(path: str, flags: int) -> int:
    """Open a file, and not what a link in its place names: whoever gives away a run would choose what is written over."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)


def _lock(file: IO[str], shared: bool = False) -> bool:
    """Take the lock without waiting; says whether that went well.

    Raises:
        OSError: the disk cannot be asked.
    """
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (*_UNSUPPORTED, *_HELD):
            raise
        return error.errno in _UNSUPPORTED
    return True


def _is_at(file: IO[str], path: Path) -> bool:
    """Whether an open file still has its name."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except OSError:
        return False


def _read(file: IO[str]) -> Holder:
    file.seek(0)
    try:
        values: Any = json.loads(file.read())
        host, since = (ascii(str(values[name]))[1:-1] for name in ("host", "since"))  # a terminal is to show them
        return Holder(int(values["process"]), host, since)
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return Holder(0, "", "")
