"""Running text: prose, source code, rows of a table with a field of text. What is its own is that a document may be longer than
memory and comes in parts, that a single one is cut in its order, and that all become one stream: `daedal.data.stream_build`."""

from collections.abc import Iterator, Mapping, Sequence

from daedal.data.columns import Ragged
from daedal.data.document import Event
from daedal.data.fields import both_of
from daedal.data.kind import InOrder, Kind
from daedal.data.library import is_builtin_text
from daedal.data.options import BuildOptions
from daedal.data.peek import Peek, Sources
from daedal.data.readers import Reading
from daedal.data.recognise import modality
from daedal.data.sources import Item, read_item


def recognise(sources: Sources) -> float:
    """Sure of little: what anybody can read is text, but other kinds may know better. Of what says hardly anything but numbers
    it is not sure at all, nor of two texts a row of which something else is said."""
    if all(map(is_builtin_text, sources.given)):
        return 1.0
    if modality(sources) == "images":
        return 0.0
    if any(both_of(peek.columns) or _has_media(peek) for peek in sources.tables):
        return 0.0
    looked = [peek for peek in sources.peeks if peek.rows or peek.whole is not None]
    return 0.3 if not looked or any(peek.says() for peek in looked) else 0.0


def _has_media(peek: Peek) -> bool:
    """Whether a column has pictures or sound, as Hugging Face writes them."""
    return any(isinstance(cell, Mapping) and isinstance(cell.get("bytes"), bytes) for cell in peek.rows[0].values())


def read(items: Sequence[Item], options: BuildOptions) -> Iterator[Event]:
    """Documents, or their parts."""
    reading = Reading(options.field, options.encoding, options.opt_out is not None)
    for item in items:
        yield from read_item(item, reading)


KIND = Kind(
    name="text",
    columns={"text": Ragged()},
    key=("text",),
    recognise=recognise,
    read=read,
    split=InOrder(),
    options=BuildOptions,
    build="daedal.data.stream_build:StreamBuild",
    card="daedal.data.stream_card:of_stream",
)
