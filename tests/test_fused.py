"""Gradients written by hand equal automatic ones."""

import pytest
import torch
import torch.nn.functional as F

from daedal.nn.fused import (
    linear_cross_entropy,
    linear_log_probabilities,
    relu_squared,
    rms_norm,
    smoothed_cross_entropy,
    swiglu,
)
from daedal.nn.position import rotate


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    numbers = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return numbers.requires_grad_()


def test_rms_norm_has_the_right_gradients_with_one_gain_one_a_head_or_none() -> None:
    x = random(2, 3, 4, 6)
    for weight in (random(6, seed=1), random(4, 6, seed=1)):
        assert torch.autograd.gradcheck(lambda x, w: rms_norm(x, w, 1e-3), (x, weight))
        torch.testing.assert_close(rms_norm(x, weight, 1e-3), F.rms_norm(x, (6,), None, 1e-3) * weight)
        with torch.no_grad():
            torch.testing.assert_close(rms_norm(x, weight, 1e-3), F.rms_norm(x, (6,), None, 1e-3) * weight)
    assert torch.autograd.gradcheck(lambda x: rms_norm(x, None, 1e-3), (x,))
    strided = random(2, 4, 3, 6).transpose(1, 2)
    assert torch.autograd.gradcheck(lambda x: rms_norm(x, None, 1e-3), (strided.detach().requires_grad_(),))


def test_swiglu_has_the_right_gradients() -> None:
    x = random(3, 4, 10)
    assert torch.autograd.gradcheck(swiglu, (x,))
    torch.testing.assert_close(swiglu(x), F.silu(x[..., :5]) * x[..., 5:])


def test_relu_squared_has_the_right_gradients() -> None:
    x = random(3, 4)
    assert torch.autograd.gradcheck(relu_squared, (x,))
    torch.testing.assert_close(relu_squared(x), F.relu(x) ** 2)


@pytest.mark.parametrize("at_once", [1, 2**24])
def test_the_loss_has_the_right_gradients_in_one_piece_or_several(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daedal.nn.fused._LOGITS_AT_ONCE", at_once)
    count = 600 if at_once == 1 else 9
    hidden, weight = random(count, 3), random(7, 3, seed=1)
    targets = torch.randint(0, 7, (count,), generator=torch.Generator().manual_seed(2))
    targets[::4] = -100
    ours = linear_cross_entropy(hidden, weight, targets, -100, 0.5)
    plain = F.cross_entropy(hidden @ weight.t(), targets, reduction="sum") * 0.5
    torch.testing.assert_close(ours, plain)
    for scale in (1.0, 3.0):
        mine = torch.autograd.grad(ours * scale, (hidden, weight), retain_graph=True)
        for a, b in zip(mine, torch.autograd.grad(plain * scale, (hidden, weight), retain_graph=True), strict=True):
            torch.testing.assert_close(a, b)
    with torch.no_grad():
        torch.testing.assert_close(linear_cross_entropy(hidden, weight, targets, -100, 0.5), plain)
    bias = random(len(weight), seed=5)
    ours = linear_cross_entropy(hidden, weight, targets, -100, 0.5, bias=bias)
    plain = F.cross_entropy(hidden @ weight.t() + bias, targets, reduction="sum") * 0.5
    torch.testing.assert_close(ours, plain)
    for scale in (1.0, 3.0):
        mine = torch.autograd.grad(ours * scale, (hidden, weight, bias), retain_graph=True)
        for a, b in zip(
            mine, torch.autograd.grad(plain * scale, (hidden, weight, bias), retain_graph=True), strict=True
        ):
            torch.testing.assert_close(a, b)


@pytest.mark.parametrize("at_once", [1, 2**24])
@pytest.mark.parametrize("biased", [False, True])
def test_the_smoothed_loss_has_the_right_gradients(at_once: int, biased: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daedal.nn.fused._LOGITS_AT_ONCE", at_once)
    count = 600 if at_once == 1 else 9
    hidden, weight = random(count, 3), random(7, 3, seed=1)
    bias = random(7, seed=3).detach() if biased else None
    targets = torch.randint(0, 7, (count,), generator=torch.Generator().manual_seed(2))
    targets[::4] = -100
    ours, nats = smoothed_cross_entropy(hidden, weight, targets, -100, 0.5, 0.1, bias)
    logits = hidden @ weight.t() if bias is None else hidden @ weight.t() + bias
    plain = F.cross_entropy(logits, targets, reduction="sum", label_smoothing=0.1) * 0.5
    torch.testing.assert_close(ours, plain)
    torch.testing.assert_close(nats, F.cross_entropy(logits, targets, reduction="sum").detach() * 0.5)
    mine = torch.autograd.grad(ours * 3, (hidden, weight))
    for a, b in zip(mine, torch.autograd.grad(plain * 3, (hidden, weight)), strict=True):
        torch.testing.assert_close(a, b)


def test_a_rotation_keeps_lengths_and_depends_on_distance_only() -> None:
    from daedal.nn.position import Rotary

    turns = Rotary(8, 100.0, 16).turns(torch.arange(12), 12)
    query, key = random(1, 1, 1, 8).detach().float(), random(1, 1, 1, 8, seed=1).detach().float()
    queries, keys = rotate(query.expand(1, 12, 1, 8), turns), rotate(key.expand(1, 12, 1, 8), turns)
    torch.testing.assert_close(queries.norm(dim=-1), query.norm().expand(1, 12, 1))
    products = (queries[0, 3:, 0] * keys[0, :-3, 0]).sum(-1)
    torch.testing.assert_close(products, products[:1].expand(9), atol=1e-5, rtol=0)


def test_smoothed_targets_and_a_bias_have_the_gradients_of_the_plain_formula() -> None:
    torch.manual_seed(3)
    hidden, weight = torch.randn(7, 4, requires_grad=True), torch.randn(9, 4, requires_grad=True)
    bias, targets = torch.randn(9, requires_grad=True), torch.tensor([0, 3, -100, 8, 2, -100, 1])
    ours, _ = smoothed_cross_entropy(hidden, weight, targets, -100, 0.5, 0.2, bias)
    plain = 0.5 * F.cross_entropy(hidden @ weight.T + bias, targets, label_smoothing=0.2, reduction="sum")
    assert torch.allclose(ours, plain)
    for one, other in zip(
        torch.autograd.grad(ours, (hidden, weight, bias)),
        torch.autograd.grad(plain, (hidden, weight, bias)),
        strict=True,
    ):
        assert torch.allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("at_once", [1, 2**24])
def test_log_probabilities_and_their_gradients_are_those_of_the_plain_formula(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daedal.nn.fused._LOGITS_AT_ONCE", at_once)
    hidden, weight = random(300, 5), random(7, 5, seed=1)
    targets = torch.randint(0, 7, (300,), generator=torch.Generator().manual_seed(2))
    found = linear_log_probabilities(hidden, weight, targets)
    logs = torch.log_softmax(hidden @ weight.t(), 1)
    torch.testing.assert_close(found, logs.gather(1, targets[:, None])[:, 0])
    few = hidden[:4].detach().requires_grad_()
    assert torch.autograd.gradcheck(lambda x, w: linear_log_probabilities(x, w, targets[:4]), (few, weight))
    ours = torch.autograd.grad(found.square().sum(), (hidden, weight))
    plain = torch.autograd.grad(logs.gather(1, targets[:, None]).square().sum(), (hidden, weight))
    torch.testing.assert_close(ours, plain)
