"""Which kind of example sources hold: each kind says how sure it is, and the surest is told. None is an answer too."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daedal.config import Config
from daedal.data.clip_options import ClipFields
from daedal.data.images.options import PictureOptions
from daedal.data.options import CommonOptions, TextOptions
from daedal.data.peek import Sources
from daedal.data.recognise import modality
from daedal.data.sound_options import SoundFields
from daedal.data.sources import Item, Named, resolve
from daedal.errors import DaedalError
from daedal.kinds import BUILT_IN, table

if TYPE_CHECKING:
    from daedal.data.kind import Kind


_FOR: dict[str, type[Config]] = {
    "clips": ClipFields,
    "sounds": SoundFields,
    "text": TextOptions,
    "pictures": PictureOptions,
}
"""Whose options are options of the command."""
_SURE = 0.75
_WHOLE = 0.97  # kinds of which each file is an example, by its name
_MOST = 0.5  # of the bytes, in a file of a kind that the others are not of


def recognise(sources: Sequence[str | Path | Named] | str | Path, options: Mapping[str, Any]) -> str:
    """The kind of example that is surest of the sources, some of which may be resolved already.

    Args:
        options: what was asked for: where nothing can be seen, what only pictures have speaks for them; columns that are named,
            for the kind that has them.

    Raises:
        DaedalError: one cannot be read, none reads them, or two are as sure.
    """
    given = [sources] if isinstance(sources, str | Path) else sources
    seen = Sources([each if isinstance(each, Named) else resolve(str(each), "train") for each in given])
    scores = {name: _score(name, seen) for name in table()}
    best = max(scores.values())
    for_pictures = any(name in PictureOptions.model_fields for name in options)
    if for_pictures and best < _WHOLE and modality(seen, otherwise="images") == "images":
        return "pictures"
    if options.get("column") and (named := _of_columns(options["column"], scores)):
        return named
    surest = [name for name, score in scores.items() if score == best]
    if not best:
        raise DaedalError(
            f"{', '.join(seen.given)}: no kind of example is this, as far as can be seen: {_looks(seen)}",
            f"Say what it is with --kind, and with --column or --field where it stands; there are {', '.join(table())}",
        )
    if len(surest) > 1:
        raise DaedalError(f"{', '.join(seen.given)}: this may be {' or '.join(surest)}", "Say which it is with --kind")
    if surest == ["text"] and (of := _of_tables(seen)):
        said = ", ".join(f"{item.label} of {kind}" for kind, item in of.items())
        if len(of) > 1:
            raise DaedalError(
                f"{', '.join(seen.given)}: these are of several kinds: {said}", "Name those of one kind, or say --kind"
            )
        if max(item.bytes for item in of.values()) > _MOST * sum(item.bytes for item in seen.items):
            raise DaedalError(
                f"{', '.join(seen.given)}: most of this is {said}, and the rest is not",
                "Name that alone, or say --kind",
            )
    return surest[0]


def _of_columns(chosen: Sequence[str], scores: Mapping[str, float]) -> str | None:
    """The one kind that has the columns that were named, where what looks surest has none to name."""
    from daedal.data.kind import open_kind

    able = {name: open_kind(name) for name in BUILT_IN if "column" in open_kind(name).options.model_fields}
    if any(scores[name] == max(scores.values()) > 0 for name in able):
        return None
    names = {each.partition("=")[0] for each in chosen}
    having = [name for name, kind in able.items() if names <= set(kind.columns)]
    if len(having) == 1:
        return having[0]
    raise DaedalError(
        f"--column {', '.join(chosen)}: what kind of example this is cannot be seen",
        f"Say --kind {' or '.join(having or able)}; of plain text, --field names the column",
    )


def _of_tables(seen: Sources) -> dict[str, Item]:
    """The kinds that are sure of single files, where not one is sure of all; each with its first file."""
    found: dict[str, Item] = {}
    tables = {peek.label.split("!")[0] for peek in seen.tables}
    for item in seen.items if len(tables) > 1 else ():
        if item.label in tables:
            scores = {name: _score(name, Sources.of([item])) for name in table()}
            kind = max(scores, key=lambda name: scores[name])
            if scores[kind] >= _SURE:
                found.setdefault(kind, item)
    return found


def _looks(seen: Sources) -> str:
    named = [name for peek in seen.tables[:1] for name in peek.columns[:12] if not name.isdecimal()]
    return f"it has columns of {', '.join(named)}" if named else "there are numbers and no text"


def _score(name: str, seen: Sources) -> float:
    """How sure a kind is; one of another package that is broken is sure of nothing, so that it stops no build of others."""
    from daedal.data.kind import open_kind

    try:
        return open_kind(name).recognise(seen)
    except Exception as error:
        if name in BUILT_IN:
            raise
        warnings.warn(f"The kind {name} cannot look at sources, and is passed over: {error}", stacklevel=2)
        return 0.0


def options_of(kind: "Kind", options: Mapping[str, Any]) -> CommonOptions:
    """The options of a build of a kind, checked.

    Raises:
        DaedalError: one is of another kind, or wrong.
    """
    of = {name: what for what, fields in _FOR.items() for name in fields.model_fields}
    wrong = [name for name in options if name in of and name not in kind.options.model_fields]
    if wrong:
        raise DaedalError(
            f"--{wrong[0].replace('_', '-')} is for {of[wrong[0]]}, and most of what the sources hold is {kind.name}",
            "Leave it out, or name other sources",
        )
    return kind.options.parse(options, "data build")
