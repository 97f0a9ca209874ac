"""A moving scene is data: one or two shapes, each with a colour and a way through the clip, over a plain ground; and how its
frames are drawn.

    MovingScene.model_validate_json(truth) == scene    # the truth that comes with a clip
    film(scene, 32, 16)                                # uint8 [16 32 32 3], the same on every machine

Time runs from 0, the first frame, to 1, the last. Places and sizes are in shares of the picture's side, y down; turns are in
degrees, clockwise. Two things of a scene differ in colour, so that each can be followed.
"""

from typing import Literal, Self, get_args

import numpy as np
from jaxtyping import UInt8
from pydantic import Field, model_validator

from daedal.config import Config
from daedal.data.worlds.scenes import RGB, TINT_RGB, Colour, Tint
from daedal.data.worlds.shapes import SHAPES, Shape, box_of, coverage

Verb = Literal["moves", "turns", "grows", "shrinks", "appears", "bounces", "follows", "passes"]
Way = Literal["left", "right", "up", "down", "clockwise", "anticlockwise"]
VERBS: tuple[Verb, ...] = get_args(Verb)
HEADINGS: dict[Way, tuple[int, int]] = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
"""Across and down, of a thing that goes somewhere."""
TURNS: dict[Way, int] = {"clockwise": 1, "anticlockwise": -1}
WAYS: dict[Verb, tuple[Way, ...]] = {
    "moves": tuple(HEADINGS), "turns": tuple(TURNS), "grows": (), "shrinks": (), "appears": (),
    "bounces": tuple(HEADINGS), "follows": tuple(HEADINGS), "passes": tuple(HEADINGS),
}  # fmt: skip
"""Where to a thing may do what it does; what bounces goes to the edge that is said, and back."""
RELATED: frozenset[Verb] = frozenset(("follows", "passes"))
"""What the first thing of a scene does to the second."""
MOST_MOVERS = 2
SECONDS = 2.0
"""A clip of a moving scene lasts so long, whatever its number of frames."""

MotionPair = tuple[Shape, Verb]
HELD_OUT_MOTIONS: frozenset[MotionPair] = frozenset(
    (shape, VERBS[(3 * number + 2) % 8]) for number, shape in enumerate(SHAPES)
)
"""Eight of the 64 pairs of shape and verb, each shape and each verb once, to leave out of training and test on."""


def can(shape: Shape, verb: Verb) -> bool:
    """Whether it shows when a shape does this: of a circle nobody sees that it turns."""
    return (shape, verb) != ("circle", "turns")


class Knot(Config):
    """Where a thing is at a time; between two knots it changes evenly.

    Attributes:
        turn: in degrees, clockwise.
    """

    at: float = Field(ge=0, le=1)
    x: float = Field(ge=0, le=1)
    y: float = Field(ge=0, le=1)
    size: float = Field(gt=0, le=0.5)
    turn: float = 0.0


class Mover(Config):
    """A shape on its way.

    Attributes:
        verb: what it does; None for what stands still.
        way: where to, of a verb that goes somewhere.
        knots: at rising times, the first at 0 and the last at 1.
        since: the time from which on it is there.
    """

    shape: Shape
    colour: Colour
    verb: Verb | None
    way: Way | None = None
    knots: tuple[Knot, ...] = Field(min_length=2)
    since: float = Field(0.0, ge=0, lt=1)

    @property
    def pair(self) -> MotionPair | None:
        """Its shape and what it does."""
        return None if self.verb is None else (self.shape, self.verb)

    def at(self, time: float) -> Knot:
        """Where it is."""
        times = [knot.at for knot in self.knots]
        values = [[getattr(knot, name) for knot in self.knots] for name in ("x", "y", "size", "turn")]
        x, y, size, turn = (float(np.interp(time, times, value)) for value in values)
        return Knot.model_construct(at=time, x=x, y=y, size=size, turn=turn)


class MovingScene(Config):
    """A clip as data. Where the first thing follows or passes, it does so to the second."""

    things: tuple[Mover, ...] = Field(min_length=1, max_length=MOST_MOVERS)
    tint: Tint = "white"

    @model_validator(mode="after")
    def _related_to_another(self) -> Self:
        if len({thing.colour for thing in self.things}) < len(self.things):
            raise ValueError("two things of a moving scene have two colours")
        if self.things[0].verb in RELATED and len(self.things) < MOST_MOVERS:
            raise ValueError(f"nothing is there for what {self.things[0].verb}")
        return self

    @property
    def related(self) -> bool:
        """Whether the first thing does something to the second."""
        return self.things[0].verb in RELATED


def film(scene: MovingScene, side: int, frames: int) -> UInt8[np.ndarray, "frames side side 3"]:
    """The frames of a scene, anti-aliased."""
    times = np.linspace(0, 1, frames) if frames > 1 else np.zeros(1)
    return np.stack([_frame(scene, side, float(time)) for time in times])


def _frame(scene: MovingScene, side: int, time: float) -> UInt8[np.ndarray, "side side 3"]:
    picture = np.broadcast_to(np.array(TINT_RGB[scene.tint], dtype=np.float64), (side, side, 3)).copy()
    for thing in scene.things:
        if time < thing.since:
            continue
        knot = thing.at(time)
        top, bottom, left, right = box = box_of(knot.size, knot.x, knot.y, side)
        cover = coverage(thing.shape, knot.size, knot.x, knot.y, side, box, np.radians(knot.turn))[..., None]
        part = picture[top:bottom, left:right]
        part += cover * (np.array(RGB[thing.colour]) - part)
    rounded: UInt8[np.ndarray, "side side 3"] = np.rint(picture).astype(np.uint8)
    return rounded
