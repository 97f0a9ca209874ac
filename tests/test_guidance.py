"""Guidance combines the predictions with and without a condition."""

import torch
from torch import Tensor

from daedal.nn.guidance import ClassifierFree, Interval, guided

ASKED, NOTHING = torch.tensor([3.0, 5.0]), torch.tensor([0.0, 0.0])


class _Predictor:
    """A prediction that is the condition plus the state; counts its calls."""

    def __init__(self) -> None:
        self.rows: list[int] = []

    def __call__(self, state: Tensor, condition: Tensor) -> Tensor:
        self.rows.append(len(state))
        return state + condition[:, None]


def _predict(guidance: ClassifierFree | Interval, progress: float = 0.5) -> tuple[Tensor, list[int]]:
    predictor = _Predictor()
    return guided(predictor, torch.ones(2, 3), ASKED, NOTHING, guidance, progress), predictor.rows


def test_guidance_of_one_is_the_conditional_prediction_and_costs_no_more() -> None:
    out, rows = _predict(ClassifierFree(1.0))
    assert torch.equal(out, 1 + ASKED[:, None].expand(2, 3))
    assert rows == [2]


def test_guidance_of_nothing_is_the_unconditional_prediction() -> None:
    out, rows = _predict(ClassifierFree(0.0))
    assert torch.equal(out, torch.ones(2, 3))
    assert rows == [2]


def test_both_predictions_are_one_batch_and_the_condition_is_asked_for_more() -> None:
    out, rows = _predict(ClassifierFree(2.5))
    torch.testing.assert_close(out, 1 + 2.5 * ASKED[:, None].expand(2, 3))
    assert rows == [4]


def test_outside_of_its_interval_guidance_is_as_learned() -> None:
    guidance = Interval(ClassifierFree(3.0), 0.25, 0.75)
    for progress, strength in ((0.0, 1), (0.25, 3), (0.74, 3), (0.75, 1), (1.0, 1)):
        assert guidance.strength(progress) == strength
        out, _ = _predict(guidance, progress)
        torch.testing.assert_close(out, 1 + strength * ASKED[:, None].expand(2, 3))
