"""The rows of a matrix that are rotary channels. A model here holds those of a pair together; files of Hugging Face hold the
first of all pairs, then the second of all."""

import torch
from torch import Tensor

from daedal.models.formats import TensorName


def together(tensor: Tensor, entry: TensorName) -> Tensor:
    """From Hugging Face's order of rotary channels (i, i + width / 2) to neighbours (2i, 2i + 1)."""
    if not entry.paired:
        return tensor
    turned, rest = _turned(tensor, entry)
    pairs = turned.view(-1, 2, entry.paired // 2, *turned.shape[1:]).transpose(1, 2).flatten(0, 2)
    return torch.cat((pairs, rest))


def apart(tensor: Tensor, entry: TensorName) -> Tensor:
    """From neighbours to Hugging Face's order."""
    if not entry.paired:
        return tensor
    turned, rest = _turned(tensor, entry)
    return torch.cat((unpair(turned, entry.paired), rest))


def unpair(tensor: Tensor, width: int) -> Tensor:
    """From neighbours (2i, 2i + 1) to Hugging Face's order of rotary channels, in heads of this `width`; 0 for others."""
    return tensor.view(-1, width // 2, 2, *tensor.shape[1:]).transpose(1, 2).flatten(0, 2) if width else tensor


def _turned(tensor: Tensor, entry: TensorName) -> tuple[Tensor, Tensor]:
    """The rows that are rotary channels, and the rest."""
    count = len(tensor) if entry.turned is None else entry.turned
    return tensor[:count], tensor[count:]
