"""The task of a language model: windows of a token stream to learn from, the validation split, and a text to look at."""

import math
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from daedal.codecs.text import TextCodec
from daedal.data.shards import Dataset
from daedal.data.windows import Windows
from daedal.errors import DaedalError
from daedal.models.autoregression import UNKNOWN, ByChance, TorchNetwork, write
from daedal.models.checkpoint import load_model, resolve, save_model
from daedal.models.gpt import GPT
from daedal.models.habits import Habits
from daedal.models.model import IGNORE, TokenBatch
from daedal.nn.noise import Noise
from daedal.training.family import Family
from daedal.training.groups import gpt_optimizer
from daedal.training.machine import Machine
from daedal.training.optimizers import Optimizer
from daedal.training.plan import GPTPlan, Plan
from daedal.training.processes import Processes
from daedal.training.rules import TokenFacts, new_gpt, plan_gpt

_SAMPLE_TOKENS = 120
_TEXT_TOKENS = 300_000


class LanguageFamily(Family):
    """A GPT on a stream of text.

    Args:
        init: a run folder or Hugging Face id whose weights to start from.
    """

    dataset: Dataset

    def __init__(
        self, family: str, dataset: Dataset, data: str, codec: str | None = None, init: str | None = None
    ) -> None:
        if codec is not None:
            raise DaedalError("--codec turns pictures into codes, and this data is text", "Leave it away")
        self.dataset, self.data, self.init = dataset, data, init
        self._initial = _initial(init, dataset) if init is not None else None
        habits = Habits.of(dataset.folder)
        self._habits = Habits.of(resolve(init)) if init is not None else habits if habits.jinja is not None else None

    def make_plan(self, budget: float | None, machine: Machine, given: dict[str, Any]) -> GPTPlan:
        for name in ("condition", "label_dropout", "telling"):
            if name in given:
                option = name.replace("_", "-")
                raise DaedalError(f"--{option} is for pictures, and this data is text", "Leave it away")
        validation, codec = self.dataset.split("validation"), self.dataset.codec
        facts = TokenFacts(
            train=self.dataset.split("train").tokens,
            validation=validation.tokens,
            vocab_size=codec.vocab_size,
            text=codec.decode(validation.read(0, min(validation.tokens, _TEXT_TOKENS)).tolist()).encode(),
        )
        return plan_gpt(facts, self.data, budget, machine, given, self._initial, {"init": self.init})

    def task(self, plan: Plan) -> "LanguageTask":
        assert isinstance(plan, GPTPlan)
        return LanguageTask(self._initial or new_gpt(plan), self.dataset, plan, self._habits)


def _initial(init: str, dataset: Dataset) -> GPT:
    """The model to start from. Its tokens must be the data's."""
    folder = resolve(init)
    if TextCodec.load(folder).fingerprint() != dataset.codec.fingerprint():
        raise DaedalError(
            f"The data was encoded with another tokenizer than that of {init}",
            f"Build the data again with --tokenizer {init}",
        )
    model = load_model(folder, dtype=torch.float32)
    if not isinstance(model, GPT):
        raise DaedalError(f"The model in {folder} is not a GPT", "Start from another")
    known = model.config.vocab_size
    if dataset.codec.vocab_size > known:
        raise DaedalError(
            f"{init}: the tokenizer has {dataset.codec.vocab_size} ids, and the weights know {known}",
            "Restore the files that belong together, or start from another model",
        )
    return model


class LanguageTask:
    """Trains a GPT on a data set.

    Args:
        model: its configuration's context bounds the windows.
        habits: of the model that it is begun from, for the checkpoint.
    """

    unit = "tokens"

    def __init__(self, model: GPT, dataset: Dataset, plan: GPTPlan, habits: Habits | None = None) -> None:
        self.model, self.dataset, self.codec, self._habits = model, dataset, dataset.codec, habits
        self.fingerprint = dataset.split("train").fingerprint
        self._context = plan.context
        self._windows = Windows(dataset.split("train"), plan.context, plan.seed)
        self._validation = dataset.split("validation")
        self._tokens_per_byte = self._windows.split.tokens / max(1, self._windows.split.bytes)

    def save(self, folder: Path) -> None:
        """The model and its codec, for use."""
        save_model(self.model, folder, codec=self.codec, habits=self._habits)

    def batch(self, first: int, count: int) -> TokenBatch:
        inputs, targets = self._windows.batch(first, count)
        return TokenBatch(torch.from_numpy(inputs), torch.from_numpy(targets))

    def examples(self) -> tuple[()]:
        return ()

    def optimizer(self, player: str, plan: Plan) -> Optimizer:
        return gpt_optimizer(self.model, plan)

    def units(self, loss: float) -> dict[str, float]:
        return {"loss": loss, "bits_per_byte": loss * self._tokens_per_byte / math.log(2)}

    def diverged(self, loss: float, lowest: float) -> bool:
        return loss > 3 * lowest + 10

    def validate(self, processes: Processes, autocast: AbstractContextManager[Any]) -> dict[str, float]:
        """Every token of the split but the first is predicted once, from what stands before it in its window."""
        split, context = self._validation, self._context
        if split.tokens < 2:
            return {}
        starts = np.arange(0, split.tokens - 1, context)[processes.rank :: processes.count]
        rows = max(1, 16384 // context)
        totals = torch.zeros(2, dtype=torch.float64)
        with torch.no_grad(), autocast:
            for first in range(0, len(starts), rows):
                loss, count = self._window_loss(starts[first : first + rows], processes.device)
                totals += torch.tensor([loss, count], dtype=torch.float64)
        totals = processes.sum(totals.float() if processes.device.type == "mps" else totals)
        loss = float(totals[0] / totals[1])
        bits = float(totals[0]) / math.log(2) / max(1, split.bytes)
        return {"validation_loss": loss, "validation_bits_per_byte": bits}

    def _window_loss(self, starts: np.ndarray, device: torch.device) -> tuple[float, int]:
        """Nats summed over the windows at `starts`, and how many tokens they predict."""
        split, context = self._validation, self._context
        inputs = np.zeros((len(starts), context), dtype=np.int64)
        targets = np.full((len(starts), context), IGNORE, dtype=np.int64)
        for row, start in enumerate(starts):
            tokens = split.read(int(start), min(int(start) + context + 1, split.tokens))
            inputs[row, : len(tokens) - 1] = tokens[:-1]
            targets[row, : len(tokens) - 1] = split.targets(starts[row : row + 1], tokens[None])[0]
        batch = TokenBatch(torch.from_numpy(inputs), torch.from_numpy(targets))
        return float(self.model.loss(batch.to(device)).total), batch.count

    def sample(self, seed: int, path: Path) -> str:
        """What the model writes from nothing, at temperature 1."""
        start = self.codec.bos_id if self.codec.bos_id is not None else 0
        network, count = TorchNetwork(self.model), min(_SAMPLE_TOKENS, self._context - 1)
        codes = torch.full((1, 1 + count), UNKNOWN, device=network.device)
        codes[:, 0] = start
        chances = Noise(seed, 0, 1, network.device).uniform("tokens", count)
        *_, written = write(network, codes, ByChance(chances))
        return self.codec.decode(written[0, 1:].tolist())
