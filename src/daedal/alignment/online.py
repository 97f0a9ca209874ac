"""Learning from a reward for the answers that a model gives: PPO and GRPO. How they are planned, answered and learned.

A rollout is a number of answers that all are given before any is learned from. Where several processes train, each gives its
share of them, and each then has all.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from daedal.alignment.divergence import k1, k3
from daedal.alignment.grpo import group_advantages
from daedal.alignment.learner import AlignmentTask
from daedal.alignment.plans import GRPOPlan, OnlinePlan, PPOPlan
from daedal.alignment.policy import ActorCritic, RolloutBatch
from daedal.alignment.ppo import advantages, token_rewards, whitened
from daedal.alignment.rewards import Asked, reward_of
from daedal.alignment.rollout import Answer, first_samples, generate, log_probabilities, said
from daedal.data.windows import visit
from daedal.errors import DaedalError
from daedal.training.processes import Processes

_FAR = 5.0  # nats a token from where it began, from which no run comes back
_STILL = 0.02  # nats of entropy a token: always the same is said
_ALIKE = 5  # rollouts in a row of which no reward tells one answer to a prompt from another
_HELD_SEED = 1


class Prompt(NamedTuple):
    """What a model is to answer.

    Attributes:
        messages, ids: what it is asked, and as the model reads it.
        known: the data's own answer, or what a picture is to show.
    """

    messages: Sequence[Mapping[str, Any]]
    ids: list[int]
    known: Any


class OnlineTask(AlignmentTask):
    """Learns from its own answers.

    Attributes:
        rollout: what was answered and what it is worth, by name: tensors of `[answers, time]` or `[answers]`.
    """

    unit = "tokens"
    ahead = 1
    plan: OnlinePlan

    def __init__(
        self, model: Any, subject: Any, prompts: list[Prompt], held: list[Prompt], plan: OnlinePlan, dataset: Any
    ) -> None:
        super().__init__(model, subject, plan, dataset)
        self.prompts, self.held = prompts, held
        self.reward = reward_of(plan.reward)
        self.gold = None if plan.gold is None else reward_of(plan.gold)
        self.rollout: dict[str, Tensor] = {}

    # -- answering -----------------------------------------------------------------------------------------------------

    def begin_step(self, step: int, processes: Processes) -> None:
        """Answer, where the last answers have been learned from.

        Raises:
            DaedalError: the reward fails, or the model has gone too far from where it began.
        """
        number, rest = divmod(step, self.plan.steps_per_rollout)
        if rest and self.rollout:
            return
        count = self.plan.rollout // self.plan.samples
        asked, _ = visit(number * count, count, len(self.prompts), self.plan.seed)
        chosen = [self.prompts[int(index)] for index in asked]
        seed = (self.plan.seed * 1_000_003 + number) % 2**63
        self.rollout = self.answered(chosen, self.plan.samples, seed, processes)
        self.rollout["prompt"] = torch.from_numpy(asked.astype(np.int64)).repeat_interleave(self.plan.samples)
        self._tell(step)
        self.learn_from(self.rollout)

    def answered(
        self, prompts: Sequence[Prompt], samples: int, seed: int, processes: Processes, gold: bool = False
    ) -> dict[str, Tensor]:
        """Answers to prompts, of all processes: their ids (-1 behind their end), log-probabilities now and in the reference,
        rewards, and whether the model ended them."""
        plan, device = self.plan, processes.device
        numbers = first_samples([prompt.ids for prompt in prompts], samples)
        own = range(processes.rank, len(prompts), processes.count)
        size, rows = (len(prompts) * samples, plan.answer), [at * samples + n for at in own for n in range(samples)]
        answers, asked = self.give([prompts[at] for at in own], samples, seed, [numbers[at] for at in own], rows)
        self.reference = self.reference.to(device)
        reference = log_probabilities(
            self.reference, [(each.prompt, each.ids) for each in answers], allowed=self.model.allowed
        )
        found = {name: torch.zeros(size) for name in ("ids", "old", "reference")}
        found |= {name: torch.zeros(size[0]) for name in ("reward", "ended", *(["gold"] if gold else []))}
        for row, answer, logs in zip(rows, answers, reference, strict=True):
            length = len(answer.ids)
            found["ids"][row, :length] = torch.tensor(answer.ids, dtype=torch.float32) + 1
            found["old"][row, :length] = torch.tensor(answer.log_probabilities)
            found["reference"][row, :length] = logs
            found["ended"][row] = answer.ended
        if rows:
            found["reward"][rows] = torch.tensor(self.reward(asked))
        if rows and gold and self.gold is not None:
            found["gold"][rows] = torch.tensor(self.gold(asked))
        found |= self.more(answers, rows, size)
        shared = {name: processes.sum(tensor).cpu() for name, tensor in found.items()}
        return {**shared, "ids": shared["ids"].long() - 1}

    def give(
        self, prompts: Sequence[Prompt], samples: int, seed: int, numbers: Sequence[int], rows: Sequence[int]
    ) -> tuple[list[Answer], list[Asked]]:
        """So many answers to each prompt, and as a reward sees them.

        Args:
            numbers: of the first sample of each prompt, among those of the same prompt.
            rows: the place of each answer among all.
        """
        answers = generate(
            self.model.gpt, [each.ids for each in prompts], samples=samples, most=self.plan.answer,
            stop_ids=self.subject.stop_ids, seed=seed, numbers=numbers,
        )  # fmt: skip
        asked = [
            Asked(prompts[place // samples].messages, self.subject.text(each.ids), prompts[place // samples].known)
            for place, each in enumerate(answers)
        ]
        return answers, asked

    def more(self, answers: Sequence[Answer], rows: Sequence[int], size: tuple[int, int]) -> dict[str, Tensor]:
        """What else a method must know of answers, in those rows."""
        return {}

    @abstractmethod
    def learn_from(self, rollout: dict[str, Tensor]) -> None:
        """Add to a rollout what its tokens are worth: `gains`."""

    def _tell(self, step: int) -> None:
        """What a rollout shows, for the log; and what is wrong with it."""
        rollout = self.rollout
        told = measures(rollout)
        self.model.told = {f"rollout_{name}": value for name, value in told.items()}
        self.model.told["beta"] = self.model.controller.beta
        # by k1: a single token that the model itself finds unlikely makes k3 of short answers as large as that of a lost model
        far = float(k1(rollout["old"], rollout["reference"])[rollout["ids"] >= 0].mean())
        if not far < _FAR:
            raise DaedalError(
                f"The model has gone too far from where it began: {far:.1f} nats a token at step {step}; "
                "the last checkpoint is kept",
                "Train again with a larger --beta or a smaller --learning-rate",
            )
        self.model.controller.see(told["kl"])
        alike = len(rollout["ids"]) > 1 and told["distinct"] * len(rollout["ids"]) <= 1
        self.model.concern = (
            "all answers are alike: the model has collapsed" if alike
            else "the entropy is gone: the model says but one thing" if told["entropy"] < _STILL
            else None
        )  # fmt: skip

    # -- learning ------------------------------------------------------------------------------------------------------

    def batch(self, first: int, count: int) -> RolloutBatch:
        plan, step = self.plan, first // self.plan.batch
        number, place = divmod(step, plan.steps_per_rollout)
        rows, _ = visit(place * plan.batch + first % plan.batch, count, plan.rollout, plan.seed + number)
        return self.some(rows.astype(np.int64).tolist())

    def some(self, rows: Sequence[int]) -> RolloutBatch:
        """Some answers of the rollout, to learn from."""
        rollout = self.rollout
        lengths = (rollout["ids"][rows] >= 0).sum(1).tolist()
        answers = [
            (self.prompts[int(rollout["prompt"][row])].ids, rollout["ids"][row, :length].tolist())
            for row, length in zip(rows, lengths, strict=True)
        ]
        read = said(answers)

        def of(name: str) -> Float[Tensor, " said"] | None:
            if name not in rollout:
                return None
            return torch.cat([rollout[name][row, :length] for row, length in zip(rows, lengths, strict=True)])

        old, reference, gains = (of(name) for name in ("old", "reference", "gains"))
        assert old is not None
        assert reference is not None
        assert gains is not None
        return RolloutBatch(read.sequences, read.targets, old, reference, gains, of("values"), of("wanted"))

    def state(self) -> dict[str, Tensor]:
        beta = torch.tensor(self.model.controller.beta, dtype=torch.float64)
        return {**self.rollout, "beta": beta} if self.rollout else {}

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        if tensors:
            self.model.controller.beta = float(tensors["beta"])
            self.rollout = {name: tensor for name, tensor in tensors.items() if name != "beta"}

    # -- looking -------------------------------------------------------------------------------------------------------

    def validate(self, processes: Processes, autocast: AbstractContextManager[Any]) -> dict[str, float]:
        """The reward of answers to held-out prompts, and the second one, which is not learned."""
        if not self.held:
            return {}
        found = self.answered(self.held, 1, _HELD_SEED, processes, gold=self.gold is not None)
        return {f"validation_{name}": value for name, value in measures(found).items()}

    def sample(self, seed: int, path: Path) -> str:
        """An answer to a held-out prompt, and its reward."""
        if not self.held:
            return ""
        _, asked = self.give(self.held[:1], 1, seed, [0], [0])
        (worth,) = self.reward(asked)
        said = str(asked[0].messages[-1].get("content") or "")
        return f"{said.strip()[-300:]}\n-> {asked[0].text.strip()}\n   reward {worth:.3g}"


def measures(answered: Mapping[str, Tensor]) -> dict[str, float]:
    """What answers come to: their reward; KL to the reference (k3) and entropy, from their own tokens, in nats an answer and a
    token; tokens; the share that the model ended, and that no other equals; the second reward and its standard error."""
    known = answered["ids"] >= 0
    tokens = known.sum(1).float()
    rows = {tuple(row.tolist()) for row in answered["ids"]}
    old, reference = answered["old"], answered["reference"]
    found = {
        "reward": float(answered["reward"].mean()),
        "kl": float((k3(old, reference) * known).sum(1).mean()),
        "entropy": float(-(old * known).sum() / tokens.sum().clamp_min(1)),
        "length": float(tokens.mean()),
        "ended": float(answered["ended"].mean()),
        "distinct": len(rows) / len(answered["ids"]),
    }
    if "gold" in answered:
        gold = answered["gold"]
        found |= {"gold": float(gold.mean()), "gold_error": float(gold.std(correction=0) / len(gold) ** 0.5)}
    return found


class GRPOTask(OnlineTask):
    """Compares the answers to a prompt with one another."""

    plan: GRPOPlan
    _alike = 0  # rollouts in a row from which nothing could be learned

    def learn_from(self, rollout: dict[str, Tensor]) -> None:
        rewards = rollout["reward"].view(-1, self.plan.samples)
        gains = group_advantages(rewards, self.plan.baseline).flatten()
        rollout["gains"] = gains[:, None] * (rollout["ids"] >= 0)
        alike = float((rewards == rewards[:, :1]).all(1).float().mean())
        self.model.told["groups_alike"] = alike
        self._alike = self._alike + 1 if alike == 1 else 0
        if self._alike >= _ALIKE and self.model.concern is None:
            self.model.concern = "all answers to a prompt earn the same: there is nothing to learn from them"


class PPOTask(OnlineTask):
    """Compares what answers earned with what was thought to come."""

    plan: PPOPlan
    model: ActorCritic

    def more(self, answers: Sequence[Answer], rows: Sequence[int], size: tuple[int, int]) -> dict[str, Tensor]:
        values = torch.zeros(size)
        device = next(self.model.parameters()).device
        for start in range(0, len(rows), 64):
            part = answers[start : start + 64]
            read = said([(each.prompt, each.ids) for each in part])
            found = self.model.values(read.sequences.to(device), read.targets.to(device)).cpu()
            for row, piece in zip(
                rows[start : start + 64], torch.split(found, [len(each.ids) for each in part]), strict=True
            ):
                values[row, : len(piece)] = piece
        return {"values": values}

    def learn_from(self, rollout: dict[str, Tensor]) -> None:
        known, plan = rollout["ids"] >= 0, self.plan
        away = k1(rollout["old"], rollout["reference"])
        earned = token_rewards(rollout["reward"], away, known, self.model.controller.beta)
        gains, wanted = advantages(earned, rollout["values"], known, plan.gamma, plan.decay)
        rollout["gains"] = torch.zeros_like(gains).masked_scatter(known, whitened(gains[known]))
        rollout["wanted"] = wanted
        spread = wanted[known].var(correction=0)
        missed = (wanted - rollout["values"])[known].var(correction=0)
        self.model.told["value_explains"] = float(1 - missed / spread.clamp_min(1e-8))
