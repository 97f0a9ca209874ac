"""Pictures, with classes and captions or without. What is their own is that their size is known when all were seen, and that
tables and files beside them speak of them: `daedal.data.images.picture_build`."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from daedal.data.columns import Classes, Dense, Strings
from daedal.data.images.options import ImageOptions
from daedal.data.kind import Kind
from daedal.data.peek import Sources
from daedal.data.recognise import modality
from daedal.data.sources import Item

if TYPE_CHECKING:
    from daedal.data.images.events import Event
    from daedal.data.images.readers import Place


def recognise(sources: Sources) -> float:
    """Sure where most files are pictures."""
    return 0.9 if modality(sources) == "images" else 0.0


def read(items: Sequence[Item], options: ImageOptions, place: "Place") -> "Iterator[Event]":
    """Pictures, and what is said of them; `place` tells how far a file was read."""
    # All kinds are asked whose a source is: none should wait for the readers of pictures
    from daedal.data.images.annotate import wanted_tables
    from daedal.data.images.readers import Reading, read_item
    from daedal.data.images.rows import Columns
    from daedal.data.worlds.emoji_scenes import EMOJI_SCENES, read_emoji_scenes

    columns = Columns(
        options.image_column,
        options.label_column if options.labels is None else None,
        options.caption_column if options.captions is None else None,
    )
    reading = Reading(
        columns=columns,
        tables=wanted_tables(options),
        sidecars=options.captions == "sidecar",
        metadata=options.captions == "metadata",
        size=options.size,
        seed=options.seed,
    )
    for item in items:
        if item.kind == "pictures" and item.path.partition(":")[0] == EMOJI_SCENES:
            yield from read_emoji_scenes(item.path, options.size, options.seed)
        else:
            yield from read_item(item, reading, place)


KIND = Kind(
    name="pictures",
    columns={"picture": Dense(dtype="uint8"), "label": Classes(optional=True), "caption": Strings(optional=True)},
    key=("picture",),
    recognise=recognise,
    read=read,
    options=ImageOptions,
    packages=("numpy", "pillow", "pyarrow"),
    build="daedal.data.images.picture_build:PictureBuild",
    card="daedal.data.images.card:of_pictures",
)
