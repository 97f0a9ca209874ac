"""How well a model that draws from words composes scenes like those it learned from: the evaluator over `composition`."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8

from daedal.evaluation.evaluator import Findings, Tell
from daedal.evaluation.images.speeds import largest
from daedal.evaluation.kinds.pictures import PictureSubject
from daedal.evaluation.worlds.composition import composition, never_trained
from daedal.evaluation.worlds.prompts import MAIN_TASKS

_PROMPTS = (10, 25, 50, 100)
_CELLS = 13
"""Tasks and parts at most."""


class Composing:
    """Composition of what the model can have seen, and of what it never did."""

    needs, columns, lacking, weight = frozenset({"sample", "prompt"}), frozenset({"pictures", "truth"}), "", 20.0

    def _each(self, subject: PictureSubject) -> float:
        """Seconds of a prompt in every cell: guidance doubles the work."""
        return 2 * _CELLS / subject.speeds.draws

    def prompts(self, subject: PictureSubject, within: float) -> int:
        """For each task and part."""
        return largest(_PROMPTS, 0.5 * within / self._each(subject))

    def seconds(self, subject: PictureSubject, within: float) -> float:
        return self.prompts(subject, within) * self._each(subject)

    def measure(self, subject: PictureSubject, within: float, tell: Tell) -> Findings:
        tell(0, "composing")
        generator = subject.generator

        def show(prompts: Sequence[str], seed: int) -> list[UInt8[np.ndarray, "side side 3"]]:
            drawn = generator.generate(len(prompts), prompt=list(prompts), seed=seed)
            return [generator.codec.lay(picture.image) for picture in drawn]

        return Findings(composition(
            show, generator.codec.height, self.prompts(subject, within), subject.asked.seed, tasks=MAIN_TASKS,
            parts=("seen", *never_trained(subject.reference.learned_scenes())), model_hash=subject.hash,
        ).measurements)  # fmt: skip
