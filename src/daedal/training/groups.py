"""Which parameters go to which optimizer, and with how much decay."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from daedal.models.clip import CLIP
from daedal.models.encoder import EncoderModel
from daedal.models.gpt import GPT
from daedal.models.model import Model
from daedal.models.reward import Reward
from daedal.models.translator import Translator
from daedal.nn.attention import Attention
from daedal.nn.causal_video import VideoDecoder, VideoEncoder
from daedal.nn.cross_attention import CrossAttention
from daedal.nn.mlp import GatedMLP
from daedal.nn.transformer import Block
from daedal.nn.unet import GridAttention, UNet
from daedal.training.optimizers import Muon, Optimizer
from daedal.training.plan import Plan


def optimizer_of(model: Model, player: str, plan: Plan) -> Optimizer:
    """AdamW with decay of the matrices and convolution kernels alone; with `muon`, Muon takes those inside a Transformer's
    blocks, a flow's, a CLIP's or a tokenizer of clips' networks, and what a Transformer over tokens has besides does not
    decay."""
    learned = set(model.players[player])
    kernels = _kernels(model) if plan.optimizer == "muon" else {}
    splits = {weight: rows for weight, rows in kernels.items() if weight in learned}
    rest = [parameter for parameter in model.players[player] if parameter not in splits]
    decays = 3 if splits and isinstance(model, GPT | EncoderModel | Translator | Reward) else 2
    groups: list[dict[str, Any]] = []
    for factor, members in _by_layer(model, rest, getattr(plan, "layer_decay", 1.0)):
        rate = {"lr": factor * plan.learning_rate} if factor != 1.0 else {}
        groups += [
            {"params": [p for p in members if p.ndim >= decays], "weight_decay": plan.weight_decay, **rate},
            {"params": [p for p in members if p.ndim < decays], "weight_decay": 0.0, **rate},
        ]
    return Optimizer([_adamw([group for group in groups if group["params"]], plan), *_muon(splits, plan)])


def _by_layer(model: Model, parameters: list[nn.Parameter], decay: float) -> Iterable[tuple[float, list[nn.Parameter]]]:
    """Parameters by the factor of their learning rate: that of an encoder's layer is a share of that of the layer above it, as
    upper layers are more of what they were trained for (Howard and Ruder 2018)."""
    if decay == 1.0 or not isinstance(model, EncoderModel):
        return [(1.0, parameters)]
    depth, below = len(model.encoder.transformer.blocks), set(parameters)
    parts: list[tuple[float, nn.Module]] = [
        (decay ** (depth - layer), block) for layer, block in enumerate(model.encoder.transformer.blocks)
    ]
    parts += [(decay ** (depth + 1), model.encoder), (1.0, model)]
    found = []
    for factor, module in parts:  # what is in no layer is below or above all of them
        members = [parameter for parameter in module.parameters() if parameter in below]
        below -= set(members)
        found.append((factor, members))
    return found


def _muon(splits: dict[Tensor, Sequence[int]], plan: Plan) -> list[torch.optim.Optimizer]:
    if not splits:
        return []
    dtype = torch.bfloat16 if plan.precision == "bf16" else torch.float32
    return [Muon(list(splits), list(splits.values()), plan.muon_learning_rate, plan.momentum, plan.weight_decay, dtype)]


def _kernels(model: Model) -> dict[Tensor, Sequence[int]]:
    """The kernels between the first and last layer of a U-Net, of a CLIP's tower or of networks over clips, and the matrices of
    a transformer's attention and MLPs."""
    stacked: dict[Tensor, Sequence[int]] = {}
    for module in model.modules():  # what holds others comes before them
        if isinstance(module, UNet):
            inner = [part for part in module.modules() if isinstance(part, nn.Conv2d)]
            ends = (module.stem, module.head)
            stacked.update({part.weight: (part.out_channels,) for part in inner if part not in ends})
        elif isinstance(module, VideoEncoder | VideoDecoder):
            inner = [part for part in module.modules() if isinstance(part, nn.Conv2d) and part not in module.ends]
            stacked.update({part.weight: (part.out_channels,) for part in inner})
        elif isinstance(module, GridAttention):
            stacked[module.qkv.weight] = (module.out.in_channels,) * 3
            if module.words is not None:
                stacked[module.words.weight] = (module.out.in_channels,) * 2
        elif isinstance(module, Block):
            stacked.update(_stacked((module.attention, module.mlp, getattr(module, "cross", nn.Identity()))))
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
        elif isinstance(module, CrossAttention):
            stacked[module.key_value.weight] = module.rows
        elif isinstance(module, GatedMLP):
            stacked[module.gate_up.weight] = (module.gate_up.out_features // 2,) * 2
    return stacked


def _adamw(groups: list[dict[str, Any]], plan: Plan) -> torch.optim.Optimizer:
    return torch.optim.AdamW(groups, lr=plan.learning_rate, betas=(plan.beta1, plan.beta2), fused=True)
