"""A flow that speaks and the recordings that it is to learn: how it is planned, learned and validated."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64

from daedal.codecs.caption import CAPTION_CODEC, CaptionCodec
from daedal.codecs.mel import LEAST_SPREAD, MelCodec
from daedal.codecs.pronunciations import Pronunciations
from daedal.codecs.sound import PAUSE, SOUND_CODEC, SoundCodec, write_one_by_one
from daedal.data.examples import ExampleDataset
from daedal.data.windows import visit
from daedal.errors import DaedalError
from daedal.models.checkpoint import load_model, resolve, save_codecs, save_own
from daedal.models.identity import Identity
from daedal.models.image import ImageBatch
from daedal.models.speech import Speech, SpeechConfig
from daedal.models.vocoder import Vocoder
from daedal.nn.noise import Noise
from daedal.training.learner import Facts, Learner, Request
from daedal.training.listening import COLUMN
from daedal.training.machine import Machine
from daedal.training.plan import Plan
from daedal.training.planning import Choice, Time, largest_share
from daedal.training.processes import Processes
from daedal.training.said import (
    captions_of,
    left_out,
    read_pronunciations,
    require_same,
    said_in,
    sayable_of,
    speakers_in,
    spelled_words,
)
from daedal.training.sound_plan import SpeechPlan
from daedal.training.task import Task

Array = np.ndarray
_VALIDATED = 500
_TOGETHER = 50
_COVERED = 0.99  # of the recordings, that a window is to hold whole
_MULTIPLE, _LONGEST = 8, 512  # frames of a window
_LOOKED_AT = 500  # recordings whose frames tell their mean and spread


class Spoken:
    """The recordings of a split that fit into a window, and what is said in them."""

    def __init__(
        self, dataset: ExampleDataset, split: str, config: SpeechConfig, codec: SoundCodec,
        pronunciations: Pronunciations | None = None,
    ) -> None:  # fmt: skip
        held = dataset.split(split)
        self._rows, self._codec, self._config = held.ragged(COLUMN), codec, config
        self.said = said_in(held, config, pronunciations)
        self.speakers = speakers_in(held, config)
        counts = 1 + np.diff(self._rows.borders) // config.hop
        fits = counts <= config.width
        self.places = np.array([at for at in np.flatnonzero(fits) if self.said[at] is not None], dtype=np.int64)

    def __len__(self) -> int:
        return len(self.places)

    def pictures(self, places: Int64[Array, " count"]) -> torch.Tensor:
        """The frames of recordings by their places in the split."""
        frames, counts = self._config.mel.encode_all([self._codec.samples(self._rows[int(at)]) for at in places])
        return torch.stack(
            [self._config.picture(row[:count]) for row, count in zip(frames, counts.tolist(), strict=True)]
        )

    def batch(self, indexes: Int64[Array, " count"], noise: Noise, captions: CaptionCodec, hide: float) -> ImageBatch:
        """Some of those that fit; a share of the speakers is hidden."""
        places = self.places[indexes]
        hidden = (noise.uniform("speaker") < hide).tolist() if hide else [False] * len(places)
        told = [
            self._config.prompt(self.said[at] or "", None if gone else self.speakers[at])
            for at, gone in zip(places.tolist(), hidden, strict=True)
        ]
        return ImageBatch(self.pictures(places), captions.encode(told), noise)


class SpeechTask(Task):
    """Trains a flow that speaks."""

    unit = "sounds"
    model: Speech

    def __init__(
        self, model: Speech, dataset: ExampleDataset, plan: SpeechPlan, codec: SoundCodec, captions: CaptionCodec,
        pronunciations: Pronunciations | None = None, vocoder: Vocoder | None = None,
    ) -> None:  # fmt: skip
        self.model, self.dataset, self._codec, self._captions, self._vocoder = model, dataset, codec, captions, vocoder
        self._seed, self._hide = plan.seed, plan.hide_speaker
        self.fingerprint = dataset.split("train").fingerprint
        said = "transcript" if model.config.characters else "label"
        columns: dict[str, str | None] = {COLUMN: SOUND_CODEC, said: CAPTION_CODEC}
        columns |= {"speaker": CAPTION_CODEC} if model.config.speakers else {}
        self.identity = Identity.of(plan.family, plan.kind, columns, model.capabilities, plan.codec)
        self._pronunciations = pronunciations
        self._train, self._held = (
            Spoken(dataset, name, model.config, codec, pronunciations) for name in ("train", "validation")
        )
        if len(self._train) < 2:
            raise DaedalError(
                f"{len(self._train)} sounds of {dataset.folder} fit into {plan.width} frames and say something",
                "Give a longer --width, or more data",
            )

    def save(self, folder: Path) -> None:
        save_own(self.model, folder)
        save_codecs(folder, self._codec, self._vocoder, self._captions, self._pronunciations)

    def batch(self, first: int, count: int) -> ImageBatch:
        indexes, _ = visit(first, count, len(self._train), self._seed)
        noise = Noise(self._seed, first, count)
        return self._train.batch(indexes.astype(np.int64), noise, self._captions, self._hide)

    def validate(self, processes: Processes, autocast: AbstractContextManager[Any]) -> dict[str, float]:
        count = min(_VALIDATED, len(self._held))
        firsts = list(range(0, count, _TOGETHER))[processes.rank :: processes.count]
        totals = torch.zeros(2, dtype=torch.float64)
        with torch.no_grad(), autocast:
            for first in firsts:
                indexes = np.arange(first, min(first + _TOGETHER, count))
                batch = self._held.batch(indexes, Noise(0, first, len(indexes)), self._captions, 0.0)
                loss = self.model.loss(batch.to(processes.device)).total
                totals += torch.tensor([float(loss), len(indexes)], dtype=torch.float64)
        summed = processes.sum(totals.float())
        return {"validation_loss": float(summed[0] / summed[1])} if float(summed[1]) else {}

    @torch.no_grad()
    def sample(self, seed: int, path: Path) -> str:
        """What the first held-out recordings say, spoken by the model, one after the other in a file."""
        spoken = self._held if len(self._held) else self._train
        config = self.model.config
        places = spoken.places[np.linspace(0, len(spoken) - 1, min(6, len(spoken))).astype(np.int64)]
        told = [config.prompt(spoken.said[at] or "", spoken.speakers[at]) for at in places.tolist()]
        device = next(self.model.parameters()).device
        drawn = self.model.sample(Noise(seed, 0, len(told), device), self._captions.encode(told).to(device))
        path = write_one_by_one(path, [each.numpy() for each in self.model.sounds(drawn)], config.rate, PAUSE)
        return f"{path}: {' | '.join(told)}"


class SpeechLearner(Learner):
    """A flow that speaks and its recordings."""

    dataset: Any
    passes = "every recording is heard {} times"
    guarded = "flow"
    initial: Speech | None

    def __init__(self, asked: Request, dataset: ExampleDataset) -> None:
        super().__init__(asked)
        self.dataset = dataset
        self.codec: SoundCodec = dataset.codec(COLUMN).codec  # type: ignore[attr-defined]
        train = dataset.split("train")
        if not dataset.has("transcript") and not dataset.has("label"):
            raise DaedalError(
                f"Nothing says what is said in the recordings of {asked.data}: no classes and no transcripts",
                "Build the data with --labels folders or names, or with --transcripts",
            )
        mel = MelCodec.for_rate(self.codec.rate)
        self._pronunciations = None if asked.init is None else Pronunciations.load(resolve(asked.init))
        self._known: dict[str, Any] = {
            **{name: getattr(mel, name) for name in ("rate", "fft", "hop", "floor")},
            "channels": 1, "height": mel.bands, "values": 0,
            **sayable_of(dataset, self._pronunciations),
        }  # fmt: skip
        self._mel, self._counts = mel, 1 + np.diff(train.ragged(COLUMN).borders) // mel.hop
        self._init = asked.init
        self.initial = None if asked.init is None else self._begin(asked.init)
        self._vocoder = self._opened(asked.codec)
        self._captions: CaptionCodec | None = None

    def _begin(self, init: str) -> Speech:
        model = load_model(init, dtype=torch.float32)
        known = {name: getattr(model.config, name, None) for name in self._known}
        if not isinstance(model, Speech) or known != self._known:
            raise DaedalError(f"The model in {init} does not say what this data says", "Start from another")
        return model

    def _opened(self, codec: str | None) -> Vocoder | None:
        """The vocoder that is named, or that of the model to go on with, which is trained without."""
        kept, named = (
            None if self.initial is None else self.initial.vocoder,
            None if codec is None else load_model(codec),
        )
        if self.initial is not None:
            self.initial.vocoder = None
        if named is None:
            return kept
        if not isinstance(named, Vocoder) or named.mel != self._mel:
            raise DaedalError(
                f"The {named.family} in {codec} makes no sound of frames of {self.codec.rate:,} Hz",
                "Name a vocoder: daedal train vocoder makes one of the same data",
            )
        return named.float()

    def captions(self, config: SpeechConfig) -> CaptionCodec:
        """What makes ids of prompts: of the model to go on with, or learned from what is said in training."""
        if self._init is not None:
            return CaptionCodec.load(resolve(self._init))
        if self._captions is None:
            self._captions = captions_of(said_in(self.dataset.split("train"), config, self._pronunciations), config)
        return self._captions

    def _say(self, path: str | None) -> None:
        """What recordings say, in the phonemes of a dictionary where one is named."""
        self._pronunciations = read_pronunciations(path, self.dataset)
        self._known |= sayable_of(self.dataset, self._pronunciations)

    def make_plan(self, budget: float | None, machine: Machine, given: dict[str, Any]) -> Plan:
        plan = super().make_plan(budget, machine, given)
        assert isinstance(plan, SpeechPlan)
        told = left_out(self.dataset, self._counts <= plan.width) | spelled_words(self.dataset, self._pronunciations)
        return plan.but(why={**plan.why, **told})

    def facts(self, given: Mapping[str, Any]) -> Facts:
        if given.get("pronunciations") is not None:
            if self.initial is not None:
                raise DaedalError("A model to start from says words as it has learned", "Leave --pronunciations away")
            self._say(given["pronunciations"])
        train, held = (len(self.dataset.split(name)) for name in ("train", "validation"))
        return Facts(train, min(held, _VALIDATED), longest=int(np.quantile(self._counts, _COVERED)), examples=train)

    def settle(self, choose: Choice, facts: Facts, time: Time, machine: Machine) -> None:
        choose.values.update(self._known)
        if self.initial is not None:
            names = [name for name in type(self.initial.config).model_fields if name in self.plans.model_fields]
            self.keep(choose, {name: getattr(self.initial.config, name) for name in names})
        else:
            choose("width", min(_LONGEST, -(-facts.longest // _MULTIPLE) * _MULTIPLE))
            mean, spread = self._statistics(int(choose.values["width"]))
            choose.values.update(mean=mean, spread=spread)
            known = {name: value for name, value in choose.values.items() if name in SpeechConfig.model_fields}
            captions = self.captions(SpeechConfig.parse(known, "plan"))
            choose.values.update(words=captions.vocab_size, window=captions.window)
        for name, value in self.plans.recipe.items():  # type: ignore[attr-defined]
            choose(name, value)
        batch = choose.values["batch"]
        choose("micro_batch", largest_share(batch, batch))

    def _statistics(self, width: int) -> tuple[float, float]:
        """Mean and standard deviation of the values of windows, the silence behind recordings included."""
        rows = self.dataset.split("train").ragged(COLUMN)
        places = np.linspace(0, len(rows) - 1, min(_LOOKED_AT, len(rows))).astype(int)
        values = []
        for at in places.tolist():
            frames = self._mel.encode(torch.from_numpy(self.codec.samples(rows[at])))[:width]
            values.append(
                torch.cat([frames.flatten(), torch.full(((width - len(frames)) * self._mel.bands,), self._mel.silence)])
            )
        every = torch.cat(values)
        return round(float(every.mean()), 3), max(LEAST_SPREAD, round(float(every.std()), 3))

    def begun(self, plan: Plan) -> Any:
        return self.initial if self.initial is not None else super().begun(plan)

    def task(self, plan: Plan) -> SpeechTask:
        assert isinstance(plan, SpeechPlan)
        if plan.pronunciations is not None and self._pronunciations is None:
            self._say(plan.pronunciations)
            require_same(plan.characters, self._known["characters"], plan.pronunciations)
        model = self.begun(plan)
        captions = self.captions(model.config)
        return SpeechTask(model, self.dataset, plan, self.codec, captions, self._pronunciations, self._vocoder)
