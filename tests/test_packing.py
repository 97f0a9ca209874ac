"""Rows without padding are what each row is alone."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from daedal.nn.attention import Attention, CausalAttention, Frame
from daedal.nn.packing import Packing, attend_packed

LENGTHS = st.lists(st.integers(1, 12), min_size=1, max_size=14)


@given(LENGTHS)
@settings(max_examples=50, deadline=None)
def test_what_was_padded_and_joined_is_the_same(lengths: list[int]) -> None:
    packing = Packing(lengths)
    x = torch.randn(packing.tokens, 3)
    assert torch.equal(packing.join(packing.pad(x)), x)
    assert sorted(row for group in packing.groups for row in group.rows) == list(range(len(lengths)))


def test_positions_rows_and_means() -> None:
    packing = Packing([2, 3, 1])
    assert packing.positions.tolist() == [0, 1, 0, 1, 2, 0]
    assert packing.rows.tolist() == [0, 0, 1, 1, 1, 2]
    assert packing.mean(torch.arange(6.0)[:, None]).squeeze(1).tolist() == [0.5, 3.0, 5.0]


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("window", [None, 2])
@given(LENGTHS, st.booleans())
@settings(max_examples=15, deadline=None)
def test_packed_rows_attend_as_each_does_alone(
    causal: bool, window: int | None, lengths: list[int], biased: bool
) -> None:
    packing = Packing(lengths)
    query, key, value = torch.randn(3, packing.tokens, 2, 4).double()
    table = torch.randn(2, 25).double()

    def bias(queries: int, keys: int) -> torch.Tensor:
        away = torch.arange(queries)[:, None] - torch.arange(keys) + 12
        return table[:, away][None]

    how = {"causal": causal, "window": window, "bias": bias if biased else None}
    together = attend_packed(query, key, value, packing, packing, **how)
    for row, length in enumerate(lengths):
        part = slice(packing.starts[row], packing.starts[row] + length)
        alone = Packing([length])
        one = attend_packed(query[part], key[part], value[part], alone, alone, **how)
        assert torch.allclose(together[part], one)
        logits = torch.einsum("qhw,khw->hqk", query[part], key[part]) / 2
        if biased:
            logits = logits + bias(length, length)[0]
        away = torch.arange(length)[:, None] - torch.arange(length)
        hidden = (away < 0) if causal else torch.zeros(length, length, dtype=torch.bool)
        if window is not None:
            hidden = hidden | (away.abs() > window)
        read = logits.masked_fill(hidden, float("-inf")).softmax(-1)
        assert torch.allclose(one, torch.einsum("hqk,khw->qhw", read, value[part]))


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=10))
@settings(max_examples=25, deadline=None)
def test_rows_attend_to_what_stands_beside_them(lengths: list[tuple[int, int]]) -> None:
    ours, theirs = Packing.pair([one for one, _ in lengths], [other for _, other in lengths])
    query, key = torch.randn(ours.tokens, 1, 4).double(), torch.randn(theirs.tokens, 1, 4).double()
    together = attend_packed(query, key, key, ours, theirs)
    for row in range(len(lengths)):
        mine = query[ours.starts[row] : ours.starts[row + 1]]
        other = key[theirs.starts[row] : theirs.starts[row + 1]]
        read = (mine[:, 0] @ other[:, 0].T / 2).softmax(-1)
        assert torch.allclose(together[ours.starts[row] : ours.starts[row + 1], 0], read @ other[:, 0])


@pytest.mark.parametrize("kind", [Attention, CausalAttention])
def test_a_packed_batch_has_the_gradients_of_its_rows(kind: type[Attention]) -> None:
    torch.manual_seed(0)
    attention, lengths = kind(8, 2, 1, 4), [3, 5, 1, 5]
    x = torch.randn(1, sum(lengths), 8)
    together = attention(x, Frame(x.shape[1], packing=Packing(lengths)), 0)
    parts = [attention(row, Frame(row.shape[1]), 0) for row in x.split(lengths, 1)]
    assert torch.allclose(together, torch.cat(parts, 1), atol=1e-6)
    weight = attention.qkv.weight
    (one,), (other,) = (
        torch.autograd.grad(out.square().sum(), weight, retain_graph=True) for out in (together, torch.cat(parts, 1))
    )
    assert torch.allclose(one, other, atol=1e-5)
