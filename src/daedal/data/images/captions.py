"""What a scene is in words: a small grammar with several phrasings for the same thing.

    a red circle above a blue star, and two green moons
    a large blue circle with a small yellow heart inside
    three pink crosses on a dotted grey ground
    a circle above a star

A phrasing is data too, so that the same scene can be told in every way, and a test can know what a caption says and what not.
"""

from collections import Counter

import numpy as np
from pydantic import Field

from daedal.config import Config
from daedal.data.worlds.scenes import Relation, Scene, Texture, Thing

_NUMBERS = {1: "a", 2: "two", 3: "three", 4: "four"}
_OPENINGS = ("", "a picture of ", "an image with ")
_TEXTURE: dict[Texture, str] = {
    "plain": "plain", "stripes": "striped", "checks": "checked", "dots": "dotted", "grain": "grainy"
}  # fmt: skip
_INVERSE: dict[Relation, Relation] = {
    "above": "below", "below": "above", "left of": "right of", "right of": "left of", "touching": "touching"
}  # fmt: skip
_WORDS: dict[Relation, tuple[str, ...]] = {
    "above": ("above", "over"),
    "below": ("below", "under"),
    "left of": ("left of", "to the left of"),
    "right of": ("right of", "to the right of"),
    "inside": ("inside", "in"),
    "touching": ("touching", "against"),
}


class Phrasing(Config):
    """How a scene is told.

    Attributes:
        colours: whether colours are said; things are equal by what is said of them.
        sizes: whether sizes are said.
        ground: whether the ground is said.
        opening: which of the openings it has.
        word: which of the words for the relation.
        verb: "is above" in place of "above".
        turned: a relation told from the other side; or things listed the other way round.
    """

    colours: bool = True
    sizes: bool = False
    ground: bool = False
    opening: int = Field(0, ge=0, lt=len(_OPENINGS))
    word: int = Field(0, ge=0, lt=2)
    verb: bool = False
    turned: bool = False


def phrasing(random: np.random.Generator) -> Phrasing:
    """A phrasing by chance: colours in nine tenths, sizes in half, the ground in a quarter, mostly without an opening."""
    sizes, ground, opening, word, verb, turned, colours = random.random(7).tolist()
    return Phrasing(
        colours=colours >= 0.1,
        sizes=sizes < 0.5,
        ground=ground < 0.25,
        opening=0 if opening < 0.6 else 1 if opening < 0.8 else 2,
        word=int(word * 2),
        verb=verb < 0.25,
        turned=turned < 0.3,
    )


def describe(scene: Scene, how: Phrasing) -> str:
    """The caption of a scene."""
    told = _OPENINGS[how.opening]
    if scene.relation is None:
        told += _several(scene.things, how)
    else:
        told += _related(scene, scene.relation, how)
    if how.ground:
        told += f" on a {_TEXTURE[scene.ground.texture]} {scene.ground.tint} ground"
    return told


def _related(scene: Scene, relation: Relation, how: Phrasing) -> str:
    one, other = (_several((thing,), how) for thing in scene.things[:2])
    if how.turned and relation == "inside":
        told = f"{other} with {one} inside"
    else:
        if how.turned:
            one, other, relation = other, one, _INVERSE[relation]
        words = _WORDS[relation]
        told = f"{one} {'is ' if how.verb and not how.opening else ''}{words[how.word % len(words)]} {other}"
    rest = scene.things[2:]
    return f"{told}, and {_several(rest, how)}" if rest else told


def _several(things: tuple[Thing, ...], how: Phrasing) -> str:
    """Things as a list, equal ones counted."""
    names = Counter(_name(thing, how) for thing in things)
    parts = [f"{_NUMBERS[count]} {name if count == 1 else _plural(name)}" for name, count in names.items()]
    if how.turned:
        parts.reverse()
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _name(thing: Thing, how: Phrasing) -> str:
    said = (thing.size if how.sizes else "", thing.colour if how.colours else "", thing.shape)
    return " ".join(filter(None, said))


def _plural(name: str) -> str:
    return name + ("es" if name.endswith("s") else "s")
