"""What a model films after held-out captions: how it looks, and how steady its frames are, beside true clips and these as they
come back from the model's own tokens."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from daedal.evaluation.blocks import Block, Sheet
from daedal.evaluation.clips.contact_sheet import contact_sheet
from daedal.evaluation.evaluator import Evaluator, Findings, Tell
from daedal.evaluation.kinds.clips import TRUE, Clips, ClipSubject, frames_of, pixels_of
from daedal.evaluation.means import mean_interval, student
from daedal.evaluation.measurement import Measurement, define
from daedal.evaluation.measures.steadiness import STEADINESS
from daedal.evaluation.report import Baseline
from daedal.inference.clip import side_by_side

FILM, STRIPS = "clips.webp", "clips.png"
TOKENS = "through its tokens"
WHY_TRUE = "held-out clips; for distances as many training clips, and for the judge each prompt's own scene, drawn"
WHY_TOKENS = "true clips as the model's tokenizer gives them back: a model that writes perfectly, the ceiling"
_SHOWN, _ANIMATED = 8, 16


class Filming(Evaluator[ClipSubject]):
    """Clips of a model, and how their frames follow each other."""

    needs, columns, weight = frozenset({"film"}), frozenset({"clip"}), 30.0
    sizes, share = (24, 50, 100, 250, 500, 1000), 0.8

    def each(self, subject: ClipSubject) -> float:
        return subject.seconds_a_clip

    def measure(self, subject: ClipSubject, within: float, tell: Tell) -> Findings:
        count, generator, seed = self.count(subject, within), subject.generator, subject.asked.seed
        made = subject.filmed(count, lambda done: tell(0.8 * done / count, "filming"))
        tell(0.8, "looking at frames")
        held = frames_of(subject.take(max(count, min(len(subject.held), self.sizes[1]))))
        drawn = subject.drawn = pixels_of(made)
        own = _measured(subject, drawn, "model")
        baselines = (
            Baseline(name=TRUE, why=WHY_TRUE, measurements=_measured(subject, held, "held-out")),
            Baseline(
                name=TOKENS, why=WHY_TOKENS,
                measurements=_measured(subject, generator.through_tokens(held), "tokens"),
            ),
        )  # fmt: skip
        how = {"clips": count, "seed": seed, **({"asked-for": subject.held.name} if subject.asked_for else {})}
        stated = ", ".join(f"{name} {value}" for name, value in how.items())
        said = [subject.said(number) for number in range(count)]
        blocks: tuple[Block, ...] = (
            Sheet(title="What it films", says=f"The first ones made, not chosen: {stated}", file=FILM),
            Sheet(title="Frame by frame", says="The first of these, a row each, under what was asked for", file=STRIPS),
        )
        pictures: dict[str, Image.Image | bytes] = {
            FILM: side_by_side(made[:_ANIMATED]).encoded("webp", 1),
            STRIPS: contact_sheet(drawn[:_SHOWN], said[:_SHOWN] if subject.asked_for else ()),
        }
        return Findings(own, baselines, blocks, sampling=how, pictures=pictures)


def _measured(subject: ClipSubject, clips: Clips, of: str) -> tuple[Measurement, ...]:
    about: dict[str, Any] = {**subject.about, **({} if of == "model" else {"model_hash": ""})}
    found = []
    for quantity, (says, measure) in STEADINESS.items():
        values = _numbers([measure(clip) for clip in clips])
        if len(values):
            found.append(Measurement(
                name=says, value=float(values.mean()), unit="", n=len(values), pieces="clips",
                interval=mean_interval(values, (0.0, 1.0)), interval_method=student("clips"),
                definition=define(quantity, 1, frames=clips.shape[1]),
                better="higher" if "persistence" in quantity else "lower", **about,
            ))  # fmt: skip
    return tuple(found)


def _numbers(values: Sequence[float | None]) -> np.ndarray:
    return np.array([value for value in values if value is not None])
