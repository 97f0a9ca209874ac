"""Attention and norms in mixed precision: as exact as the parts around them, and by kernels that are fast on a CPU."""

import torch
import torch.nn.functional as F

from daedal.nn.dot_product import dot_product_attention
from daedal.nn.film import FilmNorm
from daedal.nn.norm import GroupNorm


def test_a_cpu_that_learns_in_mixed_precision_attends_in_fp32() -> None:
    query, key, value = (torch.randn(2, 3, 5, 8, dtype=torch.bfloat16, requires_grad=True) for _ in range(3))
    with torch.autocast("cpu", torch.bfloat16):
        mixed = dot_product_attention(query, key, value, is_causal=True)
        with torch.no_grad():
            drawn = dot_product_attention(query, key, value, is_causal=True)
    exact = F.scaled_dot_product_attention(query.float(), key.float(), value.float(), is_causal=True)
    assert mixed.dtype == torch.float32
    assert torch.equal(mixed, exact)
    assert drawn.dtype == torch.bfloat16
    mask = torch.zeros(5, 5, dtype=torch.bfloat16).masked_fill_(torch.ones(5, 5).triu(1).bool(), float("-inf"))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(dot_product_attention(query, key, value, attn_mask=mask), mixed)
    (gradient,) = torch.autograd.grad(mixed.sum(), query)
    assert gradient.dtype == torch.bfloat16


def test_group_norms_take_bf16_and_have_statistics_in_fp32() -> None:
    x = 100 + torch.randn(2, 16, 4, 4)
    for norm in (GroupNorm(2, 16), FilmNorm(16, activation=False)):
        with torch.no_grad():
            for parameter in norm.parameters():
                parameter.fill_(0.0 if isinstance(norm, FilmNorm) else 1.0)
        coarse = x.bfloat16()
        assert norm(coarse).dtype == torch.bfloat16
        assert torch.equal(norm(coarse), norm(coarse.float()).bfloat16())
