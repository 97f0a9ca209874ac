"""What belongs to this installation alone, and to nobody who gets a model of it: the folder of its secrets.

`$DAEDAL_HOME`, else the user's folder for data. It holds the watermark's keys, the certificate with its key, and the ledger;
only the owner may read it.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
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
                    if kept is None:  # a link that leads nowhere, or in a circle
                        raise DaedalError(f"{folder / name} leads nowhere", "Take it away: a new one is made") from None
                    return kept
        finally:
            Path(temporary).unlink(missing_ok=True)
    except OSError as error:
        raise DaedalError(
            f"{folder} cannot be written ({error.strerror})", "Free some space, or name another folder in DAEDAL_HOME"
        ) from None
    return content


@contextmanager
def alone() -> Iterator[None]:
    """While the block runs no other process is in one, so that what is read, changed and written loses nothing.

    Raises:
        DaedalError: the folder cannot be written.
    """
    folder = installation()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise DaedalError(
            f"{folder} cannot be opened ({error.strerror})", "Check it, or name another folder in DAEDAL_HOME"
        ) from None
    try:
        if sys.platform != "win32":
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def secret(name: str, most: int = 2**20) -> bytes | None:
    """A secret of the folder; None where there is none.

    Raises:
        DaedalError: it cannot be read. What is in it is never told.
    """
    path = installation() / name
    try:
        if not path.exists():
            return None
        if regular_size(path) > most:
            raise DaedalError(f"{path} is damaged", "Move it away; a new one is made")
        return path.read_bytes()
    except OSError as error:
        raise DaedalError(f"{path} cannot be read ({error.strerror})", "Check its permissions") from None
