"""Models of rows of tokens of any length, each an example: how they are planned, learned and validated, whatever is learned of
them. A BERT and what is made of one, and a translator, say what an example is (`Rows`) and what is judged."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Int64

from daedal.codecs.text import TextCodec
from daedal.config import Config
from daedal.data.windows import visit
from daedal.errors import DaedalError
from daedal.models.checkpoint import config_of, resolve, save_model
from daedal.models.identity import Identity
from daedal.models.model import Model
from daedal.nn.noise import Noise
from daedal.training.learner import Facts, Request
from daedal.training.machine import Machine
from daedal.training.plan import Plan
from daedal.training.planning import Choice, Time, largest_share
from daedal.training.processes import Processes
from daedal.training.row_plan import RowPlan
from daedal.training.task import Task
from daedal.training.transformer_learner import TransformerLearner, nearest_size
from daedal.training.trial import Trial

Array = np.ndarray
_TOGETHER = 8192  # tokens that are validated at once
_VALIDATED = 400_000  # tokens, at most
_SHORTEST, _LONGEST = 32, 512  # contexts that are chosen
_COVERED = 0.995  # of the rows, that the context is to hold whole


class Rows(ABC):
    """The examples of a split.

    Attributes:
        lengths: tokens of each.
    """

    lengths: Int64[Array, " examples"]

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def tokens(self) -> int:
        """Of all."""
        return int(self.lengths.sum())

    @abstractmethod
    def batch(self, indexes: Int64[Array, " count"], noise: Noise) -> Any:
        """Some of them, to learn from; `noise` belongs to them."""


class RowTask(Task):
    """Trains a model on rows.

    Args:
        train, held: what it learns from, and what it is validated on.
        columns: of the data, that it learned.
    """

    def __init__(
        self,
        model: Model,
        train: Rows,
        held: Rows,
        plan: RowPlan,
        codec: TextCodec,
        dataset: Any,
        columns: Sequence[str],
    ) -> None:
        self.model, self.train, self.held, self.codec, self.dataset = model, train, held, codec, dataset
        self.fingerprint = dataset.split("train").fingerprint
        self.identity = Identity.of(
            plan.family, plan.kind, dict.fromkeys(columns, "tokenizer.json"), model.capabilities
        )
        self._seed = plan.seed

    def save(self, folder: Path) -> None:
        save_model(self.model, folder, codec=self.codec)

    def batch(self, first: int, count: int) -> Any:
        indexes, _ = visit(first, count, len(self.train), self._seed)
        return self.train.batch(indexes.astype(np.int64), Noise(self._seed, first, count))

    def judge(self, batch: Any) -> dict[str, torch.Tensor]:
        """What else is summed over a batch of the validation split, besides the loss; each is told as a mean."""
        return {}

    def judged(self, batch: Any) -> dict[str, torch.Tensor]:
        """The loss and all that."""
        return {"loss": self.model.loss(batch).total, **self.judge(batch)}

    def validate(self, processes: Processes, autocast: AbstractContextManager[Any]) -> dict[str, float]:
        """The loss over the validation split, or the first part of a large one."""

        def judged(group: Int64[Array, " some"]) -> tuple[int, dict[str, torch.Tensor]]:
            batch = self.held.batch(group, _noise(group)).to(processes.device)
            return batch.count, self.judged(batch)

        with torch.no_grad(), autocast:
            return validated(together(self.held.lengths), judged, processes)


class RowLearner(TransformerLearner):
    """A model of rows and its data."""

    columns: ClassVar[tuple[str, ...]]
    plans: type[RowPlan]
    dataset: Any
    tasks: ClassVar[type[RowTask]]
    usual: ClassVar[int]
    """Tokens of a row that are learned from, at most, unless a context is given."""
    per_weight: ClassVar[float] = 1.0
    """Times as many tokens to a weight as a GPT learns from."""

    def __init__(self, asked: Request, dataset: Any) -> None:
        super().__init__(asked)
        self.dataset = dataset
        self.codec = self.tokenizer()
        self.initial = None if asked.init is None else self.begin_from(asked.init)
        self._made: dict[tuple[Any, ...], Rows] = {}

    @abstractmethod
    def tokenizer(self) -> TextCodec:
        """That of the model to begin with, or the data's."""

    @abstractmethod
    def begin_from(self, init: str) -> Model:
        """The model to begin with."""

    def row_values(self, given: Mapping[str, Any]) -> tuple[Any, ...]:
        """What the rows depend on, where these values of the plan are given."""
        return (self.longest_row(given),)

    @abstractmethod
    def make_rows(self, split: str, *values: Any) -> Rows:
        """The examples of a split."""

    def rows(self, split: str, given: Mapping[str, Any]) -> Rows:
        """The examples of a split, where these values of the plan are given.

        Raises:
            DaedalError: there are too few to learn from.
        """
        key = (split, *self.row_values(given))
        if key not in self._made:
            rows = self.make_rows(*key)
            if len(rows) < 2:
                raise DaedalError(f"The {split} split has {len(rows)} {self.dataset.kind.nouns}", "Give more data")
            self._made[key] = rows
        return self._made[key]

    @property
    def around(self) -> int:
        """Tokens of a row that stand around what it is about."""
        return self.codec.framing.room

    def longest_row(self, given: Mapping[str, Any]) -> int:
        """Tokens of a row that are learned from, at most, where these values of the plan are given.

        Raises:
            DaedalError: a row has no room for any of a text.
        """
        most = self.usual if self.initial is None else min(self.usual, self.longest(self.initial))
        longest = int(given.get("context") or most)
        if longest <= self.around:
            raise DaedalError(
                f"A context of {longest} has no room for a text: {self.around} tokens stand around it",
                "Give a longer --context",
            )
        return longest

    @property
    def rule(self) -> str:
        return self.guarded or self.asked.family

    def begun(self, plan: Plan) -> Model:
        if self.initial is None:
            return super().begun(plan)
        assert isinstance(plan, RowPlan)
        config: Any = self.initial.config
        with torch.device("meta"):
            made = type(self.initial)(config.but(dropout=plan.dropout))
        made.load_state_dict(self.initial.state_dict(), assign=True)
        return made

    def task(self, plan: Plan) -> RowTask:
        assert isinstance(plan, RowPlan)
        values, model = plan.model_dump(), self.begun(plan)
        train, held = (self.rows(split, values) for split in ("train", "validation"))
        return self.tasks(model, train, held, plan, self.codec, self.dataset, self.columns)

    def more(self, plan: Any) -> dict[str, Any]:
        """What the model's configuration has besides its size."""
        return {}

    def facts(self, given: Mapping[str, Any]) -> Facts:
        train, held = self.rows("train", given), self.rows("validation", given)
        longest = int(np.quantile(train.lengths, _COVERED, method="higher"))
        return Facts(
            train=train.tokens, validated=min(held.tokens, _VALIDATED), vocab_size=self.codec.vocab_size,
            length=train.tokens / len(train), longest=longest, examples=len(train),
        )  # fmt: skip

    def settle(self, choose: Choice, facts: Facts, time: Time, machine: Machine) -> None:
        choose.values.update(vocab_size=facts.vocab_size, length=facts.length)
        if self.initial is None:
            self.choose_size(choose, facts, time, machine)
        else:
            self._take_shape(choose, self.initial)
            choose("dropout", self.initial.config.dropout)  # type: ignore[attr-defined]
        self.choose_steps(choose, facts)

    def choose_size(self, choose: Choice, facts: Facts, time: Time, machine: Machine) -> None:
        """The width and depth of a new model, and how long its rows may be."""
        size = nearest_size(time.computation(machine), self.per_weight, facts)
        width, _ = choose("width", size[0]), choose("depth", size[1])
        choose("heads", max(1, width // 32 if width < 512 else width // 64))
        usual = config_of(self.asked.family).model_fields["architecture"].default
        choose("mlp_width", (3 * width // 2 if choose("architecture", usual) == "modernbert" else 4 * width))
        choose("context", min(_LONGEST, max(_SHORTEST, 1 << (facts.longest - 1).bit_length())))

    def choose_steps(self, choose: Choice, facts: Facts) -> None:
        """Batch, optimizer, learning rates."""
        width, tuned = choose.values["width"], self.initial is not None
        tokens = 1024 if width < 128 else 2048 if width < 384 else 4096 if width < 512 else 8192
        batch = choose("batch", max(1, min(round(tokens / facts.length), facts.examples)))
        muon = choose("optimizer", "adamw" if tuned else "muon") == "muon"
        choose("learning_rate", 1e-3 * (128 / width) ** 1.5 if tuned else 0.01 if muon else 0.002)
        choose("cooldown", 0.7)
        choose("micro_batch", largest_share(batch, max(1, round(16384 / facts.length))))

    def configured(self, plan: Plan) -> Config:
        config: Any = config_of(self.asked.family)
        assert isinstance(plan, RowPlan)
        names = ("vocab_size", "width", "depth", "heads", "mlp_width", "context", "dropout")
        values = {name: getattr(plan, name) for name in names}
        if plan.architecture == "roberta":  # type: ignore[attr-defined]
            values["pad_id"] = self.codec.pad_id  # its positions begin behind it
        made: Config = config.of(plan.architecture, **values, **self.more(plan))  # type: ignore[attr-defined]
        return made

    def trial(self, plan: Plan) -> Trial:
        """The longest rows: a batch of them takes the most memory; a usual one is timed."""
        assert isinstance(plan, RowPlan)
        task = self.task(plan)
        assert isinstance(task, RowTask)
        longest = np.argsort(-task.train.lengths, kind="stable")[:2].astype(np.int64)
        little, more = (task.train.batch(longest[:count], Noise(plan.seed, 0, count)) for count in (1, len(longest)))
        usual = partial(task.batch, 0, plan.micro_batch)
        optimizers = {player: task.optimizer(player, plan) for player in task.model.players}
        return Trial(task.model, optimizers, usual, little, more, max(1, more.count - little.count))


def chosen_tokenizer(asked: Request, own: TextCodec) -> TextCodec:
    """The tokenizer of the model to begin with, or the data's own."""
    return own if asked.init is None else TextCodec.load(resolve(asked.init))


def together(lengths: Int64[Array, " examples"]) -> list[Int64[Array, " some"]]:
    """The first examples in groups of about as many tokens, the shortest first."""
    first = int(np.searchsorted(np.cumsum(lengths), _VALIDATED, side="right"))
    order = np.argsort(lengths[: max(1, first)], kind="stable")
    borders = np.cumsum(lengths[order]) // _TOGETHER
    return [group for group in np.split(order, np.flatnonzero(np.diff(borders)) + 1) if len(group)]


def validated(
    groups: Sequence[Int64[Array, " some"]],
    judge: Callable[[Int64[Array, " some"]], tuple[int, dict[str, torch.Tensor]]],
    processes: Processes,
) -> dict[str, float]:
    """Means over groups of examples, which the processes share.

    Args:
        judge: how many things a group counts, and sums over these by name.
    """
    own = groups[processes.rank :: processes.count]
    share = 1.0 if own else 0.0  # a process that has none must know what is summed
    total: dict[str, torch.Tensor] = {}
    for group in own or groups[:1]:
        count, sums = judge(group)
        for name, value in {"count": torch.tensor(float(count)), **sums}.items():
            total[name] = total.get(name, torch.zeros((), dtype=torch.float64)) + share * value.double().cpu()
    if not total:
        return {}
    count, *means = processes.sum(torch.stack(list(total.values())).float()).tolist()
    names = list(total)[1:]
    return {f"validation_{name}": mean / count for name, mean in zip(names, means, strict=True)} if count else {}


def _noise(indexes: Int64[Array, " some"]) -> Noise:
    """The same random numbers for an example in every validation."""
    return Noise.join([Noise(0, int(index), 1) for index in indexes])
