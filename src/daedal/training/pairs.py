"""What learns from pairs of texts: a translator writes the one after the other; an embedder gives both the same vector."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Int64

from daedal.codecs.text import TextCodec
from daedal.errors import DaedalError
from daedal.models.beam import beam_search
from daedal.models.checkpoint import load_model, resolve
from daedal.models.embedder import Embedder
from daedal.models.model import Model
from daedal.models.sequences import PairBatch, Sequences, TwinBatch
from daedal.models.translator import Translator
from daedal.nn.noise import Noise
from daedal.training.heads import HeadLearner
from daedal.training.learner import Facts
from daedal.training.machine import Machine
from daedal.training.planning import Choice, Time
from daedal.training.rows import RowLearner, Rows, RowTask, chosen_tokenizer

Array = np.ndarray
_OFTEN = 20  # times in sources, from which on it is no accident that no target has a token
_MOST = 256  # tokens of a text, that is learned from whole


class PairRows(Rows):
    """A text, and what it is in the other language, each with its end; those that are too long are left out.

    Attributes:
        cut: how many were left out.
    """

    def __init__(self, sources: list[Any], targets: list[Any], start: int, longest: int) -> None:
        fits = [max(len(one), len(other)) <= longest for one, other in zip(sources, targets, strict=True)]
        self.cut = fits.count(False)
        self._sources = [row for row, kept in zip(sources, fits, strict=True) if kept]
        self._targets = [row for row, kept in zip(targets, fits, strict=True) if kept]
        self._start = start
        both = zip(self._sources, self._targets, strict=True)
        self.lengths = np.array([len(one) + len(other) for one, other in both], dtype=np.int64)

    def never_written(self, vocab_size: int) -> tuple[int, ...]:
        """Tokens that many sources have and no target, of languages with one table: where a model is unsure, a token that it
        was never shown behind itself is, by that table, the likeliest to follow itself, without end."""
        read, written = (
            np.bincount(np.concatenate(rows), minlength=vocab_size) for rows in (self._sources, self._targets)
        )
        return tuple(np.flatnonzero((read >= _OFTEN) & (written == 0)).tolist())

    def batch(self, indexes: Int64[Array, " count"], noise: Noise) -> PairBatch:
        order = sorted(map(int, indexes), key=lambda at: (len(self._sources[at]), len(self._targets[at])))
        return PairBatch.of([self._sources[at] for at in order], [self._targets[at] for at in order], self._start)


class TranslationTask(RowTask):
    """Trains a translator; what counts are the tokens to be written."""

    unit = "target_tokens"
    model: Translator

    def sample(self, seed: int, path: Any) -> str:
        """A held-out text, greedily translated."""
        batch = self.held.batch(np.arange(1), Noise(seed, 0, 1)).to(next(self.model.parameters()).device)
        ((found, *_),) = beam_search(self.model, [batch.source.ids.tolist()], beams=1)
        return f"{self.codec.decode(batch.source.ids.tolist()).strip()} -> {self.codec.decode(found.ids).strip()}"


class TranslationLearner(RowLearner):
    """A translator and its pairs."""

    guarded = "pairs"
    columns = ("source", "target")
    tasks = TranslationTask
    usual = _MOST
    per_weight = 0.25  # a token goes through half of the network, and many weights pay (docs/log.md)

    def tokenizer(self) -> TextCodec:
        own: TextCodec = self.dataset.codec("text").codec
        return chosen_tokenizer(self.asked, own)

    def begin_from(self, init: str) -> Model:
        model = load_model(resolve(init), dtype=torch.float32)
        if not isinstance(model, Translator):
            raise DaedalError(f"The model in {init} is a {model.family}, not a translator", "Start from another")
        model.config = model.config.but(suppressed=())  # it may be to write what it never had to
        return model

    @property
    def ends(self) -> tuple[int, int]:
        """What a decoder reads first, and what ends a text."""
        config: Any = None if self.initial is None else self.initial.config
        if config is not None:
            return config.start_id, config.end_id
        end = self.codec.eos_id
        assert end is not None
        return end, end

    def make_rows(self, split: str, longest: int) -> Rows:
        held, (start, end) = self.dataset.split(split), self.ends
        one: list[Any]
        other: list[Any]
        stored = self.dataset.codec("text").codec.fingerprint() == self.codec.fingerprint()
        if stored and not self.codec.two_sided:
            one, other = (list(held.ragged(column)) for column in self.columns)
        else:
            sources, targets = (held.values(column) for column in self.columns)
            one = [[*row, end] for row in self.codec.encode_batch(sources)]
            other = [[*row, end] for row in self.codec.encode_targets(targets)]
        return PairRows(one, other, start, longest)

    def choose_size(self, choose: Choice, facts: Facts, time: Time, machine: Machine) -> None:
        super().choose_size(choose, facts, time, machine)
        depth, width = choose.values["depth"], choose.values["width"]
        choose("head_width", width // choose.values["heads"])
        if "depth" not in choose.given:
            choose.values["depth"] = max(1, -(-depth // 2))
        choose("decoder_depth", max(1, depth // 2))

    def more(self, plan: Any) -> dict[str, Any]:
        start, end = self.ends
        train = self.rows("train", plan.model_dump())
        assert isinstance(train, PairRows)
        return {
            "decoder_depth": plan.decoder_depth, "head_width": plan.head_width, "start_id": start, "end_id": end,
            "label_smoothing": plan.label_smoothing, "tied": plan.tied,
            "suppressed": train.never_written(self.codec.vocab_size),
        }  # fmt: skip


class TwinRows(Rows):
    """Two texts that mean the same, or how alike they are."""

    def __init__(self, one: list[Any], other: list[Any], codec: TextCodec, longest: int, scores: Any = None) -> None:
        framing, room = codec.framing, longest - codec.framing.room
        self._one, self._other = ([framing.one(row[:room]).ids for row in rows] for rows in (one, other))
        self._scores = None if scores is None else torch.tensor(scores, dtype=torch.float32)
        both = zip(self._one, self._other, strict=True)
        self.lengths = np.array([len(left) + len(right) for left, right in both], dtype=np.int64)

    def batch(self, indexes: Int64[Array, " count"], noise: Noise) -> TwinBatch:
        order = sorted(map(int, indexes), key=lambda at: (len(self._one[at]), len(self._other[at])))
        one, other = (Sequences.of([rows[at] for at in order]) for rows in (self._one, self._other))
        return TwinBatch(one, other, None if self._scores is None else self._scores[order])


class TwinTask(RowTask):
    """Trains an embedder."""

    unit = "pairs"
    model: Embedder

    def judge(self, batch: TwinBatch) -> dict[str, torch.Tensor]:
        if batch.scores is not None:
            return {}
        near = self.model(batch.one) @ self.model(batch.other).T
        return {"accuracy": (near.argmax(1) == torch.arange(len(near), device=near.device)).sum()}


class TwinLearner(HeadLearner):
    """An embedder and its pairs."""

    guarded = "pairs"
    columns = ("source", "target")
    tasks = TwinTask
    usual = _MOST

    def make_rows(self, split: str, longest: int) -> Rows:
        held = self.dataset.split(split)
        scores = held.numbers("score") if self.dataset.has("score") else None
        return TwinRows(self.ids(held, "source"), self.ids(held, "target"), self.codec, longest, scores)

    def choose_steps(self, choose: Choice, facts: Facts) -> None:
        super().choose_steps(choose, facts)
        batch = choose("batch", max(2, min(128, facts.examples // 4)))  # a contrast is with all of a batch
        choose("micro_batch", batch)
