"""How steady the frames of a model's clips are, beside true clips and these as they come back from the model's own tokens."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from daedal.evaluation.clips.beside import TOKENS, TRUE, WHY_TOKENS, WHY_TRUE
from daedal.evaluation.evaluator import Evaluator, Findings, Tell
from daedal.evaluation.kinds.clips import Clips, ClipSubject, frames_of
from daedal.evaluation.means import mean_interval, student
from daedal.evaluation.measurement import Measurement, define
from daedal.evaluation.measures.steadiness import STEADINESS
from daedal.evaluation.report import Baseline


class Steadiness(Evaluator[ClipSubject]):
    """How frames follow each other, and what persists in them."""

    needs, columns = frozenset({"film"}), frozenset({"clip"})

    def seconds(self, subject: ClipSubject, within: float) -> float:
        return min(3.0, 0.05 * within)

    def measure(self, subject: ClipSubject, within: float, tell: Tell) -> Findings:
        tell(0, "looking at frames")
        assert subject.drawn is not None
        held = frames_of(subject.used)
        kept = subject.generator.through_tokens(held)
        baselines = (
            Baseline(name=TRUE, why=WHY_TRUE, measurements=_measured(subject, held, "held-out")),
            Baseline(name=TOKENS, why=WHY_TOKENS, measurements=_measured(subject, kept, "tokens")),
        )
        return Findings(_measured(subject, subject.drawn, "model"), baselines)


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
                better="neither", **about,
            ))  # fmt: skip
    return tuple(found)


def _numbers(values: Sequence[float | None]) -> np.ndarray:
    return np.array([value for value in values if value is not None])
