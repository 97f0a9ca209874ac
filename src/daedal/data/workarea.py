"""The folder beside the target in which a build works, and what may be in its way.

A build that was stopped leaves the folder, and the same request goes on from there; when it is done the folder goes.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from daedal.data.manifest import FORMATS, MANIFEST
from daedal.data.stop import resumable
from daedal.errors import DaedalError
from daedal.files import make_folder, read_json, write_json
from daedal.lock import locked

LOCK = "lock"


def work_path(out: Path) -> Path:
    """Where the build of `out` works."""
    return out.absolute().parent / f".{out.absolute().name}.build"


def holds_request(out: Path, request: str, replace: bool) -> bool:
    """Whether `out` holds what is asked for; where it is free, or may be replaced, it does not.

    Raises:
        DaedalError: something else is there.
    """
    if not os.path.lexists(out):
        return False
    if not out.is_dir():
        raise DaedalError(f"{out} is a file, not a folder", "Choose another folder for the data")
    if not any(out.iterdir()):
        return False
    if not (out / MANIFEST).is_file():
        raise DaedalError(f"{out} has files in it and is not a data folder", "Choose another folder for the data")
    values = read_json(out / MANIFEST)
    if not isinstance(values, dict) or values.get("format") not in FORMATS:
        raise DaedalError(f"{out / MANIFEST} is not the manifest of a data folder", "Choose another folder")
    if replace:
        return False
    if values.get("request") != request:
        raise DaedalError(
            f"{out} holds data that was built from other sources or with other options",
            "Choose another folder, or add --replace to build it anew",
        )
    return True


@contextmanager
def work_area(work: Path, request: str, replace: bool) -> Iterator[None]:
    """The folder in which a build works: kept when the build is stopped, removed when it is done.

    Raises:
        DaedalError: another build is at work there, or one that was stopped left what is not to be dropped.
    """
    make_folder(work)
    with locked(work / LOCK, f"{work} is being built"):
        state = request_of(work)
        if state != request:
            if state is not None and not replace:
                raise DaedalError(
                    f"An unfinished build from other sources or with other options is in {work}",
                    "Repeat that command to finish it, or add --replace to drop it",
                )
            _clear(work)
        write_json(work / "request.json", request)
        try:
            yield
        except DaedalError as error:
            if not resumable(error) or not any((work / "spool").glob("*.npz")):
                shutil.rmtree(work, ignore_errors=True)  # there is nothing to go on from
            raise
        shutil.rmtree(work, ignore_errors=True)


def _clear(work: Path) -> None:
    """Remove what an earlier build left, but not the lock."""
    for path in work.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name != LOCK:
            path.unlink(missing_ok=True)


def request_of(work: Path) -> str | None:
    """The request that a work area is for."""
    return str(read_json(work / "request.json")) if (work / "request.json").exists() else None
