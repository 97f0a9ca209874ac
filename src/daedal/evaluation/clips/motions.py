"""Whether a model films what it is told to, by the exact judge of moving scenes: by task, for pairs of shape and motion that
it saw and for those that it never did, beside what the judge says of true scenes and of these as the tokenizer gives them back.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from daedal.evaluation.blocks import Sheet, Table
from daedal.evaluation.clips.beside import TOKENS, TRUE, WHY_TOKENS, WHY_TRUE
from daedal.evaluation.clips.contact_sheet import contact_sheet
from daedal.evaluation.evaluator import Evaluator, Findings, Tell
from daedal.evaluation.kinds.clips import ClipSubject, pixels_of
from daedal.evaluation.measurement import Measurement
from daedal.evaluation.report import Baseline
from daedal.evaluation.worlds.clip_prompts import MOTION_PARTS, MOTION_TASKS, ClipPrompt, learned
from daedal.evaluation.worlds.motion_judge import Verdict
from daedal.evaluation.worlds.motion_scores import Scores, film_quality, motion_ceiling, motions
from daedal.evaluation.worlds.tracks import Frames

JUDGED = "judged.png"
_CELLS = len(MOTION_TASKS) * len(MOTION_PARTS)
_JUDGING = 0.004  # seconds that the judge takes for a frame, of one core of 2023
_TRACKED = 32  # clips in which things are followed, prompt or not


class Motions(Evaluator[ClipSubject]):
    """What the judge says of clips after prompts, and how smoothly things move and persist in them."""

    needs, columns, weight = frozenset({"film", "prompt"}), frozenset({"clip", "truth"}), 40.0
    sizes, share = (1, 2, 4, 8, 16, 32, 64), 0.55

    def each(self, subject: ClipSubject) -> float:
        """Of a prompt in every cell: its clip, and what the judge says of it, of its scene, and of what the tokenizer keeps of
        that."""
        return _CELLS * (subject.seconds_a_clip + 3 * _JUDGING * len(subject.held["clip"][0].values))

    def measure(self, subject: ClipSubject, within: float, tell: Tell) -> Findings:
        generator, codec, seed = subject.generator, subject.generator.codec, subject.asked.seed
        captions = generator.captions
        assert captions is not None
        tasks, parts = learned(subject.learned_scenes())
        cells, seen = len(tasks) * len(parts), list[tuple[ClipPrompt, Frames, Verdict]]()

        def show(prompts: Sequence[str], own: int) -> list[Frames]:
            said = [captions.shortened(prompt) for prompt in prompts]
            return list(pixels_of(generator.generate(len(said), prompt=said, seed=own)))

        def told(prompt: ClipPrompt, clip: Frames, verdict: Verdict) -> None:
            seen.append((prompt, clip, verdict))
            tell(0.7 * len(seen) / (count * cells), "filming what prompts say")

        count = self.count(subject, within)
        asked: dict[str, Any] = {
            "side": codec.height, "frames": codec.frames, "per_task": count, "seed": seed, "tasks": tasks, "parts": parts,
        }  # fmt: skip
        scores = motions(show, told=told, model_hash=subject.hash, **asked)
        tell(0.7, "judging true clips")
        kept, true = list[Frames](), list[Frames]()
        ceilings = {
            TRUE: motion_ceiling(told=lambda _, clip, __: true.append(clip), **asked),
            TOKENS: motion_ceiling(
                through=lambda clips: list(generator.through_tokens(np.stack(clips))),
                told=lambda _, clip, __: kept.append(clip), **asked,
            ),
        }  # fmt: skip
        tell(0.95, "following things")
        quality = _quality([clip for _, clip, _ in seen], seed, subject.hash)
        baselines = tuple(
            Baseline(name=name, why=why, measurements=_in_order(ceilings[name]) + _quality(clips, seed))
            for name, why, clips in ((TRUE, WHY_TRUE, true), (TOKENS, WHY_TOKENS, kept))
        )
        first = [
            next(each for each in seen if (each[0].task, each[0].part) == (task, part))
            for part in parts
            for task in tasks
        ]
        sheet = Sheet(
            title="What the judge sees",
            says="The first clip of each task, seen pairs before held-out ones; green: all that was asked for holds",
            file=JUDGED,
        )
        shown = contact_sheet(
            [clip for _, clip, _ in first],
            [prompt.text for prompt, _, _ in first],
            [said.holds for _, _, said in first],
        )
        how = {"prompts": count, "tasks": len(tasks)}
        return Findings(
            (*_in_order(scores), *quality), baselines, (_aspects(seen), sheet), sampling=how, pictures={JUDGED: shown}
        )


def _in_order(scores: Scores) -> tuple[Measurement, ...]:
    """All scores, `overall` first."""
    return tuple(score for (_, _), score in sorted(scores.items(), key=lambda item: item[0][0] != "overall"))


def _quality(clips: Sequence[Frames], seed: int, model_hash: str = "") -> tuple[Measurement, ...]:
    """How smoothly the things of some clips move, and how many persist; nothing where nothing is found in them."""
    some = [clips[place] for place in np.unique(np.linspace(0, len(clips) - 1, _TRACKED).astype(int))]
    return tuple(each for each in film_quality(some, model_hash=model_hash, seed=seed) if each.n)


def _aspects(seen: Sequence[tuple[ClipPrompt, Frames, Verdict]]) -> Table:
    """By task how often each aspect holds."""
    names = [each.name for each in fields(Verdict)]
    of: dict[str, list[Verdict]] = defaultdict(list)
    for prompt, _, verdict in seen:
        of[prompt.task].append(verdict)
    rows = [
        (task, len(found), *(float(np.mean([getattr(each, name) for each in found])) for name in names))
        for task, found in of.items()
    ]
    return Table(
        title="What holds of its clips", says="Shares of the clips of each task, of seen and of held-out pairs together.",
        head=("task", "clips", *names), rows=tuple(rows),
    )  # fmt: skip
