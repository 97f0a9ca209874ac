"""What belongs to this installation alone, and to nobody who gets a model of it: the folder of its secrets.

`$DAEDAL_HOME`, else the user's folder for data. It holds the watermark's keys, the certificate with its key, and the ledger;
only the owner may read it.
"""

import contextlib
import os
import shlex
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from daedal.errors import DaedalError
from daedal.files import regular_size

if sys.platform != "win32":
    import fcntl


def installation() -> Path:
    """The folder. It is there only once something has been kept in it."""
    given = os.environ.get("DAEDAL_HOME")
    shared = os.environ.get("XDG_DATA_HOME")
    return Path(given) if given else (Path(shared) if shared else Path.home() / ".local" / "share") / "daedal"


def keep_secret(name: str, content: bytes, *, replace: bool = False) -> bytes:
    """Keep a secret in the folder, readable by the owner alone from its first byte on.

    Returns:
        What is kept now: where it was there already and nothing is replaced, what another process kept before.

    Raises:
        DaedalError: the folder cannot be written.
    """
    folder = installation()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, temporary = tempfile.mkstemp(dir=folder, prefix=f".{name}.")  # which is made with mode 0600
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            if replace:
                os.replace(temporary, folder / name)
            else:
                try:
                    os.link(temporary, folder / name)  # of two processes that make it at once, one wins
                except FileExistsError:
                    kept = secret(name)
                    if kept is None:
                        raise DaedalError(f"{folder / name} was there and is gone", "Try again") from None
                    return kept
        finally:
            Path(temporary).unlink(missing_ok=True)
    except OSError as error:
        raise DaedalError(
            f"{folder} cannot be written ({error.strerror})", "Free some space, or name another folder in DAEDAL_HOME"
        ) from None
    return content


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """While the block runs no other process is in one, so that what is read, changed and written loses nothing.

    Raises:
        DaedalError: the folder cannot be made, opened or locked.
    """
    folder = installation()
    with contextlib.ExitStack() as held:
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if sys.platform != "win32":  # there a folder can be neither opened nor locked
                descriptor = os.open(folder, os.O_RDONLY)
                held.callback(os.close, descriptor)
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError as error:
            raise DaedalError(
                f"{folder} cannot be locked ({error.strerror})", "Check it, or name another folder in DAEDAL_HOME"
            ) from None
        yield


def secret(name: str, most: int = 2**20) -> bytes | None:
    """A secret of the folder; None where there is none.

    Raises:
        DaedalError: it cannot be read, or others may read it. What is in it is never told.
    """
    path = installation() / name
    try:
        if not path.exists():
            if path.is_symlink():  # what it led to may come back: a key that took its place would hide the old ones
                raise DaedalError(f"{path} leads nowhere", "Bring back what it led to, or remove it: a new one is made")
            return None
        _check_private(path)
        if regular_size(path) > most:
            raise DaedalError(f"{path} is damaged", "Move it away; a new one is made")
        return path.read_bytes()
    except OSError as error:
        raise DaedalError(f"{path} cannot be read ({error.strerror})", "Check its permissions") from None


def _check_private(path: Path) -> None:
    """
    Raises:
        OSError: it is not there.
        DaedalError: others than the owner may read or write it.
    """
    mode = stat.S_IMODE(path.stat().st_mode)
    if sys.platform != "win32" and mode & 0o077:
        raise DaedalError(
            f"{path} is a secret, and others may read or write it (mode {mode:04o})",
            f"Run: chmod 600 {shlex.quote(str(path))}; if the disk keeps no modes, name a folder of another in DAEDAL_HOME",
        )
