"""A scene is data: one to four shapes, each with a colour, a size and a place, over a ground; and how it is drawn.

    Scene.model_validate_json(truth) == scene          # the truth that comes with a picture
    draw(scene, 32)                                    # uint8 [32 32 3], the same on every machine

Places and sizes are in shares of the picture's side, y down, so that a scene can be drawn at any size. What two shapes are to
each other follows from where they stand (`relations`), by rules that leave nothing to taste.
"""

from collections.abc import Iterator
from itertools import combinations
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float, UInt8
from pydantic import Field

from daedal.config import Config
from daedal.data.worlds.shapes import SHAPES, Shape, box_of, coverage, depth, gap

Colour = Literal["red", "yellow", "green", "cyan", "blue", "purple", "pink", "black"]
Size = Literal["small", "medium", "large"]
Relation = Literal["above", "below", "left of", "right of", "inside", "touching"]
Tint = Literal["white", "cream", "grey", "sky", "mint", "rose"]
Texture = Literal["plain", "stripes", "checks", "dots", "grain"]
COLOURS: tuple[Colour, ...] = get_args(Colour)
SIZES: tuple[Size, ...] = get_args(Size)
RELATIONS: tuple[Relation, ...] = get_args(Relation)
TINTS: tuple[Tint, ...] = get_args(Tint)
TEXTURES: tuple[Texture, ...] = get_args(Texture)
MOST_THINGS = 4
SMALLEST_SIDE, LARGEST_SIDE = 32, 128

RGB: dict[Colour, tuple[int, int, int]] = {
    # No mixture of two of these, or of one and a ground, comes within 45 levels of a third: an edge is never a colour.
    "red": (222, 42, 48), "yellow": (250, 208, 40), "green": (48, 160, 72), "cyan": (62, 200, 222),
    "blue": (40, 82, 214), "purple": (130, 45, 185), "pink": (250, 120, 190), "black": (28, 28, 34),
}  # fmt: skip
TINT_RGB: dict[Tint, tuple[int, int, int]] = {
    "white": (250, 250, 248), "cream": (250, 240, 220), "grey": (206, 210, 216),
    "sky": (216, 231, 247), "mint": (218, 242, 224), "rose": (248, 228, 228),
}  # fmt: skip
SIZE: dict[Size, float] = {"small": 0.15, "medium": 0.205, "large": 0.28}
"""Of a shape, in shares of the picture's side: roughly half its width."""
APART = 0.06
"""Shapes that do not touch stand so far apart at least, in shares of the side: two pixels of 32."""
CONTACT = 0.03
"""Shapes closer than this touch; drawn ones either meet or stand `APART`."""
RELIEF = 11
"""How many levels a texture is darker than its tint, at most."""

Pair = tuple[Colour, Shape]
HELD_OUT_PAIRS: frozenset[Pair] = frozenset(
    (COLOURS[(3 * number + 1) % 8], shape) for number, shape in enumerate(SHAPES)
)
"""Eight of the 64 pairs of colour and shape, each colour and each shape once, to leave out of training and test on."""

RelationPair = tuple[Relation, Shape, Shape]


_DIRECTED: tuple[tuple[int, Relation], ...] = ((2, "above"), (5, "left of"), (1, "inside"))


def _meeting(one: Shape, other: Shape) -> RelationPair:
    low, high = sorted((one, other))
    return "touching", low, high


HELD_OUT_RELATIONS: frozenset[RelationPair] = frozenset(
    (relation, SHAPES[(3 * number + offset) % 8], shape)
    for offset, relation in _DIRECTED
    for number, shape in enumerate(SHAPES)
) | frozenset(_meeting(SHAPES[(3 * number + 4) % 8], shape) for number, shape in enumerate(SHAPES))
"""Relations with the shapes that stand in them, an eighth of all, to leave out of training and test on; as `arrangements` gives
them, so that leaving out a star above a heart leaves out a heart below a star."""


class Thing(Config):
    """A shape in a scene; `x` and `y` are its centre."""

    shape: Shape
    colour: Colour
    size: Size
    x: float = Field(ge=0, le=1)
    y: float = Field(ge=0, le=1)

    @property
    def pair(self) -> Pair:
        return self.colour, self.shape

    @property
    def placed(self) -> tuple[Shape, float, float, float]:
        """Shape, size, x and y as the functions of `shapes` take them."""
        return self.shape, SIZE[self.size], self.x, self.y


class Ground(Config):
    """What the shapes stand on; `seed` says how its texture falls."""

    tint: Tint = "white"
    texture: Texture = "plain"
    seed: int = Field(0, ge=0, lt=2**16)


class Scene(Config):
    """A picture as data.

    Attributes:
        relation: what the first thing is to the second, where the scene is about that; else None.
    """

    things: tuple[Thing, ...] = Field(min_length=1, max_length=MOST_THINGS)
    ground: Ground = Ground()
    relation: Relation | None = None


def relations(one: Thing, other: Thing) -> frozenset[Relation]:
    """What `one` is to `other`.

    Inside, where its whole outline is; touching, where the outlines come closer than `CONTACT`; and unless inside, one of the
    four directions: the one in which the centres stand further apart.
    """
    if depth(one.placed, other.placed) > 0:
        return frozenset(("inside",))
    if depth(other.placed, one.placed) > 0:
        return frozenset()
    across, down = other.x - one.x, other.y - one.y
    if abs(down) >= abs(across):
        direction: Relation = "above" if down > 0 else "below"
    else:
        direction = "left of" if across > 0 else "right of"
    near = np.hypot(across, down) < 1.5 * (SIZE[one.size] + SIZE[other.size])
    touching = near and gap(one.placed, other.placed) < CONTACT
    return frozenset((direction, "touching") if touching else (direction,))


def arrangements(scene: Scene) -> Iterator[RelationPair]:
    """Every relation in the scene between two of its shapes, said in one way only: above, left of, inside, touching."""
    for one, other in combinations(scene.things, 2):
        for first, second in ((one, other), (other, one)):
            for relation in relations(first, second):
                if relation == "touching":
                    yield _meeting(first.shape, second.shape)
                elif relation in ("above", "left of", "inside"):
                    yield relation, first.shape, second.shape


def draw(scene: Scene, side: int) -> UInt8[np.ndarray, "side side 3"]:
    """The picture of a scene, anti-aliased."""
    picture = _ground(scene.ground, side)
    for thing in sorted(scene.things, key=lambda thing: -SIZE[thing.size]):  # what is inside is drawn on top
        shape, size, x, y = thing.placed
        top, bottom, left, right = box = box_of(size, x, y, side)
        cover = coverage(shape, size, x, y, side, box)[..., None]
        part = picture[top:bottom, left:right]
        part += cover * (np.array(RGB[thing.colour]) - part)
    rounded: UInt8[np.ndarray, "side side 3"] = np.rint(picture).astype(np.uint8)
    return rounded


def _ground(ground: Ground, side: int) -> Float[np.ndarray, "side side 3"]:
    picture = np.broadcast_to(np.array(TINT_RGB[ground.tint], dtype=np.float64), (side, side, 3)).copy()
    if ground.texture == "plain":
        return picture
    # Philox gives the same numbers everywhere; texture n of a scene does not depend on the picture's size.
    random = np.random.Generator(np.random.Philox(key=[ground.seed, 0]))
    turn, shift_x, shift_y = random.random(3)
    at = (np.arange(side) + 0.5) / side
    x, y = np.meshgrid(at + shift_x, at + shift_y)
    wave = 2 * np.pi * 8
    if ground.texture == "stripes":
        across = {0: x, 1: y, 2: (x + y) * 0.75, 3: (x - y) * 0.75}[int(turn * 4)]
        relief = 0.5 + 0.5 * np.clip(3 * np.sin(wave * across), -1, 1)
    elif ground.texture == "checks":
        relief = 0.5 + 0.5 * np.clip(6 * np.sin(wave / 2 * x) * np.sin(wave / 2 * y), -1, 1)
    elif ground.texture == "dots":
        relief = np.clip(4 * (np.cos(wave * 0.75 * x) + np.cos(wave * 0.75 * y) - 1), 0, 1)
    else:
        cells = np.minimum((at * 32).astype(int), 31)
        relief = random.random((32, 32))[cells][:, cells]
    picture -= RELIEF * relief[..., None]
    return picture
