"""Small data: what the plan does about them, what stays as it is where data are ample, and when pictures may be mirrored."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from daedal.data.images import build
from daedal.training.language import LanguageLearner
from daedal.training.learner import Facts, Request, open_learner
from daedal.training.machine import Machine
from daedal.training.overfitting import RULES, choose_guards, verdict
from daedal.training.picture_traits import mirrors_belong
from daedal.training.planning import Choice
from daedal.training.transformer_learner import GPTLearner

MACHINE = Machine(
    device="cpu", name="a test's", cores=1, threads=1, memory=2**33, gflops=10.0, precision="fp32", compiler=False
)


class Made(LanguageLearner):
    """A GPT that is to learn so many tokens."""

    def __init__(self, tokens: int) -> None:
        GPTLearner.__init__(self, Request("gpt", "text", "data"))
        self._facts = Facts(tokens, 2000, 300)

    def facts(self, given: Any) -> Facts:
        return self._facts


def text_plan(monkeypatch: pytest.MonkeyPatch, tokens: int, budget: float | None = 180.0, **given: Any) -> Any:
    monkeypatch.setattr("daedal.training.learner.step_seconds", lambda *arguments: 0.1)
    shape = {"width": 64, "depth": 2, "threads": 1}
    return Made(tokens).make_plan(budget, MACHINE, {**shape, **given})


def test_a_text_that_is_read_too_often_is_guarded_and_the_plan_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = text_plan(monkeypatch, 40_000)
    rule = RULES["text"]
    assert (plan.keep, plan.dropout) == ("best", rule.dropout)
    assert plan.steps == plan.most_steps == np.ceil(rule.most * 40_000 / plan.seen_per_step)
    assert f"training ends after {rule.most:.0f}" in plan.why["Small data"]
    assert "validation" in plan.why["Small data"]
    assert "Small data" in plan.explain()
    assert plan.steps / plan.evaluate_every > 15


def test_ample_data_and_given_steps_are_planned_as_without_guards(monkeypatch: pytest.MonkeyPatch) -> None:
    for plan in (text_plan(monkeypatch, 750_000), text_plan(monkeypatch, 40_000, None, steps=2000)):
        assert (plan.keep, plan.dropout, plan.most_steps) == ("last", 0.0, 0)
        assert "Small data" not in plan.why


def test_what_a_person_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = text_plan(monkeypatch, 40_000, keep="last", dropout=0.3, most_steps=0)
    assert (plan.keep, plan.dropout, plan.most_steps) == ("last", 0.3, 0)
    assert plan.steps > 1000
    assert "training ends" not in plan.why["Small data"]


@pytest.mark.parametrize("kind", RULES)
def test_every_family_that_is_validated_is_watched_on_small_data(kind: str) -> None:
    choose = Choice({}, {})
    assert choose_guards(choose, kind, 0.1, 10_000, 50)
    assert choose.values["keep"] == "best"
    unmeasured = Choice({}, {})
    choose_guards(unmeasured, kind, 0.1, 10_000, 0)
    assert "keep" not in unmeasured.values, "without validation nothing is best"


def test_a_gan_has_no_loss_to_watch() -> None:
    assert choose_guards(Choice({}, {}), "gan", 0.1, 10_000, 50) == {}


def test_few_pictures_are_guarded_and_digits_are_not_mirrored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daedal.training.learner.step_seconds", lambda *arguments: 0.01)
    build(["digits"], tmp_path / "digits", workers=1)
    small = {"filters": 8, "depth": 1, "halvings": 1, "latent": 4, "couplings": 2}
    plan: Any = open_learner("vae", tmp_path / "digits").make_plan(180, MACHINE, {"threads": 1, **small})
    assert (plan.keep, plan.flip) == ("best", False)
    assert 0 < plan.most_steps == plan.steps


@pytest.mark.parametrize(
    ("points", "name", "kept", "line"),
    [
        (((10, 2.0), (20, 1.0), (30, 3.0)), "loss", True,
         "validation was best at step 20 (1.000); later steps overfit (3.000 at step 30); those weights are saved"),
        (((20, 1.0), (30, 3.0)), "bits_per_byte", False,
         "validation was best at step 20 (1.000 bits per byte); later steps overfit (3.000 at step 30); the last weights are "
         "saved: --keep best saves those"),
        (((20, 1.0), (30, 1.001)), "loss", True, "validation was best at step 20 (1.000); those weights are saved"),
        (((20, 1.0), (30, 1.001)), "loss", False, None),
        (((20, 1.0), (30, 0.9)), "loss", True, None),
        (((20, 0.0001), (30, 0.0002)), "loss", False, None),
        (((0, float("inf")), (0, float("inf"))), "loss", True, None),
        ((), "loss", True, None),
        (((20, -5.0), (30, -2.0)), "loss", True,
         "validation was best at step 20 (-5.000); later steps overfit (-2.000 at step 30); those weights are saved"),
    ],
)  # fmt: skip
def test_a_line_tells_where_later_steps_overfit(
    points: tuple[tuple[int, float], ...], name: str, kept: bool, line: str | None
) -> None:
    assert verdict(points, name, kept) == line


def split(images: Any, labels: Any, first: int, last: int) -> Any:
    return SimpleNamespace(images=images[first:last], labels=labels[first:last], count=last - first)


def test_pictures_are_mirrored_only_where_they_look_both_ways() -> None:
    random = np.random.default_rng(0)
    noise = random.integers(0, 255, (300, 16, 16, 3)).astype(np.uint8)
    labels = np.arange(300) % 2
    one_way = noise // 4
    one_way[:, :, :5] += 150
    arrows = noise // 4
    arrows[labels == 0, :, :5] += 150
    arrows[labels == 1, :, -5:] += 150

    def belong(images: Any, classes: bool, held: int = 100) -> bool:
        return mirrors_belong(split(images, labels, 0, 200), split(images, labels, 200, 200 + held), classes)

    assert belong(noise, False)
    assert not belong(one_way, False)
    assert belong(arrows, False)
    assert not belong(arrows, True), "the mirror image of one class is another"
    assert not belong(noise, False, held=10), "too few to tell"
