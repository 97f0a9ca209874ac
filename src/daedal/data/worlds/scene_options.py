"""Which scenes to draw, as a source names them: `scenes:5000,objects=1-2,ground=plain,shapes=circle+star`."""

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from daedal.config import Config
from daedal.data.worlds.scenes import (
    COLOURS,
    HELD_OUT_PAIRS,
    MOST_THINGS,
    RELATIONS,
    SIZES,
    TEXTURES,
    TINTS,
    Colour,
    Pair,
    Relation,
    Size,
    Texture,
    Tint,
)
from daedal.data.worlds.shapes import SHAPES, Shape
from daedal.errors import DaedalError

About = Literal["relation", "count", "anything"]
Share = Literal["all", "trained", "held-out"]


def _span(value: object) -> object:
    """`1-3`, or `2` for `2-2`, as two numbers."""
    if not isinstance(value, str):
        return value
    low, _, high = value.partition("-")
    return low, high or low


Span = Annotated[tuple[int, int], BeforeValidator(_span)]


def source_options(rest: str, source: str, known: Sequence[str]) -> dict[str, object]:
    """What follows a source's name, by the names of options: `5000,objects=1-2`; what has no name is `count`.

    Raises:
        DaedalError: an option that is not known, or is given twice.
    """
    given: dict[str, object] = {}
    for part in filter(None, rest.split(",")):
        name, equals, value = part.partition("=")
        key, value = (name.strip().replace("-", "_"), value) if equals else ("count", part)
        if key not in known:
            listed = ", ".join(name.replace("_", "-") for name in known)
            raise DaedalError(f"{source}: there is no option {name.strip()!r}", f"Known are {listed}")
        if key in given:
            raise DaedalError(f"{source}: {key} is given twice", "Join several values by +")
        given[key] = value.strip()
    return given


class SceneOptions(Config):
    """The options of the source `scenes`; several values are joined by `+`, and words of one value by `-`.

    Attributes:
        count: how many scenes.
        first: the number of the first; ranges that do not overlap share no scene.
        objects: how many shapes stand in one: `2`, or `1-3`.
        ground: textures of the ground by name, or `plain`, `textured`, `all`.
        tints: colours of the ground.
        shapes, colours, sizes: those that occur.
        relations: those that a scene may be about; `none` for none.
        about: what scenes of two or more shapes are about, one of these by chance: a `relation` of the first two, a `count`
            of equal shapes, or `anything`.
        pairs: of colour and shape: `trained` leaves out the held-out ones (`HELD_OUT_PAIRS`), `held-out` has no others.
        relation_pairs: the same of shapes in a relation (`HELD_OUT_RELATIONS`): in no scene of `trained` do two shapes stand
            so, whatever the scene is about; every scene of `held-out` is about one.
        without: more pairs to leave out: `red-circle+blue-star`.
    """

    count: int = Field(10_000, ge=1, le=100_000_000)
    first: int = Field(0, ge=0, le=2**40)
    objects: Span = (1, MOST_THINGS)
    ground: tuple[Texture, ...] = Field(TEXTURES, min_length=1)
    tints: tuple[Tint, ...] = Field(TINTS, min_length=1)
    shapes: tuple[Shape, ...] = Field(SHAPES, min_length=1)
    colours: tuple[Colour, ...] = Field(COLOURS, min_length=1)
    sizes: tuple[Size, ...] = Field(SIZES, min_length=1)
    relations: tuple[Relation, ...] = RELATIONS
    about: tuple[About, ...] = Field(("relation", "relation", "count", "anything"), min_length=1)
    pairs: Share = "all"
    relation_pairs: Share = "all"
    without: tuple[Pair, ...] = ()

    @classmethod
    def parse_source(cls, source: str) -> Self:
        """The options in a source's name.

        Raises:
            DaedalError: an option that there is not, or a bad value.
        """
        name, _, rest = source.partition(":")
        if name != "scenes":
            raise DaedalError(
                f"{source!r} is no source of scenes", "Write scenes, scenes:5000 or scenes:5000,objects=1"
            )
        return cls.parse(source_options(rest, source, tuple(cls.model_fields)), source)

    @field_validator("objects")
    @classmethod
    def _in_range(cls, value: tuple[int, int]) -> tuple[int, int]:
        if not 1 <= value[0] <= value[1] <= MOST_THINGS:
            raise ValueError(f"from 1 to {MOST_THINGS}, written 2 or 1-3")
        return value

    @field_validator("ground", "tints", "shapes", "colours", "sizes", "relations", "about", mode="before")
    @classmethod
    def _names(cls, value: object, info: ValidationInfo) -> object:
        if not isinstance(value, str):
            return value
        every = cls.model_fields[str(info.field_name)].default
        groups: dict[str, tuple[str, ...]] = {"all": every, "none": ()}
        if info.field_name == "ground":
            groups["textured"] = tuple(name for name in TEXTURES if name != "plain")
        names = [part.strip().replace("-", " ") for part in value.split("+")]
        return tuple(name for part in names for name in groups.get(part, (part,)))

    @field_validator("without", mode="before")
    @classmethod
    def _pairs(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        pairs = [part.strip().split("-") for part in value.split("+")]
        if any(len(pair) != 2 for pair in pairs):
            raise ValueError("pairs are written red-circle+blue-star")
        return pairs

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if not self.allowed_pairs:
            raise ValueError("no pair of colour and shape is left")
        if self.relation_pairs == "held-out" and (self.objects[0] < 2 or not self.relations):
            raise ValueError("held-out relations need objects=2 or more, and a relation")
        return self

    @property
    def allowed_pairs(self) -> tuple[Pair, ...]:
        """The pairs of colour and shape that may occur."""
        every: list[Pair] = [(colour, shape) for colour in self.colours for shape in self.shapes]
        return tuple(
            pair
            for pair in every
            if pair not in self.without
            and (self.pairs == "all" or (pair in HELD_OUT_PAIRS) == (self.pairs == "held-out"))
        )
