"""A GPT that is to be aligned, and the data for it: what all methods plan alike, and keep."""

import copy
from abc import ABC
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch

from daedal.alignment.plans import AlignmentPlan
from daedal.alignment.subject import Subject
from daedal.data.examples import ExampleDataset
from daedal.models.gpt import GPT
from daedal.models.model import Model
from daedal.training.learner import Facts, Request
from daedal.training.machine import Machine
from daedal.training.plan import Plan
from daedal.training.planning import Choice, Time, largest_share
from daedal.training.run import RunFolder
from daedal.training.task import Task
from daedal.training.transformer_learner import TransformerLearner
from daedal.training.tuning import OF_LORA, base_of_init, choose_lora, tuned

_LONGEST = 1024  # tokens of a row, unless a context is given


class AlignmentTask(Task, ABC):
    """A policy and what it learns. What is saved for use is the GPT alone.

    Attributes:
        reference: what it began as; the learner copied its weights.
    """

    plan: Any

    def __init__(self, model: Any, subject: Any, plan: AlignmentPlan, dataset: Any) -> None:
        self.model, self.subject, self.plan, self.dataset = model, subject, plan, dataset
        assert plan.init is not None
        self.base = base_of_init(plan.init, plan)
        self.fingerprint, self.identity = dataset.split("train").fingerprint, subject.identity.but(base=self.base)
        self.reference: GPT = subject.gpt.eval().requires_grad_(False)

    def save(self, folder: Path) -> None:
        """The GPT, or its LoRA, with what it reads by; and once, for a run that goes on, the one that it began as."""
        self.subject.write(self.model.gpt, folder, self.plan, self.base)
        first = RunFolder(folder).reference
        if not first.is_dir():
            self.subject.write(self.reference, first)
            self.subject.identity.write(first)


class AlignmentLearner(TransformerLearner, ABC):
    """A GPT and data."""

    dataset: Any
    smaller = "a smaller --batch"
    beta: ClassVar[float]
    rate: ClassVar[float] = 1e-4
    """The learning rate at a width of 256."""

    def __init__(self, asked: Request, dataset: ExampleDataset) -> None:
        super().__init__(asked)
        self.dataset, self.subject = dataset, self.opened(asked.init)
        self.initial = self.subject.gpt

    def opened(self, init: str | None) -> Any:
        """The model to align, as it reads and answers."""
        return Subject.open(init)

    @property
    def vocab_size(self) -> int:
        return int(self.subject.codec.vocab_size)

    def context(self, given: Mapping[str, Any]) -> int:
        """Tokens of a row, at most, where these values of the plan are given."""
        return int(given.get("context") or min(_LONGEST, self.subject.gpt.config.context))

    def begun_gpt(self, plan: AlignmentPlan) -> GPT:
        """A copy of the GPT to go on with, without dropout; or a LoRA beside its weights, which are there once."""
        if plan.lora:
            return tuned(self.subject.gpt.to(plan.device), plan)
        config = self.subject.gpt.config
        with torch.device("meta"):
            made = GPT(config.but(dropout=0.0))
        made.load_state_dict(copy.deepcopy(self.subject.gpt.state_dict()), assign=True)
        return made

    def _outlined(self, plan: Plan) -> tuple[Model, Plan]:
        assert isinstance(plan, AlignmentPlan)
        return (self.begun_gpt(plan), plan) if plan.lora else super()._outlined(plan)

    def settle(self, choose: Choice, facts: Facts, time: Time, machine: Machine) -> None:
        choose.values.update(vocab_size=facts.vocab_size, length=facts.length)
        self._take_shape(choose, self.subject.gpt)
        width = choose.values["width"]
        choose("precision", "fp32")  # what was written, what the reference says and what is learned must agree
        batch = choose("batch", choose.values.get("batch") or max(1, min(32, facts.examples)))
        choose("micro_batch", largest_share(batch, max(1, round(8192 / facts.length))))
        choose("optimizer", "adamw")
        rank = choose_lora(choose)
        choose("learning_rate", self.rate * (256 / width) ** 0.5 * (OF_LORA if rank else 1))
        choose("weight_decay", 0.0)
        choose("warmup", 0.1)
        choose("cooldown", 0.7)
        choose("beta", self.beta)
        choose("dropout", 0.0)
