"""Prompts that ask a model of clips for motions, each told from a moving scene that shows what it asks for.

The tasks are what the first thing does, and `two`: two things, each of which does something of its own. A prompt of `held-out
pairs` has a first thing whose shape was never seen to do that in training (`HELD_OUT_MOTIONS`).
"""

import itertools
from collections.abc import Iterable, Iterator
from typing import Literal, get_args

from daedal.config import Config
from daedal.data.worlds.moving_captions import MotionPhrasing, tell
from daedal.data.worlds.moving_scene_generator import moving_scene
from daedal.data.worlds.moving_scene_options import MovingSceneOptions
from daedal.data.worlds.moving_scenes import HELD_OUT_MOTIONS, RELATED, VERBS, MovingScene, Verb

MotionTask = Verb | Literal["two"]
MotionPart = Literal["seen", "held-out pairs"]
MOTION_TASKS: tuple[MotionTask, ...] = (*VERBS, "two")
MOTION_PARTS: tuple[MotionPart, ...] = get_args(MotionPart)
_HELD_BACK = 10**9  # more scenes than one source draws: from this number on none is in training data
_APART = 10**7  # numbers between the first scenes of two tasks or parts
_SINGLE = tuple(verb for verb in VERBS if verb not in RELATED)


class ClipPrompt(Config):
    """What a model is asked for.

    Attributes:
        part: what of it was held out of training.
        text: the prompt, which says colours.
        scene: one that shows it; others may as well.
    """

    task: MotionTask
    part: MotionPart
    text: str
    scene: MovingScene


def clip_prompts(task: MotionTask, part: MotionPart, count: int, seed: int) -> tuple[ClipPrompt, ...]:
    """The first so many prompts of a part of a task; a pure function of all that is given, and fewer are the start of more."""
    return tuple(itertools.islice(_endless(task, part, seed), count))


def learned(scenes: Iterable[MovingScene]) -> tuple[tuple[MotionTask, ...], tuple[MotionPart, ...]]:
    """The tasks that scenes to learn from teach, and the parts to ask for; all of both where there are no scenes."""
    tasks, pairs = set[MotionTask](), set(HELD_OUT_MOTIONS)
    for made in scenes:
        verbs = [thing.verb for thing in made.things if thing.verb is not None]
        tasks.update(verbs)
        if len(made.things) == 2 and not made.related:
            tasks.add("two")
        pairs.difference_update((thing.shape, thing.verb) for thing in made.things if thing.verb is not None)
    told = tuple(task for task in MOTION_TASKS if task in tasks) or MOTION_TASKS
    return told, MOTION_PARTS if pairs == HELD_OUT_MOTIONS else MOTION_PARTS[:1]


def _endless(task: MotionTask, part: MotionPart, seed: int) -> Iterator[ClipPrompt]:
    place = len(MOTION_PARTS) * MOTION_TASKS.index(task) + MOTION_PARTS.index(part)
    several = task == "two" or task in RELATED
    options = MovingSceneOptions(
        objects=(2, 2) if several else (1, 1),
        verbs=_SINGLE if task == "two" else (task,),
        pairs="held-out" if part == "held-out pairs" else "trained",
    )
    for number in itertools.count(_HELD_BACK + _APART * place):
        made = moving_scene(number, seed, options)
        yield ClipPrompt(task=task, part=part, text=tell(made, MotionPhrasing()), scene=made)
