"""A loop of one's own: a model answers (`generate`), something tells what each answer is worth, and the model learns (`step`).

    loop = Loop("assistant")
    for number in range(100):
        answers = loop.generate(prompts, samples=8, seed=number)
        print(loop.step(answers, [worth(answer.text) for answer in answers]))
    loop.save("aligned")

By GRPO (`grpo.py`): answers to one prompt are compared with one another. `daedal align grpo` does the same with a budget,
a data folder, validation and resume.
"""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from daedal.alignment.divergence import Controller
from daedal.alignment.grpo import Baseline, group_advantages
from daedal.alignment.policy import GroupPolicy, RolloutBatch
from daedal.alignment.rollout import generate, log_probabilities, said
from daedal.alignment.subject import Subject
from daedal.errors import DaedalError
from daedal.models.model import Moment

Prompt = str | Sequence[Mapping[str, Any]]


class Said(NamedTuple):
    """An answer.

    Attributes:
        text: what it says.
        prompt: the number of its prompt among those that were given.
        asked, ids: the prompt and the answer, as the model reads and writes them.
        log_probabilities: of each id of the answer when it was written, in nats.
    """

    text: str
    prompt: int
    asked: tuple[int, ...]
    ids: tuple[int, ...]
    log_probabilities: tuple[float, ...]


class Loop:
    """A GPT that learns from what its answers are worth.

    Args:
        init: a run folder or Hugging Face id.
        beta: what a nat costs that it is away from where it began.

    Attributes:
        policy: the model; `policy.gpt` is the GPT.

    Raises:
        DaedalError: it is no GPT over text.
    """

    def __init__(
        self, init: str | Path, *, learning_rate: float = 1e-4, beta: float = 0.02, baseline: Baseline = "group"
    ) -> None:
        self.subject, self.baseline = Subject.open(str(init)), baseline
        self.reference = copy.deepcopy(self.subject.gpt).eval().requires_grad_(False)
        self.policy = GroupPolicy(self.subject.gpt, Controller(beta), below=0.2, above=0.28)
        self.optimizer = torch.optim.AdamW(self.policy.parameters(), learning_rate, (0.9, 0.95), weight_decay=0.0)

    def generate(self, prompts: Sequence[Prompt], *, samples: int = 8, most: int = 128, seed: int = 0) -> list[Said]:
        """`samples` answers to each prompt, those to one side by side; a text is what a user says.

        Args:
            most: tokens of an answer, at most.

        Raises:
            DaedalError: a prompt leaves no room for an answer.
        """
        read = []
        for prompt in prompts:
            messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
            ids = self.subject.fitting(messages, self.subject.gpt.config.context - most)
            if ids is None:
                raise DaedalError("A prompt leaves no room for an answer", "Shorten it, or ask for fewer tokens")
            read.append(ids)
        found = generate(self.subject.gpt, read, samples=samples, most=most, stop_ids=self.subject.stop_ids, seed=seed)
        return [
            Said(self.subject.text(each.ids), place // samples, each.prompt, each.ids, each.log_probabilities)
            for place, each in enumerate(found)
        ]

    def step(self, answers: Sequence[Said], rewards: Sequence[float]) -> dict[str, float]:
        """Learn once from answers of `generate`; gives the loss, the mean reward, and the divergence in nats an answer.

        Raises:
            DaedalError: there are not as many rewards as answers, or not as many answers to each prompt.
        """
        counts = torch.bincount(torch.tensor([each.prompt for each in answers]))
        if len(rewards) != len(answers) or not len(answers) or bool((counts != counts[0]).any()):
            raise DaedalError(
                f"{len(rewards)} rewards of {len(answers)} answers to {len(counts)} prompts cannot be compared",
                "Give all that generate gave, and a reward for each",
            )
        worth = torch.tensor(list(rewards), dtype=torch.float32)
        gains = group_advantages(worth.view(len(counts), -1), self.baseline).flatten()
        pairs = [(each.asked, each.ids) for each in answers]
        old = torch.cat([torch.tensor(each.log_probabilities) for each in answers])
        before = torch.cat(log_probabilities(self.reference, pairs))
        lengths = torch.tensor([len(each.ids) for each in answers])
        read = said(pairs)
        batch = RolloutBatch(
            read.sequences, read.targets, old, before, gains.repeat_interleave(lengths), moment=Moment(len(old))
        )
        self.policy.train()
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.policy.loss(batch).total
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.policy.parameters(), 1.0)
        self.optimizer.step()
        return {
            "loss": float(loss.detach()),
            "reward": float(worth.mean()),
            "kl": float((old - before).sum() / len(answers)),
        }

    def save(self, folder: str | Path) -> None:
        """Write the model where everything else finds it.

        Raises:
            DaedalError: the folder cannot be written.
        """
        self.subject.write(self.policy.gpt, Path(folder))
        self.subject.identity.write(Path(folder))
