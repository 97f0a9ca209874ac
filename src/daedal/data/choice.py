"""The options of a build, of text or of pictures by what the sources are."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daedal.data.options import BuildOptions, CommonOptions, TextOptions
from daedal.data.recognise import modality
from daedal.errors import DaedalError

if TYPE_CHECKING:
    from daedal.data.images.options import ImageOptions


def options_for(sources: Sequence[str | Path], options: Mapping[str, Any]) -> "BuildOptions | ImageOptions":
    """The options for what the sources hold.

    Raises:
        DaedalError: one is of the other kind, or wrong.
    """
    from daedal.data.images.options import ImageOptions, PictureOptions

    for_pictures = any(name in PictureOptions.model_fields for name in options)
    kind = modality(sources, otherwise="images" if for_pictures else "text")
    others = TextOptions if kind == "images" else PictureOptions
    names = {"images": "pictures", "text": "text"}
    wrong = [name for name in options if name in others.model_fields and name not in CommonOptions.model_fields]
    if wrong:
        other = names["text" if kind == "images" else "images"]
        raise DaedalError(
            f"--{wrong[0].replace('_', '-')} is for {other}, and most of what the sources hold is {names[kind]}",
            "Leave it out, or name other sources",
        )
    return (ImageOptions if kind == "images" else BuildOptions).parse(options, "data build")
