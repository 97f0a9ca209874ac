"""A GPT that learns tunes: how it is planned, learned and validated."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch

from daedal.codecs.midi import write_midi
from daedal.codecs.tune_codec import TUNE_CODEC, TuneCodec
from daedal.codecs.voices import Voices
from daedal.data.examples import ExampleDataset
from daedal.data.tune_windows import Changes, TuneWindows
from daedal.errors import DaedalError
from daedal.files import atomic_path
from daedal.models.autoregression import UNKNOWN, ByChance, TorchNetwork, write
from daedal.models.checkpoint import load_model, resolve, save_own
from daedal.models.identity import Identity
from daedal.models.model import IGNORE, Model, TokenBatch
from daedal.models.music import Music, MusicConfig
from daedal.nn.noise import Noise
from daedal.training.learner import Facts, Request
from daedal.training.machine import Machine
from daedal.training.plan import Plan
from daedal.training.planning import Choice, Time, largest_share
from daedal.training.processes import Processes
from daedal.training.task import Task
from daedal.training.transformer_learner import GPTLearner, nearest_size
from daedal.training.tune_plan import TunePlan

COLUMN = "tune"
_STEPS, _LONGEST = 32, 512
"""Steps of a window on a grid whose steps are quarters; codes of a window, at most."""
_EVENTS = 256  # codes of a window
_TOGETHER = 16  # windows that are validated at once
_WORTH = 6.0  # times as much as it is that a tune is worth which is learned in every key


class TuneLearner(GPTLearner):
    """A GPT and the tunes that it is to learn."""

    dataset: Any
    initial: Music | None
    guarded = "tunes"
    architecture = "swift"  # codes of tunes are known to no other program anyway

    def __init__(self, asked: Request, dataset: ExampleDataset) -> None:
        super().__init__(asked)
        self.dataset = dataset
        self.codec = TuneCodec.load(dataset.folder)
        self.initial = None if asked.init is None else self._load(asked.init)

    def _load(self, init: str) -> Music:
        """The model to start from. Its codes must be the data's."""
        folder = resolve(init)
        model = load_model(folder, dtype=torch.float32)
        if not isinstance(model, Music) or TuneCodec.load(folder).fingerprint() != self.codec.fingerprint():
            raise DaedalError(f"The model in {init} does not write the codes of this data", "Start from another")
        return model

    def facts(self, given: Mapping[str, Any]) -> Facts:
        train, held = (self.dataset.split(name) for name in ("train", "validation"))
        sizes = [len(split.ragged(COLUMN).ids) - len(split) * self.codec.opening for split in (train, held)]
        return Facts(sizes[0], sizes[1], self.codec.vocab_size, examples=len(train))

    def settle(self, choose: Choice, facts: Facts, time: Time, machine: Machine) -> None:
        choose.values["vocab_size"] = facts.vocab_size
        choose.values["window"] = self.codec.opening - 1
        if self.initial is not None:
            self._take_shape(choose, self.initial)
            choose.values["grid"] = self.initial.config.grid
        else:
            self._choose_size(choose, facts, time.computation(machine))
        self._choose_steps(choose)

    def _choose_size(self, choose: Choice, facts: Facts, computation: float) -> None:
        known = Facts(int(_WORTH * facts.train), facts.validated, facts.vocab_size)
        best = nearest_size(computation, 1.0, known)
        width, _ = choose("width", best[0]), choose("depth", best[1])
        head_width = choose.given.get("head_width") or (32 if width < 512 else 64)
        heads = choose("heads", max(1, width // head_width))
        choose("kv_heads", heads)
        choose("head_width", max(2, width // heads // 2 * 2))
        choose("mlp_width", -(-8 * width // 3 // 32) * 32 if self.gated(choose) else 4 * width)
        choose("tied", True)
        layout = self.codec.layout
        if isinstance(layout, Voices):
            usual = min(_STEPS * layout.steps * layout.voices, _LONGEST) // layout.voices * layout.voices
            steps = max(2, choose("context", usual) // layout.voices)
            choose.values["grid"] = (steps, layout.voices)
            choose.values["context"] = steps * layout.voices
        else:
            choose.values["grid"] = None
            choose("context", _EVENTS)

    def _choose_steps(self, choose: Choice) -> None:
        """Batch, optimizer, learning rates."""
        width, context = choose.values["width"], choose.values["context"]
        batch = choose("batch", max(4, (2048 if width < 256 else 4096) // context))
        tuned = self.initial is not None
        choose("optimizer", "adamw" if tuned else "muon")
        choose("learning_rate", 1e-4 if tuned else 0.003)
        choose("cooldown", 0.6)
        choose("ema", 0.998)
        choose("micro_batch", largest_share(batch, max(1, 8192 // context)))

    def longest(self, model: Model) -> int:
        assert isinstance(model, Music)
        return model.config.context - (self.codec.opening - 1)

    def configured(self, plan: Plan) -> MusicConfig:
        assert isinstance(plan, TunePlan)
        return MusicConfig.of(plan.architecture, **plan.shape)

    def task(self, plan: Plan) -> "TuneTask":
        assert isinstance(plan, TunePlan)
        return TuneTask(self.initial or self.begun(plan), self.dataset, self.codec, plan)


class TuneTask(Task):
    """Trains a GPT on windows of tunes."""

    unit = "tokens"

    def __init__(self, model: Any, dataset: ExampleDataset, codec: TuneCodec, plan: TunePlan) -> None:
        self.model, self.dataset, self.codec = model, dataset, codec
        self.fingerprint = dataset.split("train").fingerprint
        self.identity = Identity.of("music", "tunes", {COLUMN: TUNE_CODEC}, model.capabilities)
        self._seed = plan.seed
        self._changes = Changes(plan.transpose, plan.tempo, plan.label_dropout)
        self._train = TuneWindows(dataset.split("train").ragged(COLUMN), codec, plan.context)
        held = dataset.split("validation").ragged(COLUMN)
        self._held = TuneWindows(held, codec, plan.context) if len(held) else None
        self._per_step = codec.layout.voices if isinstance(codec.layout, Voices) else 1

    def save(self, folder: Path) -> None:
        save_own(self.model, folder)
        self.codec.save(folder)

    def batch(self, first: int, count: int) -> TokenBatch:
        inputs, targets = self._train.batch(first, count, self._seed, self._changes)
        return TokenBatch(torch.from_numpy(inputs), torch.from_numpy(targets))

    def units(self, loss: float) -> dict[str, float]:
        return {"loss": loss, "nats_per_step": loss * self._per_step} if self._per_step > 1 else {"loss": loss}

    def validate(self, processes: Processes, autocast: AbstractContextManager[Any]) -> dict[str, float]:
        """Every code of the split but the ends is judged once, in windows of which the first half was judged before."""
        if self._held is None:
            return {}
        places = self._held.judged()[processes.rank :: processes.count]
        totals = torch.zeros(2, dtype=torch.float64)
        with torch.no_grad(), autocast:
            for first in range(0, len(places), _TOGETHER):
                inputs, targets = map(torch.from_numpy, self._held.rows_of(places[first : first + _TOGETHER]))
                targets[targets == self.codec.end] = IGNORE
                batch = TokenBatch(inputs, targets).to(processes.device)
                totals += torch.tensor([float(self.model.loss(batch).total), batch.count], dtype=torch.float64)
        totals = processes.sum(totals.float() if processes.device.type == "mps" else totals)
        if not float(totals[1]):
            return {}
        return {f"validation_{name}": value for name, value in self.units(float(totals[0] / totals[1])).items()}

    def sample(self, seed: int, path: Path) -> str:
        """A window that the model writes from nothing, as a MIDI file."""
        network = TorchNetwork(self.model)
        opening = [*self.codec.said({}), self.codec.begin]
        length = self._train.length
        codes = torch.full((1, len(opening) + length), UNKNOWN, device=network.device)
        codes[0, : len(opening)] = torch.tensor(opening)
        chances = Noise(seed, 0, 1, network.device).uniform("tokens", length)
        *_, written = write(network, codes, ByChance(chances), allowed=slice(0, self.codec.layout.size))
        tune = self.codec.decode(written[0].tolist())
        if tune is None:
            return "silence"
        path = path.with_suffix(".mid")
        with atomic_path(path) as temporary:
            temporary.write_bytes(write_midi(tune))
        return f"{len(tune.notes)} notes in {path.name}"
