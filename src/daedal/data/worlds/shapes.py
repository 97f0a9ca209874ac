"""The eight shapes of `scenes`: their signed distance, their coverage of pixels, their outline.

A shape is defined around (0, 0) at size 1, x to the right and y down. The signed distance to its outline (negative inside)
gives an anti-aliased edge one pixel wide, whatever the picture's size: a pixel whose centre is half a pixel outside is bare.
Beside a corner it is the distance to the nearer of the two lines that meet there, so that corners stay sharp.
"""

from collections.abc import Callable
from functools import cache
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float

Shape = Literal["circle", "square", "triangle", "diamond", "star", "cross", "heart", "moon"]
SHAPES: tuple[Shape, ...] = get_args(Shape)

REACH = 1.5
"""No shape of size 1 reaches so far from its centre."""

Points = Float[np.ndarray, "*grid 2"]
Grid = Float[np.ndarray, "*grid"]

# Measures of the shapes at size 1, chosen so that they look alike in size, overlap one another little, and fare alike when
# blurred: after a blur of 0.9 pixels of 32 each still overlaps with its template by about 0.85 or more when it is small.
_SQUARE = 0.86  # half a side
_TOP, _FOOT, _BASE = 1.05, 0.85, 1.1  # the triangle's apex, foot and half its base
_WIDE, _TALL = 0.86, 1.25  # half the diagonals of the diamond
_SPIKE, _NOTCH, _SINK = 1.24, 0.67, 0.08  # the star's outer and inner radius, and how far its centre lies below
_ARM, _ARM_WIDTH = 1.08, 0.42  # the cross: half its length, half its width
# The heart: half the diagonal of the square under its two discs, and how far its centre lies below.
_HEART, _LIFT = 0.88, 0.1
# The moon: its radius, that of the disc that is taken from it, how far right this is, and where the moon's centre is.
_MOON, _BITE, _CUT, _MOON_X = 1.1, 0.82, 0.76, 0.12


def distance(shape: Shape, points: Points) -> Float[np.ndarray, "*grid"]:
    """Signed distance of points to the outline of a shape of size 1."""
    return _DISTANCES[shape](points[..., 0], points[..., 1])


def coverage(
    shape: Shape,
    size: float,
    x: float,
    y: float,
    side: int,
    box: tuple[int, int, int, int] | None = None,
    turn: float = 0.0,
) -> Float[np.ndarray, "height width"]:
    """The share of each pixel that a shape covers, from 0 to 1.

    Args:
        size: of the shape, in shares of the picture's side; `x` and `y` of its centre too.
        side: of the picture, in pixels.
        box: the rows and columns wanted (top, bottom, left, right); all where not given.
        turn: of the shape around its centre, in radians, clockwise.
    """
    top, bottom, left, right = box or (0, side, 0, side)
    points = np.empty((bottom - top, right - left, 2))
    points[..., 0] = ((np.arange(left, right) + 0.5) / side - x) / size
    points[..., 1] = (((np.arange(top, bottom) + 0.5) / side - y) / size)[:, None]
    if turn:
        points = points @ turning(turn)
    cover: Float[np.ndarray, "height width"] = 0.5 - distance(shape, points) * (size * side)
    np.minimum(np.maximum(cover, 0, out=cover), 1, out=cover)  # a third of the time that np.clip takes
    return cover


def turning(turn: float) -> Float[np.ndarray, "2 2"]:
    """What turns points, as rows of x and y, back by so many radians: where they were before all was turned clockwise."""
    return np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])


def box_of(size: float, x: float, y: float, side: int) -> tuple[int, int, int, int]:
    """The pixels that a shape can touch: top, bottom, left, right."""
    reach = REACH * size * side + 1
    low, high = (y * side - reach, x * side - reach), (y * side + reach, x * side + reach)
    top, left = (max(0, int(np.floor(value))) for value in low)
    bottom, right = (min(side, int(np.ceil(value))) for value in high)
    return top, max(top, bottom), left, max(left, right)


def gap(one: tuple[Shape, float, float, float], other: tuple[Shape, float, float, float]) -> float:
    """How far apart two shapes stand, each given as shape, size, x and y; negative where one reaches into the other.

    Each direction finds at most the true gap, for a distance beside a corner is too small, so the larger one counts.
    """
    return max(_reach(one, other), _reach(other, one))


def depth(inner: tuple[Shape, float, float, float], outer: tuple[Shape, float, float, float]) -> float:
    """How far inside another shape a shape stays, everywhere; negative where it does not."""
    return -float(_from_outline(inner, outer).max())


def _reach(one: tuple[Shape, float, float, float], other: tuple[Shape, float, float, float]) -> float:
    return float(_from_outline(one, other).min())


def _from_outline(one: tuple[Shape, float, float, float], other: tuple[Shape, float, float, float]) -> Grid:
    """The distances to `other` of the points on the outline of `one`."""
    (shape, size, x, y), (other_shape, other_size, other_x, other_y) = one, other
    points = (outline(shape) * size + (x - other_x, y - other_y)) / other_size
    away: Grid = distance(other_shape, points) * other_size
    return away


@cache
def outline(shape: Shape) -> Float[np.ndarray, "points 2"]:
    """Points on the outline of a shape of size 1, close enough to measure gaps with."""
    turn = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    ring = np.stack([np.cos(turn), np.sin(turn)], axis=-1)
    if shape == "circle":
        return ring
    if shape == "heart":
        discs = [ring * _HEART / 2**0.5 + (side * _HEART / 2, _LIFT - _HEART / 2) for side in (-1, 1)]
        corners = np.array([(-_HEART, _LIFT), (0, _LIFT + _HEART), (_HEART, _LIFT), (0, _LIFT - _HEART)])
        points = np.concatenate([*discs, _along(corners)])
    elif shape == "moon":
        points = np.concatenate([ring * _MOON + (_MOON_X, 0), ring * _BITE + (_MOON_X + _CUT, 0), _MOON_TIPS])
    else:
        points = _along(_corners(shape))
    kept: Points = points[np.abs(distance(shape, points)) < 1e-6]  # of discs only the part that is the shape's
    return kept


def _along(corners: Float[np.ndarray, "corners 2"]) -> Float[np.ndarray, "points 2"]:
    parts = 48 // len(corners)
    steps = np.arange(parts)[:, None, None] / parts
    points: Points = (corners + steps * (np.roll(corners, -1, axis=0) - corners)).reshape(-1, 2)
    return points


def _corners(shape: Shape) -> Float[np.ndarray, "corners 2"]:
    fifths = np.arange(10) * np.pi / 5
    spikes = np.where(np.arange(10) % 2, _NOTCH, _SPIKE)
    arm = [(_ARM_WIDTH, -_ARM), (_ARM_WIDTH, -_ARM_WIDTH), (_ARM, -_ARM_WIDTH), (_ARM, _ARM_WIDTH)]
    arm += [(_ARM_WIDTH, _ARM_WIDTH), (_ARM_WIDTH, _ARM)]
    corners: dict[Shape, list[tuple[float, float]]] = {
        "square": [(-_SQUARE, -_SQUARE), (_SQUARE, -_SQUARE), (_SQUARE, _SQUARE), (-_SQUARE, _SQUARE)],
        "triangle": [(0, -_TOP), (_BASE, _FOOT), (-_BASE, _FOOT)],
        "diamond": [(0, -_TALL), (_WIDE, 0), (0, _TALL), (-_WIDE, 0)],
        "star": list(zip(spikes * np.sin(fifths), _SINK - spikes * np.cos(fifths), strict=True)),
        "cross": [*arm, *((-x, -y) for x, y in arm)],
    }
    return np.array(corners[shape])


_TIP = (_MOON**2 + _CUT**2 - _BITE**2) / (2 * _CUT)
_MOON_TIPS = np.array([(_MOON_X + _TIP, sign * (_MOON**2 - _TIP**2) ** 0.5) for sign in (-1, 1)])


@cache
def area(shape: Shape) -> float:
    """The area of a shape of size 1."""
    return _moments(shape)[0]


@cache
def centroid(shape: Shape) -> tuple[float, float]:
    """The centre of gravity of a shape of size 1."""
    return _moments(shape)[1:]


@cache
def _moments(shape: Shape) -> tuple[float, float, float]:
    cover = coverage(shape, 1 / 3, 0.5, 0.5, 300)
    at = ((np.arange(300) + 0.5) / 300 - 0.5) * 3
    total = float(cover.sum())
    return total / 10_000, float((cover * at).sum()) / total, float((cover * at[:, None]).sum()) / total


def _circle(x: Grid, y: Grid) -> Grid:
    signed: Grid = np.hypot(x, y) - 1
    return signed


def _square(x: Grid, y: Grid) -> Grid:
    signed: Grid = np.maximum(np.abs(x), np.abs(y)) - _SQUARE
    return signed


def _triangle(x: Grid, y: Grid) -> Grid:
    height, half = _TOP + _FOOT, _BASE
    signed: Grid = np.maximum(y - _FOOT, (np.abs(x) * height - (y + _TOP) * half) / np.hypot(height, half))
    return signed


def _diamond(x: Grid, y: Grid) -> Grid:
    signed: Grid = (np.abs(x) * _TALL + np.abs(y) * _WIDE - _TALL * _WIDE) / np.hypot(_TALL, _WIDE)
    return signed


def _star(x: Grid, y: Grid) -> Grid:
    fifth = 2 * np.pi / 5
    across, up = x, _SINK - y
    radius, turn = np.hypot(across, up), np.arctan2(across, up)
    turn = np.abs(turn - fifth * np.round(turn / fifth))  # folded into half of one spike
    notch_x, notch_y = _NOTCH * np.cos(fifth / 2), _NOTCH * np.sin(fifth / 2)
    along, aside = radius * np.cos(turn), radius * np.sin(turn)
    edge = ((along - _SPIKE) * notch_y + aside * (_SPIKE - notch_x)) / np.hypot(_SPIKE - notch_x, notch_y)
    signed: Grid = np.maximum(edge, radius - _SPIKE)
    return signed


def _cross(x: Grid, y: Grid) -> Grid:
    across, down = np.abs(x), np.abs(y)
    longer, shorter = np.maximum(across, down), np.minimum(across, down)
    signed: Grid = np.maximum(longer - _ARM, shorter - _ARM_WIDTH)
    return signed


def _heart(x: Grid, y: Grid) -> Grid:
    across, down = np.abs(x), y - _LIFT
    disc = np.hypot(across - _HEART / 2, down + _HEART / 2) - _HEART / 2**0.5
    signed: Grid = np.minimum(disc, (across + np.abs(down) - _HEART) / 2**0.5)
    return signed


def _moon(x: Grid, y: Grid) -> Grid:
    signed: Grid = np.maximum(np.hypot(x - _MOON_X, y) - _MOON, _BITE - np.hypot(x - _MOON_X - _CUT, y))
    return signed


_DISTANCES: dict[Shape, Callable[[Grid, Grid], Grid]] = {
    "circle": _circle, "square": _square, "triangle": _triangle, "diamond": _diamond,
    "star": _star, "cross": _cross, "heart": _heart, "moon": _moon,
}  # fmt: skip
