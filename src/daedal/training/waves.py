"""Models that make sounds of recordings, and the pieces that they learn from: how they are planned, learned and validated."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Int64

from daedal.codecs.mel import MelCodec
from daedal.codecs.sound import SOUND_CODEC, SoundCodec, write_one_by_one
from daedal.data.examples import ExampleDataset
from daedal.data.windows import visit
from daedal.errors import DaedalError
from daedal.models.checkpoint import load_model, save_own
from daedal.models.identity import Identity
from daedal.models.waves import WaveBatch
from daedal.nn.noise import Noise
from daedal.training.learner import Facts, Learner, Request
from daedal.training.listening import COLUMN
from daedal.training.machine import Machine
from daedal.training.plan import Plan
from daedal.training.planning import Choice, Time, largest_share
from daedal.training.processes import Processes
from daedal.training.task import Task

Array = np.ndarray
Gain = tuple[float, float]
"""Decibels between which recordings are made softer or louder as they are learned."""
_VALIDATED, _TOGETHER, _SHOWN = 500, 50, 6


class Pieces:
    """Pieces of a split's recordings, all of `samples`."""

    def __init__(self, dataset: ExampleDataset, split: str, codec: SoundCodec, samples: int) -> None:
        self._rows, self._codec, self._samples = dataset.split(split).ragged(COLUMN), codec, samples

    def __len__(self) -> int:
        return len(self._rows)

    def first(self, places: Int64[Array, " count"]) -> WaveBatch:
        """The first piece of some recordings. Behind the end is silence."""
        return self._cut(places, np.zeros((len(places), 2)), Noise(0, 0, len(places)), None)

    def batch(self, places: Int64[Array, " count"], noise: Noise, gain: Gain | None) -> WaveBatch:
        """Any piece of each, softer or louder where `gain` says so, by its noise."""
        return self._cut(places, noise.uniform("piece", 2).numpy(), noise, gain)

    def _cut(self, places: Int64[Array, " count"], chances: Array, noise: Noise, gain: Gain | None) -> WaveBatch:
        made = np.zeros((len(places), self._samples), dtype=np.float32)
        for row, at, (where, loud) in zip(made, places.tolist(), chances.tolist(), strict=True):
            samples = self._codec.samples(self._rows[at])
            first = int(where * (1 + max(0, len(samples) - self._samples)))
            piece = samples[first : first + self._samples]
            row[: len(piece)] = piece
            if gain is not None:
                factor = 10 ** ((gain[0] + (gain[1] - gain[0]) * loud) / 20)
                row *= min(factor, 1 / max(float(np.abs(row).max()), 1e-9))
        return WaveBatch(torch.from_numpy(made), noise)


class WaveTask(Task):
    """Trains a model of pieces of recordings, whose `copy` is what it makes of one."""

    unit = "sounds"
    model: Any

    def __init__(
        self, model: Any, dataset: ExampleDataset, plan: Plan, codec: SoundCodec, samples: int, gain: Gain | None = None
    ) -> None:
        self.model, self.dataset, self._codec, self._seed, self._gain = model, dataset, codec, plan.seed, gain
        self.fingerprint = dataset.split("train").fingerprint
        self.identity = Identity.of(plan.family, plan.kind, {COLUMN: SOUND_CODEC}, model.capabilities)
        self._train, self._held = (Pieces(dataset, name, codec, samples) for name in ("train", "validation"))

    def save(self, folder: Path) -> None:
        save_own(self.model, folder)
        self._codec.save(folder)

    def batch(self, first: int, count: int) -> WaveBatch:
        places, _ = visit(first, count, len(self._train), self._seed)
        return self._train.batch(places.astype(np.int64), Noise(self._seed, first, count), self._gain)

    def validate(self, processes: Processes, autocast: AbstractContextManager[Any]) -> dict[str, float]:
        count, names = min(_VALIDATED, len(self._held)), ("loss", "mel", "spectrum")
        totals = torch.zeros(len(names) + 1, dtype=torch.float64)
        with torch.no_grad(), autocast:
            for first in range(0, count, _TOGETHER)[processes.rank :: processes.count]:
                batch = self._held.first(np.arange(first, min(first + _TOGETHER, count)))
                loss = self.model.loss(batch.to(processes.device))
                found = {"loss": loss.total, **loss.parts}
                totals += torch.tensor([*(float(found[name]) for name in names), batch.count])
        *sums, counted = processes.sum(totals.float()).tolist()
        return {f"validation_{name}": each / counted for name, each in zip(names, sums, strict=True)} if counted else {}

    @torch.no_grad()
    def sample(self, seed: int, path: Path) -> str:
        """A few held-out recordings in a file, each before what comes back of it."""
        pieces = self._held if len(self._held) else self._train
        waves = pieces.first(np.linspace(0, len(pieces) - 1, min(_SHOWN, len(pieces))).astype(np.int64)).waves
        heard = [sound.numpy() for wave in waves for sound in (wave, self.model.copy(wave))]
        return str(write_one_by_one(path, heard, self._codec.rate))


class WaveLearner(Learner):
    """A model of recordings, over their log-mel frames.

    Attributes:
        sizes: up to how much computation which width and depth do; the last for all above.
    """

    dataset: Any
    learned: ClassVar[type[Any]]
    sizes: ClassVar[tuple[tuple[float, int, int], ...]]
    passes = "every recording is heard {} times"
    guarded = "vqvae"

    def __init__(self, asked: Request, dataset: ExampleDataset) -> None:
        super().__init__(asked)
        self.dataset = dataset
        self.codec: SoundCodec = dataset.codec(COLUMN).codec  # type: ignore[attr-defined]
        self.mel = MelCodec.for_rate(self.codec.rate)
        self._known: dict[str, Any] = {
            name: getattr(self.mel, name) for name in ("rate", "fft", "hop", "bands", "floor")
        }
        self.initial = None if asked.init is None else self._begin(asked.init)

    def _begin(self, init: str) -> Any:
        model = load_model(init, dtype=torch.float32)
        known = {name: getattr(model.config, name, None) for name in self._known}
        if not isinstance(model, self.learned) or known != self._known:
            raise DaedalError(
                f"The model in {init} is no {self.learned.family} of {self.codec.rate:,} Hz", "Start from another"
            )
        return model

    def facts(self, given: Mapping[str, Any]) -> Facts:
        train, held = (len(self.dataset.split(name)) for name in ("train", "validation"))
        if train < 2:
            raise DaedalError(f"The train split of {self.asked.data} has {train} sounds", "Give more data")
        return Facts(train, min(held, _VALIDATED), examples=train)

    def settle(self, choose: Choice, facts: Facts, time: Time, machine: Machine) -> None:
        choose.values.update(self._known)
        if self.initial is not None:
            self.keep(choose, self.initial.config.model_dump())
        else:
            computation = time.computation(machine)
            width, depth = next((w, d) for most, w, d in self.sizes if computation <= most)
            choose("width", width)
            choose("depth", depth)
            choose.values.update(self.measured())
        for name, value in self.plans.recipe.items():  # type: ignore[attr-defined]
            choose(name, value)
        batch = choose("batch", min(choose.values["batch"], facts.train))
        choose("micro_batch", largest_share(batch, batch))

    def measured(self) -> dict[str, Any]:
        """What a new model is to know of the recordings."""
        return {}

    def begun(self, plan: Plan) -> Any:
        return self.initial if self.initial is not None else super().begun(plan)
