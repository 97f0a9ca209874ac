"""A listener and the recordings that it is to learn: how it is planned, learned and validated."""

import unicodedata
from collections import Counter
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64

from daedal.codecs.mel import MelCodec
from daedal.codecs.pronunciations import Pronunciations, spelled
from daedal.codecs.sound import SOUND_CODEC, SoundCodec, faster
from daedal.data.examples import ExampleDataset
from daedal.data.windows import visit
from daedal.errors import DaedalError
from daedal.models.checkpoint import load_model, save_own
from daedal.models.identity import Identity
from daedal.models.listener import ListenBatch, Listener, ListenerConfig, collapsed
from daedal.nn.noise import Noise
from daedal.training.learner import Facts, Learner, Request
from daedal.training.machine import Machine
from daedal.training.plan import Plan
from daedal.training.planning import Choice, Time, largest_share
from daedal.training.processes import Processes
from daedal.training.sound_plan import ListenerPlan
from daedal.training.task import Task

Array = np.ndarray
COLUMN = "sound"
_TOGETHER = 64  # recordings that are validated at once
_VALIDATED = 2000
_MEASURED = ("loss", "label", "speaker", "transcript", "accuracy", "speaker_accuracy")
_SECONDS = 24.0  # of sound in a batch
_MOST_CHARACTERS = 5000
_SIZES = ((2e11, 96, 3), (5e13, 128, 4), (5e14, 192, 6), (5e15, 256, 10))
"""Up to how much computation which width and depth do; not searched. From then on 512 and 16."""
# how recordings are changed as they are learned
_FASTER = 0.1  # and slower, by up to this share
_BEFORE = 0.12  # seconds of near silence that may come before and behind
_NOISE = (-5.0, -2.3)  # powers of ten of its amplitude
_MASKS, _MASKED_BANDS, _MASKED_FRAMES = 2, 0.2, 0.2  # SpecAugment's (Park et al. 2019), as shares of what there is


class Recordings:
    """The recordings of a split, and what is known of them.

    Args:
        config: what the listener tells apart.
    """

    def __init__(self, dataset: ExampleDataset, split: str, config: ListenerConfig, codec: SoundCodec) -> None:
        held = dataset.split(split)
        self._rows, self._codec, self._mel = held.ragged(COLUMN), codec, config.mel
        self.lengths = np.diff(self._rows.borders)
        none = np.full(len(held), -1, dtype=np.int64)
        self.labels = held.classes("label") if len(config.labels) > 1 else none
        self.speakers = held.classes("speaker") if len(config.speakers) > 1 else none
        numbers = {character: number for number, character in enumerate(config.characters)}
        said = held.values("transcript") if config.characters else [None] * len(held)
        self.texts = [None if text is None else plain(text) for text in said]
        self._said = [[numbers[each] for each in text or "" if each in numbers] for text in self.texts]

    def __len__(self) -> int:
        return len(self._rows)

    def batch(self, indexes: Int64[Array, " count"], noise: Noise | None) -> ListenBatch:
        """Some of them, the way they are, or each changed by its noise."""
        samples = [self._codec.samples(self._rows[int(index)]) for index in indexes]
        chances = None if noise is None else noise.uniform("listen", 4 + 4 * _MASKS).numpy()
        if noise is not None and chances is not None:
            seeds = noise.integers("hiss", 2**31).tolist()
            samples = [
                self._changed(each, *of) for each, of in zip(samples, zip(chances, seeds, strict=True), strict=True)
            ]
        frames, counts = self._mel.encode_all(samples)
        if chances is not None:
            for row, count, of in zip(frames, counts.tolist(), chances[:, 4:], strict=True):
                _mask(row, count, of.reshape(2 * _MASKS, 2))
        said = [self._said[int(index)] for index in indexes]
        flat = [each for one in said for each in one]
        labels, speakers = (torch.from_numpy(of[indexes]) for of in (self.labels, self.speakers))
        lengths = torch.tensor([len(one) for one in said])
        return ListenBatch(frames, counts, labels, speakers, torch.tensor(flat, dtype=torch.int64), lengths)

    def _changed(
        self, samples: Float[Array, " samples"], chances: Float[Array, " chances"], seed: int
    ) -> Float[Array, " new"]:
        """Faster or slower, between stretches of near silence, with a hiss."""
        fast, before, behind, loud = (float(each) for each in chances[:4])
        most = _BEFORE * self._codec.rate
        changed: Array = faster(samples, _FASTER * (2 * fast - 1))
        changed = np.pad(changed, (int(before * most), int(behind * most)))
        hiss = np.random.Generator(np.random.Philox(seed)).standard_normal(len(changed), dtype=np.float32)
        changed += hiss * np.float32(10 ** (_NOISE[0] + (_NOISE[1] - _NOISE[0]) * loud))
        return changed


def _mask(frames: torch.Tensor, count: int, chances: Float[Array, "masks 2"]) -> None:
    """Hide some bands and some of the frames behind their mean."""
    mean = frames[:count].mean()
    bands = frames.shape[1]
    for place, (wide, at) in enumerate(chances):
        if place < _MASKS:
            width = int(wide * _MASKED_BANDS * bands)
            first = int(at * (bands - width + 1))
            frames[:count, first : first + width] = mean
        else:
            width = int(wide * _MASKED_FRAMES / _MASKS * count)
            first = int(at * (count - width + 1))
            frames[first : first + width] = mean


def plain(text: str) -> str:
    """A transcript as it is learned: small letters, single spaces."""
    return " ".join(unicodedata.normalize("NFC", text).lower().split())


def characters_of(train: Any, pronunciations: Pronunciations | None = None) -> tuple[str, ...]:
    """The characters of a split's transcripts as they are learned, or their phonemes: of very many the most frequent."""
    counts: Counter[str] = Counter()
    for text in train.values("transcript"):
        counts.update(spelled(plain(text or ""), pronunciations))
    return tuple(sorted(each for each, _ in counts.most_common(_MOST_CHARACTERS)))


class ListenTask(Task):
    """Trains a listener."""

    unit = "sounds"
    model: Listener

    def __init__(self, model: Listener, dataset: ExampleDataset, plan: ListenerPlan, codec: SoundCodec) -> None:
        self.model, self.dataset, self._codec, self._seed = model, dataset, codec, plan.seed
        self.fingerprint = dataset.split("train").fingerprint
        told = ("label", "speaker", "transcript")
        there = (model.labels, model.speakers, model.characters)
        columns = {COLUMN: SOUND_CODEC} | {
            name: None for name, head in zip(told, there, strict=True) if head is not None
        }
        self.identity = Identity.of(plan.family, plan.kind, columns, model.capabilities)
        self._train, self._held = (Recordings(dataset, name, model.config, codec) for name in ("train", "validation"))

    def save(self, folder: Path) -> None:
        save_own(self.model, folder, self.model.config.labels)
        self._codec.save(folder)

    def batch(self, first: int, count: int) -> ListenBatch:
        indexes, _ = visit(first, count, len(self._train), self._seed)
        return self._train.batch(indexes.astype(np.int64), Noise(self._seed, first, count))

    def validate(self, processes: Processes, autocast: AbstractContextManager[Any]) -> dict[str, float]:
        order = np.argsort(self._held.lengths[:_VALIDATED], kind="stable")
        groups = [order[first : first + _TOGETHER] for first in range(0, len(order), _TOGETHER)]
        totals, counts = dict.fromkeys(_MEASURED, 0.0), dict.fromkeys(_MEASURED, 0)
        with torch.no_grad(), autocast:
            for group in groups[processes.rank :: processes.count]:
                batch = self._held.batch(group, None).to(processes.device)
                heard = self.model(batch.frames, batch.counts)
                loss = self.model.loss_of(heard, batch)
                found = {"loss": loss.total, **loss.parts}
                for name, logits, known in (
                    ("accuracy", heard.labels, batch.labels),
                    ("speaker_accuracy", heard.speakers, batch.speakers),
                ):
                    if logits is not None:
                        found[name] = (logits.argmax(-1) == known).sum()
                told = {
                    "label": batch.labels >= 0, "speaker": batch.speakers >= 0, "transcript": batch.lengths > 0
                }  # fmt: skip
                told |= {"accuracy": told["label"], "speaker_accuracy": told["speaker"]}
                told["loss"] = torch.stack([told[name] for name in loss.parts]).any(0)
                for name, value in found.items():
                    totals[name] += float(value)
                    counts[name] += int(told[name].sum())
        sums, counted = processes.sum(torch.tensor([[*totals.values()], [*counts.values()]], dtype=torch.float32))
        return {
            f"validation_{name}": float(value / count)
            for name, value, count in zip(totals, sums, counted, strict=True)
            if count
        }  # of what is told of recordings

    @torch.no_grad()
    def sample(self, seed: int, path: Path) -> str:
        """What is made of a few held-out recordings, on a line."""
        batch = self._held.batch(np.linspace(0, len(self._held) - 1, min(6, len(self._held))).astype(np.int64), None)
        batch = batch.to(next(self.model.parameters()).device)
        heard, config = self.model(batch.frames, batch.counts), self.model.config
        shown = []
        for row in range(batch.count):
            pairs = []
            for names, logits, known in (
                (config.labels, heard.labels, batch.labels),
                (config.speakers, heard.speakers, batch.speakers),
            ):
                if logits is not None:
                    true = int(known[row])
                    pairs.append((names[true] if true >= 0 else "?", names[int(logits[row].argmax())]))
            if heard.characters is not None:
                read = heard.characters[row, : int(heard.moments[row])].argmax(-1).tolist()
                pairs.append((self._held.texts[row] or "?", collapsed(read, config.characters)))
            shown.append(" / ".join(f"{true} -> {said}" for true, said in pairs))
        return " | ".join(shown)


class ListenLearner(Learner):
    """A listener and its recordings."""

    dataset: Any
    passes = "every recording is heard {} times"
    initial: Listener | None

    def __init__(self, asked: Request, dataset: ExampleDataset) -> None:
        super().__init__(asked)
        self.dataset = dataset
        self.codec: SoundCodec = dataset.codec(COLUMN).codec  # type: ignore[attr-defined]
        mel = MelCodec.for_rate(self.codec.rate)
        self._known: dict[str, Any] = {
            **{name: getattr(mel, name) for name in ("rate", "fft", "hop", "bands", "floor")},
            **{f"{name}s": dataset.classes(name) if dataset.has(name) else () for name in ("label", "speaker")},
            "characters": characters_of(dataset.split("train")),
        }
        if not self._known["characters"] and max(len(self._known["labels"]), len(self._known["speakers"])) < 2:
            raise DaedalError(
                f"Nothing is said of the recordings of {asked.data} that could be learned: no classes, speakers or transcripts",
                "Build the data with --labels folders or names, or with --transcripts",
            )
        self.initial = None if asked.init is None else self._begin(asked.init)

    def _begin(self, init: str) -> Listener:
        model = load_model(init, dtype=torch.float32)
        known = {name: getattr(model.config, name, None) for name in self._known}
        if not isinstance(model, Listener) or known != self._known:
            raise DaedalError(
                f"The model in {init} does not tell apart what this data has at its rate", "Start from another"
            )
        return model

    def facts(self, given: Mapping[str, Any]) -> Facts:
        train, held = (len(self.dataset.split(name)) for name in ("train", "validation"))
        if train < 2:
            raise DaedalError(f"The train split of {self.asked.data} has {train} sounds", "Give more data")
        seconds = len(self.dataset.split("train").ragged(COLUMN).ids) / self.codec.rate
        return Facts(train, min(held, _VALIDATED), examples=train, length=seconds / train)

    def settle(self, choose: Choice, facts: Facts, time: Time, machine: Machine) -> None:
        choose.values.update(self._known)
        if self.initial is not None:
            config = self.initial.config
            self.keep(choose, {name: getattr(config, name) for name in ("width", "depth", "channels")})
        else:
            computation = time.computation(machine)
            width, depth = next(((w, d) for most, w, d in _SIZES if computation <= most), (512, 16))
            choose("width", width)
            choose("depth", depth)
            choose("channels", max(16, width * 3 // 16))
        choose("dropout", 0.1)
        for name, value in self.plans.recipe.items():  # type: ignore[attr-defined]
            choose(name, value)
        batch = choose("batch", max(8, min(48, round(_SECONDS / facts.length), facts.train)))
        choose("micro_batch", largest_share(batch, batch))

    def begun(self, plan: Plan) -> Any:
        return self.initial if self.initial is not None else super().begun(plan)

    def task(self, plan: Plan) -> ListenTask:
        assert isinstance(plan, ListenerPlan)
        return ListenTask(self.begun(plan), self.dataset, plan, self.codec)
