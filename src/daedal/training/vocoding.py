"""A vocoder and the recordings that it is to learn to make sound of."""

import math
from typing import Any

import numpy as np
import torch

from daedal.codecs.mel import LEAST_SPREAD
from daedal.models.vocoder import Vocoder
from daedal.training.listening import COLUMN
from daedal.training.plan import Plan
from daedal.training.vocoder_plan import VocoderPlan
from daedal.training.waves import WaveLearner, WaveTask

_LOOKED_AT = 500  # recordings whose frames tell their mean and spread
_GAIN = (-12.0, 3.0)


class VocoderLearner(WaveLearner):
    """A vocoder and its recordings."""

    learned = Vocoder
    sizes = ((5e14, 128, 4), (5e15, 256, 6), (math.inf, 512, 8))  # not searched

    def measured(self) -> dict[str, Any]:
        """Mean and standard deviation of log-mel values."""
        rows = self.dataset.split("train").ragged(COLUMN)
        places = np.linspace(0, len(rows) - 1, min(_LOOKED_AT, len(rows))).astype(int)
        frames = torch.cat([self.mel.encode(torch.from_numpy(self.codec.samples(rows[at]))) for at in places.tolist()])
        return {"mean": round(float(frames.mean()), 3), "spread": max(LEAST_SPREAD, round(float(frames.std()), 3))}

    def task(self, plan: Plan) -> WaveTask:
        assert isinstance(plan, VocoderPlan)
        model = self.begun(plan)
        hop = model.config.hop
        samples = max(2 * model.config.fft, round(plan.seconds * model.config.rate)) // hop * hop
        return WaveTask(model, self.dataset, plan, self.codec, samples, _GAIN)
