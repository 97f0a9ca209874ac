"""Supervised fine-tuning (Ouyang et al. 2022, arXiv:2203.02155): a GPT that has learned already goes on with conversations, of
which it learns the answers.

- conversations are read as the model reads them, by its own tokenizer and chat template; what is stored does where the data
  were built with these
- they are packed (`daedal.training.packs`); too long ones end after the last answer that fits
- all weights learn, or a LoRA beside them (`daedal.training.tuning`)
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64

from daedal.data.conversations import COLUMN, ConversationDataset, stream_of
from daedal.data.examples import ExampleDataset
from daedal.errors import DaedalError
from daedal.models.gpt import GPT
from daedal.models.identity import Base, Identity
from daedal.models.model import Model
from daedal.models.sequences import TargetBatch
from daedal.training.chat_plan import ChatPlan
from daedal.training.language import written_after
from daedal.training.learner import Facts, Request
from daedal.training.machine import Machine
from daedal.training.packs import Packs
from daedal.training.plan import Plan
from daedal.training.planning import Choice, Time, largest_share
from daedal.training.processes import Processes
from daedal.training.rows import together, validated
from daedal.training.task import Task
from daedal.training.transformer_learner import TransformerLearner
from daedal.training.trial import Trial
from daedal.training.tuning import OF_LORA, Start, base_of_init, choose_lora, save_tuned, tuned

Array = np.ndarray

_COVERED = 0.995  # of the conversations, that a pack is to hold whole
_ROOM = 512, 4096  # tokens of a pack that are chosen
_RANK = 16  # of a LoRA beside matrices of four bits
_LORA_RATE = 1e-2  # at most: three times as much diverged at a width of 128


class ChatLearner(TransformerLearner):
    """A GPT to go on with, and conversations."""

    guarded = "chat"
    dataset: ConversationDataset

    def __init__(self, asked: Request, dataset: ExampleDataset) -> None:
        super().__init__(asked)
        if asked.init is None:
            raise DaedalError(
                "daedal train chat goes on with a model, and no --init names one",
                "Name a run folder or a Hugging Face id, or learn conversations from nothing by daedal train gpt",
            )
        self._start = Start.open(asked.init)
        self.initial = self._start.model
        self.dataset = stream_of(dataset).read_by(self._start.codec, self._start.template)
        self._packed: dict[Any, Packs] = {}

    @property
    def rule(self) -> str:
        return "chat"

    def packs(self, split: str, given: Mapping[str, Any]) -> Packs:
        """The conversations of a split, where these values of the plan are given."""
        room, everything, seed = self._room(given), given.get("learn") == "all", int(given.get("seed") or 0)
        key = split, room, everything, seed
        if key not in self._packed:
            self._packed[key] = Packs(self.dataset.split(split), room, everything, seed)
        return self._packed[key]

    def _room(self, given: Mapping[str, Any]) -> int:
        """Tokens of a pack: as many as nearly all conversations have, as far as the model sees."""
        if given.get("context"):
            return int(given["context"])
        lengths = np.diff(self.dataset.split("train").offsets)
        longest = int(np.quantile(lengths, _COVERED, method="higher")) if len(lengths) else 1
        least, most = _ROOM
        return min(self.longest(self._start.model), max(least, min(most, 1 << (longest - 1).bit_length())))

    def facts(self, given: Mapping[str, Any]) -> Facts:
        train, held = (self.packs(split, given) for split in ("train", "validation"))
        if not len(train):
            split = self.dataset.split("train")
            why = (
                f"its chat template refuses all {split.refused} of them"
                if split.refused and not split.documents
                else f"in none of {split.documents} an answer ends within {self._room(given)} tokens"
            )
            raise DaedalError(
                f"There is no conversation that {self.asked.init} can learn from: {why}",
                "Look at the data with daedal data show, or start from a model that sees more at once",
            )
        return Facts(
            train=train.tokens, validated=held.tokens, vocab_size=self._start.codec.vocab_size,
            length=train.tokens / len(train), longest=train.room, examples=len(train),
        )  # fmt: skip

    def settle(self, choose: Choice, facts: Facts, time: Time, machine: Machine) -> None:
        model = self._start.model
        choose.values["vocab_size"], choose.values["length"] = facts.vocab_size, facts.length
        self._take_shape(choose, model)
        room, width = choose("context", facts.longest), model.config.width
        rank = choose_lora(choose, _RANK if choose("qlora", False) else 0)
        if choose.values["qlora"] and not rank:
            raise DaedalError("Matrices of four bits do not learn", "Give --lora a rank, or leave --qlora away")
        tokens = 2048 if width < 384 else 4096 if width < 768 else 8192
        batch = choose("batch", max(1, min(round(tokens / room), facts.examples)))
        choose("optimizer", "adamw")
        full = min(5e-3, 2e-3 * (128 / width) ** 1.5)  # at 128 twice as much is as good, at 768 it is what is usual
        choose("learning_rate", min(_LORA_RATE, OF_LORA * full) if rank else full)
        choose("weight_decay", 0.0)
        choose("cooldown", 0.7)
        at_once = 4096 if width < 512 else 2048 if machine.device.startswith("cpu") else 32768
        choose("micro_batch", largest_share(batch, max(1, at_once // room)))

    def told(self, draft: Plan) -> dict[str, str]:
        train, split = self.packs("train", draft.model_dump()), self.dataset.split("train")
        full = train.tokens / (len(train) * train.room)
        said = f"{len(train.lengths):,} conversations in {len(train):,} packs of at most {train.room:,} tokens, {full:.0%} full"
        for count, what in (
            (train.cut, "too long and end after the last answer that fits"),
            (train.dropped, "left out, since not even the first answer fits"),
            (split.refused, "left out, since the chat template refuses them"),
        ):
            if count:
                said += f"; {count:,} {'is' if count == 1 else 'are'} {what}"
        return {"Data": said}

    def begun(self, plan: Plan) -> GPT:
        assert isinstance(plan, ChatPlan)
        made = tuned(self._start.model, plan)
        if plan.lora:
            self._start = self._start._replace(model=made)
            self.initial = made
        return made

    def _outlined(self, plan: Plan) -> tuple[Model, Plan]:
        return self.begun(plan), plan

    def trial(self, plan: Plan) -> Trial:
        """Packs: some are fuller than others, and hardly so."""
        task = self.task(plan)
        little, more = task.batch(0, 1), task.batch(0, 2)
        optimizers = {player: task.optimizer(player, plan) for player in task.model.players}
        usual = partial(task.batch, 0, plan.micro_batch)
        return Trial(task.model, optimizers, usual, little, more, max(1, more.count - little.count))

    def task(self, plan: Plan) -> "ChatTask":
        assert isinstance(plan, ChatPlan)
        values = plan.model_dump()
        train, held = (self.packs(split, values) for split in ("train", "validation"))
        base = base_of_init(self._start.init, plan)
        return ChatTask(self.begun(plan), self.dataset, train, held, plan, self._start, base)


class ChatTask(Task):
    """Trains a GPT on conversations.

    Args:
        train, held: what it learns from, and what it is validated on.
        base: what its LoRA is put beside, if it has one.
    """

    unit = "learned_tokens"
    learned_before = True

    def __init__(
        self,
        model: GPT,
        dataset: ConversationDataset,
        train: Packs,
        held: Packs,
        plan: ChatPlan,
        start: Start,
        base: Base | None,
    ) -> None:
        self.model, self.dataset, self.train, self.held = model, dataset, train, held
        self._plan, self._start, self._base = plan, start, base
        self.fingerprint = dataset.split("train").fingerprint
        self.identity = Identity.of("gpt", "chat", {COLUMN: "tokenizer.json"}, model.capabilities).but(base=base)
        tokens, size = train.learned(dataset.sizes)
        self._tokens_per_byte = tokens / max(1, size)

    def save(self, folder: Path) -> None:
        save_tuned(self.model, folder, self._plan, self._start.codec, self._start.habits, self._base)

    def batch(self, first: int, count: int) -> TargetBatch:
        return self.train.batch(first, count)

    def units(self, loss: float) -> dict[str, float]:
        return {"loss": loss, "bits_per_byte": loss * self._tokens_per_byte / np.log(2)}

    def validate(self, processes: Processes, autocast: AbstractContextManager[Any]) -> dict[str, float]:
        """What each held-out conversation is learned for, on average over the tokens; or of the first part of many."""

        def judged(group: Int64[Array, " some"]) -> tuple[int, dict[str, torch.Tensor]]:
            batch = self.held.rows(group.tolist()).to(processes.device)
            said = batch.targets[batch.targets >= 0].cpu().numpy()
            size = torch.tensor(float(self.dataset.sizes[said].sum()))
            return batch.count, {"loss": self.model.loss(batch).total, "bytes": size}

        with torch.no_grad(), autocast:
            found = validated(together(self.held.lengths) if len(self.held) else [], judged, processes)
        size = found.pop("validation_bytes", 0.0)  # on average over the tokens, as the loss is
        return found | ({"validation_bits_per_byte": found["validation_loss"] / np.log(2) / size} if size else {})

    def sample(self, seed: int, path: Path) -> str:
        """The answer to how the first held-out conversation opens."""
        held = self.dataset.split("validation")
        if not held.documents:
            return ""
        return written_after(self.model, self._start.codec, held.opening(0), self._start.model.config.context, seed)
