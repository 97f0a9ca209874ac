"""How PPO and GRPO are planned: which prompts are answered, how many answers make a rollout, and how long a step takes."""

import time
from abc import abstractmethod
from collections.abc import Mapping
from itertools import islice
from typing import Any, ClassVar

import numpy as np
import torch

from daedal.alignment.divergence import Controller
from daedal.alignment.learner import AlignmentLearner
from daedal.alignment.online import GRPOTask, OnlineTask, PPOTask, Prompt
from daedal.alignment.plans import OnlinePlan
from daedal.alignment.policy import ActorCritic, GroupPolicy, RolloutBatch
from daedal.alignment.rollout import said
from daedal.alignment.subject import Subject
from daedal.data.examples import ExampleSplit
from daedal.data.prompts import of_split
from daedal.errors import DaedalError
from daedal.models.model import IGNORE, Model
from daedal.training.learner import Facts
from daedal.training.machine import Machine
from daedal.training.plan import Plan
from daedal.training.planning import Choice, Time
from daedal.training.processes import Processes
from daedal.training.trial import Trial


def prompts_of(split: ExampleSplit, subject: Subject, room: int) -> tuple[list[Prompt], int]:
    """The prompts of preferences, or what is before the last answer of conversations, each once; and how many do not fit, or
    are refused by the chat template, and are left out."""
    found: dict[tuple[int, ...], Prompt] = {}
    left_out = 0
    for messages, known in of_split(split):
        ids = subject.fitting(messages, room)
        left_out += ids is None
        if ids is not None:
            found.setdefault(tuple(ids), Prompt(messages, ids, known))
    return list(found.values()), left_out


class OnlineLearner(AlignmentLearner):
    """A GPT and prompts for it."""

    tasks: ClassVar[type[OnlineTask]]
    passes_over: ClassVar[int]
    samples: ClassVar[int]

    def __init__(self, asked: Any, dataset: Any) -> None:
        super().__init__(asked, dataset)
        self._read: dict[tuple[str, int | bool], list[Prompt]] = {}
        self._left_out = 0  # of the train split

    def answer(self, given: Mapping[str, Any]) -> int:
        """Tokens of an answer, at most."""
        return int(given.get("answer") or min(128, max(1, self.context(given) // 2)))

    def prompts(self, split: str, given: Mapping[str, Any]) -> list[Prompt]:
        """
        Raises:
            DaedalError: none of the train split fits.
        """
        context, answer = self.context(given), self.answer(given)
        room = context - answer
        if (split, room) not in self._read:
            found, left_out = prompts_of(self.dataset.split(split), self.subject, room)
            self._left_out = left_out if split == "train" else self._left_out
            if not found and split == "train":
                for question in islice(of_split(self.dataset.split(split)), 1):
                    self.subject.turns.prompt(question.messages)  # a chat template that refuses it says so
                raise DaedalError(
                    f"No prompt of {self.asked.data} leaves room for an answer of {answer} tokens in a context of {context}",
                    "Give a shorter --answer, or other prompts",
                )
            self._read[split, room] = found
        return self._read[split, room]

    def told(self, draft: Plan) -> dict[str, str]:
        """What of the data is not asked, and which weights are kept."""
        assert isinstance(draft, OnlinePlan)
        told = {}
        if draft.keep == "best":
            told["Kept"] = f"the weights with the most {'gold' if draft.gold else 'reward'} on held-out prompts"
        if self._left_out:
            told["Data"] = f"{self._left_out:,} prompts leave no room for an answer or are refused by the chat template"
        return told

    def facts(self, given: Mapping[str, Any]) -> Facts:
        train, held = self.prompts("train", given), self.prompts("validation", given)
        length = float(np.mean([len(each.ids) for each in train])) + self.answer(given)
        return Facts(
            train=len(train), validated=max(1, len(held)), vocab_size=self.vocab_size, length=length,
            longest=max(len(each.ids) for each in train) + self.answer(given), examples=len(train),
        )  # fmt: skip

    def settle(self, choose: Choice, facts: Facts, within: Time, machine: Machine) -> None:
        if not choose.given.get("reward"):
            raise DaedalError(
                "There is no reward to learn from", "Name one by --reward: a run, rule:NAME or module:function"
            )
        if choose("gold", None):
            choose("keep", "best")
        choose("reward", "")
        choose("answer", self.answer(choose.given))
        samples = choose("samples", self.samples)
        rollout = choose("rollout", samples * max(1, -(-64 // samples)))
        choose("passes", self.passes_over)
        choose("batch", rollout // 2 if self.passes_over > 1 and rollout % 2 == 0 else rollout)
        if rollout % samples:
            raise DaedalError(f"A rollout of {rollout} answers cannot be {samples} to each prompt", "Give a multiple")
        if rollout % choose.values["batch"]:
            raise DaedalError(f"A rollout of {rollout} answers has no whole batches", "Give a --batch that divides it")
        super().settle(choose, facts, within, machine)

    @abstractmethod
    def policy(self, plan: Any) -> Model:
        """The model of a plan with its first weights."""

    def task(self, plan: Plan) -> OnlineTask:
        assert isinstance(plan, OnlinePlan)
        train, held = (self.prompts(split, plan.model_dump()) for split in ("train", "validation"))
        few = held[:: max(1, len(held) // plan.held_prompts)][: plan.held_prompts]
        return self.tasks(self.policy(plan), self.subject, train, few, plan, self.dataset)

    def trial(self, plan: Plan) -> Trial:
        """Answers of random tokens, as long as they may be."""
        assert isinstance(plan, OnlinePlan)
        task = self.task(plan)
        order = sorted(task.prompts, key=lambda each: -len(each.ids))
        words = task.model.allowed.stop or plan.vocab_size

        def batch(count: int) -> RolloutBatch:
            answers = [
                (order[row % len(order)].ids, torch.randint(words, (plan.answer,)).tolist()) for row in range(count)
            ]
            read = said(answers)
            zero = torch.zeros(int((read.targets != IGNORE).sum()))
            return RolloutBatch(read.sequences, read.targets, *[zero] * 5)

        optimizers = {"model": task.optimizer("model", plan)}
        self._tried = task
        return Trial(task.model, optimizers, lambda: batch(plan.micro_batch), batch(1), batch(2), plan.answer)

    def step_seconds(self, trial: Trial, plan: Plan) -> float:
        """A step, and its share of a rollout."""
        assert isinstance(plan, OnlinePlan)
        learned = super().step_seconds(trial, plan)
        group = Processes(torch.device(plan.device))
        count = max(1, plan.rollout // plan.samples)
        task, start = self._tried, time.perf_counter()
        task.answered([task.prompts[at % len(task.prompts)] for at in range(count)], plan.samples, plan.seed, group)
        return learned + (time.perf_counter() - start) / plan.steps_per_rollout


class GRPOLearner(OnlineLearner):
    """GRPO and its prompts."""

    tasks, samples, passes_over, beta = GRPOTask, 8, 1, 0.02

    def policy(self, plan: Any) -> GroupPolicy:
        return GroupPolicy(self.begun_gpt(plan), Controller(plan.beta, plan.kl_target), plan.below, plan.above)


class PPOLearner(OnlineLearner):
    """PPO and its prompts."""

    tasks, samples, passes_over, beta = PPOTask, 1, 2, 0.05

    def policy(self, plan: Any) -> ActorCritic:
        return ActorCritic(self.begun_gpt(plan), Controller(plan.beta, plan.kl_target), plan.clipping, plan.value_share)
