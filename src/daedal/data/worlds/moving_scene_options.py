"""Which moving scenes to draw, as a source names them: `moving-scenes:5000,objects=1,pairs=trained,verbs=moves+turns`."""

from typing import Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from daedal.config import Config
from daedal.data.worlds.moving_scenes import HELD_OUT_MOTIONS, MOST_MOVERS, RELATED, VERBS, MotionPair, Verb, can
from daedal.data.worlds.scene_options import Share, Span, source_options
from daedal.data.worlds.scenes import COLOURS, TINTS, Colour, Tint
from daedal.data.worlds.shapes import SHAPES, Shape
from daedal.errors import DaedalError

MOVING_SCENES = "moving-scenes"


class MovingSceneOptions(Config):
    """The options of the source `moving-scenes`; several values are joined by `+`.

    Attributes:
        count: how many scenes.
        first: the number of the first; ranges that do not overlap share no scene.
        objects: how many shapes are in one: `1`, `2` or `1-2`. What one does to another needs two.
        tints: colours of the ground.
        shapes, colours: those that occur.
        verbs: what the first thing may do, each as often.
        pairs: of shape and verb: `trained` leaves out the held-out ones (`HELD_OUT_MOTIONS`); in `held-out` the first thing of
            every scene is of one, and the other is not.
    """

    count: int = Field(10_000, ge=1, le=100_000_000)
    first: int = Field(0, ge=0, le=2**40)
    objects: Span = (1, MOST_MOVERS)
    tints: tuple[Tint, ...] = Field(TINTS, min_length=1)
    shapes: tuple[Shape, ...] = Field(SHAPES, min_length=1)
    colours: tuple[Colour, ...] = Field(COLOURS, min_length=1)
    verbs: tuple[Verb, ...] = Field(VERBS, min_length=1)
    pairs: Share = "all"

    @classmethod
    def parse_source(cls, source: str) -> Self:
        """The options in a source's name.

        Raises:
            DaedalError: an option that there is not, or a bad value.
        """
        name, _, rest = source.partition(":")
        if name != MOVING_SCENES:
            raise DaedalError(f"{source!r} is no source of moving scenes", f"Write {MOVING_SCENES}:5000,objects=1")
        return cls.parse(source_options(rest, source, tuple(cls.model_fields)), source)

    @field_validator("objects")
    @classmethod
    def _in_range(cls, value: tuple[int, int]) -> tuple[int, int]:
        if not 1 <= value[0] <= value[1] <= MOST_MOVERS:
            raise ValueError(f"from 1 to {MOST_MOVERS}, written 1, 2 or 1-2")
        return value

    @field_validator("tints", "shapes", "colours", "verbs", mode="before")
    @classmethod
    def _names(cls, value: object, info: ValidationInfo) -> object:
        if not isinstance(value, str):
            return value
        return cls.model_fields[str(info.field_name)].default if value == "all" else value.split("+")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.objects[1] > 1 and len(self.colours) < MOST_MOVERS:
            raise ValueError("two things have two colours: give another, or objects=1")
        if not self.first_pairs:
            raise ValueError("no pair of shape and verb is left (what follows or passes needs objects=2)")
        return self

    @property
    def first_pairs(self) -> tuple[MotionPair, ...]:
        """The pairs of shape and verb that the first thing may have."""
        verbs = [verb for verb in self.verbs if verb not in RELATED or self.objects[1] > 1]
        held_out = self.pairs == "held-out"
        every: list[MotionPair] = [(shape, verb) for verb in verbs for shape in self.shapes if can(shape, verb)]
        return tuple(pair for pair in every if self.pairs == "all" or (pair in HELD_OUT_MOTIONS) == held_out)

    def other_shapes(self, verb: Verb | None) -> tuple[Shape, ...]:
        """The shapes of a second thing that does this, or stands still."""
        return tuple(
            shape
            for shape in self.shapes
            if verb is None or (can(shape, verb) and (self.pairs == "all" or (shape, verb) not in HELD_OUT_MOTIONS))
        )
