"""Scenes without end: scene `number` of a seed is a pure function of both and of the options.

By chance come the number of things (each as often), what a scene of two or more is about (a relation between the first two,
a count of equal things, or neither), then pairs of colour and shape, sizes, places, and the ground. Where things do not fit
four times, the largest is drawn smaller, so that many things come smaller than few.
"""

from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from math import hypot
from typing import TypeVar

import numpy as np

from daedal.data.worlds.scene_options import SceneOptions
from daedal.data.worlds.scenes import (
    APART,
    HELD_OUT_RELATIONS,
    SIZE,
    Ground,
    Pair,
    Relation,
    RelationPair,
    Scene,
    Size,
    Thing,
    arrangements,
)
from daedal.data.worlds.shapes import Shape, depth, gap, outline
from daedal.errors import DaedalError

EDGE = 0.03
"""No shape comes closer to the picture's edge."""
_CLEAR = 1.25  # in a stated direction the centres stand so many times further apart than across it
_WELL_INSIDE = 0.05
_REPEAT = 0.3  # how often a further thing is as the one before
_TRIES, _PLACINGS, _PLACES = 400, 40, 12  # of pairs, of sizes and places for them, of places for one thing
_OPPOSITE: dict[Relation, Relation] = {"below": "above", "right of": "left of"}

T = TypeVar("T")
Kind = tuple[Pair, Size]
Form = tuple[Shape, float]
Place = tuple[Shape, float, float, float]
"""Shape, size, x and y: a thing as the functions of `shapes` take it."""
Random = np.random.Generator


def scene(number: int, seed: int, options: SceneOptions) -> Scene:
    """Scene `number` of a seed.

    Raises:
        DaedalError: the options leave no scene that fits.
    """
    # Philox is a counter: every number has random numbers of its own, the same on every machine.
    key = np.array([seed, 0x5CE4E], dtype=np.uint64)
    random = np.random.Generator(np.random.Philox(key=key, counter=np.array([0, 0, 0, number], dtype=np.uint64)))
    count = int(random.integers(options.objects[0], options.objects[1] + 1))
    about = _one(random, options.about) if count > 1 else "anything"
    if options.relation_pairs == "held-out":
        about = "relation"
    elif about == "relation" and not _possible(options):
        about = "anything"
    relation = _one(random, _possible(options)) if about == "relation" else None
    ground = Ground(
        tint=_one(random, options.tints), texture=_one(random, options.ground), seed=int(random.integers(2**16))
    )
    made = _fitted(random, options, count, about, relation, ground)
    if made is None and relation is not None and "anything" in options.about:
        made = _fitted(random, options, count, "anything", None, ground)
    if made is None:
        wish = f" about {relation!r}" if relation else ""
        raise DaedalError(
            f"No scene of {count} things{wish} fits these options",
            "Allow fewer objects, or more shapes, colours or sizes",
        )
    return made


def _fitted(
    random: Random, options: SceneOptions, count: int, about: str, relation: Relation | None, ground: Ground
) -> Scene | None:
    """A scene with all that was chosen, or None where none is found."""
    allowed = options.allowed_pairs
    for _ in range(_TRIES):
        pairs = _pairs(random, allowed, count, about, relation, options.relation_pairs == "held-out")
        sizes = _sizes(random, options, count, about, relation)
        for attempt in range(_PLACINGS if pairs else 0):
            if attempt % 4 == 3:
                sizes = _smaller(sizes, options, 2 if relation == "inside" else 0, together=about == "count")
            things = _placed(random, list(zip(pairs, sizes, strict=True)), relation)
            if things:
                made = Scene(things=things, ground=ground, relation=relation)
                if options.relation_pairs != "trained" or HELD_OUT_RELATIONS.isdisjoint(arrangements(made)):
                    return made
                break
    return None


def _possible(options: SceneOptions) -> tuple[Relation, ...]:
    """The relations that the sizes allow: what is inside is small, and what it is in is large."""
    nests = {"small", "large"} <= set(options.sizes)
    return tuple(relation for relation in options.relations if nests or relation != "inside")


def _pairs(
    random: Random, allowed: Sequence[Pair], count: int, about: str, relation: Relation | None, held_out: bool
) -> list[Pair]:
    """The colours and shapes of the things; none where this draw cannot be."""
    drawn = [_one(random, allowed) for _ in range(count)]
    if about == "count":
        return drawn[:1] * count
    for number in range(1 if relation is None else 3, count):
        if random.random() < _REPEAT:
            drawn[number] = drawn[number - 1]
    if relation is None:
        return drawn
    (colour, shape), (other_colour, other_shape) = one, other = drawn[:2]
    # The two must be told apart by their names; and where they meet, their colours must differ too.
    possible = one != other and {one, other}.isdisjoint(drawn[2:])
    if relation in ("inside", "touching"):
        possible &= colour != other_colour
    if relation == "inside":
        possible &= _holds(shape, other_shape)
    if held_out:
        possible &= _held_out(relation, shape, other_shape)
    return drawn if possible else []


def _sizes(random: Random, options: SceneOptions, count: int, about: str, relation: Relation | None) -> list[Size]:
    if about == "count":
        return [_one(random, options.sizes)] * count
    sizes = [_one(random, options.sizes) for _ in range(count)]
    return ["small", "large", *sizes[2:]] if relation == "inside" else sizes


def _smaller(sizes: list[Size], options: SceneOptions, fixed: int, together: bool) -> list[Size]:
    """The largest thing (or all of equal things) one size smaller, where the options have one; the first `fixed` stay."""
    below = {size: smaller for smaller, size in pairwise(sorted(set(options.sizes), key=SIZE.__getitem__))}
    free = range(fixed, len(sizes))
    largest = max(free, key=lambda number: SIZE[sizes[number]], default=-1)
    shrunk = free if together else (largest,)
    return [below.get(size, size) if number in shrunk else size for number, size in enumerate(sizes)]


def _held_out(relation: Relation, one: Shape, other: Shape) -> bool:
    first, second = (other, one) if relation in _OPPOSITE else (one, other)
    if relation == "touching":
        first, second = sorted((one, other))
    arrangement: RelationPair = (_OPPOSITE.get(relation, relation), first, second)
    return arrangement in HELD_OUT_RELATIONS


def _placed(random: Random, kinds: list[Kind], relation: Relation | None) -> tuple[Thing, ...] | None:
    """The things at places where each is whole and apart from the others, or None where these did not fit."""
    forms: list[Form] = [(shape, SIZE[size]) for (_, shape), size in kinds]
    places: list[Place] = []
    if relation is not None:
        first = _related(random, forms[0], forms[1], relation)
        if first is None:
            return None
        places = list(first)
    for form in forms[len(places) :]:
        for _ in range(_PLACES):
            place = _somewhere(random, form)
            if all(_apart(place, other) for other in places):
                places.append(place)
                break
        else:
            return None
    return tuple(
        Thing(shape=shape, colour=colour, size=size, x=x, y=y)
        for ((colour, shape), size), (_, _, x, y) in zip(kinds, places, strict=True)
    )


def _related(random: Random, one: Form, other: Form, relation: Relation) -> tuple[Place, Place] | None:
    first, second = _somewhere(random, one), _somewhere(random, other)
    if relation == "inside":
        jitter = (random.random(2) - 0.5) * 0.1
        first = _at(one, second[2] + jitter[0], second[3] + jitter[1])
        return (first, second) if depth(first, second) >= _WELL_INSIDE else None
    if relation == "touching":
        met = _met(first, second)
        return (first, met) if met else None
    across, down = second[2] - first[2], second[3] - first[3]
    ahead, aside = (down, across) if relation in ("above", "below") else (across, down)
    right = ahead if relation in ("above", "left of") else -ahead
    return (first, second) if right >= _CLEAR * abs(aside) and _apart(first, second) else None


def _met(first: Place, second: Place) -> Place | None:
    """`second`, moved towards `first` or away from it until their outlines meet; None where it leaves the picture."""
    form = second[:2]
    across, down = second[2] - first[2], second[3] - first[3]
    length = hypot(across, down)
    if length < 1e-6:
        return None
    low, high = 0.0, 1.0
    for _ in range(14):
        middle = (low + high) / 2
        meets = gap(first, (*form, first[2] + across / length * middle, first[3] + down / length * middle)) < 0
        low, high = (middle, high) if meets else (low, middle)
    x, y = first[2] + across / length * high, first[3] + down / length * high
    left, right, top, bottom = limits(*form)
    return _at(form, x, y) if left <= x <= right and top <= y <= bottom else None


def _apart(one: Place, other: Place) -> bool:
    away = hypot(one[2] - other[2], one[3] - other[3])
    (near, far), (other_near, other_far) = radii(one[0]), radii(other[0])
    if away >= one[1] * far + other[1] * other_far + APART:
        return True
    return away >= one[1] * near + other[1] * other_near + APART and gap(one, other) >= APART


def _somewhere(random: Random, form: Form) -> Place:
    left, right, top, bottom = limits(*form)
    return _at(form, left + random.random() * (right - left), top + random.random() * (bottom - top))


def _at(form: Form, x: float, y: float) -> Place:
    return *form, round(float(x), 4), round(float(y), 4)


@cache
def limits(shape: Shape, size: float) -> tuple[float, float, float, float]:
    """Where the centre may be: left, right, top, bottom."""
    (left, top), (right, bottom) = (
        (outline(shape).min(axis=0) * size).tolist(),
        (outline(shape).max(axis=0) * size).tolist(),
    )
    return EDGE - left, 1 - EDGE - right, EDGE - top, 1 - EDGE - bottom


@cache
def radii(shape: Shape) -> tuple[float, float]:
    """How near to its centre the outline comes, and how far from it."""
    away = np.hypot(*outline(shape).T)
    return float(away.min()) if shape != "moon" else 0.0, float(away.max())


@cache
def _holds(inner: Shape, outer: Shape) -> bool:
    """Whether a small `inner` fits well inside a large `outer` somewhere."""
    places = np.linspace(-0.05, 0.05, 5)
    return any(
        depth((inner, SIZE["small"], x, y), (outer, SIZE["large"], 0.0, 0.0)) >= _WELL_INSIDE
        for x in places
        for y in places
    )


def _one(random: Random, several: Sequence[T]) -> T:
    return several[int(random.integers(len(several)))]
