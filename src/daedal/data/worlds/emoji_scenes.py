"""Scenes of two drawings that a person has: `emoji-scenes:5000,from=PATH` says "an astronaut above a horse" and shows it.

- drawings are the pictures of a folder or archive, by the captions that come with them, else by the names of their files
- scene `number` of a seed is a pure function of both, of the options and of the drawings
- both stand in squares of `SHARE` of the side that do not meet, on white; in the stated direction their centres stand `CLEAR`
  times further apart than across it
- one pair of objects in ten is held out, by a hash of their names
"""

import hashlib
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple, Self

import numpy as np
from jaxtyping import UInt8
from pydantic import Field, field_validator

from daedal.config import Config
from daedal.data.document import Lost, Note
from daedal.data.images.annotate import annotate
from daedal.data.images.builtin import side_of
from daedal.data.images.events import Event, Found
from daedal.data.images.example_table import Seen
from daedal.data.images.kinds import without_end
from daedal.data.images.options import ImageOptions
from daedal.data.images.origin import Origin
from daedal.data.images.picture import Picture
from daedal.data.images.readers import Place, Reading, read_item
from daedal.data.images.resize import Fault, Treatment, treat
from daedal.data.images.rows import Columns
from daedal.data.images.tables import USUAL
from daedal.data.sources import Item, Named, Role, resolve_path
from daedal.data.worlds.scene_options import Share, source_options
from daedal.errors import DaedalError

EMOJI_SCENES = "emoji-scenes"
SHARE = 0.44
CLEAR = 1.25
_ONE_IN = 10
_TRIES = 1000
_FROM = ",from="

Direction = Literal["above", "below", "left of", "right of"]
_TOWARDS: dict[Direction, tuple[int, int]] = {"above": (0, 1), "below": (0, -1), "left of": (1, 0), "right of": (-1, 0)}
"""Across and down from the first to the second."""


class EmojiSceneOptions(Config):
    """The options of the source `emoji-scenes`; several values are joined by `+`, and words of one value by `-`.

    Attributes:
        count: how many scenes.
        first: the number of the first; ranges that do not overlap share no scene.
        drawings: only so many objects, chosen by a hash of their names.
        relations: what the first may be to the second.
        pairs: of objects: `trained` leaves out the held-out ones, `held-out` has no others.
        where: only drawings whose row of a table says so, as `skin_tone=0`.
        path: the folder or archive of the drawings; `from` in the source's name, and the last there.
    """

    count: int = Field(10_000, ge=1, le=100_000_000)
    first: int = Field(0, ge=0, le=2**40)
    drawings: int | None = Field(None, ge=2)
    relations: tuple[Direction, ...] = Field(tuple(_TOWARDS), min_length=1)
    pairs: Share = "all"
    where: tuple[str, ...] = ()
    path: str = Field(min_length=1)

    @classmethod
    def parse_source(cls, source: str) -> Self:
        """The options in a source's name.

        Raises:
            DaedalError: an option that there is not, a bad value, or no path.
        """
        name, _, rest = source.partition(":")
        said, mark, path = f",{rest}".partition(_FROM)
        if name != EMOJI_SCENES or not mark:
            raise DaedalError(
                f"{source!r} names no drawings",
                f"Write {EMOJI_SCENES}:5000,from=PATH, with a folder or archive of them",
            )
        known = [name for name in cls.model_fields if name != "path"]
        return cls.parse({**source_options(said, source, known), "path": path}, source)

    @field_validator("relations", mode="before")
    @classmethod
    def _relations(cls, value: object) -> object:
        return [part.strip().replace("-", " ") for part in value.split("+")] if isinstance(value, str) else value

    @field_validator("where", mode="before")
    @classmethod
    def _where(cls, value: object) -> object:
        return value.split("+") if isinstance(value, str) else value


class Stands(Config):
    """A drawing in a scene: the centre and the side of its square, in sides of the picture."""

    name: str
    x: float
    y: float
    size: float


class EmojiScene(Config):
    """A scene as data: what the first thing is to the second."""

    things: tuple[Stands, Stands]
    relation: Direction

    @property
    def caption(self) -> str:
        """As "an astronaut above a horse"."""
        one, other = (f"{_article(thing.name)} {thing.name}" for thing in self.things)
        return f"{one} {self.relation if self.relation in ('above', 'below') else f'to the {self.relation}'} {other}"


class Drawing(NamedTuple):
    """A drawing with a name, its pixels with opacity."""

    name: str
    pixels: UInt8[np.ndarray, "side side 4"]


def resolve_emoji_scenes(source: str, role: Role, leave_out: Path | None) -> Named:
    """The source, with the size and the time of the files that its drawings are in.

    Raises:
        DaedalError: it is misspelt, or its path cannot be read.
    """
    items = resolve_path(EmojiSceneOptions.parse_source(source).path, role, leave_out).items
    size, changed = sum(item.bytes for item in items), max(item.changed for item in items)
    return Named(
        source=source,
        role=role,
        items=(Item(kind="pictures", label=source, path=source, bytes=size, changed=changed),),
    )


def read_emoji_scenes(source: str, size: int | None, seed: int) -> Iterator[Event]:
    """The scenes of a source, and the drawings that could not be read.

    Args:
        size: of a side, in pixels (32 where not given).
        seed: another has other scenes.

    Raises:
        DaedalError: there are fewer than two objects, or no pair of them may occur.
    """
    options, side = EmojiSceneOptions.parse_source(source), side_of(size)
    drawings: list[Drawing] = []
    for found in _drawings(options, max(1, round(SHARE * side))):
        if isinstance(found, Lost | Note):
            yield found
        else:
            drawings.append(found)
    names = sorted({drawing.name for drawing in drawings}, key=_hash)[: options.drawings]
    if len(names) < 2:
        raise DaedalError(f"{source}: {len(names)} drawings can be read, and a scene has two", "Name more of them")
    by_name = {name: [drawing for drawing in drawings if drawing.name == name] for name in names}
    for number in range(options.first, options.first + options.count):
        made, which = emoji_scene(number, seed, names, options, side)
        chosen = [
            by_name[thing.name][place % len(by_name[thing.name])]
            for thing, place in zip(made.things, which, strict=True)
        ]
        yield Found(
            Picture(
                origin=Origin(f"{EMOJI_SCENES}/{number:06d}"),
                array=draw(made, [drawing.pixels for drawing in chosen], side),
                caption=made.caption,
                truth=made.model_dump_json(),
            )
        )


def emoji_scene(
    number: int, seed: int, names: Sequence[str], options: EmojiSceneOptions, side: int
) -> tuple[EmojiScene, tuple[int, int]]:
    """Scene `number` of a seed, in whole pixels of a picture; and two numbers that choose among drawings of one name.

    Raises:
        DaedalError: no pair of the names may occur.
    """
    key = np.array([seed, 0xE3031], dtype=np.uint64)
    random = np.random.Generator(np.random.Philox(key=key, counter=np.array([0, 0, 0, number], dtype=np.uint64)))
    relation = options.relations[random.integers(len(options.relations))]
    one, other = _pair(random, names, options)
    square = max(1, round(SHARE * side))
    room = side - 2 * square  # along the relation, before, between and behind the two
    before, behind = sorted(random.integers(0, room + 1, 2).tolist())
    across = random.integers(0, side - square + 1, 2).tolist()
    apart = square + behind - before
    most = int(apart / CLEAR)
    across[1] = min(max(across[1], across[0] - most), across[0] + most)
    along = [before, before + apart]
    right, down = _TOWARDS[relation]
    if right + down < 0:
        along.reverse()
    corners = [(a, b) if right else (b, a) for a, b in zip(along, across, strict=True)]
    things = tuple(
        Stands(name=name, x=(left + square / 2) / side, y=(top + square / 2) / side, size=square / side)
        for name, (left, top) in zip((one, other), corners, strict=True)
    )
    which = random.integers(2**31, size=2).tolist()
    return EmojiScene(things=(things[0], things[1]), relation=relation), (which[0], which[1])


def draw(
    scene: EmojiScene, drawings: Sequence[UInt8[np.ndarray, "square square 4"]], side: int
) -> UInt8[np.ndarray, "side side 3"]:
    """The picture of a scene, of the drawings of its things."""
    picture = np.full((side, side, 3), 255.0)
    for thing, pixels in zip(scene.things, drawings, strict=True):
        square = len(pixels)
        left, top = round(thing.x * side - square / 2), round(thing.y * side - square / 2)
        part, cover = picture[top : top + square, left : left + square], pixels[..., 3:] / 255
        part += cover * (pixels[..., :3] - part)
    rounded: UInt8[np.ndarray, "side side 3"] = np.rint(picture).astype(np.uint8)
    return rounded


def is_held_out(one: str, other: str) -> bool:
    """Whether a pair of objects is left out by `pairs=trained`, in either order."""
    return _hash("\n".join(sorted((one, other)))) % _ONE_IN == 0


def _pair(random: np.random.Generator, names: Sequence[str], options: EmojiSceneOptions) -> tuple[str, str]:
    for _ in range(_TRIES):
        one, other = (names[place] for place in random.choice(len(names), 2, replace=False).tolist())
        if options.pairs == "all" or is_held_out(one, other) == (options.pairs == "held-out"):
            return one, other
    raise DaedalError(f"No pair of {len(names)} objects is {options.pairs}", "Give more drawings, or pairs=all")


def _drawings(options: EmojiSceneOptions, square: int) -> Iterator[Drawing | Lost | Note]:
    reading = Reading(Columns(), USUAL, sidecars=False, metadata=False, size=None, seed=0)
    seen = Seen()
    events = (
        event for item in resolve_path(options.path, "train").items for event in read_item(item, reading, Place())
    )
    encoded = []
    for event in events:
        if isinstance(event, Lost | Note):
            yield event
        elif (found := seen.take(event, "train")) is not None:
            encoded.append(found.picture)
    if not encoded:
        raise DaedalError(f"There is no picture in {options.path}", "Name a folder or archive of drawings")
    said = annotate(seen, ImageOptions(where=options.where))
    yield from map(Note, said.notes)
    treatment = Treatment(channels=4, size=square, fit="pad")
    for picture, caption, kept in zip(encoded, said.captions, said.keep, strict=True):
        if not kept:
            continue
        treated = treat(picture.encoded if picture.array is None else picture.array, treatment)
        if isinstance(treated, Fault):
            yield Lost(picture.name, treated.reason, treated.detail)
        else:
            yield Drawing(caption or _name(picture.origin), treated.pixels)


def _name(origin: Origin) -> str:
    """What a file is called, as words."""
    return " ".join(without_end(origin.file).replace("_", " ").replace("-", " ").split())


def _article(name: str) -> str:
    return "an" if name[:1].lower() in tuple("aeiou") else "a"


@cache
def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())
