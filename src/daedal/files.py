"""Files that are never half-written: write beside the target, flush to disk, then rename over it."""

import errno
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from daedal.errors import DaedalError

_MAX_JSON_BYTES = 256 * 2**20


def disk_error(error: OSError, path: Path) -> DaedalError:
    """The one line for a write that the operating system refused."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DaedalError(f"No space left on disk while writing {path}", "Free some space and run the command again")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return DaedalError(
            f"{path} cannot be written ({error.strerror})", "Choose another folder or change its permissions"
        )
    if error.errno in (errno.ENOTDIR, errno.EEXIST, errno.EISDIR):
        return DaedalError(
            f"{path} cannot be created: a file or folder is in the way ({error.strerror})", "Choose another path"
        )
    if error.errno == errno.ENOENT:
        return DaedalError(f"{path} cannot be created there ({error.strerror})", "Choose another path")
    return DaedalError(f"Writing {path} failed ({error.strerror or error})", "Check the disk and try again")


def make_folder(path: Path) -> Path:
    """Create `path` and its parents.

    Raises:
        DaedalError: where that is not possible.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(error, path) from None
    return path


def require_place(path: Path) -> None:
    """Make sure, before the work, that a file can be written there; nothing is made yet, no folder either.

    Raises:
        DaedalError: a folder is in the way, or the operating system refuses.
    """
    if _kind(path) == stat.S_IFDIR:
        raise disk_error(IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR)), path)
    above = path.parent
    while (found := _kind(above)) is None and above != above.parent:
        above = above.parent
    if found != stat.S_IFDIR:
        raise disk_error(NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)), path)
    if not os.access(above, os.W_OK):
        raise disk_error(PermissionError(errno.EACCES, os.strerror(errno.EACCES)), path)


def _kind(path: Path) -> int | None:
    """What is at a path, as `stat.S_IFMT` tells it; nothing where there is none, or none that can be looked at."""
    try:
        return stat.S_IFMT(path.stat().st_mode)
    except (OSError, ValueError):
        return None


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary file path beside `path` that replaces it when the block ends well, and is removed when it does not.

    A device or a pipe, as `/dev/stdout` is one, is never replaced: what was written whole is copied into it.

    Raises:
        DaedalError: a folder is in the way, or the operating system refuses.
    """
    kind = _kind(path)
    if kind == stat.S_IFDIR:
        raise disk_error(IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR)), path)
    if kind not in (None, stat.S_IFREG):
        with tempfile.TemporaryDirectory() as folder:
            yield (whole := Path(folder) / path.name)
            try:
                with whole.open("rb") as source, path.open("wb") as target:
                    shutil.copyfileobj(source, target)
            except OSError as error:
                raise disk_error(error, path) from error
        return
    make_folder(path.parent)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        os.chmod(temporary, 0o666 & ~_umask())  # safetensors, for one, gives 0600
        flush(temporary)
        os.replace(temporary, path)
        flush(path.parent)
    except OSError as error:
        raise disk_error(error, path) from error
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside `path` that takes its place (replacing an older one) when the block ends well.

    Raises:
        DaedalError: a file is in the way, or the operating system refuses.
    """
    if _kind(path) not in (None, stat.S_IFDIR):
        raise disk_error(NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)), path)
    make_folder(path.parent)
    try:
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent))
    except OSError as error:
        raise disk_error(error, path) from None
    try:
        yield temporary
        for entry in temporary.rglob("*"):
            if entry.is_file():
                os.chmod(entry, 0o666 & ~_umask())
                flush(entry)
        os.chmod(temporary, 0o777 & ~_umask())  # mkdtemp gives 0700
        old = None
        if path.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".old", dir=path.parent))
            os.rename(path, old / "replaced")
        os.rename(temporary, path)
        flush(path.parent)
        if old is not None:
            shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise disk_error(error, path) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` atomically, as UTF-8.

    Half of a surrogate pair, which stands for a byte of a file's name that is no UTF-8, is written as `\\udce9`, which JSON
    reads back.
    """
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_json(path: Path, value: Any) -> None:
    """Write `value` to `path` atomically, as indented JSON."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """The JSON value in `path`.

    Raises:
        DaedalError: the file is missing, no regular file, too large to be what it says, or not JSON.
    """
    try:
        if regular_size(path) > _MAX_JSON_BYTES:
            raise DaedalError(
                f"{path} is larger than {_MAX_JSON_BYTES >> 20} MiB", "It is not a file that Daedal wrote"
            )
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DaedalError(f"{path} is missing", "Check the path, or build or train it again") from None
    except OSError as error:
        raise DaedalError(f"{path} cannot be read ({error.strerror})", "Check the path and its permissions") from None
    except (ValueError, RecursionError):  # no UTF-8, no JSON, or a number of more digits than Python reads
        raise DaedalError(
            f"{path} is not valid JSON (truncated or damaged)", "Restore it from a copy, or make it again"
        ) from None


def regular_size(path: Path) -> int:
    """Bytes of a file that can be read to its end: a pipe would keep whoever opens it waiting, and a device may have none.

    Raises:
        OSError: there is no such file.
        DaedalError: it is a folder, a pipe or a device.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise DaedalError(f"{path} cannot be read: it is no regular file", "Name a file, or restore it from a copy")
    return found.st_size


def read_bytes(path: Path, most: int) -> bytes:
    """All bytes of a file that a person names.

    Raises:
        DaedalError: there is no such file, it is a folder, a pipe or a device, or it has more than `most` bytes.
    """
    try:
        if path.is_dir():
            raise DaedalError(f"{path} is a folder", "Name a file in it")
        size = regular_size(path)
        if size > most:
            raise DaedalError(f"{path} has {size:,} bytes", f"Name a file of at most {most:,}")
        return path.read_bytes()
    except (OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or str(error)
        raise DaedalError(f"{path} cannot be read ({said})", "Check the path and its permissions") from None


def cache_folder() -> Path:
    """Where is kept what can be fetched, trained or asked again: `$DAEDAL_CACHE`, else the user's cache."""
    given = os.environ.get("DAEDAL_CACHE")
    home = os.environ.get("XDG_CACHE_HOME")
    return Path(given) if given else (Path(home) if home else Path.home() / ".cache") / "daedal"


def absolute(path: str | Path) -> str:
    """A path that means the same from every working directory."""
    return os.path.abspath(Path(path).expanduser())


def _umask() -> int:
    """What the user wants kept from others; it can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def flush(path: Path) -> None:
    """Have the disk keep a file, or the names in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
