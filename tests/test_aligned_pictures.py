"""GRPO on pictures: likelihoods of what was drawn, the exact judge as a reward, and a reward that is learned."""

import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from daedal import api
from daedal.alignment.pictures import Painter
from daedal.alignment.rewards import Asked, reward_of
from daedal.alignment.rollout import log_probabilities
from daedal.data.worlds.scenes import draw as draw_scene
from daedal.errors import DaedalError
from daedal.evaluation.worlds.prompts import prompts
from daedal.training.metrics import Silence
from daedal.training.trainer import Interrupted
from runs import logged, same
from test_captions import painter, scenes, tokens

__all__ = ["painter", "scenes", "tokens"]
BRIGHT = "def reward(prompts, completions, answers):\n    return [10 * float(each.mean()) for each in completions]\n"
RUN: dict[str, Any] = {
    "reward": "bright:reward", "rollout": 16, "samples": 8, "batch": 16, "held_prompts": 4, "threads": 1, "log_every": 1,
    "evaluate_every": 100, "sample_every": 100,
}  # fmt: skip


@pytest.fixture
def bright(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bright.py").write_text(BRIGHT)
    monkeypatch.syspath_prepend(tmp_path)


def test_the_judge_rewards_what_was_asked_for_and_a_part_of_it_less() -> None:
    asked = prompts("color_attr", "seen", 6, seed=3)
    right = [Asked([], "", each, draw_scene(each.scene, 32)) for each in asked]
    wrong = [Asked([], "", each, other.picture) for each, other in zip(asked, right[1:] + right[:1], strict=True)]
    assert reward_of("rule:scenes")(right) == [1.0] * 6
    assert sum(reward_of("rule:scenes")(wrong)) <= 1
    graded = reward_of("rule:scenes:graded")
    assert graded(right) == [1.0] * 6
    assert all(0 <= each <= 0.5 or each == 1 for each in graded(wrong))
    assert any(0 < each <= 0.5 for each in graded(wrong))
    blank = [Asked([], "", asked[0], np.zeros((32, 32, 3), np.uint8))]
    assert graded(blank) == [0.0]


def test_what_was_drawn_is_as_likely_as_the_trainer_finds_it(painter: Path) -> None:
    opened = Painter.open(str(painter))
    codes = opened.prompts(["a red circle"], [None])[0].ids
    drawn = torch.randint(opened.whole.layout.tokens, (3, opened.whole.layout.places))
    pairs = [(codes, ids.tolist()) for ids in drawn]
    found = log_probabilities(opened.gpt, pairs, allowed=slice(opened.whole.layout.tokens))
    rows = torch.tensor([[*codes, *ids[:-1].tolist()] for ids in drawn])
    with torch.no_grad():
        logs = opened.gpt(rows)[:, len(codes) - 1 :, : opened.whole.layout.tokens].log_softmax(-1)
    expected = logs.gather(2, drawn[..., None])[..., 0]
    torch.testing.assert_close(torch.stack(found), expected, atol=1e-5, rtol=0)


@pytest.mark.usefixtures("bright")
def test_pictures_come_to_be_what_is_rewarded_and_a_stopped_run_goes_on_bit_for_bit(
    painter: Path, scenes: Path, tmp_path: Path
) -> None:
    class Stop(Silence):
        def step(self, record: dict[str, float], steps: int, seconds_left: float) -> None:
            if record["step"] == 5:
                signal.raise_signal(signal.SIGTERM)

    how = {**RUN, "steps": 16, "learning_rate": 1e-2, "beta": 0.0}
    api.train("grpo", data=scenes, init=str(painter), out=tmp_path / "run", **how)
    rewards = logged(tmp_path / "run", "rollout_reward")
    assert sum(rewards[-3:]) > sum(rewards[:3]) + 0.03, rewards
    assert api.load(tmp_path / "run").generate(1, prompt="a red circle", seed=0)[0].image.size == (32, 32)
    with pytest.raises(Interrupted):
        api.train("grpo", data=scenes, init=str(painter), out=tmp_path / "stopped", progress=Stop(), **how)
    api.resume(tmp_path / "stopped")
    assert same(tmp_path / "run", tmp_path / "stopped")


def test_a_model_that_draws_nothing_that_captions_say_is_refused(tokens: Path, scenes: Path, tmp_path: Path) -> None:
    for init in (None, str(tokens)):
        with pytest.raises(DaedalError, match=r"nothing to align|does not draw"):
            api.train("grpo", data=scenes, init=init, out=tmp_path / "run", **{**RUN, "reward": "rule:scenes"}, steps=2)
