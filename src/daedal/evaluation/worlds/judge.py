"""The judge: reads a picture back into the things of a scene, and says what it cannot read.

It needs no network and no training: scenes are drawn by known rules, so each rule can be run backwards.

1. The ground is the commonest pale colour. Pixels close to one of the eight colours are cores; cores that hang together
   are one thing.
2. Every other pixel is taken for a mixture of two of the colours that are near it, which gives the share of the pixel that
   each thing covers. A pixel that no mixture comes close to is strange.
3. What lies inside a thing is counted to it. Then each of the eight shapes is drawn at the place and size that fit what is
   covered, and the overlap (intersection over union of the shares) must reach `STRICT` for the best of them.

A picture is valid when all of it is explained: one to four things, each a shape of a known size, over a ground, with nothing
strange and no specks. A rendered scene always is.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from scipy import ndimage

from daedal.data.worlds.scenes import (
    COLOURS,
    LARGEST_SIDE,
    MOST_THINGS,
    RGB,
    SIZE,
    SIZES,
    SMALLEST_SIDE,
    TINT_RGB,
    TINTS,
    Colour,
    Thing,
    Tint,
)
from daedal.data.worlds.shapes import SHAPES, Shape, area, centroid, coverage
from daedal.errors import DaedalError

Problem = Literal["no ground", "odd ground", "strange colours", "stray marks", "no shape", "odd size", "number"]
STRICT = 0.85
"""The overlap with its template from which a thing has a shape."""
_CORE = 42.0  # a pixel so close to a colour (Euclidean, in levels) is wholly of that colour; no mixture comes so close
_STRANGE = 55.0  # a pixel further than this from every mixture is not explained
_STRANGE_SHARE = 0.012  # of the picture's pixels may be so
_GROUND_OFF = 30.0  # the ground may be so far from its tint
_GROUND_SHARE = 0.15  # of the picture is ground at least
_SPECK = 5 / 32**2  # a core smaller than this share of the picture is no thing
_STRAY = 3 / 32**2  # so much cover may lie about outside the things
_SIZE_OFF = 1.17  # a size may be off by so much; half-way between two named ones
_CLEAN = (
    0.2  # shares under this count as none, and over one less this as whole: noise and half a pixel of blur are no shape
)
_CLEAR = 0.93  # an overlap that needs no better place
_EIGHT = np.ones((3, 3), bool)
_COLOUR_RGB = np.array([RGB[colour] for colour in COLOURS], dtype=np.float32)
_TINT_RGB = np.array([TINT_RGB[tint] for tint in TINTS], dtype=np.float32)


@dataclass(frozen=True)
class Reading:
    """What the judge sees in a picture.

    Attributes:
        things: what it read, from the largest to the smallest.
        overlaps: of each with its template, 0 to 1.
        tint: of the ground; None where there is none.
        problems: why it could not read all of the picture, each as a kind and what more there is to say; none where it could.
    """

    things: tuple[Thing, ...]
    overlaps: tuple[float, ...]
    tint: Tint | None
    problems: tuple[tuple[Problem, str], ...]

    @property
    def kinds(self) -> tuple[Problem, ...]:
        """The kinds of the problems."""
        return tuple(kind for kind, _ in self.problems)

    @property
    def valid(self) -> bool:
        """Whether all of the picture was read."""
        return not self.problems


Plane = Float[np.ndarray, "side side"]
Box = tuple[int, int, int, int]
"""Rows and columns of pixels: top, bottom, left, right."""


class Part(NamedTuple):
    """A thing as the pixels that it covers, before anything is said of its shape.

    Attributes:
        cover: the share of each pixel of `box`, small shares counted as none and large ones as whole.
        exact: the shares as they are.
    """

    colour: Colour
    cover: Float[np.ndarray, "height width"]
    exact: Float[np.ndarray, "height width"]
    box: Box


class Fit(NamedTuple):
    """A shape at the place and size at which it overlaps best with what is covered."""

    shape: Shape
    size: float
    x: float
    y: float
    overlap: float


class Segments(NamedTuple):
    """The parts of a picture, its ground, and what is wrong with the rest."""

    parts: tuple[Part, ...]
    tint: Tint | None
    problems: tuple[tuple[Problem, str], ...]


def read(picture: UInt8[np.ndarray, "side side 3"]) -> Reading:
    """What is in a picture.

    Raises:
        DaedalError: not a square colour picture of 32 to 128 pixels.
    """
    parts, tint, found = segment(picture)
    if tint is None:
        return Reading((), (), None, found)
    problems = list(found)
    fits = sorted(((fit(part, len(picture)), part.colour) for part in parts), key=lambda pair: -pair[0].size)
    for best, name in fits:
        if best.overlap < STRICT:
            problems.append(("no shape", f"{name}, {best.shape} at {best.overlap:.2f}"))
        elif not SIZE["small"] / _SIZE_OFF <= best.size <= SIZE["large"] * _SIZE_OFF:
            problems.append(("odd size", f"{name} {best.shape} of {best.size:.2f}"))
    if not 1 <= len(fits) <= MOST_THINGS:
        problems.append(("number", f"{len(fits)} shapes"))
    things = tuple(_thing(best, name) for best, name in fits)
    return Reading(things, tuple(best.overlap for best, _ in fits), tint, tuple(problems))


def segment(picture: UInt8[np.ndarray, "side side 3"]) -> Segments:
    """The things of a picture as the pixels that they cover.

    Raises:
        DaedalError: not a square colour picture of 32 to 128 pixels.
    """
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or picture.shape[0] != picture.shape[1]:
        raise DaedalError(
            f"The judge reads square RGB pictures of bytes, not {picture.dtype} {picture.shape}", "Convert it first"
        )
    side = len(picture)
    if not SMALLEST_SIDE <= side <= LARGEST_SIDE:
        raise DaedalError(
            f"The judge reads pictures of {SMALLEST_SIDE} to {LARGEST_SIDE} pixels, not {side}", "Scale it first"
        )
    pixels = picture.astype(np.float32)
    colour, off = _nearest(pixels, _COLOUR_RGB)
    _, pale_off = _nearest(pixels, _TINT_RGB)
    open_ground = (pale_off < off) & (pale_off < 2 * _GROUND_OFF)
    if open_ground.mean() < _GROUND_SHARE:
        return Segments((), None, (("no ground", f"{open_ground.mean():.0%} of the picture"),))
    ground, tint_off, tint = _ground(pixels[open_ground])
    cores = np.where(off < _CORE, colour, -1)
    covers, strange = _covers(pixels, cores, ground)
    problems: list[tuple[Problem, str]] = []
    if tint_off > _GROUND_OFF:
        problems.append(("odd ground", f"{tint_off:.0f} levels from {TINTS[tint]}"))
    if strange > _STRANGE_SHARE:
        problems.append(("strange colours", f"in {strange:.1%} of the picture"))
    parts: list[Part] = []
    stray = 0.0
    for number, (cover, exact, labels, count) in covers.items():
        grown = _grown(labels)
        stray += float(cover[grown == 0].sum())
        parts += _parts(cover, exact, grown, count, cores, number)
    if stray > _STRAY * side * side:
        problems.append(("stray marks", f"{stray:.0f} pixels"))
    return Segments(tuple(parts), TINTS[tint], tuple(problems))


def _thing(fit: Fit, colour: Colour) -> Thing:
    size = min(SIZES, key=lambda name: abs(np.log(fit.size / SIZE[name])))
    x, y = float(np.clip(fit.x, 0, 1)), float(np.clip(fit.y, 0, 1))
    return Thing(shape=fit.shape, colour=colour, size=size, x=x, y=y)


def _nearest(
    pixels: Float[np.ndarray, "side side 3"], palette: Float[np.ndarray, "colours 3"]
) -> tuple[Int[np.ndarray, "side side"], Plane]:
    """The number of the nearest colour of a palette, and how far away it is."""
    squares = (palette * palette).sum(axis=1) - 2 * (pixels @ palette.T)
    number = squares.argmin(axis=-1)
    away = np.take_along_axis(squares, number[..., None], axis=-1)[..., 0] + (pixels * pixels).sum(axis=-1)
    return number, np.sqrt(np.maximum(away, 0))


def _ground(pixels: Float[np.ndarray, "pixels 3"]) -> tuple[Float[np.ndarray, " 3"], float, int]:
    """The middle colour of the ground, and its tint: how far off, and which. A texture is darker than its tint in places."""
    middle, upper = np.percentile(pixels, (50, 75), axis=0, overwrite_input=True)
    away = np.linalg.norm(_TINT_RGB - upper, axis=1)
    return middle.astype(np.float32), float(away.min()), int(away.argmin())


Cover = tuple[Plane, Plane, Int[np.ndarray, "side side"], int]


def _covers(
    pixels: Float[np.ndarray, "side side 3"], cores: Int[np.ndarray, "side side"], ground: Float[np.ndarray, " 3"]
) -> tuple[dict[int, Cover], float]:
    """For each colour that a thing has: how much of each pixel it covers, cleaned and as it is, and its things, numbered from
    1. And the share of all pixels that no mixture explains."""
    side = len(pixels)
    speck = _SPECK * side * side
    core: dict[int, Bool[np.ndarray, "side side"]] = {}
    for number in np.unique(cores[cores >= 0]).tolist():
        labels, count = ndimage.label(cores == number, structure=_EIGHT)
        large = np.bincount(labels.ravel(), minlength=count + 1) >= speck
        large[0] = False
        if large.any():
            core[number] = large[labels]
    numbers = list(core)
    there = {number: ndimage.maximum_filter(core[number], size=5) for number in numbers}
    shares = {number: core[number].astype(np.float32) for number in numbers}
    rows, columns = np.nonzero(~np.any([np.zeros((side, side), bool), *core.values()], axis=0))
    left = pixels[rows, columns]
    best = np.linalg.norm(left - ground, axis=1)
    parts = {number: np.zeros(len(left), np.float32) for number in numbers}
    colours = {-1: ground, **{number: _COLOUR_RGB[number] for number in numbers}}
    for place, one in enumerate(numbers):
        for other in (-1, *numbers[:place]):
            line = colours[one] - colours[other]
            start = left - colours[other]
            along = np.clip(start @ line / (line @ line), 0, 1)
            off = np.linalg.norm(start - along[:, None] * line, axis=1)
            near = there[one][rows, columns]
            if other >= 0:
                near = near & there[other][rows, columns]
                off = off + 4  # of two explanations that are as good, the simpler one
            better = near & (off < best)
            best[better] = off[better]
            for number in numbers:
                share = along if number == one else 1 - along if number == other else np.zeros_like(along)
                parts[number][better] = share[better]
    covers: dict[int, Cover] = {}
    for number in numbers:
        line = colours[number] - ground  # a core pixel may be a little of the ground as well
        exact = np.where(core[number], np.clip((pixels - ground) @ line / (line @ line), 0, 1), 0)
        exact[rows, columns] = parts[number]
        shares[number][rows, columns] = _cleaned(parts[number])
        covers[number] = (shares[number], exact, *_things(shares[number] > 0.5, core[number]))
    return covers, float((best > _STRANGE).sum()) / side**2


def _things(
    solid: Bool[np.ndarray, "side side"], core: Bool[np.ndarray, "side side"]
) -> tuple[Int[np.ndarray, "side side"], int]:
    """The parts of what is mostly covered that have a core, numbered from 1. Drawn things stand far enough apart to be
    parts of their own; a thin rim around what is inside holds one together that has several cores."""
    labels, count = ndimage.label(solid, structure=_EIGHT)
    kept = np.bincount(labels[core], minlength=count + 1) > 0
    kept[0] = False
    return (np.cumsum(kept) * kept)[labels], int(kept.sum())


def _grown(labels: Int[np.ndarray, "side side"]) -> Int[np.ndarray, "side side"]:
    """Things with the two pixels around them."""
    for _ in range(2):
        labels = np.where(labels == 0, ndimage.maximum_filter(labels, size=3), labels)
    return labels


def _parts(
    cover: Plane,
    exact: Plane,
    grown: Int[np.ndarray, "side side"],
    count: int,
    cores: Int[np.ndarray, "side side"],
    number: int,
) -> Iterator[Part]:
    """What each thing of a colour covers, with what is inside of it."""
    for label, found in enumerate(ndimage.find_objects(grown, max_label=count), start=1):
        part, raw = (np.where(grown[found] == label, plane[found], 0) for plane in (cover, exact))
        solid = part > 0.5
        holes = ndimage.binary_fill_holes(solid) & ~solid
        if holes.any():
            regions, many = ndimage.label(holes)
            other = (cores[found] >= 0) & (cores[found] != number)
            for region in range(1, many + 1):
                if (other & (regions == region)).any():
                    part, raw = (np.where(regions == region, 1, plane) for plane in (part, raw))
        rows, columns = found
        yield Part(COLOURS[number], part, raw, (rows.start, rows.stop, columns.start, columns.stop))


def moments(cover: Float[np.ndarray, "height width"], box: Box, side: int) -> tuple[float, float, float]:
    """What is covered, in pixels, and its centre of gravity, x and y in sides of the picture."""
    total = float(cover.sum())
    top, bottom, left, right = box
    x = float(cover.sum(axis=0) @ (np.arange(left, right) + 0.5)) / total / side
    y = float(cover.sum(axis=1) @ (np.arange(top, bottom) + 0.5)) / total / side
    return total, x, y


def fit(part: Part, side: int) -> Fit:
    """The shape, upright, that overlaps best with a part of a picture of this side."""
    total, x, y = moments(part.cover, part.box, side)
    fits = []
    for shape in SHAPES:
        size = (total / area(shape)) ** 0.5 / side
        across, down = centroid(shape)
        fits.append(_overlap(part.cover, part.box, side, shape, size, x - across * size, y - down * size))
    best = max(fits, key=lambda fit: fit.overlap)
    return _nudged(part.cover, part.box, side, best)


def _nudged(part: Plane, box: Box, side: int, fit: Fit) -> Fit:
    """The same shape a little moved and scaled, as long as that fits better."""
    step = 0.4
    while step > 0.1 and fit.overlap < _CLEAR:
        move, scale = step / side, 1 + step / (fit.size * side)
        tries = [
            _overlap(part, box, side, fit.shape, fit.size * by, fit.x + across, fit.y + down)
            for by, across, down in (
                (1, move, 0), (1, -move, 0), (1, 0, move), (1, 0, -move), (scale, 0, 0), (1 / scale, 0, 0),
            )
        ]  # fmt: skip
        best = max(tries, key=lambda tried: tried.overlap)
        if best.overlap > fit.overlap:
            fit = best
        else:
            step /= 2
    return fit


def _overlap(part: Plane, box: Box, side: int, shape: Shape, size: float, x: float, y: float) -> Fit:
    """How well a template fits what is covered: intersection over union."""
    template = _cleaned(coverage(shape, size, x, y, side, box))
    both = float(np.minimum(part, template).sum())
    beyond = max(
        0.0, area(shape) * (size * side) ** 2 - float(template.sum())
    )  # what the template covers outside the box
    return Fit(shape, size, x, y, both / (float(np.maximum(part, template).sum()) + beyond))


def _cleaned(shares: Float[np.ndarray, "*grid"]) -> Float[np.ndarray, "*grid"]:
    steep: Float[np.ndarray, "*grid"] = (shares - _CLEAN) * (1 / (1 - 2 * _CLEAN))
    np.minimum(np.maximum(steep, 0, out=steep), 1, out=steep)
    return steep
