"""The eight shapes of `scenes`: their signed distance, their coverage of pixels, their outline.

A shape is defined around (0, 0) at size 1, x to the right and y down. The signed distance to its outline (negative inside)
gives an anti-aliased edge one pixel wide, whatever the picture's size: a pixel whose centre is half a pixel outside is bare.
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
Distance = Callable[[Points], Float[np.ndarray, "*grid"]]


def distance(shape: Shape, points: Points) -> Float[np.ndarray, "*grid"]:
    """Signed distance of points to the outline of a shape of size 1."""
    return _distances()[shape](points)


def coverage(
    shape: Shape, size: float, x: float, y: float, side: int, box: tuple[int, int, int, int] | None = None
) -> Float[np.ndarray, "height width"]:
    """The share of each pixel that a shape covers, from 0 to 1.

    Args:
        size: of the shape, in shares of the picture's side; `x` and `y` of its centre too.
        side: of the picture, in pixels.
        box: the rows and columns wanted (top, bottom, left, right); all where not given.
    """
    top, bottom, left, right = box or (0, side, 0, side)
    points = np.empty((bottom - top, right - left, 2))
    points[..., 0] = ((np.arange(left, right) + 0.5) / side - x) / size
    points[..., 1] = (((np.arange(top, bottom) + 0.5) / side - y) / size)[:, None]
    return np.clip(0.5 - distance(shape, points) * (size * side), 0, 1)


def box_of(size: float, x: float, y: float, side: int) -> tuple[int, int, int, int]:
    """The pixels that a shape can touch: top, bottom, left, right."""
    reach = REACH * size * side + 1
    low, high = (y * side - reach, x * side - reach), (y * side + reach, x * side + reach)
    top, left = (max(0, int(np.floor(value))) for value in low)
    bottom, right = (min(side, int(np.ceil(value))) for value in high)
    return top, max(top, bottom), left, max(left, right)


@cache
def outline(shape: Shape) -> Float[np.ndarray, "points 2"]:
    """Points on the outline of a shape of size 1, close enough to measure gaps with."""
    if shape == "circle":
        turn = np.linspace(0, 2 * np.pi, 48, endpoint=False)
        return np.stack([np.cos(turn), np.sin(turn)], axis=-1)
    corners = _corners()[shape]
    ahead = np.roll(corners, -1, axis=0)
    parts = max(1, 48 // len(corners))
    steps = np.arange(parts)[:, None, None] / parts
    return (corners + steps * (ahead - corners)).reshape(-1, 2)


@cache
def area(shape: Shape) -> float:
    """The area of a shape of size 1."""
    return float(_moments(shape)[0])


@cache
def centroid(shape: Shape) -> tuple[float, float]:
    """The centre of gravity of a shape of size 1."""
    _, x, y = _moments(shape)
    return float(x), float(y)


def _moments(shape: Shape) -> Float[np.ndarray, " three"]:
    cover = coverage(shape, 1 / 3, 0.5, 0.5, 300)
    at = ((np.arange(300) + 0.5) / 300 - 0.5) * 3
    total = cover.sum()
    return np.array([total / 10_000, (cover * at).sum() / total, (cover * at[:, None]).sum() / total])


@cache
def _corners() -> dict[Shape, Float[np.ndarray, "corners 2"]]:
    half, arm, width = 0.86, 1.06, 0.38
    fifths = np.arange(10) * np.pi / 5
    spikes = np.where(np.arange(10) % 2, 0.54, 1.25)
    star = np.stack([spikes * np.sin(fifths), 0.08 - spikes * np.cos(fifths)], axis=-1)
    turn = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    heart_y = 13 * np.cos(turn) - 5 * np.cos(2 * turn) - 2 * np.cos(3 * turn) - np.cos(4 * turn)
    heart = np.stack([1.08 * np.sin(turn) ** 3, -(heart_y + 2.5) * (1.08 / 16)], axis=-1)
    quarter = [(width, -arm), (width, -width), (arm, -width), (arm, width), (width, width), (width, arm)]
    # A moon: a disc less another disc; the corners follow the two arcs between the tips.
    tip = np.arccos((1.1**2 + _CUT**2 - _BITE**2) / (2 * 1.1 * _CUT))
    outer = np.linspace(tip, 2 * np.pi - tip, 24)
    inner = np.arctan2(1.1 * np.sin(tip), 1.1 * np.cos(tip) - _CUT)
    bite = np.linspace(2 * np.pi - inner, inner, 14)[1:-1]
    arcs = [(1.1 * np.cos(outer), 1.1 * np.sin(outer)), (_CUT + _BITE * np.cos(bite), _BITE * np.sin(bite))]
    moon = np.concatenate([np.stack(arc, axis=-1) for arc in arcs]) + (0.2, 0)
    return {
        "square": np.array([(-half, -half), (half, -half), (half, half), (-half, half)]),
        "triangle": np.array([(0.0, -1.05), (1.1, 0.85), (-1.1, 0.85)]),
        "diamond": np.array([(0.0, -1.25), (0.86, 0.0), (0.0, 1.25), (-0.86, 0.0)]),
        "star": star,
        "cross": np.array(quarter + [(-x, -y) for x, y in quarter]),
        "heart": heart,
        "moon": moon,
    }


_CUT, _BITE = 0.62, 0.92  # where the disc that is taken from the moon stands, and how large it is


@cache
def _distances() -> dict[Shape, Distance]:
    polygons: dict[Shape, Distance] = {name: _polygon(corners) for name, corners in _corners().items()}
    return {"circle": lambda points: np.hypot(points[..., 0], points[..., 1]) - 1, **polygons, "moon": _moon}


def _moon(points: Points) -> Float[np.ndarray, "*grid"]:
    x, y = points[..., 0] - 0.2, points[..., 1]
    return np.maximum(np.hypot(x, y) - 1.1, _BITE - np.hypot(x - _CUT, y))


def _polygon(corners: Float[np.ndarray, "corners 2"]) -> Distance:
    """Signed distance to a polygon: the nearest of its edges, and a sign by counting the edges that a ray crosses."""
    edges = [(a, b - a) for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True)]

    def signed(points: Points) -> Float[np.ndarray, "*grid"]:
        x, y = points[..., 0], points[..., 1]
        nearest = np.full(x.shape, np.inf)
        inside = np.zeros(x.shape, bool)
        for (left, top), (across, down) in edges:
            dx, dy = x - left, y - top
            along = np.clip((dx * across + dy * down) / (across * across + down * down), 0, 1)
            np.minimum(nearest, (dx - along * across) ** 2 + (dy - along * down) ** 2, out=nearest)
            if down:
                inside ^= ((dy >= 0) != (dy >= down)) & ((dx * down < dy * across) == (down > 0))
        return np.where(inside, -1.0, 1.0) * np.sqrt(nearest)

    return signed
