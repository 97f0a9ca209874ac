"""Clips: short films without sound, with captions and classes or without.

Animated GIF, WebP and PNG, and video where PyAV is there, in folders and archives; captions and classes from tables among
them, classes from folders that look like some; and moving scenes, which are made by name. A picture that stands still is none.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np

from daedal.codecs.raster import Raster
from daedal.data.artifacts import Unreadable, end_of, read_artifacts
from daedal.data.clip_files import ANIMATED, LARGEST, VIDEO, Sampling, decode_clip, moves
from daedal.data.clip_options import ClipOptions
from daedal.data.clip_tables import TABLES, said_of_clips
from daedal.data.columns import Classes, Signals, Strings
from daedal.data.document import Example, Lost, Note
from daedal.data.fields import named_split, split_of_folders
from daedal.data.kind import Found, Kind
from daedal.data.peek import Sources
from daedal.data.sources import Item, Named, Unit
from daedal.data.worlds.moving_source import is_moving, read_moving_scenes

_ENDS = ANIMATED | VIDEO
_LOOKED_AT = 9  # pictures, of which most must move
_FEWEST = 2  # of each class
_SIDE = frozenset(("txt", "md", "html"))


def recognise(sources: Sources) -> float:
    """Sure of video, and of pictures most of which move."""
    if sources.items and all(map(is_moving, sources.items)):
        return 1.0
    ends = Counter(map(end_of, sources.names))
    video, animated = (sum(ends[end] for end in group) for group in (VIDEO, ANIMATED))
    others = sum(count for end, count in ends.items() if end not in _ENDS | TABLES | _SIDE)
    if video + animated <= others:
        return 0.0
    if video > animated:
        return 0.98
    looked = [moves(data) for data in islice(_pictures(sources.items), _LOOKED_AT)]
    return 0.98 if 2 * sum(looked) > len(looked) else 0.0


def _pictures(items: Sequence[Item]) -> Iterator[bytes]:
    """The bytes of pictures that may move: of files evenly, of archives the first."""
    files = [item for item in items if item.kind == "file"]
    able = [item for item in files if end_of(item.label) in ANIMATED]
    chosen = able[:: max(1, len(able) // _LOOKED_AT)] or files

    def pictures(label: str, end: str, data: bytes) -> Iterator[bytes]:
        if end in ANIMATED:
            yield data

    for item in chosen:
        yield from (found for found in read_artifacts(item, pictures, LARGEST) if isinstance(found, bytes))


def units(named: Iterable[Named]) -> list[Unit]:
    """Files of a source are read together: what classes are is seen from all names, and tables speak of any file. Of scenes
    that are made every part is read alone."""
    found: list[Unit] = []
    for each in named:
        parts = [(item,) for item in each.items] if all(map(is_moving, each.items)) else [each.items]
        found += [Unit(number=len(found) + place, role=each.role, items=part) for place, part in enumerate(parts)]
    return found


def read(items: Sequence[Item], options: ClipOptions) -> Iterator[Found]:
    made = [item for item in items if is_moving(item)]
    for item in made:
        for example in read_moving_scenes(item, options.size, options.frames, options.seed):
            told = None if options.captions == "none" else example.values["caption"]
            yield example._replace(values={**example.values, "caption": told})
    files = [item for item in items if item not in made]
    if not files:
        return
    names = [name for name in Sources.of(files).names if end_of(name) in _ENDS]
    classes = _classes(names) if options.labels is None else {}
    if classes:
        yield Note("classes are the folders of the clips (--labels none leaves them out)")
    tables = said_of_clips(files, options.columns, options.encoding)
    yield from tables.notes
    yield from tables.lost
    raster = Raster(channels=3, height=options.size, width=options.size, fit=options.fit, background=options.background)
    sampling = Sampling(options.frames, raster, options.longest)
    matched = 0

    def clips(label: str, end: str, data: bytes) -> Iterator[Found]:
        nonlocal matched
        if end not in _ENDS:
            if end not in TABLES | _SIDE:
                yield Lost(label, "no clip", "not one by its name", len(data), broken=False)
            return
        try:
            signal = decode_clip(data, end, sampling)
        except Unreadable as error:
            yield Lost(label, error.reason, error.detail, len(data), error.broken)
            return
        said = tables.of(label)
        matched += said != (None, None)
        *folders, _ = re.split("[/!]", label)
        folder = folders[-1] if folders and not named_split(folders[-1]) else None
        label_of = said.label or (folder if options.labels == "folders" or folder in classes else None)
        values = {
            "clip": signal,
            "label": None if options.labels == "none" else label_of,
            "caption": None if options.captions == "none" else said.caption,
        }
        yield Example(label, -1, values, split_of_folders(folders))

    for item in files:
        yield from read_artifacts(item, clips, LARGEST)
    if len(tables) and not matched:
        yield Note("no table among the clips has the name of one")


def _classes(names: Sequence[str]) -> dict[str, int]:
    """Folders that look like classes: every clip is in one, at one depth, and no other level tells clips apart."""
    paths = [[each for each in re.split("[/!]", name)[:-1] if not named_split(each)] for name in names]
    if not paths or len({len(path) for path in paths}) != 1 or not paths[0]:
        return {}
    varying = [level for level in range(len(paths[0])) if len({path[level] for path in paths}) > 1]
    counts = Counter(path[-1] for path in paths)
    return dict(counts) if varying == [len(paths[0]) - 1] and min(counts.values()) >= _FEWEST else {}


def seen(examples: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """How long clips last, how many of them hardly move, and how many have no caption where others have."""
    seconds: list[float] = []
    still = captioned = 0
    for example in examples:
        signal = example["clip"]
        seconds.append(len(signal.values) / signal.rate)
        still += bool((signal.values == signal.values[:1]).all())
        captioned += example["caption"] is not None
    if not seconds:
        return
    low, middle, high = np.quantile(seconds, (0, 0.5, 1))
    if f"{low:.2f}" == f"{high:.2f}":
        yield f"clips last {low:.2f} s"
    else:
        yield f"clips last {low:.2f} to {high:.2f} s, {middle:.2f} s in the middle"
    if still:
        yield f"{still:,} clips stand still: all frames that were taken of them are equal"
    if 0 < captioned < len(seconds):
        yield f"{len(seconds) - captioned:,} clips have no caption"


KIND = Kind(
    name="clips",
    columns={
        "clip": Signals(codec="clip"),
        "label": Classes(optional=True, omissible=True),
        "caption": Strings(optional=True, omissible=True),
        "truth": Strings(optional=True, omissible=True),
    },
    key=("clip",),
    recognise=recognise,
    read=read,
    units=units,
    checks=(seen,),
    options=ClipOptions,
    packages=("numpy", "pillow", "pyarrow"),
    build="daedal.data.clip_build:ClipBuild",
    card="daedal.data.clip_build:of_clips",
)
