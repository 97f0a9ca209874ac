"""A tokenizer of sounds and the recordings that it is to learn: how it is planned, learned and validated."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64

from daedal.codecs.mel import MelCodec
from daedal.codecs.sound import SOUND_CODEC, SoundCodec, sound_file
from daedal.data.examples import ExampleDataset
from daedal.data.windows import visit
from daedal.errors import DaedalError
from daedal.files import atomic_path, make_folder
from daedal.models.checkpoint import load_model, save_own
from daedal.models.identity import Identity
from daedal.models.soundtokens import SoundTokens, WaveBatch
from daedal.nn.noise import Noise
from daedal.training.learner import Facts, Learner, Request
from daedal.training.listening import COLUMN
from daedal.training.machine import Machine
from daedal.training.plan import Plan
from daedal.training.planning import Choice, Time, largest_share
from daedal.training.processes import Processes
from daedal.training.sound_token_plan import SoundTokensPlan
from daedal.training.task import Task

Array = np.ndarray
_VALIDATED, _TOGETHER, _SHOWN = 500, 50, 6
_SIZES = ((5e14, 128, 3), (5e15, 256, 4))
"""Up to how much computation which width and depth do; from then on 512 and 6. Not searched."""


class Pieces:
    """Pieces of a split's recordings, all of one length."""

    def __init__(self, dataset: ExampleDataset, split: str, codec: SoundCodec, samples: int) -> None:
        self._rows, self._codec, self._samples = dataset.split(split).ragged(COLUMN), codec, samples

    def __len__(self) -> int:
        return len(self._rows)

    def waves(self, places: Int64[Array, " count"], chances: Float[Array, " count"]) -> torch.Tensor:
        """A piece of each recording, from a place by chance; silence behind the end."""
        made = np.zeros((len(places), self._samples), dtype=np.float32)
        for row, at, chance in zip(made, places.tolist(), chances.tolist(), strict=True):
            samples = self._codec.samples(self._rows[at])
            first = int(chance * (1 + max(0, len(samples) - self._samples)))
            piece = samples[first : first + self._samples]
            row[: len(piece)] = piece
        return torch.from_numpy(made)


class SoundTokensTask(Task):
    """Trains a tokenizer on pieces of recordings."""

    unit = "sounds"
    model: SoundTokens

    def __init__(self, model: SoundTokens, dataset: ExampleDataset, plan: SoundTokensPlan, codec: SoundCodec) -> None:
        self.model, self.dataset, self._codec, self._seed = model, dataset, codec, plan.seed
        self.fingerprint = dataset.split("train").fingerprint
        self.identity = Identity.of(plan.family, plan.kind, {COLUMN: SOUND_CODEC}, model.capabilities)
        config = model.config
        samples = config.samples(max(1, round(plan.seconds * config.per_second)))
        self._train, self._held = (Pieces(dataset, name, codec, samples) for name in ("train", "validation"))

    def save(self, folder: Path) -> None:
        save_own(self.model, folder)
        self._codec.save(folder)

    def batch(self, first: int, count: int) -> WaveBatch:
        indexes, _ = visit(first, count, len(self._train), self._seed)
        noise = Noise(self._seed, first, count)
        return WaveBatch(self._train.waves(indexes.astype(np.int64), noise.uniform("piece").numpy()), noise)

    def validate(self, processes: Processes, autocast: AbstractContextManager[Any]) -> dict[str, float]:
        count = min(_VALIDATED, len(self._held))
        totals: dict[str, float] = {"loss": 0.0, "mel": 0.0, "spectrum": 0.0}
        seen = 0
        with torch.no_grad(), autocast:
            for first in list(range(0, count, _TOGETHER))[processes.rank :: processes.count]:
                places = np.arange(first, min(first + _TOGETHER, count))
                batch = WaveBatch(self._held.waves(places, np.zeros(len(places))), Noise(0, first, len(places)))
                loss = self.model.loss(batch.to(processes.device))
                seen += batch.count
                for name, value in {"loss": loss.total, **loss.parts}.items():
                    totals[name] += float(value)
        *sums, counted = processes.sum(torch.tensor([*totals.values(), float(seen)]))
        if not float(counted):
            return {}
        return {f"validation_{name}": float(value / counted) for name, value in zip(totals, sums, strict=True)}

    @torch.no_grad()
    def sample(self, seed: int, path: Path) -> str:
        """A few recordings, each before what becomes of it."""
        pieces = self._held if len(self._held) else self._train
        places = np.linspace(0, len(pieces) - 1, min(_SHOWN, len(pieces))).astype(np.int64)
        waves = pieces.waves(places, np.zeros(len(places)))
        rebuilt = self.model.decode_ids(self.model.encode_ids(list(waves)))
        pairs = [each.cpu().numpy() for pair in zip(waves, rebuilt, strict=True) for each in pair]
        path = path.with_suffix(".wav")
        make_folder(path.parent)
        with atomic_path(path) as temporary:
            temporary.write_bytes(sound_file(np.concatenate(pairs), self.model.config.rate))
        return str(path)


class SoundTokensLearner(Learner):
    """A tokenizer and its recordings."""

    dataset: Any
    passes = "every recording is heard {} times"
    guarded = "vqvae"
    initial: SoundTokens | None

    def __init__(self, asked: Request, dataset: ExampleDataset) -> None:
        super().__init__(asked)
        self.dataset = dataset
        self.codec: SoundCodec = dataset.codec(COLUMN).codec  # type: ignore[attr-defined]
        mel = MelCodec.for_rate(self.codec.rate)
        self._known = {name: getattr(mel, name) for name in ("rate", "fft", "hop", "bands", "floor")}
        self.initial = None if asked.init is None else self._begin(asked.init)

    def _begin(self, init: str) -> SoundTokens:
        model = load_model(init, dtype=torch.float32)
        if not isinstance(model, SoundTokens) or model.config.rate != self.codec.rate:
            raise DaedalError(
                f"The model in {init} makes no tokens of sounds of {self.codec.rate:,} Hz", "Start from another"
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
            width, depth = next(((w, d) for most, w, d in _SIZES if computation <= most), (512, 6))
            choose("width", width)
            choose("depth", depth)
        for name, value in self.plans.recipe.items():  # type: ignore[attr-defined]
            choose(name, value)
        batch = choose("batch", min(choose.values["batch"], facts.train))
        choose("micro_batch", largest_share(batch, batch))

    def begun(self, plan: Plan) -> Any:
        return self.initial if self.initial is not None else super().begun(plan)

    def task(self, plan: Plan) -> SoundTokensTask:
        assert isinstance(plan, SoundTokensPlan)
        return SoundTokensTask(self.begun(plan), self.dataset, plan, self.codec)
