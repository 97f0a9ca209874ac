"""Quantizers: ids and codes are one thing in two spellings; a codebook follows the data, however the step is divided."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from daedal.nn.quantizer import FSQ, VQ, Quantizer


def same(total: Tensor) -> Tensor:
    return total.clone()


def vq(size: int, channels: int, seed: int = 0) -> VQ:
    made = VQ(size, channels)
    made.initialise(torch.Generator().manual_seed(seed))
    return made


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(2, 9), min_size=1, max_size=4), st.integers(0, 2**31))
def test_every_id_of_fsq_comes_back_from_its_codes(levels: list[int], seed: int) -> None:
    quantizer = FSQ(levels)
    ids = torch.arange(quantizer.size).view(1, 1, -1)
    codes = quantizer.codes(ids)
    assert len(set(map(tuple, codes[0, :, 0].T.tolist()))) == math.prod(levels)
    assert codes.abs().max() <= 1
    # what the encoder would have had to say: the inverse of the bound
    counts = torch.tensor(levels, dtype=torch.float64).view(1, -1, 1, 1)
    half = (counts - 1) * 1.001 / 2
    offset = torch.where(counts % 2 == 0, 0.5, 0.0)
    x = torch.atanh(((codes * (counts // 2) + offset) / half).clamp(-0.9999, 0.9999)) - torch.atanh(offset / half)
    quantized = quantizer(x.float())
    assert torch.equal(quantized.ids, ids)
    torch.testing.assert_close(quantized.codes, codes.float())
    any_x = torch.randn(2, len(levels), 3, 3, generator=torch.Generator().manual_seed(seed)) * 10
    found = quantizer(any_x)
    assert 0 <= int(found.ids.min()) <= int(found.ids.max()) < quantizer.size
    torch.testing.assert_close(quantizer.codes(found.ids).float(), found.codes)


@pytest.mark.parametrize("quantizer", [FSQ([4, 3]), vq(6, 2)], ids=["fsq", "vq"])
def test_gradients_pass_the_quantizer(quantizer: Quantizer) -> None:
    x = torch.randn(2, 2, 3, 3, requires_grad=True)
    quantizer(x).codes.sum().backward()
    assert x.grad is not None
    assert (x.grad > 0).all()


def test_vq_takes_the_nearest_code() -> None:
    quantizer = vq(5, 3)
    x = torch.randn(2, 3, 4, 4)
    distances = (x.movedim(1, -1)[..., None, :] - quantizer.codebook).square().sum(-1)
    quantized = quantizer(x)
    assert torch.equal(quantized.ids, distances.argmin(-1))
    torch.testing.assert_close(quantized.codes, quantizer.codes(quantized.ids))
    assert (quantized.cost > 0).all()


def test_a_codebook_begins_from_data_and_dead_codes_begin_again() -> None:
    quantizer = vq(8, 2)
    data = torch.randn(16, 2, 2, 2) * 0.1 + 50
    for step in range(3):
        quantized = quantizer(data)
        quantizer.observe(data, quantized.ids, 0, 16)
        quantizer.after_step(same, step)
        if step == 0:
            assert (quantizer.codebook - 50).abs().max() < 1
    quantizer.uses[3] = 0.0
    quantizer.codebook[3] = -1e4
    quantized = quantizer(data)
    quantizer.observe(data, quantized.ids, 0, 16)
    quantizer.after_step(same, 3)
    assert (quantizer.codebook[3] - 50).abs().max() < 1
    quantizer.usage()
    quantizer.observe(data, quantizer(data).ids, 0, 16)
    assert quantizer.usage()["codes_used"] > 0.5
    assert quantizer.usage() == {}


def test_a_codebook_learns_the_same_from_parts_of_a_step() -> None:
    data = torch.randn(3, 12, 4, 2, 2, generator=torch.Generator().manual_seed(1))
    whole, parted = vq(16, 4), vq(16, 4)
    for step in range(3):
        first = 12 * step
        whole.observe(data[step], whole(data[step]).ids, first, 12)
        for start, stop in ((8, 12), (0, 5), (5, 8)):
            part = data[step, start:stop]
            parted.observe(part, parted(part).ids, first + start, 12)
        whole.after_step(same, step)
        parted.after_step(same, step)
        torch.testing.assert_close(whole.codebook, parted.codebook)


def test_perplexity_is_that_of_the_ids() -> None:
    quantizer = FSQ([4, 4])
    ids = torch.arange(8).repeat(2, 1).view(2, 2, 4)
    quantizer.initialise(torch.Generator())
    quantizer.observe(torch.zeros(2, 2, 2, 4), ids, 0, 2)
    usage = quantizer.usage()
    assert usage["codes_used"] == 0.5
    assert usage["code_perplexity"] == pytest.approx(8)
