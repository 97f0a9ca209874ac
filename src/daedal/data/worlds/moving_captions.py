"""What happens in a moving scene, in words: a small grammar with two phrasings for the same thing.

    a red circle moves right                        a red circle slides to the right
    a red circle follows a blue star to the left    a red circle moves left behind a blue star
    a pink heart grows and a green cross turns clockwise

A phrasing is data, so that a test can know what a caption says and what not.
"""

import numpy as np
from pydantic import Field

from daedal.config import Config
from daedal.data.worlds.moving_scenes import Mover, MovingScene, Verb, Way

_TO: dict[Way, str] = {"left": "to the left", "right": "to the right", "up": "upwards", "down": "downwards"}
_EDGE: dict[Way, str] = {"left": "left", "right": "right", "up": "top", "down": "bottom"}
_WORDS: dict[Verb, tuple[str, str]] = {
    "moves": ("moves {way}", "slides {to}"),
    "turns": ("turns {way}", "rotates {way}"),
    "grows": ("grows", "gets bigger"),
    "shrinks": ("shrinks", "gets smaller"),
    "appears": ("appears", "shows up"),
    "bounces": ("bounces off the {edge} edge", "moves {way} and bounces back"),
    "follows": ("follows {other} {to}", "moves {way} behind {other}"),
    "passes": ("passes {other} going {way}", "moves {way} past {other}"),
}


class MotionPhrasing(Config):
    """How a moving scene is told.

    Attributes:
        colours: whether colours are said.
        words: which of the two words for what the first and the second thing do.
        turned: the second thing is told first, where each does something of its own.
    """

    colours: bool = True
    words: tuple[int, int] = Field((0, 0))
    turned: bool = False


def motion_phrasing(random: np.random.Generator) -> MotionPhrasing:
    """A phrasing by chance: colours in nine tenths."""
    colours, one, other, turned = random.random(4).tolist()
    return MotionPhrasing(colours=colours >= 0.1, words=(int(one < 0.3), int(other < 0.3)), turned=turned < 0.5)


def caption(made: MovingScene, number: int, seed: int) -> str:
    """The caption that moving scene `number` of a seed comes with."""
    key = np.array([seed, 0xF1CA9], dtype=np.uint64)
    counter = np.array([0, 0, 0, number], dtype=np.uint64)
    return tell(made, motion_phrasing(np.random.Generator(np.random.Philox(key=key, counter=counter))))


def tell(scene: MovingScene, how: MotionPhrasing) -> str:
    """The caption of a scene."""
    other = _name(scene.things[1], how) if scene.related else ""
    parts = [
        _does(thing, how, place, other) for place, thing in enumerate(scene.things[: 1 if scene.related else None])
    ]
    return " and ".join(reversed(parts) if how.turned else parts)


def _does(thing: Mover, how: MotionPhrasing, place: int, other: str) -> str:
    assert thing.verb is not None
    words = _WORDS[thing.verb][how.words[place]]
    if thing.way is not None:
        words = words.format(way=thing.way, to=_TO.get(thing.way, ""), edge=_EDGE.get(thing.way, ""), other=other)
    return f"{_name(thing, how)} {words}"


def _name(thing: Mover, how: MotionPhrasing) -> str:
    return f"a {thing.colour} {thing.shape}" if how.colours else f"a {thing.shape}"
