"""The judge of moving scenes: whether what a caption says happens in a clip, read frame by frame; no network, no opinion.

    verdict = judge(clip, scene, colours=True)
    verdict.holds, verdict.motion, verdict.identity

Things are followed by their colour (`tracks`). Where to, how far and how evenly a thing went is told from its centre, its size
and how it is turned; a frame that stands still, is missing or out of its place in what moves breaks a motion.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import permutations

import numpy as np

from daedal.data.worlds.moving_scenes import HEADINGS, TURNS, Mover, MovingScene
from daedal.data.worlds.scene_generator import limits
from daedal.data.worlds.shapes import area
from daedal.evaluation.worlds.judge import STRICT
from daedal.evaluation.worlds.tracks import Course, Frames, Track, Tracks, track

HELD = 0.75
"""The share of its frames in which a thing must have its shape, and of all frames that must be clean."""
LEAST_STEP, LARGEST_STEP = 0.2, 2.6
"""From frame to frame, what changes evenly changes by so much of its mean at least, and at most."""
_FAR, _TOGETHER, _REBOUND = 0.17, 0.1, 0.085  # about half of what is drawn
_TURNED, _GROWN = np.radians(50), 1.25
_ASIDE = 0.07  # that what moves along an axis, or stands, may stray: two pixels of 32
_STEADY = 1.25  # times that a size may vary
_AT_EDGE = 0.1


@dataclass(frozen=True)
class Verdict:
    """What holds of a clip, of what a scene says.

    Attributes:
        object: there are as many things, of these shapes.
        colour: of these colours, where colours are said.
        motion: each does what is said, where to it is said.
        order: what follows is behind all the time, what passes first behind and then before.
        identity: each thing is there all the time, from when it appears on, and keeps its shape.
        clean: frames can be read, and show nothing else.
    """

    object: bool = False
    colour: bool = False
    motion: bool = False
    order: bool = False
    identity: bool = False
    clean: bool = False

    @property
    def holds(self) -> bool:
        """Whether all of it does."""
        return all(getattr(self, each.name) for each in fields(self))


def judge(clip: Frames, scene: MovingScene, *, colours: bool = True) -> Verdict:
    """What holds of a clip, of what a scene says; where to and how fast its things go exactly is free.

    Args:
        colours: whether the caption says colours.

    Raises:
        DaedalError: frames that the judge does not take.
    """
    seen = track(clip)
    clean = bool(seen.clean.mean() >= HELD)
    if len(seen.tracks) != len(scene.things):
        return Verdict(clean=clean)
    verdicts = [_verdict(seen, scene, order, colours, clean) for order in permutations(seen.tracks)]
    return max(verdicts, key=lambda each: sum(getattr(each, name.name) for name in fields(each)))


def _verdict(seen: Tracks, scene: MovingScene, tracks: Sequence[Track], colours: bool, clean: bool) -> Verdict:
    things = list(zip(scene.things, tracks, strict=True))
    shaped = [_shaped(thing, each) for thing, each in things]
    return Verdict(
        object=all(share > 0.5 for share in shaped),
        colour=not colours or all(thing.colour == each.colour for thing, each in things),
        motion=all(_does(thing, each) for thing, each in things),
        order=not scene.related or _in_order(scene, tracks),
        identity=all(each.whole and share >= HELD for share, (_, each) in zip(shaped, things, strict=True)),
        clean=clean,
    )


def _shaped(thing: Mover, seen: Track) -> float:
    """The share of the frames in which a thing has its shape."""
    upright = [each.shape == thing.shape and each.overlap >= STRICT for each in seen.fits]
    if thing.verb != "turns":
        return float(np.mean(upright))
    _, overlaps = seen.turns(thing.shape)
    return float(np.mean(overlaps >= STRICT)) if upright[0] else 0.0


def _does(thing: Mover, seen: Track) -> bool:
    verb = thing.verb
    if len(seen.there) < 2 or (seen.first > 0) != (verb == "appears"):
        return False
    if verb == "turns":
        assert thing.way is not None
        turns, _ = seen.turns(thing.shape)
        places = seen.places(thing.shape, turns)
        return _even(TURNS[thing.way] * turns, _TURNED) and _steady(seen) and _still(places)
    places = seen.places(thing.shape)
    if verb in ("grows", "shrinks"):
        sizes = seen.sizes / seen.sizes.min()
        return _even(sizes if verb == "grows" else -sizes, _GROWN - 1) and _still(places)
    if verb in (None, "appears"):
        return _still(places) and _steady(seen)
    along, across = _axes(thing, places)
    if not _steady(seen) or np.ptp(across) > _ASIDE:
        return False
    if verb == "bounces":
        return _rebounds(along) and _meets_edge(thing, seen, along)
    return _even(along, _TOGETHER if verb == "follows" else _FAR if verb != "moves" else _least(thing))


def _least(thing: Mover) -> float:
    """How far what moves must go: what is followed goes less far."""
    return min(_FAR, abs(thing.knots[-1].x - thing.knots[0].x + thing.knots[-1].y - thing.knots[0].y) / 2)


def _axes(thing: Mover, places: np.ndarray) -> tuple[Course, Course]:
    """How far along the way that is said, and how far aside."""
    assert thing.way is not None
    across, down = HEADINGS[thing.way]
    along = places @ np.array((across, down))
    return along, places @ np.array((abs(down), abs(across)))


def _even(course: Course, least: float) -> bool:
    """Whether something rises by `least` or more, in steps of about one size."""
    total = float(course[-1] - course[0])
    if total < least:
        return False
    steps = np.diff(course) / total * (len(course) - 1)
    return bool(steps.min() >= LEAST_STEP and steps.max() <= LARGEST_STEP)


def _rebounds(along: Course) -> bool:
    """Whether it goes there and back, evenly but for the step in which it turns."""
    peak = int(along.argmax())
    if not 0 < peak < len(along) - 1 or min(along[peak] - along[0], along[peak] - along[-1]) < _REBOUND:
        return False
    steps = np.diff(along)
    steps[peak:] *= -1
    turning = peak - 1 if steps[peak - 1] < steps[peak] else peak
    others = np.delete(steps, turning) / np.abs(steps).mean()
    return bool(others.min() >= LEAST_STEP and others.max() <= LARGEST_STEP)


def _meets_edge(thing: Mover, seen: Track, along: Course) -> bool:
    assert thing.way is not None
    peak = int(along.argmax())
    left, right, top, bottom = limits(thing.shape, float(seen.sizes[peak]) / area(thing.shape) ** 0.5)
    edge = {"left": -left, "right": right, "up": -top, "down": bottom}[thing.way]
    return bool(along[peak] > edge - _AT_EDGE)


def _still(places: np.ndarray) -> bool:
    return bool(np.ptp(places, axis=0).max() <= _ASIDE)


def _steady(seen: Track) -> bool:
    sizes = seen.sizes
    return bool(sizes.max() <= _STEADY * sizes.min())


def _in_order(scene: MovingScene, tracks: Sequence[Track]) -> bool:
    one, other = (
        _axes(scene.things[0], each.places(thing.shape))[0] for thing, each in zip(scene.things, tracks, strict=True)
    )
    if len(one) != len(other):
        return False
    ahead = one - other
    if scene.things[0].verb == "follows":
        return bool((ahead < 0).all())
    return bool(ahead[0] < 0 < ahead[-1])
