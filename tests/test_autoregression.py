"""Codes written one after the other: what is known stays and is seen, a cache changes nothing, guidance mixes, an end ends."""

import pytest
import torch
from torch import Tensor

from daedal.models.autoregression import UNKNOWN, ByChance, TorchNetwork, likeliest, write
from daedal.models.gpt import GPT, GPTConfig
from daedal.nn.guidance import ClassifierFree
from daedal.nn.noise import Noise
from tiny_models import shaken

VOCAB, LENGTH = 13, 10
MODEL = shaken(GPT(GPTConfig.of("qwen3", vocab_size=VOCAB, width=16, depth=2, heads=2, context=16))).eval()
with torch.no_grad():
    for weight in MODEL.parameters():  # so that every code has a say
        weight.add_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(weight.ndim)))
CODES = torch.full((3, LENGTH), UNKNOWN)
CODES[:, :2] = torch.tensor([[1, 2], [3, 4], [5, 6]])
CODES[1:, 2], CODES[0, 5], CODES[:, 7] = 9, 8, 7
CHANCES = Noise(0, 0, 3).uniform("codes", LENGTH - 2)


def last(codes: Tensor, **how: object) -> Tensor:
    *_, written = write(TorchNetwork(MODEL), codes, how.pop("choose", ByChance(CHANCES)), **how)  # type: ignore[arg-type]
    return written


def test_what_is_known_stays_wherever_it_stands_and_is_seen_by_what_follows() -> None:
    written = last(CODES)
    known = CODES != UNKNOWN
    assert torch.equal(written[known], CODES[known])
    other = CODES.clone()
    other[0, 5] = 2
    changed = last(other)
    assert torch.equal(changed[:, :5], written[:, :5])
    assert not torch.equal(changed[0, 6:], written[0, 6:])
    assert torch.equal(changed[1:], written[1:])


@pytest.mark.parametrize("strength", [1.0, 3.0])
def test_what_is_written_with_a_cache_is_what_is_written_without(strength: float) -> None:
    nothing = CODES.clone()
    nothing[:, :2] = 0
    found = last(CODES, unasked=nothing, guidance=ClassifierFree(strength), allowed=slice(4, 11))
    for place in range(LENGTH):
        if bool((CODES[:, place] != UNKNOWN).all()):
            continue
        free = torch.cat((nothing[:, :2], found[:, 2:place]), 1)
        asked, other = (MODEL(ids)[:, -1, 4:11].detach().double() for ids in (found[:, :place], free))
        chosen = ByChance(CHANCES)(torch.lerp(other, asked, strength), LENGTH - place) + 4
        unknown = CODES[:, place] == UNKNOWN
        assert torch.equal(found[unknown, place], chosen[unknown])


def test_a_row_is_written_alone_as_it_is_beside_others() -> None:
    together = last(CODES)
    for row in range(3):
        assert torch.equal(last(CODES[row : row + 1], choose=ByChance(CHANCES[row : row + 1]))[0], together[row])


def test_a_row_that_has_ended_writes_nothing_else_and_all_is_written_when_all_have() -> None:
    open = torch.cat((CODES[:1, :2], CODES.new_full((1, 8), UNKNOWN)), 1)
    end = int(last(open, choose=likeliest)[0, 2])
    parts = list(write(TorchNetwork(MODEL), open, likeliest, end=end))
    assert [part.shape[1] for part in parts] == [LENGTH]
    assert parts[0][0, 2:].tolist() == [end] * 8


def test_chance_keeps_to_as_few_codes_as_hold_the_probability() -> None:
    logits = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log().repeat(1000, 1)
    chances = torch.linspace(0, 0.999, 1000)[:, None]
    for top_p, kept in ((0.0, 1), (0.5, 1), (0.6, 2), (0.85, 3), (1.0, 4)):
        assert len(ByChance(chances, top_p=top_p)(logits, 1).unique()) == kept
    assert ByChance(chances, temperature=0.0)(logits, 1).unique().tolist() == [0]


def test_what_is_all_known_is_given_back() -> None:
    assert torch.equal(last(CODES.clamp_min(0)), CODES.clamp_min(0))
