"""Which parameters go to which optimizer, and with how much decay."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from daedal.models.clip import CLIP
from daedal.models.gpt import GPT
from daedal.models.model import Model
from daedal.nn.attention import Attention
from daedal.nn.mlp import GatedMLP
from daedal.nn.transformer import Block
from daedal.nn.unet import GridAttention, UNet
from daedal.training.optimizers import Muon, Optimizer
from daedal.training.plan import Plan


def optimizer_of(model: Model, player: str, plan: Plan) -> Optimizer:
    """AdamW with decay of the matrices and convolution kernels alone; with `muon`, Muon takes those inside a Transformer's
    blocks, a flow's or a CLIP's networks, and what a GPT has besides does not decay."""
    splits = _kernels(model) if plan.optimizer == "muon" else {}
    rest = [parameter for parameter in model.players[player] if parameter not in splits]
    decays = 3 if splits and isinstance(model, GPT) else 2
    groups = [
        {"params": [p for p in rest if p.ndim >= decays], "weight_decay": plan.weight_decay},
        {"params": [p for p in rest if p.ndim < decays], "weight_decay": 0.0},
    ]
    return Optimizer([_adamw([group for group in groups if group["params"]], plan), *_muon(splits, plan)])


def _muon(splits: dict[Tensor, Sequence[int]], plan: Plan) -> list[torch.optim.Optimizer]:
    if not splits:
        return []
    dtype = torch.bfloat16 if plan.precision == "bf16" else torch.float32
    return [Muon(list(splits), list(splits.values()), plan.muon_learning_rate, plan.momentum, plan.weight_decay, dtype)]


def _kernels(model: Model) -> dict[Tensor, Sequence[int]]:
    """The kernels between the first and last layer of a U-Net or of a CLIP's tower, and the matrices of a transformer's
    attention and MLPs."""
    stacked: dict[Tensor, Sequence[int]] = {}
    for module in model.modules():  # what holds others comes before them
        if isinstance(module, UNet):
            inner = [part for part in module.modules() if isinstance(part, nn.Conv2d)]
            ends = (module.stem, module.head)
            stacked.update({part.weight: (part.out_channels,) for part in inner if part not in ends})
        elif isinstance(module, GridAttention):
            stacked[module.qkv.weight] = (module.out.in_channels,) * 3
            if module.words is not None:
                stacked[module.words.weight] = (module.out.in_channels,) * 2
        elif isinstance(module, Block):
            stacked.update(_stacked((module.attention, module.mlp)))
        elif isinstance(module, CLIP):
            tower = module.tower
            inner = [part for part in (*tower.blocks.modules(), *tower.widen) if isinstance(part, nn.Conv2d)]
            stacked.update({part.weight: (part.out_channels,) for part in inner})
    return stacked


def _stacked(parts: Iterable[nn.Module]) -> dict[Tensor, Sequence[int]]:
    """The matrices inside of parts of a Transformer, and the rows of each of those that one parameter stacks."""
    stacked: dict[Tensor, Sequence[int]] = {}
    for module in (module for part in parts for module in part.modules()):
        if isinstance(module, nn.Linear):
            stacked.setdefault(module.weight, (module.out_features,))
        elif isinstance(module, Attention):
            stacked[module.qkv.weight] = module.rows
        elif isinstance(module, GatedMLP):
            stacked[module.gate_up.weight] = (module.gate_up.out_features // 2,) * 2
    return stacked


def _adamw(groups: list[dict[str, Any]], plan: Plan) -> torch.optim.Optimizer:
    return torch.optim.AdamW(groups, lr=plan.learning_rate, betas=(plan.beta1, plan.beta2), fused=True)
