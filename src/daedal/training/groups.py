"""Which parameters go to which optimizer, and with how much decay."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from daedal.models.gpt import GPT
from daedal.models.model import Model
from daedal.nn.attention import CausalAttention
from daedal.nn.mlp import GatedMLP
from daedal.training.optimizers import Muon, Optimizer
from daedal.training.plan import Plan


def picture_optimizer(model: Model, player: str, plan: Plan) -> Optimizer:
    """AdamW with decay of the matrices and convolution kernels alone."""
    parameters = model.players[player]
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": plan.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return Optimizer([_adamw([group for group in groups if group["params"]], plan)])


def gpt_optimizer(model: GPT, plan: Plan) -> Optimizer:
    """AdamW with decay of the matrices alone; with `muon`, Muon takes the matrices of the blocks."""
    splits = _matrices(model) if plan.optimizer == "muon" else {}
    rest = [parameter for parameter in model.parameters() if parameter not in splits]
    decayed = [p for p in rest if p.ndim == 2] if plan.optimizer == "adamw" else []
    undecayed = [p for p in rest if p.ndim != 2] if plan.optimizer == "adamw" else rest
    groups = [{"params": decayed, "weight_decay": plan.weight_decay}, {"params": undecayed, "weight_decay": 0.0}]
    parts: list[torch.optim.Optimizer] = [_adamw([group for group in groups if group["params"]], plan)]
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


def _adamw(groups: list[dict[str, Any]], plan: Plan) -> torch.optim.Optimizer:
    return torch.optim.AdamW(groups, lr=plan.learning_rate, betas=(plan.beta1, plan.beta2), fused=True)
