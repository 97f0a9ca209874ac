"""What a build is asked for: its sources, resolved, and a hash of everything that its outcome depends on."""

import hashlib
import json
import sys
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import daedal
from daedal.data.documents.formats import MISSING
from daedal.data.options import CommonOptions
from daedal.data.sources import BUILTINS, Named, Role, is_pattern, resolve
from daedal.data.spool import Tally
from daedal.errors import DaedalError


def resolve_all(sources: Sequence[str | Path | Named] | str | Path, options: CommonOptions, out: Path) -> list[Named]:
    """All sources, those of the validation and test splits with them.

    Args:
        sources: for the splits that are drawn; some may be resolved already.
        options: with the sources of the other splits.
        out: the folder that is written, which is not read.

    Raises:
        DaedalError: there is none, or one cannot be read.
    """
    drawn = [sources] if isinstance(sources, str | Path) else sources
    if not drawn:
        raise DaedalError("No source is given", f"Name files, folders, {', '.join(BUILTINS)} or hf:NAME")
    roles: list[tuple[Sequence[str | Path | Named], Role]] = [
        (drawn, "train"),
        ([each for each in options.validation if not is_pattern(each)], "validation"),
        ([each for each in options.test if not is_pattern(each)], "test"),
    ]
    return [
        source if isinstance(source, Named) else resolve(str(source), role, out)
        for group, role in roles
        for source in group
    ]


def hash_of(named: list[Named], kind: str, options: CommonOptions, made_with: Mapping[str, str]) -> str:
    """A hash of everything that the outcome depends on: the files of the sources and of the options, and how they are read."""
    rest = [kind, options.model_dump(mode="json"), _changed(options), made_with]
    items = sorted(
        (each.role, each.source, item.label, item.bytes, item.changed) for each in named for item in each.items
    )
    lost = sorted(tuple(map(str, each)) for one in named for each in one.lost)
    return hashlib.sha256(json.dumps([items, lost, *rest]).encode()).hexdigest()


def _changed(options: CommonOptions) -> list[list[int]]:
    """Size and time of the files that the options name."""
    paths = [Path(each).expanduser() for each in (*options.files(), options.opt_out) if each is not None]
    return [[each.st_size, each.st_mtime_ns] for each in (path.stat() for path in paths if path.is_file())]


def versions(*packages: str) -> dict[str, str]:
    """The versions of Daedal, Python and these packages."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}"
    return {"daedal": daedal.__version__, "python": python} | {name: version(name) for name in packages}


def refuse_broken(named: list[Named], tally: Tally) -> None:
    """Refuse sources that are one broken file.

    Raises:
        DaedalError: there is one.
    """
    broken = tally.counts.get("broken", Counter())
    for each in named:
        if len(each.items) != 1:
            continue
        label = unicodedata.normalize("NFC", each.items[0].label)  # as pictures are named
        label = label if label in broken else each.items[0].label
        if label not in broken:
            continue
        for reason, (_, _, examples) in tally.dropped.items():
            for example in examples:
                if example.startswith(f"{label}: "):
                    raise DaedalError(
                        f"{each.source} cannot be read: {reason} ({example.removeprefix(f'{label}: ')})",
                        "Install that, or leave it out" if reason == MISSING else "Repair it, or leave it out",
                    )


def told(tally: Tally) -> str:
    """What was left out, to be put behind the news that nothing is left."""
    left = "; ".join(f"{entry[0]} {reason}, as {entry[2][0]}" for reason, entry in tally.dropped.items() if entry[2])
    return f" ({left})" if left else ""
