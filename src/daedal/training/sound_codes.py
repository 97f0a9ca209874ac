"""A GPT that learns to write recordings, as the codes that a tokenizer makes of them, after what they say."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from daedal.codecs.caption import CAPTION_CODEC, CaptionCodec
from daedal.codecs.pronunciations import Pronunciations
from daedal.codecs.sound import PAUSE, SOUND_CODEC, SoundCodec, faster, write_one_by_one
from daedal.data.examples import ExampleDataset
from daedal.data.windows import visit
from daedal.errors import DaedalError
from daedal.models.checkpoint import load_model, save_codecs, save_own
from daedal.models.identity import Identity
from daedal.models.layout import TokenLayout
from daedal.models.model import TokenBatch
from daedal.models.sayable import Sayable
from daedal.models.soundgpt import Codes, SoundGPT, SoundGPTConfig, SoundModel
from daedal.models.soundtokens import SoundTokens
from daedal.nn.delay import Pattern
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
from daedal.training.sound_token_plan import SoundGPTPlan
from daedal.training.task import Task
from daedal.training.transformer_learner import GPTLearner
from daedal.training.trial import Trial

Array = np.ndarray
VALIDATED = 400
"""Held-out recordings that a pass of validation takes at most."""
_BATCH, _TOGETHER, _SHOWN = 64, 32, 6
_COVERED = 0.99  # of the recordings, that the longest is to be as long as
_LONGEST = 512  # steps
_FASTER = 0.06  # and slower, by up to this share, as they are learned


class CodedSounds:
    """The recordings of a split as codes, and what is said in them.

    Attributes:
        places: those that are learned: all, or those that say something and are not too long.
    """

    def __init__(
        self, dataset: ExampleDataset, split: str, whole: SoundModel, codec: SoundCodec,
        pronunciations: Pronunciations | None,
    ) -> None:  # fmt: skip
        held, config = dataset.split(split), whole.config
        self._rows, self._codec, self._whole = held.ragged(COLUMN), codec, whole
        self.said = said_in(held, config, pronunciations) if config.words else [None] * len(held)
        self.speakers = speakers_in(held, config)
        samples = np.diff(self._rows.borders)
        self._most = whole.codec.config.samples(config.length)
        fits = [bool(samples[at] <= self._most) and self.said[at] is not None for at in range(len(held))]
        self.places = np.flatnonzero(fits if config.words else samples > 0)

    def __len__(self) -> int:
        return len(self.places)

    def told(self, places: Int64[Array, " count"], hidden: list[bool]) -> list[str]:
        """What the model is told of recordings; of some without who speaks."""
        return [
            self._whole.config.prompt(self.said[at] or "", None if gone else self.speakers[at])
            for at, gone in zip(places.tolist(), hidden, strict=True)
        ]

    def codes(self, places: Int64[Array, " count"], noise: Noise | None = None) -> tuple[list[Codes], list[bool]]:
        """The codes of recordings, each a little faster or slower by its noise, and a piece of what is too long; and whether
        it is over with them."""
        sounds = [self._codec.samples(self._rows[at]) for at in places.tolist()]
        if noise is not None:
            chances = noise.uniform("speed", 2).tolist()
            sounds = [faster(each, _FASTER * (2 * fast - 1)) for each, (fast, _) in zip(sounds, chances, strict=True)]
        firsts = [0] * len(sounds)
        if noise is not None and not self._whole.config.words:
            firsts = [
                int(at * (1 + max(0, len(each) - self._most))) for each, (_, at) in zip(sounds, chances, strict=True)
            ]
        ends = [len(each) - first <= self._most for each, first in zip(sounds, firsts, strict=True)]
        pieces = [
            torch.from_numpy(each[first : first + self._most]) for each, first in zip(sounds, firsts, strict=True)
        ]
        return [row.cpu() for row in self._whole.codec.encode_ids(pieces)], ends


class SoundGPTTask(Task):
    """Trains a GPT on the codes of recordings."""

    unit = "tokens"

    def __init__(
        self, whole: SoundModel, dataset: ExampleDataset, plan: SoundGPTPlan, codec: SoundCodec,
        captions: CaptionCodec | None, pronunciations: Pronunciations | None,
    ) -> None:  # fmt: skip
        self.model: Any = whole.inner
        self.whole, self.dataset, self._codec, self._captions = whole, dataset, codec, captions
        self._seed, self._dropout, self._hide = plan.seed, plan.label_dropout, plan.hide_speaker
        self.fingerprint = dataset.split("train").fingerprint
        said = "transcript" if whole.config.characters else "label"
        columns: dict[str, str | None] = {COLUMN: SOUND_CODEC}
        columns |= {said: CAPTION_CODEC} if captions is not None else {}
        columns |= {"speaker": CAPTION_CODEC} if captions is not None and whole.config.speakers else {}
        self.identity = Identity.of(plan.family, plan.kind, columns, whole.capabilities, plan.codec)
        self._pronunciations = pronunciations
        self._train, self._held = (
            CodedSounds(dataset, name, whole, codec, pronunciations) for name in ("train", "validation")
        )
        if len(self._train) < 2:
            raise DaedalError(
                f"{len(self._train)} sounds of {dataset.folder} are short enough and say something", "Give more data"
            )

    def save(self, folder: Path) -> None:
        save_own(self.model, folder)
        save_codecs(folder, self._codec, self.whole.codec, self._captions, self._pronunciations)

    def _labels(self, told: list[str]) -> Tensor:
        return torch.full((len(told), 1), -1) if self._captions is None else self._captions.encode(told)

    def batch(self, first: int, count: int) -> TokenBatch:
        indexes, _ = visit(first, count, len(self._train), self._seed)
        noise = Noise(self._seed, first, count)
        places = self._train.places[indexes.astype(np.int64)]
        codes, ends = self._train.codes(places, noise)
        labels = self._labels(self._train.told(places, (noise.uniform("speaker") < self._hide).tolist()))
        hidden = (noise.uniform("label") < self._dropout)[:, None]
        batch: TokenBatch = self.model.batch(codes, labels.masked_fill(hidden, -1), ends)
        return batch

    def validate(self, processes: Processes, autocast: AbstractContextManager[Any]) -> dict[str, float]:
        count = min(VALIDATED, len(self._held))
        totals = torch.zeros(2)
        with torch.no_grad(), autocast:
            for first in islice(range(0, count, _TOGETHER), processes.rank, None, processes.count):
                places = self._held.places[first : min(first + _TOGETHER, count)]
                codes, ends = self._held.codes(places)
                batch = self.model.batch(codes, self._labels(self._held.told(places, [False] * len(places))), ends)
                totals += torch.tensor([float(self.model.loss(batch.to(processes.device)).total), float(batch.count)])
        totals = processes.sum(totals)
        return {"validation_loss": float(totals[0] / totals[1])} if float(totals[1]) else {}

    @torch.no_grad()
    def sample(self, seed: int, path: Path) -> str:
        """What held-out recordings say, spoken by the model; or anything. One after the other in a file."""
        spoken = self._held if len(self._held) else self._train
        places = spoken.places[np.linspace(0, len(spoken) - 1, min(_SHOWN, len(spoken))).astype(np.int64)]
        told = spoken.told(places, [False] * len(places))
        device = next(self.model.parameters()).device
        noise, labels = Noise(seed, 0, len(told), device), self._labels(told).to(device)
        sounds = self.whole.to(device).speak(noise, labels, self.whole.prompted)
        path = write_one_by_one(path, [each.cpu().numpy() for each in sounds], self._codec.rate, PAUSE)
        return f"{path}: {' | '.join(told)}" if self._captions is not None else str(path)


class SoundGPTLearner(GPTLearner):
    """A GPT and the recordings that it is to learn."""

    dataset: Any
    guarded = "tokens"
    architecture = "swift"  # what learns the tokens of our own tokenizer opens in no other program anyway
    passes = "every recording is heard {} times"

    def __init__(self, asked: Request, dataset: ExampleDataset) -> None:
        super().__init__(asked)
        if asked.init is not None:
            raise DaedalError("A GPT over sounds is learned from nothing yet", "Leave --init away")
        self.dataset = dataset
        self.sounds: SoundCodec = dataset.codec(COLUMN).codec  # type: ignore[attr-defined]
        codec = load_model(str(asked.codec))
        if not isinstance(codec, SoundTokens):
            raise DaedalError(f"The {codec.family} in {asked.codec} makes no tokens of sounds", "Name one of sounds")
        if codec.config.rate != self.sounds.rate:
            raise DaedalError(
                f"The codec in {asked.codec} knows sounds of {codec.config.rate:,} Hz, and the data has {self.sounds.rate:,}",
                "Train the codec on data of that rate",
            )
        self.codec = codec.requires_grad_(False)
        train = dataset.split("train")
        moments = [codec.config.moments(int(each)) for each in np.diff(train.ragged(COLUMN).borders)]
        self._length = max(2, min(_LONGEST, int(np.quantile(moments, _COVERED))))
        self._say(None)

    def _say(self, path: str | None) -> None:
        """What recordings say, in the phonemes of a dictionary where one is named."""
        self._pronunciations = read_pronunciations(path, self.dataset)
        self._sayable = sayable_of(self.dataset, self._pronunciations)
        told = self._sayable["labels"] or self._sayable["characters"]
        if not told:
            self._sayable["speakers"] = ()
        sayable = Sayable.parse(self._sayable, "data")
        said = said_in(self.dataset.split("train"), sayable, self._pronunciations) if told else []
        self.captions = captions_of(said, sayable) if told else None

    def make_plan(self, budget: float | None, machine: Machine, given: dict[str, Any]) -> Plan:
        plan = super().make_plan(budget, machine, given)
        told = spelled_words(self.dataset, self._pronunciations)
        if self.captions is not None:  # what nobody told anything of is learned in pieces, however long
            samples = np.diff(self.dataset.split("train").ragged(COLUMN).borders)
            told |= left_out(self.dataset, samples <= self.codec.config.samples(self._length))
        return plan.but(why={**plan.why, **told})

    def facts(self, given: Mapping[str, Any]) -> Facts:
        if given.get("pronunciations") is not None:
            self._say(given["pronunciations"])
        codec, captions = self.codec, self.captions
        said = {} if captions is None else {"words": captions.vocab_size, "window": captions.window}
        # with the end of a sound, and what the delays of its books add
        places = self._length + Pattern.one_by_one(codec.config.books).most + 1 + (captions is None)
        layout = TokenLayout(codec.vocab_size + 1, places, **said)
        train, held = (len(self.dataset.split(name)) for name in ("train", "validation"))
        return Facts(train * layout.length, min(VALIDATED, held) * layout.length, layout.vocab_size, layout)

    def settle(self, choose: Choice, facts: Facts, time: Time, machine: Machine) -> None:
        assert facts.layout is not None
        config = self.codec.config
        said = {"words": facts.layout.words, "window": facts.layout.window, "length": self._length}
        choose.values.update(books=config.books, codes=self.codec.vocab_size, **said, **self._sayable)
        super().settle(choose, facts, time, machine)
        batch = choose("batch", min(_BATCH, len(self.dataset.split("train"))))
        choose("micro_batch", largest_share(batch, max(1, 8192 // choose.values["context"])))

    def trial(self, plan: Plan) -> Trial:
        """What it learns, and not tokens by chance: they lie in books, and are made as they are learned."""
        return Learner.trial(self, plan)

    def configured(self, plan: Plan) -> SoundGPTConfig:
        assert isinstance(plan, SoundGPTPlan)
        return SoundGPTConfig.of(plan.architecture, **plan.shape)

    def task(self, plan: Plan) -> SoundGPTTask:
        assert isinstance(plan, SoundGPTPlan)
        if plan.pronunciations is not None and self._pronunciations is None:
            self._say(plan.pronunciations)
            require_same(plan.characters, self._sayable["characters"], plan.pronunciations)
        whole = SoundModel(SoundGPT(self.configured(plan)), self.codec)
        whole.initialise(torch.Generator().manual_seed(plan.seed))
        return SoundGPTTask(whole, self.dataset, plan, self.sounds, self.captions, self._pronunciations)
