"""A vocoder and the recordings that it is to learn to make sound of: how it is planned, learned and validated."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64

from daedal.codecs.mel import MelCodec
from daedal.codecs.sound import SOUND_CODEC, SoundCodec, sound_file
from daedal.data.examples import ExampleDataset
from daedal.data.windows import visit
from daedal.errors import DaedalError
from daedal.files import atomic_path, make_folder
from daedal.models.checkpoint import load_model, save_own
from daedal.models.identity import Identity
from daedal.models.vocoder import Vocoder, WaveBatch
from daedal.nn.noise import Noise
from daedal.training.learner import Facts, Learner, Request
from daedal.training.listening import COLUMN
from daedal.training.machine import Machine
from daedal.training.plan import Plan
from daedal.training.planning import Choice, Time, largest_share
from daedal.training.processes import Processes
from daedal.training.task import Task
from daedal.training.vocoder_plan import VocoderPlan

Array = np.ndarray
_VALIDATED, _TOGETHER, _SHOWN = 500, 50, 6
_LOOKED_AT = 500  # recordings whose frames tell their mean and spread
_GAIN = (-12.0, 3.0)  # decibels by which recordings are made softer or louder as they are learned
_SIZES = ((5e14, 128, 4), (5e15, 256, 6))
"""Up to how much computation which width and depth do; from then on 512 and 8. Not searched."""


class Pieces:
    """Pieces of a split's recordings, all of `samples`."""

    def __init__(self, dataset: ExampleDataset, split: str, codec: SoundCodec, samples: int) -> None:
        self._rows, self._codec, self._samples = dataset.split(split).ragged(COLUMN), codec, samples

    def __len__(self) -> int:
        return len(self._rows)

    def batch(self, places: Int64[Array, " count"], noise: Noise | None) -> WaveBatch:
        """The first piece of some recordings; or of each any, softer or louder, by its noise. Behind the end is silence."""
        made = np.zeros((len(places), self._samples), dtype=np.float32)
        chances = np.zeros((len(places), 2)) if noise is None else noise.uniform("piece", 2).numpy()
        for row, at, (where, loud) in zip(made, places.tolist(), chances.tolist(), strict=True):
            samples = self._codec.samples(self._rows[at])
            first = int(where * (1 + max(0, len(samples) - self._samples)))
            piece = samples[first : first + self._samples]
            row[: len(piece)] = piece
            if noise is not None:
                gain = 10 ** ((_GAIN[0] + (_GAIN[1] - _GAIN[0]) * loud) / 20)
                row *= min(gain, 1 / max(float(np.abs(row).max()), 1e-9))
        return WaveBatch(torch.from_numpy(made))


class VocoderTask(Task):
    """Trains a vocoder on pieces of recordings."""

    unit = "sounds"
    model: Vocoder

    def __init__(self, model: Vocoder, dataset: ExampleDataset, plan: VocoderPlan, codec: SoundCodec) -> None:
        self.model, self.dataset, self._codec, self._seed = model, dataset, codec, plan.seed
        self.fingerprint = dataset.split("train").fingerprint
        self.identity = Identity.of(plan.family, plan.kind, {COLUMN: SOUND_CODEC}, model.capabilities)
        hop = model.config.hop
        samples = max(2 * model.config.fft, round(plan.seconds * model.config.rate)) // hop * hop
        self._train, self._held = (Pieces(dataset, name, codec, samples) for name in ("train", "validation"))

    def save(self, folder: Path) -> None:
        save_own(self.model, folder)
        self._codec.save(folder)

    def batch(self, first: int, count: int) -> WaveBatch:
        places, _ = visit(first, count, len(self._train), self._seed)
        return self._train.batch(places.astype(np.int64), Noise(self._seed, first, count))

    def validate(self, processes: Processes, autocast: AbstractContextManager[Any]) -> dict[str, float]:
        count, names = min(_VALIDATED, len(self._held)), ("loss", "mel", "spectrum")
        totals = torch.zeros(len(names) + 1, dtype=torch.float64)
        with torch.no_grad(), autocast:
            for first in range(0, count, _TOGETHER)[processes.rank :: processes.count]:
                batch = self._held.batch(np.arange(first, min(first + _TOGETHER, count)), None)
                loss = self.model.loss(batch.to(processes.device))
                found = {"loss": loss.total, **loss.parts}
                totals += torch.tensor([*(float(found[name]) for name in names), batch.count])
        *sums, counted = processes.sum(totals.float()).tolist()
        return {f"validation_{name}": each / counted for name, each in zip(names, sums, strict=True)} if counted else {}

    @torch.no_grad()
    def sample(self, seed: int, path: Path) -> str:
        """A few held-out recordings in a file, each before what comes back of it."""
        pieces = self._held if len(self._held) else self._train
        waves = pieces.batch(np.linspace(0, len(pieces) - 1, min(_SHOWN, len(pieces))).astype(np.int64), None).waves
        heard = [sound.numpy() for wave in waves for sound in (wave, self.model.copy(wave))]
        path = path.with_suffix(".wav")
        make_folder(path.parent)
        with atomic_path(path) as temporary:
            temporary.write_bytes(sound_file(np.concatenate(heard), self.model.config.rate))
        return str(path)


class VocoderLearner(Learner):
    """A vocoder and its recordings."""

    dataset: Any
    passes = "every recording is heard {} times"
    guarded = "vqvae"
    initial: Vocoder | None

    def __init__(self, asked: Request, dataset: ExampleDataset) -> None:
        super().__init__(asked)
        self.dataset = dataset
        self.codec: SoundCodec = dataset.codec(COLUMN).codec  # type: ignore[attr-defined]
        self._mel = MelCodec.for_rate(self.codec.rate)
        self._known: dict[str, Any] = {
            name: getattr(self._mel, name) for name in ("rate", "fft", "hop", "bands", "floor")
        }
        self.initial = None if asked.init is None else self._begin(asked.init)

    def _begin(self, init: str) -> Vocoder:
        model = load_model(init, dtype=torch.float32)
        known = {name: getattr(model.config, name, None) for name in self._known}
        if not isinstance(model, Vocoder) or known != self._known:
            raise DaedalError(f"The model in {init} is no vocoder of {self.codec.rate:,} Hz", "Start from another")
        return model

    def facts(self, given: Mapping[str, Any]) -> Facts:
        train, held = (len(self.dataset.split(name)) for name in ("train", "validation"))
        if train < 2:
            raise DaedalError(f"The train split of {self.asked.data} has {train} sounds", "Give more data")
        return Facts(train, min(held, _VALIDATED), examples=train)

    def settle(self, choose: Choice, facts: Facts, time: Time, machine: Machine) -> None:
        choose.values.update(self._known)
        if self.initial is not None:
            config = self.initial.config
            self.keep(choose, {name: getattr(config, name) for name in ("width", "depth", "mean", "spread")})
        else:
            width, depth = next(((w, d) for most, w, d in _SIZES if time.computation(machine) <= most), (512, 8))
            choose("width", width)
            choose("depth", depth)
            mean, spread = self._statistics()
            choose.values.update(mean=mean, spread=spread)
        for name, value in self.plans.recipe.items():  # type: ignore[attr-defined]
            choose(name, value)
        batch = choose.values["batch"]
        choose("micro_batch", largest_share(batch, batch))

    def _statistics(self) -> tuple[float, float]:
        """Mean and standard deviation of log-mel values."""
        rows = self.dataset.split("train").ragged(COLUMN)
        places = np.linspace(0, len(rows) - 1, min(_LOOKED_AT, len(rows))).astype(int)
        frames = torch.cat([self._mel.encode(torch.from_numpy(self.codec.samples(rows[at]))) for at in places.tolist()])
        return round(float(frames.mean()), 3), round(float(frames.std()), 3)

    def begun(self, plan: Plan) -> Any:
        return self.initial if self.initial is not None else super().begun(plan)

    def task(self, plan: Plan) -> VocoderTask:
        assert isinstance(plan, VocoderPlan)
        return VocoderTask(self.begun(plan), self.dataset, plan, self.codec)
