"""A reward model over preferences: pairs of conversations that differ in their answer, read as the model to begin with reads
conversations."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float64, Int64

from daedal.codecs.text import TextCodec
from daedal.codecs.turns import Turned, Turns, ending
from daedal.config import Config
from daedal.data.column_codecs import ChatColumns
from daedal.data.examples import ExampleSplit
from daedal.errors import DaedalError
from daedal.models.checkpoint import load_model, resolve, save_model
from daedal.models.gpt import GPT
from daedal.models.habits import Habits
from daedal.models.identity import identify
from daedal.models.reward import Reward, RewardConfig
from daedal.models.sequences import PreferenceBatch, Sequences, by_length
from daedal.nn.noise import Noise
from daedal.training.learner import Facts, Request
from daedal.training.machine import Machine
from daedal.training.plan import Plan
from daedal.training.planning import Choice, Time, largest_share
from daedal.training.row_plan import RewardPlan
from daedal.training.rows import RowLearner, Rows, RowTask, chosen_tokenizer
from daedal.training.transformer_learner import choose_shape
from daedal.training.tuning import conversing

Array = np.ndarray
_MOST = 1024  # tokens of a conversation that are learned from
_COVERED = 0.98  # of the conversations, that a new model's context is to hold whole
_SHORTEST = 64
_FEWEST = (
    4  # pairs of a step; on hh-rlhf a pass in steps of 4, 8 and 16 came to 0.630, 0.648 and 0.658 nats (312 pairs)
)
_TOGETHER = 16384  # tokens that are learned from at once
_SHOWN = 3


class Pair(NamedTuple):
    """The ids of two conversations, and by how much the first is better where the data say it."""

    chosen: Int64[Array, " tokens"]
    rejected: Int64[Array, " tokens"]
    margin: float = 0.0


class PreferenceRows(Rows):
    """Pairs of conversations; of what is too long the end is kept.

    Args:
        cut: of how many conversations only the end is.
        with_margins: whether the loss asks for them.
    """

    def __init__(self, pairs: Sequence[Pair], cut: int, with_margins: bool) -> None:
        self.pairs, self.cut, self._with_margins = pairs, cut, with_margins
        self.lengths = np.array([len(each.chosen) + len(each.rejected) for each in pairs], dtype=np.int64)

    @property
    def longest(self) -> Int64[Array, " pairs"]:
        """Tokens of the longer conversation of each pair."""
        return np.array([max(len(each.chosen), len(each.rejected)) for each in self.pairs], dtype=np.int64)

    def batch(self, indexes: Int64[Array, " count"], noise: Noise) -> PreferenceBatch:
        pairs = [self.pairs[int(index)] for index in indexes]
        rows = [each.chosen for each in pairs] + [each.rejected for each in pairs]
        order = by_length(rows)
        place = torch.empty(len(rows), dtype=torch.int64)
        place[torch.tensor(order)] = torch.arange(len(rows))
        margins = torch.tensor([each.margin for each in pairs]) if self._with_margins else None
        sequences = Sequences.of([rows[at] for at in order])
        return PreferenceBatch(sequences, place[: len(pairs)], place[len(pairs) :], margins)


class RewardTask(RowTask):
    """Trains a reward model.

    Attributes:
        habits: how conversations are written.
    """

    unit = "pairs"
    model: Reward
    held: PreferenceRows
    habits: Habits

    def save(self, folder: Path) -> None:
        save_model(self.model, folder, codec=self.codec, habits=self.habits)

    def judged(self, batch: PreferenceBatch) -> dict[str, torch.Tensor]:
        loss = self.model.loss(batch)
        return {"loss": loss.total, "accuracy": loss.parts["accuracy"]}

    def sample(self, seed: int, path: Any) -> str:
        """How the first held-out pairs end, on a line, with their rewards."""
        batch = self.held.batch(np.arange(min(_SHOWN, len(self.held))), Noise(seed, 0, 1))
        chosen, rejected = self.model.compared(batch.to(next(self.model.parameters()).device))
        told = []
        for pair, good, bad in zip(self.held.pairs, chosen.tolist(), rejected.tolist(), strict=False):
            ends = (" ".join(self.codec.decode(ids.tolist()).split())[-40:] for ids in (pair.chosen, pair.rejected))
            told.append(
                "{:+.2f} {} over {:+.2f} {}".format(*(x for at in zip((good, bad), ends, strict=True) for x in at))
            )
        return " | ".join(told)


class RewardLearner(RowLearner):
    """A reward model and the preferences that it learns."""

    columns = ("chosen", "rejected")
    tasks = RewardTask
    usual = _MOST
    per_weight = 8.0  # a pair says one bit, of some hundred tokens; not searched
    plans: type[RewardPlan]
    initial: Reward | None

    def __init__(self, asked: Request, dataset: Any) -> None:
        if not (dataset.has("chosen") and dataset.has("rejected")):
            raise _thumbs(asked.data)
        folder = dataset.folder if asked.init is None else resolve(asked.init)
        if asked.init is not None and (begun := identify(folder).family) not in ("gpt", "reward"):
            raise DaedalError(
                f"The model in {asked.init} is a {begun}, which reads no conversations", "Start from a gpt"
            )
        self._template, self._habits = conversing(folder)
        self._conversations: dict[str, list[tuple[Turned, Turned, float]]] = {}
        self._refused: dict[str, set[int]] = {}  # examples that the chat template refuses
        super().__init__(asked, dataset)

    def tokenizer(self) -> TextCodec:
        return chosen_tokenizer(self.asked, self.dataset.codec("chat").codec)

    def begin_from(self, init: str) -> Reward:
        other = load_model(init, dtype=torch.float32)
        if isinstance(other, Reward):
            return other
        if not isinstance(other, GPT) or other.config.grid is not None:
            raise DaedalError(
                f"The model in {init} is a {other.family}, which reads no conversations", "Start from a gpt"
            )
        made = Reward(RewardConfig.around(other.config, self.codec.filler))
        made.adopt(other)
        return made

    @property
    def around(self) -> int:
        return 0  # what a template writes around the last turn is part of it

    def row_values(self, given: Mapping[str, Any]) -> tuple[Any, ...]:
        margin = given.get("margin")
        return (self.longest_row(given), self.plans.model_fields["margin"].default if margin is None else margin)

    def make_rows(self, split: str, *values: Any) -> PreferenceRows:
        longest, margin = values
        pairs, cut = [], 0
        first, usual = self.codec.bos_id, self._usual_margin
        for good, bad, apart in self._read(split):
            cut += (len(good.ids) > longest) + (len(bad.ids) > longest)
            margin_here = margin * apart / usual if usual else 0.0
            pairs.append(Pair(ending(good, longest, first), ending(bad, longest, first), margin_here))
        if not pairs and self._refused.get(split):
            raise DaedalError(
                f"The chat template of {self.asked.init} refuses all conversations of the {split} split",
                "Start from another model, or mend the conversations",
            )
        if not pairs:
            raise _thumbs(self.asked.data)
        return PreferenceRows(pairs, cut, bool(usual and margin) and split == "train")

    def _read(self, split: str) -> list[tuple[Turned, Turned, float]]:
        """The pairs of a split, and by how much the first of each is said to be better."""
        if split not in self._conversations:
            held = self.dataset.split(split)
            columns = (self._turned(held, column) for column in self.columns)
            apart = (each or 0.0 for each in held.values("margin"))
            rows = zip(*columns, apart, strict=True)
            self._conversations[split] = [
                (one, two, by) for one, two, by in rows if one is not None and two is not None
            ]
        return self._conversations[split]

    def _turned(self, split: ExampleSplit, column: str) -> Iterator[Turned | None]:
        """Conversations as the model reads them; None where an example has none."""
        if self.dataset.codec("chat").fingerprint() == ChatColumns(self.codec, self._template).fingerprint():
            rows = split.ragged(column)  # so they were built, each with an end of text behind it
            said = np.zeros(0, dtype=bool) if rows.learned is None else rows.learned
            for begin, end in pairwise(rows.borders.tolist()):
                ids = np.asarray(rows.ids[begin : end - 1], dtype=np.int64)
                yield Turned(ids, said[begin : end - 1]) if end > begin else None
        else:
            turns, refused = Turns(self.codec, self._template), self._refused.setdefault(split.name, set())
            for number, each in enumerate(split.values(column)):
                try:
                    yield None if each is None else turns.read(each)
                except DaedalError:
                    refused.add(number)
                    yield None

    @property
    def _usual_margin(self) -> float:
        """The mean difference in the training data, which the plan's margin stands for; 0 where none says any."""
        found: Float64[Array, " pairs"] = np.array([apart for *_, apart in self._read("train")])
        return float(found.mean()) if len(found) else 0.0

    def facts(self, given: Mapping[str, Any]) -> Facts:
        rows = self.rows("train", given)
        assert isinstance(rows, PreferenceRows)
        longest = int(np.quantile(rows.longest, _COVERED, method="higher"))
        return replace(super().facts(given), longest=longest)

    def choose_size(self, choose: Choice, facts: Facts, time: Time, machine: Machine) -> None:
        choose_shape(choose, time.computation(machine), facts, self.gated, self.per_weight)
        choose("context", min(_MOST, max(_SHORTEST, 1 << (facts.longest - 1).bit_length())))

    def gated(self, choose: Choice) -> bool:
        return choose("architecture", "qwen3") not in ("gpt2", "swift")

    def choose_steps(self, choose: Choice, facts: Facts) -> None:
        super().choose_steps(choose, facts)
        batch = choose("batch", min(facts.examples, max(_FEWEST, choose.values["batch"])))
        choose("micro_batch", largest_share(batch, max(1, round(_TOGETHER / facts.length))))

    def configured(self, plan: Plan) -> Config:
        assert isinstance(plan, RewardPlan)
        return RewardConfig.of(plan.architecture, **plan.shape, pad_id=self.codec.filler)

    def told(self, draft: Plan) -> dict[str, str]:
        """What of the data is not learned from as it stands."""
        rows = self.rows("train", draft.model_dump())
        assert isinstance(rows, PreferenceRows)
        refused = len(self._refused.get("train", ()))
        alone = len(self.dataset.split("train")) - len(rows) - refused
        lines = [f"{alone:,} answers stand alone, with a thumb, and are left out"] if alone else []
        lines += [f"{refused:,} are refused by the chat template, and are left out"] if refused else []
        lines += [f"of {rows.cut:,} of {2 * len(rows):,} conversations the end is read, as they are longer"] * bool(
            rows.cut
        )
        return {"Pairs": "; ".join(lines)} if lines else {}

    def task(self, plan: Plan) -> RowTask:
        task = super().task(plan)
        assert isinstance(task, RewardTask)
        task.habits = self._habits
        return task


def _thumbs(data: str) -> DaedalError:
    return DaedalError(
        f"The answers of {data} stand alone, with thumbs: none is compared with another",
        "Give pairs of a chosen and a rejected answer; daedal align kto learns from thumbs",
    )
