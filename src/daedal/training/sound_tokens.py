"""A tokenizer of sounds and the recordings that it is to learn."""

import math

from daedal.models.soundtokens import SoundTokens
from daedal.training.plan import Plan
from daedal.training.sound_token_plan import SoundTokensPlan
from daedal.training.waves import WaveLearner, WaveTask


class SoundTokensLearner(WaveLearner):
    """A tokenizer and its recordings."""

    learned = SoundTokens
    sizes = ((5e14, 128, 3), (5e15, 256, 4), (math.inf, 512, 6))  # not searched

    def task(self, plan: Plan) -> WaveTask:
        assert isinstance(plan, SoundTokensPlan)
        model = self.begun(plan)
        config = model.config
        samples = config.samples(max(1, round(plan.seconds * config.per_second)))
        return WaveTask(model, self.dataset, plan, self.codec, samples)
