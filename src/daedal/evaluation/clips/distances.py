"""How near a model's clips are to held-out ones, in features of a network that learned what happens in the training clips."""

import numpy as np

from daedal.evaluation.blocks import Note
from daedal.evaluation.clips.beside import TOKENS, TRUE, WHY_TOKENS, WHY_TRUE
from daedal.evaluation.clips.motion_network import Clips, MotionExtractor, bent
from daedal.evaluation.evaluator import Evaluator, Findings, Tell
from daedal.evaluation.images.baselines import spread
from daedal.evaluation.images.features import extract
from daedal.evaluation.images.metrics import Compared, all_metrics, fid, kid, manifolds
from daedal.evaluation.images.speeds import largest
from daedal.evaluation.kinds.clips import ClipSubject, frames_of
from daedal.evaluation.report import Baseline

_VIEWS = (250, 500, 1000, 2000, 4000, 8000, 16_000, 32_000)
_VALUES_A_SECOND = 1.2e6  # pixels of frames that the network learns from, on one core of 2023
_SEEN = 16 * 32 * 32  # of a clip at most
_REFERENCE = 500
_BROKEN = {
    "shuffled frames": ("in another order", "training clips with their frames in another order: they look right, move wrong"),
    "frozen": ("frozen", "the first frames of training clips for all of the time: they look right and do not move"),
}  # fmt: skip


class ClipDistances(Evaluator[ClipSubject]):
    """Fréchet and kernel distance, precision and recall: of a model's clips, of training clips, and of broken ones."""

    needs, columns, weight = frozenset({"film"}), frozenset({"clip", "train"}), 15.0
    lacking = "Fréchet video distance: the training clips, of which its network learns, are not at hand"

    def views(self, subject: ClipSubject) -> int:
        """Clips that the network is shown."""
        return largest(_VIEWS, 0.2 * subject.asked.seconds * _rate(subject))

    def seconds(self, subject: ClipSubject, within: float) -> float:
        return self.views(subject) / _rate(subject) + 2 * _REFERENCE / _rate(subject)

    def measure(self, subject: ClipSubject, within: float, tell: Tell) -> Findings:
        assert subject.train is not None
        assert subject.drawn is not None
        views, seed = self.views(subject), subject.asked.seed
        by = MotionExtractor.open(
            subject.train, views, lambda share: tell(0.7 * share, "learning what happens in clips")
        )
        tell(0.7, "reading features")
        made, held = subject.drawn, subject.used
        seen = extract(by, frames_of(held))

        def compare(clips: Clips, of: str = "") -> Findings:
            return all_metrics(
                Compared(by, extract(by, clips), seen, held.name, held.fingerprint, of, seed, "clips"),
                (fid, kid, manifolds),
            )

        found = compare(made, subject.hash)
        train = frames_of(subject.train.at(spread(len(subject.train), len(made))))
        draw = np.random.Generator(np.random.Philox(seed))
        broken = {
            name: (why, np.stack([bent(clip, time, draw) for clip in train])) for name, (time, why) in _BROKEN.items()
        }
        others = {TRUE: (WHY_TRUE, train), TOKENS: (WHY_TOKENS, subject.generator.through_tokens(train)), **broken}
        baselines = tuple(
            Baseline(name=name, why=why, measurements=compare(clips).measurements)
            for name, (why, clips) in others.items()
        )
        return found + Findings((), baselines, (Note(brief=by.note),))


def _rate(subject: ClipSubject) -> float:
    """Clips a second that the network learns from."""
    frames, height, width, _ = subject.held["clip"][0].values.shape
    return _VALUES_A_SECOND / float(min(_SEEN, frames * height * width))
