"""What the user named -> the files to read, in an order that does not depend on the order in which they were named."""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import BinaryIO, Literal, TypeVar

from daedal.config import Config
from daedal.data import library
from daedal.data.document import Event, Lost
from daedal.data.filetypes import readable_name
from daedal.data.hub import parse_hub_name, read_hub
from daedal.data.images.builtin import BUILTINS as PICTURES
from daedal.data.readers import Reading, read_stream
from daedal.errors import DaedalError
from daedal.families import part

Role = Literal["train", "validation", "test"]
BUILTINS = (*library.BUILTINS, *library.MADE, *PICTURES, "moving-scenes")
_RESOLVED = {  # made by name, and resolved by what makes them
    "emoji-scenes": "daedal.data.worlds.emoji_scenes:resolve_emoji_scenes",
    "moving-scenes": "daedal.data.worlds.moving_source:resolve_moving_scenes",
    **dict.fromkeys(library.MADE, "daedal.data.made_text:resolve_made"),
}
_ABOUT = frozenset(f"dataset_{what}.json" for what in ("info", "infos", "dict"))  # of Hugging Face, beside its tables
_SKIPPED_FOLDERS = frozenset(("__pycache__", "node_modules", "__MACOSX"))
UNIT_BYTES = 8 * 2**20
T = TypeVar("T")


class Item(Config):
    """One file, or one thing that is read like a file."""

    kind: Literal["file", "docstrings", "topics", "made", "hub", "pictures"] = "file"
    label: str
    path: str = ""
    bytes: int = 0
    changed: int = 0  # nanoseconds, as the file system says


class Unit(Config):
    """Items that are read together by one worker; always the same ones for the same sources."""

    number: int
    role: Role
    items: tuple[Item, ...]

    @property
    def bytes(self) -> int:
        """Bytes on disk."""
        return sum(item.bytes for item in self.items)


class Named(Config):
    """One source, resolved."""

    source: str
    role: Role
    items: tuple[Item, ...]
    lost: tuple[tuple[str, str, str, int, bool], ...] = ()


def resolve(source: str, role: Role, leave_out: Path | None = None) -> Named:
    """The files that a source names, or what is made by its name.

    Args:
        source: a path, a built-in name or `hf:NAME`.
        role: the split it is for; `train` is drawn into splits.
        leave_out: a folder that is not read, should it be inside: the one that the build writes.

    Raises:
        DaedalError: it names nothing that is there and can be read.
    """
    if source.startswith("hf:"):
        parse_hub_name(source)
        return Named(source=source, role=role, items=(Item(kind="hub", label=source, path=source),))
    if source in library.BUILTINS:
        return Named(source=source, role=role, items=tuple(_builtin_items(source)))
    name = source.partition(":")[0]
    if name in _RESOLVED:
        found: Named = part(_RESOLVED[name])(source, role, leave_out)
        return found
    if name in PICTURES:
        return Named(source=source, role=role, items=(Item(kind="pictures", label=source, path=source),))
    return resolve_path(source, role, leave_out)


def is_pattern(source: str) -> bool:
    """Whether that is a pattern of names, as `*_[0-4].wav`, and no source of its own."""
    return (
        any(sign in source for sign in "*?[")
        and not source.startswith("hf:")
        and not os.path.lexists(os.path.expanduser(source))
    )


def names_it(pattern: str, label: str) -> bool:
    """Whether a pattern of names is of a file or of what is in an archive: it says how its path ends."""
    return fnmatchcase("/" + re.sub("!", "/", label), "*/" + pattern)


def resolve_path(source: str, role: Role, leave_out: Path | None = None) -> Named:
    """The files that a path names.

    Args:
        source: the path.
        role: the split it is for.
        leave_out: a folder that is not read.

    Raises:
        DaedalError: there is nothing that can be read.
    """
    path = Path(source).expanduser()
    try:
        if path.is_file():
            return Named(source=source, role=role, items=(_item(path, path.name),))
        if not path.is_dir():
            what = "is not a file or folder" if os.path.lexists(path) else "does not exist"
            raise DaedalError(
                f"The source {source} {what}", f"Check the path, or use one of: {', '.join(BUILTINS)}, hf:NAME"
            )
        os.scandir(path).close()
    except OSError as error:
        raise DaedalError(f"{source} cannot be read ({error.strerror})", "Check its permissions") from None
    items: list[Item] = []
    lost: list[Lost] = []
    for entry in _walk(path, lost, leave_out):
        try:
            items.append(_item(entry, f"{path.name}/{entry.relative_to(path).as_posix()}"))
        except OSError as error:
            lost.append(Lost(readable_name(str(entry)), "unreadable", error.strerror or "", 0))
    if not items:
        raise DaedalError(f"The folder {source} has no files to read", "Give another folder")
    return Named(source=source, role=role, items=tuple(items), lost=tuple(tuple(each) for each in lost))


def plan_units(named: Iterable[Named]) -> list[Unit]:
    """Cut all items into units of about `UNIT_BYTES`, in the order of their names."""
    units: list[Unit] = []
    ordered = sorted(
        ((each.role, item) for each in named for item in each.items),
        key=lambda pair: (pair[0], pair[1].label, pair[1].path),
    )
    group: list[Item] = []
    filled = 0
    for place, (role, item) in enumerate(ordered):
        group.append(item)
        filled += item.bytes + 4096  # so that a million tiny files make more than one unit
        last = place + 1 == len(ordered) or ordered[place + 1][0] != role
        if last or filled + ordered[place + 1][1].bytes > UNIT_BYTES:
            units.append(Unit(number=len(units), role=role, items=tuple(group)))
            group, filled = [], 0
    return units


def read_item(item: Item, reading: Reading) -> Iterator[Event]:
    """The raw documents of an item.

    Args:
        item: what to read.
        reading: what the user said about how.
    """
    if item.kind == "hub":
        yield from read_hub(item.path, reading.field)
    elif item.kind == "pictures":
        yield Lost(item.label, "pictures", "made by name", broken=False)
    elif item.kind == "docstrings":
        yield from library.read_docstrings(item.label, Path(item.path))
    elif item.kind == "made":
        read: Callable[[Item], Iterator[Event]] = part("daedal.data.made_text:read_made")
        yield from read(item)
    elif item.kind == "topics":
        yield from library.read_topics(item.label)
    else:
        yield from read_file(item, lambda stream: read_stream(item.label, stream, item.bytes, reading))


def read_file(item: Item, read: Callable[[BinaryIO], Iterator[T]]) -> Iterator[T | Lost]:
    """What `read` gives of an item's file; word of one that cannot be opened."""
    try:
        stream = open(item.path, "rb")  # noqa: SIM115 (closed by the with below)
    except OSError as error:
        yield Lost(item.label, "unreadable", error.strerror or "", item.bytes)
        return
    with stream:
        yield from read(stream)


def _item(path: Path, label: str, kind: Literal["file", "docstrings"] = "file") -> Item:
    status = path.stat()
    return Item(
        kind=kind,
        label=readable_name(label),
        path=str(path.absolute()),
        bytes=status.st_size,
        changed=status.st_mtime_ns,
    )


def _builtin_items(source: str) -> Iterator[Item]:
    kind: Literal["file", "docstrings"] = "file" if source == "python-code" else "docstrings"
    for name, path in library.library_files():
        yield _item(path, f"{source}/{name}", kind)
    if source == "python-docs":
        yield Item(kind="topics", label="python-docs/topics", bytes=700_000)


def _walk(folder: Path, lost: list[Lost], leave_out: Path | None) -> Iterator[Path]:
    """Files below a folder, hidden ones left out; links to folders are not followed, so there are no circles."""

    def refused(error: OSError) -> None:
        lost.append(Lost(readable_name(str(error.filename)), "unreadable", error.strerror or "", 0))

    for base, folders, names in os.walk(folder, onerror=refused):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".")
            and name not in _SKIPPED_FOLDERS
            and not (leave_out is not None and Path(base, name).absolute() == leave_out)
        )
        links = (link for name in folders if os.path.islink(link := os.path.join(base, name)))
        lost += (Lost(readable_name(link), "link to a folder", "not followed", 0, broken=False) for link in links)
        for name in sorted(names):
            path = Path(base, name)
            if name.startswith("."):
                continue
            if name in _ABOUT or (name == "state.json" and "dataset_info.json" in names):
                lost.append(
                    Lost(readable_name(str(path)), "no data", "it tells of the files beside it", 0, broken=False)
                )
            elif path.is_file():
                yield path
            elif path.is_symlink():
                lost.append(Lost(readable_name(str(path)), "link to nothing", "no file is there", 0, broken=False))
            else:
                lost.append(Lost(readable_name(str(path)), "no file", "a pipe, a socket or a device", 0, broken=False))
