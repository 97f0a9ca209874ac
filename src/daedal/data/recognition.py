"""Which kind of example sources hold: each kind says how sure it is, and the surest is told. None is an answer too."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daedal.data.options import BuildOptions, CommonOptions, TextOptions
from daedal.data.recognise import modality
from daedal.errors import DaedalError
from daedal.kinds import table

if TYPE_CHECKING:
    from daedal.config import Config
    from daedal.data.peek import Sources

TEXT, PICTURES = "text", "pictures"
_SURE_OF_TEXT = 0.3
_SURE_OF_PICTURES = 0.9


def recognise(sources: Sequence[str | Path] | str | Path, options: Mapping[str, Any]) -> str:
    """The kind of example that is surest of the sources.

    Args:
        options: what was asked for; what only one of text and pictures has speaks for it where nothing else does.

    Raises:
        DaedalError: none reads them, or two are as sure.
    """
    from daedal.data.images.options import PictureOptions

    named = [sources] if isinstance(sources, str | Path) else [*sources]
    for_pictures = any(name in PictureOptions.model_fields for name in options)
    modal = modality(named, otherwise="images" if for_pictures else "text")
    seen = _sources(named)
    scores = {PICTURES: _SURE_OF_PICTURES} if modal == "images" else {TEXT: _SURE_OF_TEXT if _is_text(seen) else 0.0}
    if seen is not None:
        from daedal.data.kind import open_kind

        for name in table():
            if name not in (TEXT, PICTURES):
                scores[name] = open_kind(name).recognise(seen)
    best = max(scores.values())
    surest = [name for name, score in scores.items() if score == best]
    if not best:
        raise DaedalError(
            f"{', '.join(map(str, named))}: no kind of example is this, as far as can be seen: there are numbers and no text",
            f"Say what it is with --kind; there are {', '.join(table())}",
        )
    if len(surest) > 1:
        raise DaedalError(
            f"{', '.join(map(str, named))}: this may be {' or '.join(surest)}", "Say which it is with --kind"
        )
    return surest[0]


def _is_text(sources: "Sources | None") -> bool:
    """Whether there is text in sources that are no pictures: not where each file that can be looked into is JSON or a table
    that says little but numbers."""
    if sources is None or not (looked := [peek for peek in sources.peeks if peek.rows or peek.whole is not None]):
        return True
    return any(peek.says() for peek in looked)


def _sources(named: Sequence[str | Path]) -> "Sources | None":
    """The sources to look into; None where they are made by name."""
    from daedal.data.library import BUILTINS
    from daedal.data.peek import Sources
    from daedal.data.sources import resolve

    if any(str(source) in BUILTINS for source in named):
        return None
    try:
        return Sources([resolve(str(source), "train") for source in named])
    except DaedalError:
        return None  # pictures that are made by name; else the build says what is wrong


def options_of(kind: str, options: Mapping[str, Any]) -> "Config":
    """The options of a build of a kind, checked.

    Raises:
        DaedalError: one is of another kind, or wrong.
    """
    from daedal.data.images.options import ImageOptions, PictureOptions

    if kind in (TEXT, PICTURES):
        own: type[CommonOptions] = ImageOptions if kind == PICTURES else BuildOptions
    else:
        from daedal.data.kind import open_kind

        own = open_kind(kind).options
    others = {name for each in (TextOptions, PictureOptions) for name in each.model_fields}
    wrong = [name for name in options if name in others and name not in own.model_fields]
    if wrong:
        for_ = PICTURES if wrong[0] in PictureOptions.model_fields else TEXT
        raise DaedalError(
            f"--{wrong[0].replace('_', '-')} is for {for_}, and most of what the sources hold is {kind}",
            "Leave it out, or name other sources",
        )
    return own.parse(options, "data build")
