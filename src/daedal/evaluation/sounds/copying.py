"""Whether what a model says are copies of recordings that it learned from: the nearest of these to each, and how near they are
to held-out recordings, by `daedal.evaluation.images.memorization`.

Recordings are compared as moments of mel cepstra, evenly over their lengths: fast enough for all, and a copy is at distance
nought whatever its loudness.
"""

from collections.abc import Sequence

import numpy as np
import torch

from daedal.codecs.sheet import pairs
from daedal.evaluation.blocks import Sheet
from daedal.evaluation.evaluator import Evaluator, Findings, Tell
from daedal.evaluation.images.baselines import spread
from daedal.evaluation.images.copying import copying
from daedal.evaluation.images.memorization import Nearest
from daedal.evaluation.kinds.speech import SpeechSubject
from daedal.evaluation.means import mean_interval, student
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
        how = {**conditions(spoken.real[0].rate), "moments": _MOMENTS, "learned": len(known)}

        def distance(found: Nearest, of: str) -> Measurement:
            return Measurement(
                name="nearest training recording", value=float(found.distances.mean()), unit="dB", better="higher",
                interval=mean_interval(found.distances, (0, np.inf)), interval_method=student("sounds"), seed=0,
                n=len(found.distances), pieces="sounds", definition=define("nearest-training-sound", 1, of=of, **how),
                **subject.about | ({} if of == "speech" else {"model_hash": ""}),
            )  # fmt: skip

        found = copying(
            made,
            real,
            known,
            ("sounds", "sounds"),
            how,
            {"held_out": len(real)},
            pieces="sounds",
            seed=0,
            **subject.about,
        )
        closest = np.argsort(found.near.distances, kind="stable")[:_SHOWN]
        sheet = pairs(
            spectrograms([spoken.made[at] for at in closest]),
            spectrograms([learned[found.near.indices[at]] for at in closest]),
            columns=4,
        )
        says = (
            "The sounds that are nearest to a recording that was learned from, each above that recording. If both are the "
            "same, the model has copied it."
        )
        return Findings(
            (distance(found.near, "speech"), found.authentic, *found.tested[:1]),
            (Baseline(name=REAL[0], why=REAL[1], measurements=(distance(found.beside, "real"),)),),
            (Sheet(title="What it copies", says=says, file=NEIGHBOURS),), found.missing, pictures={NEIGHBOURS: sheet},
        )  # fmt: skip


def _moments(sounds: Sequence[Sound]) -> torch.Tensor:
    return torch.from_numpy(np.stack([evenly(each, _MOMENTS) for each in cepstra_of(sounds)]))
