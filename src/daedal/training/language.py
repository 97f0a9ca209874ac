"""The task of a language model: windows of a token stream to learn from, the validation split, and a text to look at."""

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from daedal.data.shards import Dataset
from daedal.data.windows import Windows
from daedal.models.checkpoint import save_model
from daedal.models.gpt import GPT
from daedal.models.model import IGNORE, TokenBatch
from daedal.nn.attention import CausalAttention
from daedal.nn.mlp import GatedMLP
from daedal.training.optimizers import Muon, Optimizer
from daedal.training.plan import Plan
from daedal.training.processes import Processes

_SAMPLE_TOKENS = 120


class LanguageTask:
    """Trains a GPT on a data set.

    Args:
        model: its configuration's context bounds the windows.
    """

    def __init__(self, model: GPT, dataset: Dataset, plan: Plan) -> None:
        self.model, self.codec, self.fingerprint = model, dataset.codec, dataset.split("train").fingerprint
        self._context = plan.context
        self._windows = Windows(dataset.split("train"), plan.context, plan.seed)
        self._validation = dataset.split("validation")
        self._tokens_per_byte = self._windows.split.tokens / max(1, self._windows.split.bytes)

    def save(self, folder: Path) -> None:
        """The model and its codec, for use."""
        save_model(self.model, folder, codec=self.codec)

    def batch(self, first: int, count: int) -> TokenBatch:
        inputs, targets = self._windows.batch(first, count)
        return TokenBatch(torch.from_numpy(inputs), torch.from_numpy(targets))

    def optimizer(self, player: str, plan: Plan) -> Optimizer:
        return gpt_optimizer(self.model, plan)

    def units(self, loss: float) -> dict[str, float]:
        return {"loss": loss, "bits_per_byte": loss * self._tokens_per_byte / math.log(2)}

    def validate(self, processes: Processes, autocast: AbstractContextManager[Any]) -> dict[str, float]:
        """Every token of the split but the first is predicted once, from what stands before it in its window."""
        split, context = self._validation, self._context
        starts = np.arange(0, split.tokens - 1, context)[processes.rank :: processes.count]
        rows = max(1, 16384 // context)
        totals = torch.zeros(2, dtype=torch.float64)
        with torch.no_grad(), autocast:
            for first in range(0, len(starts), rows):
                loss, count = self._window_loss(starts[first : first + rows], processes.device)
                totals += torch.tensor([loss, count], dtype=torch.float64)
        totals = processes.sum(totals.float() if processes.device.type == "mps" else totals)
        loss = float(totals[0] / totals[1])
        bits = float(totals[0]) / math.log(2) / max(1, split.bytes)
        return {"validation_loss": loss, "validation_bits_per_byte": bits}

    def _window_loss(self, starts: np.ndarray, device: torch.device) -> tuple[float, int]:
        """Nats summed over the windows at `starts`, and how many tokens they predict."""
        split, context = self._validation, self._context
        inputs = np.zeros((len(starts), context), dtype=np.int64)
        targets = np.full((len(starts), context), IGNORE, dtype=np.int64)
        for row, start in enumerate(starts):
            tokens = split.read(int(start), min(int(start) + context + 1, split.tokens))
            inputs[row, : len(tokens) - 1] = tokens[:-1]
            targets[row, : len(tokens) - 1] = tokens[1:]
        batch = TokenBatch(torch.from_numpy(inputs), torch.from_numpy(targets))
        return float(self.model.loss(batch.to(device)).total), batch.count

    def sample(self, seed: int) -> str:
        """What the model writes from nothing, at temperature 1."""
        generator = torch.Generator().manual_seed(seed)
        start = self.codec.bos_id if self.codec.bos_id is not None else 0
        prompt = torch.tensor([[start]], device=next(self.model.parameters()).device)
        with torch.no_grad():
            ids = self.model.sample(prompt, min(_SAMPLE_TOKENS, self._context - 1), generator=generator)
        return self.codec.decode(ids[0].tolist())


def gpt_optimizer(model: GPT, plan: Plan) -> Optimizer:
    """AdamW with decay of the matrices alone; with `muon`, Muon takes the matrices of the blocks."""
    splits = _matrices(model) if plan.optimizer == "muon" else {}
    rest = [parameter for parameter in model.parameters() if parameter not in splits]
    decayed = [p for p in rest if p.ndim == 2] if plan.optimizer == "adamw" else []
    undecayed = [p for p in rest if p.ndim != 2] if plan.optimizer == "adamw" else rest
    groups = [{"params": decayed, "weight_decay": plan.weight_decay}, {"params": undecayed, "weight_decay": 0.0}]
    parts: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(
            [group for group in groups if group["params"]],
            lr=plan.learning_rate,
            betas=(plan.beta1, plan.beta2),
            fused=True,
        )
    ]
    if splits:
        matrices = list(splits)
        rows = [splits[matrix] for matrix in matrices]
        parts.append(Muon(matrices, rows, plan.muon_learning_rate, plan.momentum, plan.weight_decay))
    return Optimizer(parts)


def _matrices(model: GPT) -> dict[Tensor, Sequence[int]]:
    """The matrices inside the blocks, and the rows of each of those that one parameter stacks."""
    stacked: dict[Tensor, Sequence[int]] = {}
    for module in model.transformer.blocks.modules():
        if isinstance(module, nn.Linear):
            stacked.setdefault(module.weight, (module.out_features,))
        elif isinstance(module, CausalAttention):
            stacked[module.qkv.weight] = module.rows
        elif isinstance(module, GatedMLP):
            stacked[module.gate_up.weight] = (module.gate_up.out_features // 2,) * 2
    return stacked
