"""Whether what a model says are copies of recordings that it learned from: the nearest of these to each, and how near they are
to held-out recordings, by `daedal.evaluation.images.memorization`.

Recordings are compared as moments of mel cepstra, evenly over their lengths: fast enough for all, and a copy is at distance
nought whatever its loudness.
"""

from collections.abc import Sequence

import numpy as np
import torch

from daedal.codecs.sheet import pairs
from daedal.errors import DaedalError
from daedal.evaluation.blocks import Sheet
from daedal.evaluation.evaluator import Evaluator, Findings, Tell
from daedal.evaluation.images import memorization
from daedal.evaluation.images.baselines import spread
from daedal.evaluation.images.memorization import Nearest
from daedal.evaluation.kinds.speech import SpeechSubject
from daedal.evaluation.means import WILSON, mean_interval, student
from daedal.evaluation.measurement import Measurement, define
from daedal.evaluation.measures.mel_distortion import evenly
from daedal.evaluation.report import Baseline
from daedal.evaluation.sounds.frames import as_sounds, cepstra_of, conditions, spectrograms
from daedal.evaluation.sounds.speaking import REAL
from daedal.inference.sound import Sound

NEIGHBOURS = "neighbours.png"
_TRAIN = 10_000
_MOMENTS = 24
_SHOWN = 8


class SoundCopies(Evaluator[SpeechSubject]):
    """The distance to the nearest recording that was learned from, authenticity, and the test for copies."""

    needs, columns = frozenset({"speak"}), frozenset({"sound", "train"})
    lacking = "What was copied: the recordings that were learned from are not at hand"

    def measure(self, subject: SpeechSubject, within: float, tell: Tell) -> Findings:
        tell(0, "looking for copies")
        spoken, train = subject.spoken, subject.train
        assert spoken is not None
        assert train is not None
        learned = as_sounds(subject.generator.codec, train.at(spread(len(train), _TRAIN))["sound"])
        made, real, known = (_moments(sounds) for sounds in (spoken.made, spoken.real, learned))
        near, beside = memorization.nearest(made, known), memorization.nearest(real, known)
        hit = np.unique(near.indices)
        apart = Nearest(np.full(len(known), np.inf), np.zeros(len(known), dtype=np.int64))
        apart.distances[hit] = memorization.nearest_of(known, hit).distances
        how = {**conditions(spoken.real[0].rate), "moments": _MOMENTS, "learned": len(known)}

        def distance(found: Nearest, of: str) -> Measurement:
            return Measurement(
                name="nearest training recording", value=float(found.distances.mean()), unit="dB", better="higher",
                interval=mean_interval(found.distances, (0, np.inf)), interval_method=student("sounds"), seed=0,
                n=len(found.distances), pieces="sounds", definition=define("nearest-training-sound", 1, of=of, **how),
                **subject.about | ({} if of == "speech" else {"model_hash": ""}),
            )  # fmt: skip

        share = memorization.authenticity(near, apart)
        own = [
            distance(near, "speech"),
            Measurement(
                name="authentic sounds", value=share.value, unit="", interval=share.interval, interval_method=WILSON, seed=0,
                n=len(made), pieces="sounds", better="higher", definition=define("authenticity", 1, **how), **subject.about,
            ),
        ]  # fmt: skip
        missing: tuple[str, ...] = ()
        try:
            test = memorization.copy_test(near, beside)
        except DaedalError as error:
            missing = (error.what,)
        else:
            own.append(
                Measurement(
                    name="farther than held-out sounds", value=test.probability, unit="", interval=test.interval, seed=0,
                    interval_method=memorization.METHOD, n=len(made), pieces="sounds", better="higher",
                    definition=define("data-copying", 1, **how, held_out=len(real)), **subject.about,
                )
            )  # fmt: skip
        closest = np.argsort(near.distances, kind="stable")[:_SHOWN]
        sheet = pairs(
            spectrograms([spoken.made[at] for at in closest]),
            spectrograms([learned[near.indices[at]] for at in closest]),
            columns=4,
        )
        says = (
            "The sounds that are nearest to a recording that was learned from, each above that recording. If both are the "
            "same, the model has copied it."
        )
        return Findings(
            tuple(own), (Baseline(name=REAL[0], why=REAL[1], measurements=(distance(beside, "real"),)),),
            (Sheet(title="What it copies", says=says, file=NEIGHBOURS),), missing, pictures={NEIGHBOURS: sheet},
        )  # fmt: skip


def _moments(sounds: Sequence[Sound]) -> torch.Tensor:
    return torch.from_numpy(np.stack([evenly(each, _MOMENTS) for each in cepstra_of(sounds)]))
