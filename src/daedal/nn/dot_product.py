"""What each query reads of the values whose keys fit it (Vaswani et al. 2017)."""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def dot_product_attention(
    query: Float[Tensor, "batch heads time width"],
    key: Float[Tensor, "batch kv_heads total width"],
    value: Float[Tensor, "batch kv_heads total width"],
    **how: Any,
) -> Float[Tensor, "batch heads time width"]:
    """PyTorch's `scaled_dot_product_attention`, and its options.

    In fp32 where a CPU learns in mixed precision: backwards, PyTorch's kernel takes three to nine times as long in bf16.
    """
    if learns_in_mixed_precision(query):
        mask = how.get("attn_mask")
        if mask is not None and mask.is_floating_point():
            how["attn_mask"] = mask.float()
        with torch.autocast("cpu", enabled=False):
            return F.scaled_dot_product_attention(query.float(), key.float(), value.float(), **how)
    return F.scaled_dot_product_attention(query, key, value, **how)


def learns_in_mixed_precision(x: Tensor) -> bool:
    """Whether `x` is part of what a CPU learns from in mixed precision."""
    return x.device.type == "cpu" and torch.is_grad_enabled() and torch.is_autocast_enabled("cpu")
