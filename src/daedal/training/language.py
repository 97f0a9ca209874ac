"""A GPT on text: what a stream of tokens does not know of it is how well it says bytes, and how it writes."""

import math
import zlib
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch

from daedal.data.examples import ExampleDataset
from daedal.data.shards import Dataset
from daedal.models.autoregression import UNKNOWN, ByChance, TorchNetwork, write
from daedal.models.checkpoint import resolve, save_model
from daedal.models.gpt import GPT
from daedal.models.habits import Habits
from daedal.models.model import Model
from daedal.nn.noise import Noise
from daedal.training.gpt_plan import TransformerPlan
from daedal.training.learner import Facts, Request
from daedal.training.plan import Plan
from daedal.training.processes import Processes
from daedal.training.text_stream import StreamLearner, StreamTask
from daedal.training.transformer_learner import GPTLearner

_SAMPLE_TOKENS = 120


class LanguageLearner(GPTLearner, StreamLearner):
    """A GPT on a stream of text or of conversations."""

    guarded = "text"

    def __init__(self, asked: Request, dataset: Dataset | ExampleDataset) -> None:
        super().__init__(asked, dataset)
        habits = Habits.of(self.dataset.folder)
        own = habits if habits.jinja is not None else None
        self._habits = Habits.of(resolve(asked.init)) if asked.init is not None else own

    def expected_bits(self, model: Model, draft: Plan, seen: int, facts: Facts) -> float | None:
        """From how well zlib does on the validation text and what share of that our sweeps came to."""
        assert isinstance(model, GPT)
        assert isinstance(draft, TransformerPlan)
        if self.initial is not None or len(facts.text) < 1000:
            return None
        computation = model.flops_per_token(draft.context) * seen
        compressed = 8 * len(zlib.compress(facts.text, 9)) / len(facts.text)
        return float(compressed * 0.72 * (1e12 / max(computation, 1e10)) ** 0.05)

    def task(self, plan: Plan) -> "LanguageTask":
        assert isinstance(plan, TransformerPlan)
        return LanguageTask(self.initial or self.begun(plan), self.dataset, plan, self._habits)


class LanguageTask(StreamTask):
    """Trains a GPT on a stream.

    Args:
        habits: of the model that it is begun from, for the checkpoint.
    """

    def __init__(self, model: Any, dataset: Dataset, plan: TransformerPlan, habits: Habits | None = None) -> None:
        super().__init__(model, dataset, plan)
        self._habits = habits
        self._tokens_per_byte = self._windows.split.tokens / max(1, self._windows.split.bytes)

    def save(self, folder: Path) -> None:
        save_model(self.model, folder, codec=self.codec, habits=self._habits)

    def units(self, loss: float) -> dict[str, float]:
        return {"loss": loss, "bits_per_byte": loss * self._tokens_per_byte / math.log(2)}

    def validate(self, processes: Processes, autocast: AbstractContextManager[Any]) -> dict[str, float]:
        nats, count = self._validated(processes, autocast)
        bits = nats / math.log(2) / max(1, self._validation.bytes)
        return {"validation_loss": nats / count, "validation_bits_per_byte": bits} if count else {}

    def sample(self, seed: int, path: Path) -> str:
        """What the model writes from nothing, at temperature 1."""
        start = self.codec.bos_id if self.codec.bos_id is not None else 0
        network, count = TorchNetwork(self.model), min(_SAMPLE_TOKENS, self._context - 1)
        codes = torch.full((1, 1 + count), UNKNOWN, device=network.device)
        codes[:, 0] = start
        chances = Noise(seed, 0, 1, network.device).uniform("tokens", count)
        *_, written = write(network, codes, ByChance(chances))
        return self.codec.decode(written[0, 1:].tolist())
