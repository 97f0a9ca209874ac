"""Moving scenes without end: scene `number` of a seed is a pure function of both and of the options.

By chance come what the first thing does (each as often), its shape, whether a second thing is there that does something of its
own, colours, and then sizes, places and ways, drawn again until all things stay in the picture and apart.
"""

from collections.abc import Sequence
from math import hypot
from typing import NamedTuple, TypeVar

import numpy as np

from daedal.data.worlds.moving_scene_options import MovingSceneOptions
from daedal.data.worlds.moving_scenes import HEADINGS, RELATED, TURNS, WAYS, Knot, Mover, MovingScene, Verb, Way
from daedal.data.worlds.scene_generator import EDGE, limits, radii
from daedal.data.worlds.scenes import APART
from daedal.data.worlds.shapes import Shape, gap
from daedal.errors import DaedalError

_SECOND = 0.35  # how often another thing is there where it need not be
_DRAWN, _TRIES = 20, 500  # shapes and verbs, and of each places and ways
_MOMENTS = np.linspace(0, 1, 9)
# In sides of the picture: how far what moves goes, and what follows; and what bounces on either side of its edge, at least.
_FAR, _TOGETHER, _REBOUND = (0.34, 0.62), (0.2, 0.32), 0.17
_BEHIND = (0.3, 0.46)  # that what follows is
_PASSED = 0.12  # so far behind and before the other what passes begins and ends, at least
_TURNED, _GROWN, _APPEARED = (100.0, 180.0), (1.5, 1.9), (0.3, 0.7)  # degrees, times, share of the clip
_TURNED_AT = (0.4, 0.6)  # when what bounces is at the edge
_ALONE: dict[Verb, tuple[float, float]] = {
    "moves": (0.15, 0.21), "turns": (0.19, 0.28), "grows": (0.14, 0.16), "shrinks": (0.14, 0.16),
    "appears": (0.15, 0.28), "bounces": (0.15, 0.21),
}  # fmt: skip
"""Sizes of a thing that is alone, of what grows or shrinks where it is small; with another all are as small."""
_WITH_ANOTHER = (0.135, 0.16)

T = TypeVar("T")
Random = np.random.Generator
_SINGLE: tuple[Verb, ...] = tuple(verb for verb in WAYS if verb not in RELATED)


class _Role(NamedTuple):
    """What a thing does, before it is placed."""

    shape: Shape
    verb: Verb | None
    way: Way | None


def moving_scene(number: int, seed: int, options: MovingSceneOptions) -> MovingScene:
    """Scene `number` of a seed.

    Raises:
        DaedalError: the options leave no scene that fits.
    """
    # Philox is a counter: every number has random numbers of its own, the same on every machine.
    key = np.array([seed, 0xF1113], dtype=np.uint64)
    random = np.random.Generator(np.random.Philox(key=key, counter=np.array([0, 0, 0, number], dtype=np.uint64)))
    tint = _one(random, options.tints)
    colours = random.permutation(len(options.colours)).tolist()
    for attempt in range(_DRAWN * _TRIES):
        if attempt % _TRIES == 0:
            roles = _roles(random, options)
        courses = _courses(random, roles)
        if courses is None:
            continue
        things = tuple(
            Mover(
                shape=role.shape, colour=options.colours[colour], verb=role.verb, way=role.way, knots=knots, since=since
            )
            for role, colour, (knots, since) in zip(roles, colours[: len(roles)], courses, strict=True)
        )
        if len(things) < 2 or _apart(*things):
            return MovingScene(things=things, tint=tint)
    raise DaedalError("No moving scene fits these options", "Allow more shapes or verbs")


def _roles(random: Random, options: MovingSceneOptions) -> list[_Role]:
    pairs = options.first_pairs
    verb = _one(random, list(dict.fromkeys(verb for _, verb in pairs)))
    first = _role(random, [shape for shape, each in pairs if each == verb], verb)
    if verb in RELATED:
        does: Verb | None = "moves" if verb == "follows" else None
        shapes = options.other_shapes(does) or options.shapes
        return [first, _Role(_one(random, shapes), does, first.way if does else None)]
    if options.objects[0] < 2 and (options.objects[1] < 2 or random.random() >= _SECOND):
        return [first]
    able = [each for each in _SINGLE if options.other_shapes(each)]
    other = _one(random, able)
    return [first, _role(random, options.other_shapes(other), other)]


def _role(random: Random, shapes: Sequence[Shape], verb: Verb) -> _Role:
    return _Role(_one(random, shapes), verb, _one(random, WAYS[verb]) if WAYS[verb] else None)


_Course = tuple[tuple[Knot, ...], float]


def _courses(random: Random, roles: Sequence[_Role]) -> list[_Course] | None:
    """The knots of each thing, and since when it is there; None where a thing has no room."""
    first = roles[0]
    if first.verb in RELATED:
        return _related(random, first, roles[1].shape)
    found = []
    for role in roles:
        assert role.verb is not None
        size = _uniform(random, _ALONE[role.verb] if len(roles) == 1 else _WITH_ANOTHER)
        course = _course(random, role, size)
        if course is None:
            return None
        found.append(course)
    return found


def _course(random: Random, role: _Role, size: float) -> _Course | None:
    verb, way = role.verb, role.way
    if verb in ("moves", "bounces"):
        assert way is not None
        return _went(random, role, size)
    if verb in ("grows", "shrinks"):
        larger = size * _uniform(random, _GROWN)
        place = _place(random, limits(role.shape, larger))
        ends = (size, larger) if verb == "grows" else (larger, size)
        return (_knot(0, *place, ends[0]), _knot(1, *place, ends[1])), 0.0
    if verb == "turns":
        assert way is not None
        far = EDGE + radii(role.shape)[1] * size
        place = _place(random, (far, 1 - far, far, 1 - far))
        return (_knot(0, *place, size), _knot(1, *place, size, TURNS[way] * _uniform(random, _TURNED))), 0.0
    place = _place(random, limits(role.shape, size))
    return (_knot(0, *place, size), _knot(1, *place, size)), round(_uniform(random, _APPEARED), 4)


def _went(random: Random, role: _Role, size: float) -> _Course | None:
    """The way of what moves or bounces, along one axis."""
    assert role.way is not None
    (low, high), (near, far) = _axes(role, size)
    across = _uniform(random, (near, far))
    ahead = sum(HEADINGS[role.way])
    if role.verb == "moves":
        length = _uniform(random, (_FAR[0], min(_FAR[1], high - low)))
        if high - low < _FAR[0]:
            return None
        start = _uniform(random, (low, high - length))
        ends = ((0.0, start), (1.0, start + length)) if ahead > 0 else ((0.0, start + length), (1.0, start))
    else:
        edge, when = (high if ahead > 0 else low), round(_uniform(random, _TURNED_AT), 4)
        speed = _uniform(random, (0.35, 0.9))
        there, back = speed * when, speed * (1 - when)
        if min(there, back) < _REBOUND or max(there, back) > high - low:
            return None
        ends = ((0.0, edge - ahead * there), (when, edge), (1.0, edge - ahead * back))  # type: ignore[assignment]
    return tuple(_knot(at, *_laid(role.way, along, across), size) for at, along in ends), 0.0


def _related(random: Random, first: _Role, other: Shape) -> list[_Course] | None:
    """The ways of two things of which the first follows or passes the other, which goes on before it or stands."""
    way = first.way
    assert way is not None
    sizes = _uniform(random, _WITH_ANOTHER), _uniform(random, _WITH_ANOTHER)
    roles = first, first._replace(shape=other)
    ahead = sum(HEADINGS[way])
    (low, high), lanes = _axes(first, sizes[0])
    (other_low, other_high), other_lanes = _axes(roles[1], sizes[1])
    across, other_across = _uniform(random, lanes), _uniform(random, other_lanes)
    if first.verb == "follows":
        other_across = min(max(across + _uniform(random, (-0.12, 0.12)), other_lanes[0]), other_lanes[1])
        length = _uniform(random, _TOGETHER)
        start = _uniform(random, (low, high))
        other_start = start + ahead * _uniform(random, _BEHIND)
        ends = (start, start + ahead * length), (other_start, other_start + ahead * length)
    else:
        length, where = _uniform(random, _FAR), _uniform(random, (other_low, other_high))
        start = _uniform(random, (low, high))
        ends = (start, start + ahead * length), (where, where)
        if min((where - start) * ahead, (ends[0][1] - where) * ahead) < _PASSED:
            return None
    if not (low <= ends[0][1] <= high and other_low <= ends[1][1] <= other_high):
        return None
    return [
        (tuple(_knot(at, *_laid(way, along, lane), size) for at, along in zip((0.0, 1.0), each, strict=True)), 0.0)
        for each, lane, size in zip(ends, (across, other_across), sizes, strict=True)
    ]


def _axes(role: _Role, size: float) -> tuple[tuple[float, float], tuple[float, float]]:
    """Where the centre may be along the way, and across it."""
    assert role.way is not None
    left, right, top, bottom = limits(role.shape, size)
    return ((left, right), (top, bottom)) if HEADINGS[role.way][0] else ((top, bottom), (left, right))


def _laid(way: Way, along: float, across: float) -> tuple[float, float]:
    return (along, across) if HEADINGS[way][0] else (across, along)


def _place(random: Random, box: tuple[float, float, float, float]) -> tuple[float, float]:
    left, right, top, bottom = box
    return _uniform(random, (left, right)), _uniform(random, (top, bottom))


def _knot(at: float, x: float, y: float, size: float, turn: float = 0.0) -> Knot:
    return Knot(at=at, x=round(x, 4), y=round(y, 4), size=round(size, 4), turn=round(turn, 2))


def _apart(one: Mover, other: Mover) -> bool:
    """Whether two things stay apart all the time."""
    turning = "turns" in (one.verb, other.verb)
    reach, other_reach = radii(one.shape)[1], radii(other.shape)[1]
    for moment in _MOMENTS:
        a, b = one.at(float(moment)), other.at(float(moment))
        if hypot(a.x - b.x, a.y - b.y) >= a.size * reach + b.size * other_reach + APART:
            continue
        if turning or gap((one.shape, a.size, a.x, a.y), (other.shape, b.size, b.x, b.y)) < APART:
            return False
    return True


def _uniform(random: Random, span: tuple[float, float]) -> float:
    return span[0] + float(random.random()) * (span[1] - span[0])


def _one(random: Random, several: Sequence[T]) -> T:
    return several[int(random.integers(len(several)))]
