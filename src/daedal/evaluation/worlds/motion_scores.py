"""How well a model that films from words makes things move, by the exact judge of moving scenes: no network, no opinion.

    found = motions(show, side=32, frames=16, per_task=50, seed=1)
    found["overall", "seen"].value

`show` is any function from prompts and a seed to clips. A clip fits its prompt where all of the judge's verdict holds
(objects, colours, motion, order, identity, clean frames). `motion_ceiling` scores true clips in the place of written ones,
or what becomes of them in a tokenizer: what a model that learns its tokens perfectly gets. `film_quality` says how evenly
what moves moves, and whether things stay what they are, prompt or not.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import numpy as np

from daedal.data.worlds.moving_scenes import film
from daedal.errors import DaedalError
from daedal.evaluation.means import STRATIFIED, WILSON, mean_interval, stratified, student, wilson
from daedal.evaluation.measurement import Measurement, define
from daedal.evaluation.worlds.clip_prompts import (
    MOTION_PARTS,
    MOTION_TASKS,
    ClipPrompt,
    MotionPart,
    MotionTask,
    clip_prompts,
)
from daedal.evaluation.worlds.judge import STRICT
from daedal.evaluation.worlds.motion_judge import HELD, Verdict, judge
from daedal.evaluation.worlds.tracks import Frames, Track, track

Show = Callable[[Sequence[str], int], Sequence[Frames]]
"""Prompts and a seed to as many clips; equal prompts of one call get clips of their own."""
Through = Callable[[Sequence[Frames]], Sequence[Frames]]
"""Clips to what becomes of them: a tokenizer's reconstructions."""
Told = Callable[[ClipPrompt, Frames, Verdict], None]
"""A prompt, a clip, and what holds of it."""
Scores = dict[tuple[MotionTask | Literal["overall"], MotionPart], Measurement]
"""By task and part; `overall` is the mean of the tasks."""


def motions(
    show: Show,
    side: int,
    frames: int,
    per_task: int,
    seed: int,
    *,
    parts: Sequence[MotionPart] = MOTION_PARTS,
    tasks: Sequence[MotionTask] = MOTION_TASKS,
    told: Told | None = None,
    model_hash: str = "",
) -> Scores:
    """The scores of a model. `show` is called once for each task and part.

    Args:
        side: of the frames, in pixels.
        frames: of a clip.
        per_task: prompts for each task and part.
        seed: of the prompts, and of the seeds that `show` is given.
        told: called with each prompt, its clip, and what the judge says of it.

    Raises:
        DaedalError: clips of another size or number than asked for.
    """

    def shown(asked: Sequence[ClipPrompt], seed: int) -> Sequence[Frames]:
        return show([prompt.text for prompt in asked], seed)

    return _scored(shown, side, frames, per_task, seed, parts, tasks, told, model_hash)


def motion_ceiling(
    side: int,
    frames: int,
    per_task: int,
    seed: int,
    *,
    parts: Sequence[MotionPart] = MOTION_PARTS,
    tasks: Sequence[MotionTask] = MOTION_TASKS,
    through: Through | None = None,
    told: Told | None = None,
    model_hash: str = "",
) -> Scores:
    """The scores of each prompt's own scene, drawn: 1 wherever the judge is right. With `through`, of what becomes of it.

    Raises:
        DaedalError: `through` gives clips of another size or number.
    """

    def show(asked: Sequence[ClipPrompt], seed: int) -> Sequence[Frames]:
        clips = [film(prompt.scene, side, frames) for prompt in asked]
        return through(clips) if through else clips

    return _scored(show, side, frames, per_task, seed, parts, tasks, told, model_hash)


def film_quality(clips: Iterable[Frames], *, model_hash: str = "", seed: int | None = None) -> tuple[Measurement, ...]:
    """Smoothness: how far things are from where the frames before and after put them, in pixels of 32 (0 is even motion; what
    bounces is off once). Persistence: the share of things that are there from their first frame to the last and are read as one
    shape in `HELD` of them."""
    jerks: list[float] = []
    kept = things = 0
    for clip in clips:
        for each in track(clip).tracks:
            things += 1
            kept += _persists(each)
            places = each.moments[:, 1:]
            if len(places) > 2:
                jerks.append(32 * float(np.median(np.linalg.norm(np.diff(places, n=2, axis=0), axis=1))))

    def measured(name: str, value: float, unit: str, n: int, **more: object) -> Measurement:
        known = {
            "name": name,
            "value": value,
            "unit": unit,
            "n": n,
            "pieces": "things",
            "model_hash": model_hash,
            "seed": seed,
        }
        return Measurement.parse({**known, **more}, name)

    values = np.array(jerks or [0.0])
    return (
        measured(
            "smoothness", float(values.mean()), "pixels", len(jerks), better="lower", interval=mean_interval(values),
            interval_method=student("things"), definition=define("smoothness", 1, of="second-differences", scale=32),
        ),
        measured(
            "persistence", kept / max(1, things), "of things", things, better="higher", interval=wilson(kept, things),
            interval_method=WILSON, definition=define("persistence", 1, overlap=STRICT, held=HELD),
        ),
    )  # fmt: skip


def _persists(seen: Track) -> bool:
    shapes = [fit.shape for fit in seen.fits if fit.overlap >= STRICT]
    return seen.whole and max((shapes.count(each) for each in set(shapes)), default=0) >= HELD * len(seen.fits)


def _scored(
    show: Callable[[Sequence[ClipPrompt], int], Sequence[Frames]],
    side: int,
    frames: int,
    per_task: int,
    seed: int,
    parts: Sequence[MotionPart],
    tasks: Sequence[MotionTask],
    told: Told | None,
    model_hash: str,
) -> Scores:
    if per_task < 1 or not tasks:
        raise DaedalError(f"{per_task} prompts for each of {len(tasks)} tasks measure nothing", "Ask for one at least")

    def measured(task: str, part: MotionPart, value: float, n: int, data: str, **more: object) -> Measurement:
        quantity = f"motion-{task}" + ("" if part == "seen" else f"-{part.replace(' ', '-')}")
        stated = {"overlap": STRICT, "held": HELD, "side": side, "frames": frames}
        stated |= {"tasks": len(tasks)} if task == "overall" else {}
        return Measurement.parse({
            "name": f"{task}, {part}", "value": value, "unit": "of prompts", "n": n, "pieces": "prompts", "better": "higher",
            "definition": define(quantity, 1, **stated), "model_hash": model_hash,
            "data_hash": hashlib.sha256(data.encode()).hexdigest(), "seed": seed, **more,
        }, task)  # fmt: skip

    scores: Scores = {}
    for part in parts:
        hits: list[int] = []
        for task in tasks:
            asked = clip_prompts(task, part, per_task, seed)
            clips = _checked(show(asked, _seed_of(seed, task, part)), per_task, (frames, side, side, 3))
            verdicts = [judge(clip, prompt.scene) for clip, prompt in zip(clips, asked, strict=True)]
            if told is not None:
                for each in zip(asked, clips, verdicts, strict=True):
                    told(*each)
            hits.append(sum(verdict.holds for verdict in verdicts))
            scores[task, part] = measured(
                task, part, hits[-1] / per_task, per_task, "\n".join(prompt.model_dump_json() for prompt in asked),
                interval=wilson(hits[-1], per_task), interval_method=WILSON,
            )  # fmt: skip
        scores["overall", part] = measured(
            "overall", part, sum(hits) / (per_task * len(hits)), per_task * len(hits),
            "".join(scores[task, part].data_hash for task in tasks),
            interval=stratified(hits, [per_task] * len(hits)), interval_method=STRATIFIED,
        )  # fmt: skip
    return scores


def _seed_of(seed: int, task: MotionTask, part: MotionPart) -> int:
    """Another seed for each task and part, so that no noise is drawn twice."""
    place = len(MOTION_PARTS) * MOTION_TASKS.index(task) + MOTION_PARTS.index(part)
    return int(np.random.SeedSequence((seed, place)).generate_state(1)[0])


def _checked(clips: Sequence[Frames], count: int, shape: tuple[int, ...]) -> Sequence[Frames]:
    if len(clips) != count or any(clip.shape != shape for clip in clips):
        raise DaedalError(f"{count} clips of {shape} were asked for, and others came", "Give clips of that size")
    return clips
