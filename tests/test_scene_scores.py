"""What the judge counts becomes measurements that say what they are, with intervals."""

import numpy as np
import pytest

from daedal.data.worlds.scene_generator import scene
from daedal.data.worlds.scene_options import SceneOptions
from daedal.data.worlds.scenes import HELD_OUT_PAIRS, draw
from daedal.errors import DaedalError
from daedal.evaluation.worlds.scene_scores import scene_scores
from daedal.evaluation.worlds.validity import ALL_PAIRS

TRAINED = tuple(pair for pair in ALL_PAIRS if pair not in HELD_OUT_PAIRS)


def pictures(count: int) -> list[np.ndarray]:
    options = SceneOptions.parse_source("scenes:1,pairs=trained")
    return [draw(scene(number, 3, options), 32) for number in range(count)]


def test_true_scenes_are_valid_and_noise_is_not() -> None:
    noise = [np.random.default_rng(number).integers(0, 256, (32, 32, 3)).astype(np.uint8) for number in range(10)]
    found, (valid, strict, coverage, divergence) = scene_scores([*pictures(30), *noise], pairs=TRAINED, seed=3)
    assert found.valid == 30
    assert valid.value == 0.75
    assert valid.interval is not None
    assert 0.59 < valid.interval[0] < 0.61 < 0.85 < valid.interval[1] < 0.87  # Wilson's of 30 in 40
    assert strict.value == sum(passed for _, passed in found.patches.values()) / strict.n
    assert coverage.value == found.coverage(TRAINED) > 0.5
    assert divergence.value > 0
    assert (valid.better, divergence.better) == ("higher", "lower")


def test_coverage_of_other_pairs_is_another_measurement() -> None:
    drawn = pictures(10)
    every, trained = scene_scores(drawn)[1][2], scene_scores(drawn, pairs=TRAINED)[1][2]
    with pytest.raises(DaedalError, match="different measurements"):
        every.minus(trained)


def test_no_valid_picture_covers_nothing() -> None:
    found, (valid, _, coverage, divergence) = scene_scores([np.zeros((32, 32, 3), np.uint8)] * 5)
    assert (found.share, valid.value, coverage.value) == (0, 0, 0)
    assert divergence.value == pytest.approx(np.log(64))
