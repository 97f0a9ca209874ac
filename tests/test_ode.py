"""Solvers of ordinary differential equations."""

import math

import pytest
import torch
from torch import Tensor

from daedal.nn.ode import SOLVERS, integrate


def _spiral(x: Tensor, time: float) -> Tensor:
    """Turns a point of the plane at a rate that changes with time; the radius stays."""
    rate = 1 + math.sin(3 * time)
    return rate * torch.stack((-x[:, 1], x[:, 0]), 1)


def _error(solver: str, steps: int) -> float:
    times = [2 * step / steps for step in range(steps + 1)]
    end = integrate(_spiral, torch.tensor([[1.0, 0.0]], dtype=torch.float64), times, SOLVERS[solver])
    angle = 2 + (1 - math.cos(6)) / 3
    return float((end - torch.tensor([[math.cos(angle), math.sin(angle)]], dtype=torch.float64)).norm())


@pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("heun", 2), ("rk4", 4)])
def test_half_the_step_makes_the_error_smaller_by_the_solvers_order(solver: str, order: int) -> None:
    measured = math.log2(_error(solver, 100) / _error(solver, 200))
    assert measured == pytest.approx(order, abs=0.15)


@pytest.mark.parametrize("solver", SOLVERS)
def test_backwards_leads_to_the_start(solver: str) -> None:
    times = [step / 400 for step in range(401)]
    start = torch.tensor([[0.3, -0.8], [1.0, 2.0]], dtype=torch.float64)
    end = integrate(_spiral, start, times, SOLVERS[solver])
    torch.testing.assert_close(integrate(_spiral, end, times[::-1], SOLVERS[solver]), start, rtol=0, atol=2e-2)
