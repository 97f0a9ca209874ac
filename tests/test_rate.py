"""The nats of codes are those of a distribution over them, place by place."""

import math
from itertools import product

import pytest
import torch

from daedal.errors import DaedalError
from daedal.models.vqvae import VQVAE, VQVAEConfig
from daedal.nn.convolution import initialise
from daedal.nn.quantizer import FSQ
from daedal.nn.rate import Rate
from tiny_models import pictures

LEVELS = (4, 3)


def rate(rows: int | None = None) -> Rate:
    made = Rate(LEVELS, 8, rows)
    with torch.no_grad():
        initialise(made, torch.Generator().manual_seed(0))
    return made


def said(ids: torch.Tensor, rows: int | None = None) -> torch.Tensor:
    """Nats of each place of ids."""
    codes = FSQ(LEVELS).codes(ids)
    levels = torch.stack([ids % LEVELS[0], ids // LEVELS[0]], 1)
    return rate(rows)(codes, levels.float())


def test_the_chances_of_all_ids_of_a_place_sum_to_one() -> None:
    ids = torch.randint(math.prod(LEVELS), (1, 4, 5), generator=torch.Generator().manual_seed(1))
    every = ids.repeat(math.prod(LEVELS), 1, 1)
    every[:, 2, 3] = torch.arange(math.prod(LEVELS))
    assert torch.exp(-said(every)[:, 2, 3]).sum().item() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("rows", [None, 1, 2, 4])
@pytest.mark.parametrize(("row", "column"), list(product((0, 1, 3), (0, 2, 4))))
def test_a_place_is_told_nothing_of_those_after_it(row: int, column: int, rows: int | None) -> None:
    ids = torch.randint(math.prod(LEVELS), (1, 4, 5), generator=torch.Generator().manual_seed(2))
    other = ids.clone()
    other[0, row, column] = (other[0, row, column] + 5) % math.prod(LEVELS)
    changed = (said(ids, rows) - said(other, rows)).abs().flatten() > 0
    assert changed[row * 5 + column]
    assert not changed[: row * 5 + column].any()


def test_a_place_is_told_of_the_frame_before() -> None:
    ids = torch.randint(math.prod(LEVELS), (1, 10, 3), generator=torch.Generator().manual_seed(3))
    other = ids.clone()
    other[0, 1, 1] = (other[0, 1, 1] + 5) % math.prod(LEVELS)
    changed = {rows: (said(ids, rows) - said(other, rows)).abs()[0] > 0 for rows in (None, 5)}
    assert changed[5][6].tolist() == [True, True, True]  # the same place of the second frame, and those beside it
    assert not changed[None][6].any()


def test_a_code_between_two_levels_costs_what_lies_between_and_is_drawn_to_the_likelier() -> None:
    made, codes = rate(), torch.zeros(1, 2, 1, 1)
    ends = [made(codes, torch.tensor([level, 1.0]).view(1, 2, 1, 1)).item() for level in (1.0, 2.0)]
    between = torch.tensor([1.25, 1.0]).view(1, 2, 1, 1).requires_grad_()
    nats = made(codes, between)
    nats.sum().backward()
    assert nats.item() == pytest.approx(0.75 * ends[0] + 0.25 * ends[1], abs=1e-5)
    assert between.grad is not None
    assert float(between.grad[0, 0]) == pytest.approx(ends[1] - ends[0], abs=1e-5)


def test_tokens_that_cost_something_are_cheaper_to_say() -> None:
    def learned(price: float) -> float:
        values = {"channels": 1, "height": 16, "width": 16, "filters": 8, "depth": 1, "levels": (4, 4), "rate": price}
        model = VQVAE(VQVAEConfig.parse(values, "test"))
        model.initialise(torch.Generator().manual_seed(0))
        batch = pictures(model.config, 16)
        optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
        for _ in range(60):
            optimizer.zero_grad()
            loss = model.loss(batch)
            loss.total.backward()
            optimizer.step()
        return float(loss.parts["nats"])

    assert learned(1.0) < 0.5 * learned(1e-6)


def test_a_learned_codebook_has_no_price() -> None:
    with pytest.raises(DaedalError, match="fsq"):
        VQVAEConfig.parse({"channels": 1, "height": 8, "width": 8, "quantizer": "vq", "rate": 0.1}, "test")
