"""Prompts that ask a model of scenes to compose, each told from a scene that shows what it asks for.

    single_object   a red circle                        size       a large red circle
    two_object      a red circle and a blue star        counting   three pink crosses
    color_attr      a red circle and a blue star        position   a red circle above a blue star

The names are GenEval's (Ghosh et al. 2023) where its tasks have a counterpart. Beside them `concepts-1` to `concepts-7` ask for
so many facts at once, after ConceptMix (Wu et al. 2024): from "a circle" to "a small red circle above a large blue star".
The parts of a task say what of it a model can have seen in training.
"""

import itertools
from collections.abc import Iterator
from typing import Literal, get_args

from daedal.config import Config
from daedal.data.images.captions import Phrasing, describe
from daedal.data.worlds.scene_generator import scene
from daedal.data.worlds.scene_options import SceneOptions
from daedal.data.worlds.scenes import HELD_OUT_PAIRS, MOST_THINGS, RELATIONS, Scene
from daedal.errors import DaedalError

MainTask = Literal["single_object", "two_object", "counting", "color_attr", "size", "position"]
Concepts = Literal[
    "concepts-1", "concepts-2", "concepts-3", "concepts-4", "concepts-5", "concepts-6", "concepts-7"
]  # fmt: skip
Task = MainTask | Concepts
Part = Literal["seen", "held-out pairs", "held-out relations", "held-out counts"]
MAIN_TASKS: tuple[MainTask, ...] = get_args(MainTask)
TASKS: tuple[Task, ...] = (*MAIN_TASKS, *get_args(Concepts))
PARTS: tuple[Part, ...] = get_args(Part)

_ONE_THING: frozenset[Task] = frozenset(("single_object", "size", "concepts-1", "concepts-2", "concepts-3"))
_RELATED: frozenset[Task] = frozenset(("position", "concepts-5", "concepts-7"))
_SIZED: frozenset[Task] = frozenset(("size", "concepts-3", "concepts-6", "concepts-7"))
_ALIKE: frozenset[Task] = frozenset(("counting", "position"))  # two things of these may have one shape or one colour
_HELD_BACK = 10**9  # more scenes than one source draws: from this number on none is in training data
_APART = 10**7  # numbers between the first scenes of two tasks or parts


class Prompt(Config):
    """What a model is asked for.

    Attributes:
        part: what of it was held out of training.
        text: the prompt.
        scene: one that shows it; other scenes may as well.
        phrasing: what of the scene the text says; never the ground.
    """

    task: Task
    part: Part
    text: str
    scene: Scene
    phrasing: Phrasing


def parts_of(task: Task, most: int = MOST_THINGS) -> tuple[Part, ...]:
    """The parts of a task, for a model that was trained on scenes of at most so many things.

    `seen` has trained pairs of colour and shape and trained relations alone, as `pairs=trained,relation-pairs=trained` draws
    them; `held-out pairs` at least one thing of `HELD_OUT_PAIRS`; `held-out relations` those of `HELD_OUT_RELATIONS`;
    `held-out counts` more things than `most`. A prompt of one part holds nothing else out.

    Raises:
        DaedalError: `most` is not from 2 to 4.
    """
    if not 2 <= most <= MOST_THINGS:
        raise DaedalError(
            f"A model of scenes of at most {most} things cannot be tested on composition",
            f"Train it on scenes of 2 to {MOST_THINGS} things",
        )
    if task == "concepts-1":
        return ("seen",)  # it says no colour, so no pair
    if task == "position":
        return "seen", "held-out pairs", "held-out relations"
    if task == "counting" and most < MOST_THINGS:
        return "seen", "held-out pairs", "held-out counts"
    return "seen", "held-out pairs"


def prompts(task: Task, part: Part, count: int, seed: int, most: int = MOST_THINGS) -> tuple[Prompt, ...]:
    """The first so many prompts of a part of a task; a pure function of all that is given, and fewer are the start of more.

    Relations come equally often, and so do numbers of things; shapes, colours and sizes by chance, so that short prompts
    come more than once.

    Args:
        most: things in the scenes that the model was trained on, at most.

    Raises:
        DaedalError: the task has no such part.
    """
    if part not in parts_of(task, most):
        raise DaedalError(f"{task} has no part {part!r}", f"Ask for one of {', '.join(parts_of(task, most))}")
    return tuple(itertools.islice(_endless(task, part, seed, most), count))


def _endless(task: Task, part: Part, seed: int, most: int) -> Iterator[Prompt]:
    how = Phrasing(colours=task != "concepts-1", sizes=task in _SIZED)
    numbers = itertools.count(_HELD_BACK + _APART * (len(PARTS) * TASKS.index(task) + PARTS.index(part)))
    for world in itertools.cycle(_worlds(task, part, most)):
        drawn = (scene(number, seed, world) for number in numbers)
        made = next(made for made in drawn if _suits(made, task, part))
        yield Prompt(task=task, part=part, text=describe(made, how), scene=made, phrasing=how)


def _worlds(task: Task, part: Part, most: int) -> tuple[SceneOptions, ...]:
    """The scenes that a task is about, one world after the other."""
    two = SceneOptions(
        objects=(2, 2),
        pairs="all" if part == "held-out pairs" else "trained",
        relation_pairs="held-out" if part == "held-out relations" else "trained",
    )
    if task == "counting":
        counts = range(most + 1, MOST_THINGS + 1) if part == "held-out counts" else range(2, most + 1)
        return tuple(two.but(objects=(count, count), about=("count",)) for count in counts)
    if task in _RELATED:
        return tuple(two.but(about=("relation",), relations=(relation,)) for relation in RELATIONS)
    return (two.but(objects=(1, 1)) if task in _ONE_THING else two.but(about=("anything",)),)


def _suits(made: Scene, task: Task, part: Part) -> bool:
    shapes, colours = {thing.shape for thing in made.things}, {thing.colour for thing in made.things}
    if task not in _ALIKE and not len(shapes) == len(colours) == len(made.things):
        return False
    return part != "held-out pairs" or any(thing.pair in HELD_OUT_PAIRS for thing in made.things)
