"""Learning from preferences that are there: DPO from pairs of answers, KTO from thumbs."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from daedal.alignment.kto import mismatched_divergence, weights
from daedal.alignment.learner import AlignmentLearner, AlignmentTask
from daedal.alignment.plans import AlignmentPlan, DPOPlan, KTOPlan
from daedal.alignment.policy import DirectPolicy, PairBatch, ThumbBatch, ThumbPolicy
from daedal.alignment.rollout import log_probabilities, said
from daedal.alignment.subject import Subject
from daedal.data.examples import ExampleSplit
from daedal.data.windows import visit
from daedal.errors import DaedalError
from daedal.training.learner import Facts
from daedal.training.plan import Plan
from daedal.training.processes import Processes
from daedal.training.rows import together, validated
from daedal.training.trial import Trial

Array = np.ndarray
Answer = tuple[list[int], list[int]]
_MISMATCHED = 32  # answers to other prompts from which KTO tells the divergence in a step, at most


class Compared(NamedTuple):
    """What is learned of a split.

    Attributes:
        examples: pairs, the chosen answer first; or single answers.
        liked: whether the first answer of each was.
        dropped: that do not fit the context.
        refused: that the chat template refuses.
    """

    examples: list[tuple[Answer, ...]]
    liked: list[bool]
    dropped: int
    refused: int

    @property
    def lengths(self) -> Int64[Array, " examples"]:
        """Tokens of each."""
        sizes = [sum(len(prompt) + len(ids) for prompt, ids in each) for each in self.examples]
        return np.array(sizes, dtype=np.int64)


def comparisons(split: ExampleSplit, subject: Subject, context: int, paired: bool) -> Compared:
    """What people said of answers.

    Args:
        paired: prompts with the answer that was chosen and the one that was rejected, without those that have only one of them;
            else each answer alone.
    """
    found: list[tuple[Answer, ...]] = []
    liked: list[bool] = []
    dropped = refused = 0
    for prompt, chosen, rejected in _answers(split):
        single = [([answer], up) for answer, up in ((chosen, True), (rejected, False)) if answer is not None]
        both = [([chosen, rejected], True)] if len(single) == 2 else []
        for answers, up in both if paired else single:
            try:
                fit = _fitting(subject, prompt, answers, context)
            except DaedalError:
                refused += 1
                continue
            if fit is None:
                dropped += 1
            else:
                found.append(fit)
                liked.append(up)
    return Compared(found, liked, dropped, refused)


def _answers(split: ExampleSplit) -> Iterator[tuple[Any, Any, Any]]:
    return zip(split.values("prompt"), split.values("chosen"), split.values("rejected"), strict=True)


def _fitting(
    subject: Subject, prompt: Sequence[Mapping[str, Any]], answers: Sequence[Mapping[str, Any]], context: int
) -> tuple[Answer, ...] | None:
    """The answers after the prompt, of which the oldest messages are left out until all fit; None where they never do.

    Raises:
        DaedalError: the chat template refuses the whole.
    """
    for first in range(len(prompt)):
        try:
            read = [
                subject.turns.read({**each, "messages": each["messages"][first:]}, len(prompt) - first)
                for each in answers
            ]
        except DaedalError:
            if first:
                continue  # such as a conversation that the assistant opens
            raise
        if not all(each.said.any() for each in read):
            return None
        begins = [int(each.said.argmax()) for each in read]
        ends = [len(each.said) - int(each.said[::-1].argmax()) for each in read]
        if max(ends) <= context + 1 and min(begins) > 0:
            return tuple(
                (each.ids[:begin].tolist(), each.ids[begin:end].tolist())
                for each, begin, end in zip(read, begins, ends, strict=True)
            )
    return None


class OfflineTask(AlignmentTask):
    """Learns from examples; what the reference says of each is asked once, and of those to learn from kept with the state."""

    def __init__(self, model: Any, subject: Subject, train: Compared, held: Compared, plan: Any, dataset: Any) -> None:
        super().__init__(model, subject, plan, dataset)
        self.train, self.held = train, held
        self._known, self._held_known = (
            torch.full((len(each.examples), max(map(len, each.examples), default=1)), torch.nan)
            for each in (train, held)
        )

    def batch(self, first: int, count: int) -> Any:
        indexes, _ = visit(first, count, len(self.train.examples), self.plan.seed)
        return self.some(self.train, indexes.astype(np.int64))

    def some(self, compared: Compared, indexes: Int64[Array, " count"]) -> Any:
        """Some of the examples to learn from, or of those held out."""
        sides, at = len(compared.examples[0]), torch.from_numpy(indexes)
        rows = [compared.examples[int(index)][side] for side in range(sides) for index in indexes]
        known = self._known if compared is self.train else self._held_known
        if bool(known[at].isnan().any()):
            self.reference = self.reference.to(next(self.model.parameters()).device)
            found = torch.stack([each.sum() for each in log_probabilities(self.reference, rows)])
            known[at] = found.view(sides, -1).T
        read = said(rows)
        return self.made(compared, indexes, read.sequences, read.targets, known[at].T.flatten())

    @abstractmethod
    def made(self, compared: Compared, indexes: Array, sequences: Any, targets: Tensor, reference: Tensor) -> Any:
        """The batch of some examples."""

    def state(self) -> dict[str, Tensor]:
        return {"reference": self._known}

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        if "reference" in tensors:
            self._known.copy_(tensors["reference"])

    def validate(self, processes: Processes, autocast: AbstractContextManager[Any]) -> dict[str, float]:
        """The loss over the held-out examples, or the first part of many, and what is told besides."""

        def judged(group: Int64[Array, " some"]) -> tuple[int, dict[str, Tensor]]:
            batch = self.some(self.held, group).to(processes.device)
            loss = self.model.loss(batch)
            return batch.count, {"loss": loss.total, **loss.parts}

        with torch.no_grad(), autocast:
            return validated(together(self.held.lengths), judged, processes)


class PairTask(OfflineTask):
    """Learns from pairs."""

    unit = "pairs"
    model: DirectPolicy

    @torch.no_grad()
    def told_apart(self) -> tuple[int, int]:
        """Of how many held-out pairs the chosen answer has the higher implicit reward; and of how many."""
        right, device = 0, next(self.model.parameters()).device
        groups = together(self.held.lengths)
        for group in groups:
            chosen, rejected = self.model.answers(self.some(self.held, group).to(device)).chunk(2)
            right += int((chosen > rejected).sum())
        return right, sum(len(group) for group in groups)

    def made(self, compared: Compared, indexes: Array, sequences: Any, targets: Tensor, reference: Tensor) -> PairBatch:
        return PairBatch(sequences, targets, reference)


class ThumbTask(OfflineTask):
    """Learns from thumbs."""

    unit = "answers"
    model: ThumbPolicy

    def made(
        self, compared: Compared, indexes: Array, sequences: Any, targets: Tensor, reference: Tensor
    ) -> ThumbBatch:
        liked = torch.tensor([compared.liked[int(index)] for index in indexes])
        return ThumbBatch(sequences, targets, reference, liked)

    def begin_step(self, step: int, processes: Processes) -> None:
        """How far the model is from the reference, told from answers of the step that belong to other prompts."""
        count = min(self.plan.batch, _MISMATCHED)
        indexes, _ = visit(step * self.plan.batch, count, len(self.train.examples), self.plan.seed)
        rows = [self.train.examples[int(index)][0] for index in indexes]
        other = [(prompt, rows[place - 1][1]) for place, (prompt, _) in enumerate(rows)]
        fit = [each for each in other if len(each[0]) + len(each[1]) <= self.plan.context + 1]
        if not fit:
            return
        self.reference = self.reference.to(processes.device)
        found = [log_probabilities(model, fit) for model in (self.model.gpt, self.reference)]
        ratios = torch.stack([ours.sum() - theirs.sum() for ours, theirs in zip(*found, strict=True)])
        self.model.divergence = mismatched_divergence(ratios)


class OfflineLearner(AlignmentLearner):
    """A GPT and preferences."""

    guarded = "text"
    rate = 5e-5  # with twice that, forty steps left the chosen answers less likely too

    def __init__(self, asked: Any, dataset: Any) -> None:
        super().__init__(asked, dataset)
        self._read: dict[tuple[str, int], Compared] = {}

    @abstractmethod
    def read(self, split: ExampleSplit, context: int) -> Compared:
        """What is learned of a split."""

    def compared(self, split: str, given: Mapping[str, Any]) -> Compared:
        """What is learned of a split, where these values of the plan are given.

        Raises:
            DaedalError: there is too little.
        """
        context = self.context(given)
        if (split, context) not in self._read:
            found = self.read(self.dataset.split(split), context)
            if len(found.examples) < 2:
                why = f"; {found.dropped} do not fit a context of {context}" if found.dropped else ""
                why += f"; the chat template refuses {found.refused}" if found.refused else ""
                raise DaedalError(
                    f"The {split} split has {len(found.examples)} {self.unit} to learn from{why}", self.instead
                )
            self._read[split, context] = found
        return self._read[split, context]

    unit: ClassVar[str]
    instead: ClassVar[str]
    """What to do where there are too few."""

    def facts(self, given: Mapping[str, Any]) -> Facts:
        train, held = self.compared("train", given), self.compared("validation", given)
        return Facts(
            train=len(train.examples), validated=len(held.examples), vocab_size=self.vocab_size,
            length=float(train.lengths.mean()), longest=int(train.lengths.max()), examples=len(train.examples),
        )  # fmt: skip

    def trial(self, plan: Plan) -> Trial:
        """The longest examples: a batch of them takes the most memory; a usual one is timed."""
        assert isinstance(plan, AlignmentPlan)
        task = self.task(plan)
        assert isinstance(task, OfflineTask)
        longest = np.argsort(-task.train.lengths, kind="stable")[:2].astype(np.int64)
        little, more = (task.some(task.train, longest[:count]) for count in (1, 2))
        usual = partial(task.batch, 0, plan.micro_batch)
        return Trial(task.model, {"model": task.optimizer("model", plan)}, usual, little, more)

    def told(self, draft: Plan) -> dict[str, str]:
        """What of the data is not learned."""
        read = self.compared("train", draft.model_dump())
        told = [
            f"{count:,} {self.unit} {what}, and are left out"
            for count, what in (
                (read.dropped, "do not fit the context"),
                (read.refused, "are refused by the chat template"),
            )
            if count
        ]
        return {"Data": "; ".join(told)} if told else {}


class DPOLearner(OfflineLearner):
    """DPO and its pairs."""

    unit, instead = "pairs", "Give preferences that have a chosen and a rejected answer, or use daedal align kto"
    beta = 0.1

    def read(self, split: ExampleSplit, context: int) -> Compared:
        return comparisons(split, self.subject, context, paired=True)

    def task(self, plan: Plan) -> PairTask:
        assert isinstance(plan, DPOPlan)
        values = plan.model_dump()
        model = DirectPolicy(self.begun_gpt(plan), plan.beta, plan.smoothing, plan.form)
        train, held = (self.compared(split, values) for split in ("train", "validation"))
        return PairTask(model, self.subject, train, held, plan, self.dataset)


class KTOLearner(OfflineLearner):
    """KTO and its thumbs."""

    unit, instead = "answers", "Give preferences with answers that were liked and others that were not"
    beta = 0.1

    def read(self, split: ExampleSplit, context: int) -> Compared:
        found = comparisons(split, self.subject, context, paired=False)
        if split.name == "train" and len(set(found.liked)) == 1:
            only = "liked" if found.liked[0] else "disliked"
            raise DaedalError(f"All answers of {self.asked.data} are {only}: there is nothing to prefer", self.instead)
        return found

    def task(self, plan: Plan) -> ThumbTask:
        assert isinstance(plan, KTOPlan)
        values = plan.model_dump()
        train, held = (self.compared(split, values) for split in ("train", "validation"))
        up, down = weights(sum(train.liked), len(train.liked) - sum(train.liked))
        return ThumbTask(
            ThumbPolicy(self.begun_gpt(plan), plan.beta, up, down), self.subject, train, held, plan, self.dataset
        )
