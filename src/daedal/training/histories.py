"""A recommender over histories: what it learns of them, what is held out, and how it is planned.

Each place of a history is learned from. Of a long one a window is seen, elsewhere in each pass.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64

from daedal.codecs.items import END, ITEMS, UNKNOWN, ItemCodec
from daedal.config import Config
from daedal.data.next_items import held, items_of, learned
from daedal.errors import DaedalError
from daedal.models.checkpoint import load_model, resolve, save_own
from daedal.models.identity import Identity, identify
from daedal.models.model import IGNORE, Model
from daedal.models.recommender import ItemBatch, Recommender, RecommenderConfig
from daedal.models.sequences import Sequences, by_length
from daedal.nn.noise import Noise
from daedal.training.learner import Facts
from daedal.training.machine import Machine
from daedal.training.plan import Plan
from daedal.training.planning import Choice, Time, largest_share
from daedal.training.row_plan import RecommenderPlan
from daedal.training.rows import RowLearner, Rows, RowTask

Array = np.ndarray
_MOST = 50  # items of a history that are seen at once
_ALL = 2000  # items over which a softmax is taken whole
_DRAWN = 32  # for each window, of more
_FIRST = 10  # places that count


class HistoryRows(Rows):
    """Windows of histories, each item to be told from those before.

    Args:
        histories: ids of items.
        context: items that are seen at once.
        item_dropout: share of them that are hidden.
        drawn: items that are drawn for each window to tell the next from; 0 for all.
    """

    def __init__(
        self, histories: Sequence[Any], vocab_size: int, context: int, item_dropout: float = 0.0, drawn: int = 0
    ) -> None:
        self._rows = [np.concatenate(([END], np.asarray(each, dtype=np.int64))) for each in histories if len(each)]
        counts = [max(1, -(-(len(row) - 1) // context)) for row in self._rows]
        self._places = [(at, part, count) for at, count in enumerate(counts) for part in range(count)]
        self._context, self._hidden, self._drawn = context, item_dropout, drawn
        self.lengths = np.array([min(context, len(self._rows[at]) - 1) for at, _, _ in self._places], dtype=np.int64)
        taken = np.bincount(np.concatenate([row[1:] for row in self._rows]) if self._rows else [], minlength=vocab_size)
        chances = (taken + 1.0) * (np.arange(vocab_size) > END)
        self._sums: Float[Array, " vocab"] = np.cumsum(chances / chances.sum())
        self._rates = torch.from_numpy(np.log(np.maximum(chances, 1) / chances.sum())).float()

    def batch(self, indexes: Int64[Array, " count"], noise: Noise) -> ItemBatch:
        chances = noise.uniform("window", 1 + self._context + self._drawn).numpy()
        windows, targets = [], []
        for index, chance in zip(indexes, chances, strict=True):
            window = self._window(int(index), float(chance[0]))
            seen, follows = window[:-1].copy(), window[1:].copy()
            hidden = chance[1 : 1 + len(seen)] < self._hidden
            seen[hidden & (seen != END)] = UNKNOWN
            follows[follows == UNKNOWN] = IGNORE
            windows.append(seen)
            targets.append(follows)
        order = by_length(windows)
        sequences = Sequences.of([windows[at] for at in order])
        known = torch.from_numpy(np.concatenate([targets[at] for at in order]))
        if not self._drawn:
            return ItemBatch(sequences, known)
        others = np.searchsorted(self._sums, chances[:, 1 + self._context :].ravel(), side="right")
        drawn = torch.from_numpy(np.minimum(others, len(self._sums) - 1).astype(np.int64))
        return ItemBatch(sequences, known, drawn, self._rates)

    def _window(self, index: int, chance: float) -> Int64[Array, " some"]:
        """A history, or one of the parts of a long one: anywhere in it, and often enough at its ends."""
        at, part, count = self._places[index]
        row, size = self._rows[at], self._context + 1
        if len(row) <= size:
            return row
        start = round((part + chance) / count * (len(row) + self._context)) - self._context
        start = min(max(start, 0), len(row) - size)
        return row[start : start + size]


class HeldRows(Rows):
    """Histories and the one item that follows, which is held out.

    Args:
        pairs: of what was before, and the item.
    """

    def __init__(self, pairs: Sequence[tuple[Any, int]], context: int) -> None:
        self._histories = [np.asarray(history, dtype=np.int64) for history, _ in pairs]
        self._rows = [seen(history, context) for history in self._histories]
        self._targets = [target for _, target in pairs]
        self.lengths = np.array([len(row) for row in self._rows], dtype=np.int64)

    def batch(self, indexes: Int64[Array, " count"], noise: Noise) -> ItemBatch:
        chosen = sorted(map(int, indexes), key=lambda at: len(self._rows[at]))
        targets = []
        for at in chosen:
            follows = np.full(len(self._rows[at]), IGNORE, dtype=np.int64)
            follows[-1] = self._targets[at]
            targets.append(follows)
        had = [np.stack((np.full(len(self._histories[at]), row), self._histories[at])) for row, at in enumerate(chosen)]
        sequences, follows = Sequences.of([self._rows[at] for at in chosen]), np.concatenate(targets)
        return ItemBatch(sequences, torch.from_numpy(follows), had=torch.from_numpy(np.concatenate(had, 1)))


def seen(history: Any, context: int) -> Int64[Array, " some"]:
    """What a model reads of a history: the last of it; the mark of a beginning, where it is seen whole."""
    return np.concatenate(([END], np.asarray(history, dtype=np.int64)))[-context:].astype(np.int64)


class HistoryTask(RowTask):
    """Trains a recommender; what counts are the items that follow."""

    unit = "items"
    model: Recommender

    def __init__(self, *values: Any) -> None:
        super().__init__(*values)
        self.identity = Identity.of("recommender", "histories", {"items": ITEMS}, self.model.capabilities)

    def save(self, folder: Path) -> None:
        save_own(self.model, folder)
        self.codec.save(folder)

    def judge(self, batch: ItemBatch) -> dict[str, torch.Tensor]:
        """The gain of the place of the item that follows, among all that the person did not have (NDCG at 10), and what is lost
        of it: by that the best weights are told. The loss rises while places still get better: it is of how sure a model is.
        """
        logits = self.model.next_items(batch.sequences)
        targets = batch.targets[batch.targets != IGNORE][:, None]
        own = logits.gather(1, targets)
        assert batch.had is not None
        logits[batch.had[0], batch.had[1]] = float("-inf")
        places = 1 + (logits > own).sum(1)
        gains = (places <= _FIRST) / (places + 1.0).log2()
        return {f"ndcg_at_{_FIRST}": gains.sum(), "lost_gain": (1 - gains).sum()}

    def sample(self, seed: int, path: Any) -> str:
        """The end of a held-out history, and what the model says may follow, on a line."""
        batch = self.held.batch(np.array([seed % len(self.held)]), Noise(seed, 0, 1))
        batch = batch.to(next(self.model.parameters()).device)
        logits = self.model.next_items(batch.sequences)
        logits[0, batch.sequences.ids] = float("-inf")
        before = self.codec.decode(batch.sequences.ids.tolist()[-3:])
        return f"{' | '.join(before)} -> {' | '.join(self.codec.decode(logits[0].topk(3).indices.tolist()))}"


class HistoryLearner(RowLearner):
    """A recommender and its histories."""

    guarded = "histories"
    columns = ("items",)
    tasks = HistoryTask
    usual = _MOST
    around = 1

    def tokenizer(self) -> Any:
        """The items of the model to begin with, or the data's."""
        own: ItemCodec = self.dataset.codec("items").codec
        codec = own if self.asked.init is None else _items_of(self.asked.init)
        self._known = np.array([UNKNOWN, END, *codec.encode(own.names)], dtype=np.int64)
        if not (self._known > END).any():
            raise DaedalError(
                f"The model in {self.asked.init} knows none of the items in {self.asked.data}", "Start from another"
            )
        return codec

    def begin_from(self, init: str) -> Model:
        model = load_model(resolve(init), dtype=torch.float32)
        assert isinstance(model, Recommender)  # its items are known by now
        return model

    def row_values(self, given: Mapping[str, Any]) -> tuple[Any, ...]:
        values = self.plans.model_fields
        chosen = {name: given.get(name, values[name].default) for name in ("left_out", "item_dropout", "negatives")}
        return (self.longest_row(given), chosen["left_out"], chosen["item_dropout"], chosen["negatives"])

    def make_rows(self, split: str, *values: Any) -> Rows:
        context, left_out, item_dropout, negatives = values
        train = self._histories("train")
        if split == "train":
            return HistoryRows(
                [learned(each, left_out) for each in train], self.codec.vocab_size, context, item_dropout, negatives
            )
        pairs = [held(each, 2) for each in train] if left_out == 2 else []
        pairs += [(each[:-1], int(each[-1])) for each in self._histories("validation") if len(each) > 1]
        return HeldRows([pair for pair in pairs if pair is not None and pair[1] != UNKNOWN], context)

    def _histories(self, split: str) -> list[Any]:
        return [self._known[items_of(row)] for row in self.dataset.split(split).ragged("items")]

    def choose_size(self, choose: Choice, facts: Facts, time: Time, machine: Machine) -> None:
        width, _ = choose("width", 64), choose("depth", 2)
        choose("heads", max(1, width // 32))
        choose("mlp_width", 4 * width)
        choose("context", max(2, min(_MOST, facts.longest)))

    def choose_steps(self, choose: Choice, facts: Facts) -> None:
        tuned = self.initial is not None
        batch = choose("batch", max(1, min(round(1024 / facts.length), facts.examples)))
        choose("negatives", 0 if facts.vocab_size <= _ALL else _DRAWN)
        choose("optimizer", "adamw")
        choose("learning_rate", 1e-3 if tuned else 1e-2)
        choose("micro_batch", largest_share(batch, max(1, round(16384 / facts.length))))

    def configured(self, plan: Plan) -> Config:
        assert isinstance(plan, RecommenderPlan)
        names = ("vocab_size", "width", "depth", "heads", "mlp_width", "context", "dropout", "left_out")
        return RecommenderConfig.of(plan.architecture, **{name: getattr(plan, name) for name in names})


def _items_of(init: str) -> ItemCodec:
    """The items of a recommender to go on with.

    Raises:
        DaedalError: it is another model.
    """
    folder = resolve(init)
    if (family := identify(folder).family) != "recommender":
        raise DaedalError(f"The model in {init} is a {family}, not a recommender", "Start from another")
    return ItemCodec.load(folder)
