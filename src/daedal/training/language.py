"""Models over a stream of text: how windows of it are learned and validated; and a GPT, which says how well it tells bytes, and
writes."""

import math
import zlib
from collections.abc import Mapping
from contextlib import AbstractContextManager
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from daedal.codecs.infilling import Infilling, with_marks
from daedal.codecs.text import TextCodec
from daedal.data.conversations import COLUMN, ConversationDataset, stream_of
from daedal.data.examples import ExampleDataset
from daedal.data.paths import paths_of
from daedal.data.shards import Dataset
from daedal.data.windows import Windows
from daedal.errors import DaedalError
from daedal.models.autoregression import UNKNOWN, ByChance, TorchNetwork, write
from daedal.models.checkpoint import load_model, resolve, save_model, save_own
from daedal.models.gpt import GPT
from daedal.models.habits import Habits
from daedal.models.identity import Identity
from daedal.models.model import IGNORE, Model, TokenBatch
from daedal.nn.noise import Noise
from daedal.training.gpt_plan import GPTPlan, TransformerPlan
from daedal.training.infilling import InfillingWindows, require_room
from daedal.training.learner import Facts, Request
from daedal.training.machine import Machine
from daedal.training.plan import Plan
from daedal.training.planning import Choice, Time
from daedal.training.processes import Processes
from daedal.training.task import Task
from daedal.training.transformer_learner import GPTLearner, TransformerLearner

_TEXT_TOKENS = 300_000
_COVERED = 0.95  # of conversations, that a window is to hold whole


class StreamLearner(TransformerLearner):
    """A Transformer over a stream of text, or of conversations."""

    compiles = True
    dataset: Dataset

    def __init__(self, asked: Request, dataset: Dataset | ExampleDataset) -> None:
        super().__init__(asked)
        self.dataset = stream_of(dataset) if isinstance(dataset, ExampleDataset) else dataset
        self.codec = self.dataset.codec
        self.initial = self._load(asked.init) if asked.init is not None else None

    def _load(self, init: str) -> Model:
        """The model to start from. Its tokens must be the data's."""
        folder, codec = resolve(init), self.dataset.codec
        own = TextCodec.load(folder)
        if codec.byte_level and own.fingerprint() == with_marks(codec).fingerprint():
            self.codec = codec = own
        elif own.fingerprint() != codec.fingerprint():
            raise DaedalError(
                f"The data was encoded with another tokenizer than that of {init}",
                f"Build the data again with --tokenizer {init}",
            )
        model = load_model(folder, dtype=torch.float32)
        if model.family != self.asked.family:
            raise DaedalError(f"The model in {folder} is not a {self.asked.family}", "Start from another")
        if codec.vocab_size > (known := model.config.vocab_size):  # type: ignore[attr-defined]
            raise DaedalError(
                f"{init}: the tokenizer has {codec.vocab_size} ids, and the weights know {known}",
                "Restore the files that belong together, or start from another model",
            )
        return model

    def facts(self, given: Mapping[str, Any]) -> Facts:
        train, validation, codec = self.dataset.split("train"), self.dataset.split("validation"), self.codec
        lengths = np.diff(train.offsets) if isinstance(self.dataset, ConversationDataset) else ()
        return Facts(
            train=train.tokens,
            longest=int(np.quantile(lengths, _COVERED, method="higher")) if len(lengths) else 0,
            validated=validation.tokens,
            vocab_size=codec.vocab_size,
            text=codec.decode(validation.read(0, min(validation.tokens, _TEXT_TOKENS)).tolist()).encode(),
        )

    def task(self, plan: Plan) -> "StreamTask":
        assert isinstance(plan, TransformerPlan)
        return StreamTask(self.initial or self.begun(plan), self.dataset, plan, self.codec)


class StreamTask(Task):
    """Trains a model on windows of a stream.

    Args:
        model: its loss takes a `TokenBatch`.
        codec: that of the data, or one that has marks besides.
    """

    unit = "tokens"

    def __init__(self, model: Any, dataset: Dataset, plan: TransformerPlan, codec: TextCodec | None = None) -> None:
        self.model, self.dataset, self.codec = model, dataset, codec or dataset.codec
        self.fingerprint = dataset.split("train").fingerprint
        column = COLUMN if plan.kind == "chat" else "text"
        self.identity = Identity.of(model.family, plan.kind, {column: "tokenizer.json"}, model.capabilities)
        self._context = plan.context
        self._windows = Windows(dataset.split("train"), plan.context, plan.seed)
        self._validation = dataset.split("validation")

    def save(self, folder: Path) -> None:
        """The model and its codec, for use."""
        save_own(self.model, folder)
        self.codec.save(folder)

    def batch(self, first: int, count: int) -> TokenBatch:
        inputs, targets = self._windows.batch(first, count)
        return TokenBatch(torch.from_numpy(inputs), torch.from_numpy(targets))

    @property
    def windows(self) -> int:
        """How many windows the data are in `window`."""
        return self._windows.samples_per_epoch

    def window(self, number: int) -> TokenBatch:
        """One window, which always is the same."""
        rows = self._windows.split.read(number * self._context, (number + 1) * self._context + 1)[None]
        return TokenBatch(torch.from_numpy(rows[:, :-1]), torch.from_numpy(rows[:, 1:]))

    def validate(self, processes: Processes, autocast: AbstractContextManager[Any]) -> dict[str, float]:
        """Every token of the split but the first is predicted once, from what stands before it in its window."""
        nats, count = self._validated(processes, autocast)
        return {"validation_loss": nats / count} if count else {}

    def _validated(self, processes: Processes, autocast: AbstractContextManager[Any]) -> tuple[float, float]:
        """Nats over the validation split, and how many tokens they predict."""
        split, context = self._validation, self._context
        starts = np.arange(0, split.tokens - 1, context)[processes.rank :: processes.count]
        rows = max(1, 16384 // context)
        totals = torch.zeros(2, dtype=torch.float64)
        with torch.no_grad(), autocast:
            for first in range(0, len(starts), rows):
                loss, count = self._window_loss(starts[first : first + rows], processes.device)
                totals += torch.tensor([loss, count], dtype=torch.float64)
        totals = processes.sum(totals.float() if processes.device.type == "mps" else totals)
        return float(totals[0]), float(totals[1])

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


_SAMPLE_TOKENS = 120


class LanguageLearner(GPTLearner, StreamLearner):
    """A GPT on a stream of text or of conversations."""

    guarded = "text"

    def __init__(self, asked: Request, dataset: Dataset | ExampleDataset) -> None:
        super().__init__(asked, dataset)
        habits = Habits.of(self.dataset.folder)
        own = habits if habits.jinja is not None else None
        self._habits = Habits.of(resolve(asked.init)) if asked.init is not None else own

    def facts(self, given: Mapping[str, Any]) -> Facts:
        if given.get("fim"):
            self._take_marks()
            require_room(given.get("context", 16))
        return super().facts(given)

    def _take_marks(self) -> None:
        """Add the marks of filling in to the tokens of the data.

        Raises:
            DaedalError: conversations are learned, or the model to start from does not know the marks.
        """
        if self.asked.kind == "chat":
            raise DaedalError("--fim is for text, and this data is chat", "Leave it away")
        if self.initial is not None and Infilling.of(self.codec) is None:
            raise DaedalError(
                f"{self.asked.init} has no tokens for filling in the middle",
                "Start from a model that has them, or leave --init away",
            )
        self.codec = with_marks(self.codec)

    def settle(self, choose: Choice, facts: Facts, time: Time, machine: Machine) -> None:
        super().settle(choose, facts, time, machine)
        if choose.given.get("private_clip") is not None or choose.given.get("private_noise") is not None:
            choose("micro_batch", 1)
            choose("private_delta", 0.1 / max(1, facts.train // choose.values["context"]))

    def told(self, plan: Plan) -> dict[str, str]:
        told = super().told(plan)
        if isinstance(plan, GPTPlan) and plan.private:
            told["Privacy"] = (
                f"each window's gradient clipped to {plan.private_clip:g}, noise {plan.private_noise:g}; epsilon is told at "
                f"the end, for delta {plan.private_delta:.1e}"
            )
        return told

    def expected_bits(self, model: Model, draft: Plan, seen: int, facts: Facts) -> float | None:
        """From how well zlib does on the validation text and what share of that our sweeps came to."""
        assert isinstance(model, GPT)
        assert isinstance(draft, TransformerPlan)
        private = isinstance(draft, GPTPlan) and draft.private
        if self.initial is not None or draft.kind == "chat" or private or len(facts.text) < 1000:
            return None
        computation = model.flops_per_token(draft.context) * seen
        compressed = 8 * len(zlib.compress(facts.text, 9)) / len(facts.text)
        return float(compressed * 0.72 * (1e12 / max(computation, 1e10)) ** 0.05)

    def task(self, plan: Plan) -> "LanguageTask":
        assert isinstance(plan, GPTPlan)
        if plan.fim:
            self._take_marks()  # a run that goes on has no facts
        return LanguageTask(self.initial or self.begun(plan), self.dataset, plan, self._habits, self.codec)


class LanguageTask(StreamTask):
    """Trains a GPT on a stream.

    Args:
        habits: of the model that it is begun from, for the checkpoint.
    """

    def __init__(
        self, model: Any, dataset: Dataset, plan: TransformerPlan, habits: Habits | None = None,
        codec: TextCodec | None = None,
    ) -> None:  # fmt: skip
        super().__init__(model, dataset, plan, codec)
        self._habits = habits
        if isinstance(plan, GPTPlan) and plan.fim:
            paths = paths_of(dataset.folder, "train")
            self._windows = InfillingWindows(
                dataset.split("train"), plan.context, plan.seed, self.codec, plan.fim_share,
                lambda document: paths[document] if document < len(paths) else None,
            )  # fmt: skip
        tokens, size = self._windows.split.learnable
        self._tokens_per_byte = tokens / max(1, size)

    def save(self, folder: Path) -> None:
        save_model(self.model, folder, codec=self.codec, habits=self._habits)

    def units(self, loss: float) -> dict[str, float]:
        return {"loss": loss, "bits_per_byte": loss * self._tokens_per_byte / math.log(2)}

    def validate(self, processes: Processes, autocast: AbstractContextManager[Any]) -> dict[str, float]:
        nats, count = self._validated(processes, autocast)
        bits = nats / math.log(2) / max(1, self._validation.learnable[1])
        return {"validation_loss": nats / count, "validation_bits_per_byte": bits} if count else {}

    def sample(self, seed: int, path: Path) -> str:
        """What the model writes from nothing, or after how the first held-out conversation opens, at temperature 1."""
        opening = self._validation.opening(0) if self._validation.documents else []
        return written_after(self.model, self.codec, opening, self._context, seed)


def written_after(model: Any, codec: TextCodec, opening: list[int], context: int, seed: int) -> str:
    """How a conversation opens, and what a model answers; without an opening, what it writes from nothing. At temperature 1."""
    start = codec.bos_id if codec.bos_id is not None else 0
    opening = opening[-context // 2 :] if opening else []
    network, count = TorchNetwork(model), min(_SAMPLE_TOKENS, context - 1 - len(opening))
    codes = torch.full((1, 1 + len(opening) + count), UNKNOWN, device=network.device)
    codes[0, : 1 + len(opening)] = torch.tensor([start, *opening])
    chances = Noise(seed, 0, 1, network.device).uniform("tokens", count)
    *_, written = write(network, codes, ByChance(chances))
    ids = written[0, 1 + len(opening) :].tolist()
    said = takewhile(lambda id: id not in codec.special_ids, ids) if opening else ids  # to the end of the turn
    return codec.decode([*opening, *said])
