"""How well a model that draws from words composes scenes, by the exact judge: no network, no opinion.

    found = composition(draw, side=32, per_task=100, seed=1)
    print(table(found), found.score("position", "held-out pairs"))

`draw` is any function from prompts and a seed to pictures. A picture fits its prompt where the judge can read all of it, it has
as many things as asked for, and all that the prompt says holds of them (`fits`). `ceiling` scores true pictures in the place of
drawn ones, or what becomes of them in a tokenizer: what a model that learns its tokens perfectly gets.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from itertools import permutations
from typing import Literal

import numpy as np
from jaxtyping import UInt8

from daedal.config import Config
from daedal.data.worlds.scenes import HELD_OUT_PAIRS, HELD_OUT_RELATIONS, MOST_THINGS, Scene, Thing, relations
from daedal.data.worlds.scenes import draw as draw_scene
from daedal.errors import DaedalError
from daedal.evaluation.evaluator import Evaluator, Findings, Tell
from daedal.evaluation.kinds.pictures import PictureSubject
from daedal.evaluation.means import STRATIFIED, WILSON, stratified, wilson
from daedal.evaluation.measurement import Measurement, define
from daedal.evaluation.worlds.judge import STRICT, read
from daedal.evaluation.worlds.prompts import MAIN_TASKS, PARTS, TASKS, Part, Prompt, Task, parts_of, prompts

Picture = UInt8[np.ndarray, "side side 3"]
Draw = Callable[[Sequence[str], int], Sequence[Picture]]
"""Prompts and a seed to as many pictures; equal prompts of one call get pictures of their own."""
Choose = Callable[[str, Sequence[Picture]], int]
"""A prompt and the pictures drawn for it to the place of the one to take."""
Through = Callable[[Sequence[Picture]], Sequence[Picture]]
"""Pictures to what becomes of them: a tokenizer's reconstructions."""
Row = Task | Literal["overall"]
_CELLS = 13
"""Tasks and parts at most."""


class Composing(Evaluator[PictureSubject]):
    """Composition of what the model can have seen, and of what it never did."""

    needs, columns, weight = frozenset({"sample", "prompt"}), frozenset({"pictures", "truth"}), 20.0
    sizes, share = (10, 25, 50, 100), 0.5

    def each(self, subject: PictureSubject) -> float:
        """Of a prompt in every cell: guidance doubles the work."""
        return 2 * _CELLS / subject.speeds.draws

    def measure(self, subject: PictureSubject, within: float, tell: Tell) -> Findings:
        tell(0, "composing")
        generator = subject.generator

        def show(prompts: Sequence[str], seed: int) -> list[Picture]:
            drawn = generator.generate(len(prompts), prompt=list(prompts), seed=seed)
            return [generator.codec.lay(picture.image) for picture in drawn]

        return Findings(composition(
            show, generator.codec.height, self.count(subject, within), subject.asked.seed, tasks=MAIN_TASKS,
            parts=("seen", *never_trained(subject.reference.learned_scenes())), model_hash=subject.hash,
        ).measurements)  # fmt: skip


class Composition(Config):
    """Shares of prompts that were drawn as they say.

    Attributes:
        scores: by task and part; `overall`, the mean over the six main tasks, for the parts that all of them have.
    """

    scores: dict[Row, dict[Part, Measurement]]

    def score(self, row: Row, part: Part = "seen") -> Measurement:
        """The score of a task, or `overall`, in a part.

        Raises:
            DaedalError: it was not measured.
        """
        try:
            return self.scores[row][part]
        except KeyError:
            raise DaedalError(f"{row}, {part} was not measured", f"There are {', '.join(self.scores)}") from None

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        """All scores in order."""
        return tuple(score for scores in self.scores.values() for score in scores.values())


def composition(
    draw: Draw,
    side: int,
    per_task: int,
    seed: int,
    *,
    tasks: Sequence[Task] = TASKS,
    parts: Sequence[Part] = PARTS,
    most: int = MOST_THINGS,
    choose: Choose | None = None,
    best_of: int = 1,
    model_hash: str = "",
) -> Composition:
    """The scores of a model. `draw` is called once for each task and part.

    Args:
        side: of the pictures, in pixels.
        per_task: prompts for each task and part.
        seed: of the prompts, and of the seeds that `draw` is given.
        parts: of the tasks, those to measure.
        most: things in the scenes that the model was trained on, at most: more of them are `held-out counts`.
        choose: picks one of `best_of` pictures for each prompt.

    Raises:
        DaedalError: pictures of another size or number than asked for, or several for a prompt and nothing that chooses.
    """
    if best_of < 1 or (best_of > 1 and choose is None):
        raise DaedalError(f"Nothing chooses one of {best_of} pictures", "Give `choose`, or draw one for each prompt")

    def show(asked: Sequence[Prompt], seed: int) -> Sequence[Picture]:
        drawn = _checked(
            draw([prompt.text for prompt in asked for _ in range(best_of)], seed), len(asked) * best_of, side
        )
        if choose is None:
            return drawn
        several = [drawn[first : first + best_of] for first in range(0, len(drawn), best_of)]
        return [each[choose(prompt.text, each)] for prompt, each in zip(asked, several, strict=True)]

    conditions = {"best_of": best_of} if best_of > 1 else {}
    return _scored(show, side, per_task, seed, tasks, parts, most, model_hash, conditions)


def ceiling(
    side: int,
    per_task: int,
    seed: int,
    *,
    tasks: Sequence[Task] = TASKS,
    most: int = MOST_THINGS,
    through: Through | None = None,
    model_hash: str = "",
) -> Composition:
    """The scores of each prompt's own scene, rendered: 1 wherever the judge is right. With `through`, of what becomes of it.

    Raises:
        DaedalError: `through` gives pictures of another size or number.
    """

    def show(asked: Sequence[Prompt], seed: int) -> Sequence[Picture]:
        pictures = render(asked, side)
        return _checked(through(pictures), len(asked), side) if through else pictures

    return _scored(show, side, per_task, seed, tasks, PARTS, most, model_hash, {})


def never_trained(scenes: Iterable[Scene]) -> tuple[Part, ...]:
    """The parts that scenes to learn from leave out: what they have of `seen` is for the prompts to say."""
    pairs, related = set(HELD_OUT_PAIRS), set(HELD_OUT_RELATIONS)
    for made in scenes:
        pairs.difference_update((thing.colour, thing.shape) for thing in made.things)
        if made.relation is not None:
            one, other = made.things[:2]
            related.difference_update(
                (held, a.shape, b.shape) for a, b in ((one, other), (other, one)) for held in relations(a, b)
            )
    left: list[tuple[Part, bool]] = [
        ("held-out pairs", pairs == HELD_OUT_PAIRS), ("held-out relations", related == HELD_OUT_RELATIONS)
    ]  # fmt: skip
    return tuple(part for part, never in left if never)


def render(asked: Sequence[Prompt], side: int) -> list[Picture]:
    """The true picture of each prompt's own scene."""
    return [draw_scene(prompt.scene, side) for prompt in asked]


def fits(prompt: Prompt, picture: Picture) -> bool:
    """Whether a picture shows what a prompt says, and no more things: what it does not say is free.

    The things of the picture can be put in an order in which each has the shape, the colour and the size that are said of it,
    and the first is to the second what is said, by `relations`. `two_object` asks for the shapes alone, of what it says.

    Raises:
        DaedalError: a picture that the judge does not take.
    """
    reading = read(picture)
    if not reading.valid or len(reading.things) != len(prompt.scene.things):
        return False
    return any(_holds(prompt, things) for things in permutations(reading.things))


def share_shown(prompt: Prompt, picture: Picture) -> float:
    """1 where a picture `fits`; else up to a half: the share of what was said of the things that it shows, in the best order,
    and no more for things beyond those."""
    if fits(prompt, picture):
        return 1.0
    reading, asked = read(picture), prompt.scene.things
    if not reading.valid or not reading.things:
        return 0.0
    said = ["shape", *(["colour"] if prompt.phrasing.colours else []), *(["size"] if prompt.phrasing.sizes else [])]
    most: int = max(
        sum(
            getattr(one, name) == getattr(other, name)
            for one, other in zip(asked, things, strict=False)
            for name in said
        )
        for things in permutations(reading.things)
    )
    return most / (2 * len(said) * max(len(asked), len(reading.things)))


def _holds(prompt: Prompt, things: Sequence[Thing]) -> bool:
    colours, sizes = prompt.phrasing.colours and prompt.task != "two_object", prompt.phrasing.sizes
    for asked, seen in zip(prompt.scene.things, things, strict=True):
        if (
            asked.shape != seen.shape
            or (colours and asked.colour != seen.colour)
            or (sizes and asked.size != seen.size)
        ):
            return False
    relation = prompt.scene.relation
    return relation is None or relation in relations(things[0], things[1])


def table(found: Composition) -> str:
    """The scores in Markdown: a row for each task, a column for each part."""
    parts = [part for part in PARTS if any(part in scores for scores in found.scores.values())]
    rows = [("task", *parts), ("---", *("---:" for _ in parts))]
    for row, scores in found.scores.items():
        rows.append((row, *(_cell(scores[part]) if part in scores else "" for part in parts)))
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _cell(score: Measurement) -> str:
    low, high = score.interval or (0.0, 1.0)
    return f"{score.value:.1%} [{low:.1%}, {high:.1%}]"


def _checked(pictures: Sequence[Picture], count: int, side: int) -> Sequence[Picture]:
    if len(pictures) != count:
        raise DaedalError(f"{count} pictures were asked for, and {len(pictures)} came", "Draw one for each prompt")
    for picture in pictures:
        if picture.shape != (side, side, 3):
            raise DaedalError(
                f"A picture is {picture.shape}, not {(side, side, 3)}", "Give the side in pixels that the model draws"
            )
    return pictures


def _scored(
    show: Callable[[Sequence[Prompt], int], Sequence[Picture]],
    side: int,
    per_task: int,
    seed: int,
    tasks: Sequence[Task],
    parts: Sequence[Part],
    most: int,
    model_hash: str,
    conditions: dict[str, int],
) -> Composition:
    if per_task < 1:
        raise DaedalError(f"{per_task} prompts for each task measure nothing", "Ask for at least one")

    def measured(row: Row, part: Part, value: float, n: int, data: str, **more: object) -> Measurement:
        counts = {"most": most} if row in ("counting", "overall") else {}
        stated = {"overlap": STRICT, "part": part.replace(" ", "-"), "side": side, **counts, **conditions}
        return Measurement.parse({
            "name": f"{row}, {part}", "value": value, "unit": "of prompts", "n": n, "pieces": "prompts", "better": "higher",
            "definition": define(f"composition-{row.replace('_', '-')}", 1, **stated), "model_hash": model_hash,
            "data_hash": hashlib.sha256(data.encode()).hexdigest(), "seed": seed, **more,
        }, row)  # fmt: skip

    scores: dict[Row, dict[Part, Measurement]] = {task: {} for task in tasks}
    for task in tasks:
        for part in (part for part in parts_of(task, most) if part in parts):
            asked = prompts(task, part, per_task, seed, most)
            pictures = show(asked, _seed_of(seed, task, part))
            hits = sum(fits(prompt, picture) for prompt, picture in zip(asked, pictures, strict=True))
            scores[task][part] = measured(
                task, part, hits / per_task, per_task, "\n".join(prompt.model_dump_json() for prompt in asked),
                interval=wilson(hits, per_task), interval_method=WILSON,
            )  # fmt: skip
    overall: dict[Part, Measurement] = {}
    for part in PARTS:
        means = [scores[task][part] for task in MAIN_TASKS if part in scores.get(task, {})]
        if len(means) == len(MAIN_TASKS):
            hits_of = [round(mean.value * mean.n) for mean in means]
            overall[part] = measured(
                "overall", part, sum(hits_of) / (per_task * len(means)), per_task * len(means),
                "".join(mean.data_hash for mean in means),
                interval=stratified(hits_of, [mean.n for mean in means]), interval_method=STRATIFIED,
            )  # fmt: skip
    return Composition(scores={**({"overall": overall} if overall else {}), **scores})


def _seed_of(seed: int, task: Task, part: Part) -> int:
    """Another seed for each task and part, so that no noise is drawn twice."""
    place = len(PARTS) * TASKS.index(task) + PARTS.index(part)
    return int(np.random.SeedSequence((seed, place)).generate_state(1)[0])
