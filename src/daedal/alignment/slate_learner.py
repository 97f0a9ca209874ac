"""A recommender that learns from ratings: of what somebody took, it is to tell what was liked from what was not.

After the history before an item that was liked, a slate is that item and some that the same person liked clearly less, and had
not had by then. A rating tells of likes beside the others of the same person: some give four stars to all.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int, Int64
from torch import Tensor

from daedal.alignment.plans import SlatePlan
from daedal.alignment.slates import slate_losses
from daedal.codecs.items import ITEMS, UNKNOWN, ItemCodec
from daedal.data.examples import ExampleDataset
from daedal.data.next_items import learned
from daedal.errors import DaedalError
from daedal.models.checkpoint import load_model, resolve, save_own
from daedal.models.model import Loss
from daedal.models.recommender import ItemBatch, Recommender
from daedal.models.sequences import Sequences
from daedal.nn.noise import Noise
from daedal.training.histories import HistoryTask, seen
from daedal.training.learner import Facts, Learner, Request
from daedal.training.machine import Machine
from daedal.training.plan import Plan
from daedal.training.planning import Choice, Time
from daedal.training.rows import Rows
from daedal.training.run import RunFolder

Array = np.ndarray
_APART = 1.0  # deviations of a person's ratings
_AGREE = 1e-9
_JUDGED = 500  # slates that a run is validated on, at most


class Slate(NamedTuple):
    """What was before, the item that was liked, and those that were not."""

    history: Int64[Array, " items"]
    liked: int
    others: Int64[Array, " some"]


@dataclass(frozen=True)
class SlateBatch(ItemBatch):
    """Histories, and a slate after each. Items that fill up slates are `UNKNOWN`.

    Attributes:
        liked, others: of each history.
        reference: the logits of the liked one and of the others in the reference.
    """

    liked: Int[Tensor, " rows"] | None = None
    others: Int[Tensor, "rows some"] | None = None
    reference: Float[Tensor, "rows all"] | None = None

    @property
    def count(self) -> int:
        return len(self.sequences)


class SlateRecommender(Recommender):
    """A recommender that learns from slates.

    Attributes:
        beta: how much it costs to leave the reference.
    """

    beta: float = 1.0

    def loss(self, batch: Any, player: str = "model") -> Loss:
        """A mean over the slates of the step. Besides: how often the liked item is above another one of its slate."""
        if not isinstance(batch, SlateBatch):
            return super().loss(batch, player)
        assert batch.liked is not None
        assert batch.others is not None
        assert batch.reference is not None
        logits = slate_logits(self, batch.sequences, batch.liked, batch.others)
        away, there = logits - batch.reference, batch.others != UNKNOWN
        losses = slate_losses(away[:, 0], away[:, 1:], there, self.beta)
        above = ((logits[:, :1] > logits[:, 1:]) & there).sum(1) / there.sum(1)
        share = 1 / batch.moment.count
        return Loss(losses.sum() * share, {"accuracy": above.detach().sum() * share})


def slate_logits(
    model: Recommender, sequences: Sequences, liked: Int[Tensor, " rows"], others: Int[Tensor, "rows some"]
) -> Float[Tensor, "rows all"]:
    """The logits of the liked items and of the others after each history."""
    items = torch.cat((liked[:, None], others), 1)
    found: Tensor = torch.einsum(
        "rw,raw->ra", model.states(sequences)[sequences.packing.last], model.head_weight[items]
    )
    return found


class SlateRows(Rows):
    """Slates, in the order of their histories.

    Args:
        size: items of a slate besides the liked one, at most: those that are drawn.
        reference: what the model was.
    """

    def __init__(self, slates: Sequence[Slate], context: int, size: int, reference: Recommender) -> None:
        self._slates, self._context, self._size, self.reference = slates, context, size, reference
        self.lengths = np.array([min(context, len(each.history) + 1) for each in slates], dtype=np.int64)

    @torch.no_grad()
    def batch(self, indexes: Int64[Array, " count"], noise: Noise) -> SlateBatch:
        chances = noise.uniform("slate", self._size).numpy()
        order = np.argsort(self.lengths[indexes], kind="stable")
        slates, chances = [self._slates[int(indexes[at])] for at in order], chances[order]
        sequences = Sequences.of([seen(each.history, self._context) for each in slates])
        liked = torch.tensor([each.liked for each in slates])
        others = torch.full((len(slates), self._size), UNKNOWN)
        for row, (slate, chance) in enumerate(zip(slates, chances, strict=True)):
            few = len(slate.others) <= self._size
            drawn = slate.others if few else slate.others[(chance * len(slate.others)).astype(np.int64)]
            others[row, : len(drawn)] = torch.from_numpy(drawn)
        device = next(self.reference.parameters()).device
        told = slate_logits(self.reference, sequences.to(device), liked.to(device), others.to(device)).cpu()
        targets = torch.zeros(len(sequences.ids), dtype=torch.long)
        return SlateBatch(sequences, targets, liked=liked, others=others, reference=told)


def slates_of(items: Int64[Array, " items"], ratings: Sequence[float | None], apart: float = _APART) -> list[Slate]:
    """The slates of a history: for each item that somebody liked at least as much as most, those that come later and are rated
    lower by more than a deviation of their ratings.

    Args:
        apart: deviations.
    """
    values = np.array([np.nan if each is None else float(each) for each in ratings])
    known = np.isfinite(values) & (items != UNKNOWN)
    if known.sum() < 2 or (spread := float(np.nanstd(values[known]))) < _AGREE:
        return []
    middle = float(np.mean(values[known]))
    found = []
    for place in np.flatnonzero(known & (values > middle)):
        later = np.flatnonzero(known & (values <= values[place] - apart * spread) & (np.arange(len(items)) > place))
        others = np.setdiff1d(items[later], items[: place + 1])
        if place and len(others):
            found.append(Slate(items[:place], int(items[place]), others))
    return found


class SlateTask(HistoryTask):
    """Tunes a recommender by slates; what counts are these."""

    unit = "slates"
    model: SlateRecommender

    def judge(self, batch: Any) -> dict[str, Tensor]:
        """How often the liked item is above another one of its slate."""
        return {"accuracy": self.model.loss(batch).parts["accuracy"]}

    def sample(self, seed: int, path: Any) -> str:
        return ""

    def save(self, folder: Path) -> None:
        super().save(folder)
        first = RunFolder(folder).reference
        if not first.is_dir():  # a run that goes on has the model that it began as
            save_own(self.train.reference, first)  # type: ignore[attr-defined]
            self.codec.save(first)
            self.identity.write(first)


class SlateLearner(Learner):
    """A recommender and what people rated."""

    dataset: Any
    smaller = "a smaller --batch"
    guarded = "slates"

    def __init__(self, asked: Request, dataset: ExampleDataset) -> None:
        super().__init__(asked)
        self.dataset = dataset
        if asked.init is None:
            raise DaedalError("There is no recommender to align", "Name one by --init")
        folder = resolve(asked.init)
        loaded = load_model(folder, dtype=torch.float32)
        if not isinstance(loaded, Recommender):
            raise DaedalError(
                f"The model in {asked.init} is a {loaded.family}, not a recommender", "Start from another"
            )
        if not dataset.has("ratings"):
            raise DaedalError(
                f"The histories in {asked.data} have no ratings: nobody says what was liked",
                "Give a table with ratings",
            )
        self.reference: Recommender = loaded
        self.initial = loaded
        self.codec = ItemCodec.load(folder)

    @cached_property
    def slates(self) -> dict[str, list[Slate]]:
        """Those of each split.

        Raises:
            DaedalError: there are too few.
        """
        found: dict[str, list[Slate]] = {}
        for name in ("train", "validation"):
            split = self.dataset.split(name)
            left_out = self.reference.config.left_out if name == "train" else 0
            found[name] = []
            for items, ratings in zip(split.values("items"), split.values("ratings"), strict=True):
                if ratings is not None:
                    ids = learned(np.asarray(self.codec.encode(items), dtype=np.int64), left_out)
                    found[name] += slates_of(ids, ratings[: len(ids)])
            if name == "validation":
                found[name] = found[name][:: -(-len(found[name]) // _JUDGED) or 1]
            if len(found[name]) < 2:
                raise DaedalError(
                    f"The {name} split has {len(found[name])} items that somebody liked better than others",
                    "Give more ratings, or some that differ",
                )
        return found

    def facts(self, given: Mapping[str, Any]) -> Facts:
        train, held = self.slates["train"], self.slates["validation"]
        context = self.reference.config.context
        lengths = [min(context, len(each.history) + 1) for each in train]
        return Facts(
            train=len(train), validated=len(held), vocab_size=self.codec.vocab_size, length=float(np.mean(lengths)),
            longest=max(lengths), examples=len(train),
        )  # fmt: skip

    def settle(self, choose: Choice, facts: Facts, time: Time, machine: Machine) -> None:
        config = self.reference.config
        choose.values.update(
            vocab_size=facts.vocab_size, length=facts.length, width=config.width, depth=config.depth,
            heads=config.heads, mlp_width=config.mlp_width, context=config.context, left_out=config.left_out,
        )  # fmt: skip
        choose("dropout", 0.0)
        choose("precision", "fp32")
        choose("batch", max(1, min(64, facts.examples)))
        choose("micro_batch", choose.values["batch"])
        choose("optimizer", "adamw")
        choose("learning_rate", 1e-3)
        choose("weight_decay", 0.0)
        choose("beta", 1.0)
        choose("keep", "best")

    def new(self, plan: Plan) -> SlateRecommender:
        assert isinstance(plan, SlatePlan)
        model = SlateRecommender(self.reference.config.but(dropout=plan.dropout))
        model.beta = plan.beta
        return model

    def begun(self, plan: Plan) -> SlateRecommender:
        model = self.new(plan)
        model.load_state_dict(copy.deepcopy(self.reference.state_dict()))
        return model

    def task(self, plan: Plan) -> SlateTask:
        assert isinstance(plan, SlatePlan)
        context, reference = self.reference.config.context, self.reference.eval()
        rows = (SlateRows(self.slates[name], context, plan.slate, reference) for name in ("train", "validation"))
        return SlateTask(self.begun(plan), *rows, plan, self.codec, self.dataset, (ITEMS,))
