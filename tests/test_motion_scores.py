"""True clips score 1, others less; and what a clip is worth without a prompt."""

from collections.abc import Sequence

import numpy as np
import pytest

from daedal.data.worlds.moving_scene_generator import moving_scene
from daedal.data.worlds.moving_scene_options import MovingSceneOptions
from daedal.data.worlds.moving_scenes import film
from daedal.errors import DaedalError
from daedal.evaluation.worlds.clip_prompts import MOTION_TASKS
from daedal.evaluation.worlds.motion_scores import film_quality, motion_ceiling, motions


def still(prompts: Sequence[str], seed: int) -> list[np.ndarray]:
    """The first frame of some scene, for all of the time."""
    made = moving_scene(seed % 1000, 0, MovingSceneOptions())
    return [np.repeat(film(made, 32, 2)[:1], 8, axis=0) for _ in prompts]


def test_true_clips_score_one_and_still_ones_nothing() -> None:
    ceiling = motion_ceiling(32, 8, 2, seed=1)
    assert {score.value for score in ceiling.values()} == {1.0}
    assert len(ceiling) == 2 * (len(MOTION_TASKS) + 1)
    found = motions(still, 32, 8, 1, seed=1, parts=("seen",))
    assert found["overall", "seen"].value == 0
    assert found["overall", "seen"].interval is not None


def test_what_a_tokenizer_breaks_is_not_the_models_fault() -> None:
    broken = motion_ceiling(32, 8, 1, seed=1, through=lambda clips: [clip[::-1] for clip in clips])
    assert broken["overall", "seen"].value < 0.3
    with pytest.raises(DaedalError, match="others came"):
        motion_ceiling(32, 8, 1, seed=1, through=lambda clips: [clip[:4] for clip in clips])


def test_true_clips_are_smooth_and_their_things_persist() -> None:
    made = [moving_scene(number, 0, MovingSceneOptions(verbs=("moves",), objects=(1, 1))) for number in range(6)]
    clips = [film(each, 32, 12) for each in made]
    smooth, persistence = film_quality(clips)
    assert smooth.value < 0.1
    assert persistence.value == 1
    shaken = [clip[np.random.default_rng(0).permutation(12)] for clip in clips]
    assert film_quality(shaken)[0].value > 20 * smooth.value
