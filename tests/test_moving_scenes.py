"""Moving scenes are pure functions of their numbers and say what they show; true clips pass the judge, broken ones fail."""

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daedal.data.worlds.moving_captions import MotionPhrasing, caption, tell
from daedal.data.worlds.moving_scene_generator import moving_scene
from daedal.data.worlds.moving_scene_options import MovingSceneOptions
from daedal.data.worlds.moving_scenes import HELD_OUT_MOTIONS, VERBS, MovingScene, Verb, film
from daedal.data.worlds.scenes import APART, COLOURS, TINT_RGB
from daedal.data.worlds.shapes import SHAPES, gap
from daedal.errors import DaedalError
from daedal.evaluation.worlds.clip_prompts import MOTION_PARTS, MOTION_TASKS, clip_prompts
from daedal.evaluation.worlds.motion_judge import judge

EVERYTHING = MovingSceneOptions()
FRAMES = 12


def scenes(source: str, count: int, seed: int = 3) -> list[MovingScene]:
    options = MovingSceneOptions.parse_source(f"moving-scenes:1,{source}")
    return [moving_scene(number, seed, options) for number in range(count)]


def shown(made: MovingScene, frames: int = FRAMES, side: int = 32) -> np.ndarray:
    return film(made, side, frames)


# -- scenes ------------------------------------------------------------------------------------------------------------


def test_a_scene_is_a_pure_function_of_its_number_and_seed() -> None:
    assert moving_scene(17, 4, EVERYTHING) == moving_scene(17, 4, EVERYTHING)
    assert moving_scene(17, 4, EVERYTHING) != moving_scene(17, 5, EVERYTHING)
    assert moving_scene(17, 4, EVERYTHING) == moving_scene(17, 4, EVERYTHING.but(count=2, first=17))


def test_truth_comes_back_from_json() -> None:
    made = moving_scene(3, 0, EVERYTHING)
    assert MovingScene.model_validate_json(made.model_dump_json()) == made


def test_things_stay_apart_and_in_the_picture() -> None:
    for made in scenes("objects=2", 60):
        for time in np.linspace(0, 1, 17):
            places = [(thing.shape, knot.size, knot.x, knot.y) for thing in made.things for knot in [thing.at(time)]]
            if "turns" not in {thing.verb for thing in made.things}:
                assert all(gap(one, other) > APART / 2 for one, other in combinations(places, 2)), made
        clip, ground = shown(made, 3, 64), TINT_RGB[made.tint]
        assert all((edge == ground).all() for edge in (clip[:, 0], clip[:, -1], clip[:, :, 0], clip[:, :, -1])), made


def test_every_verb_comes_as_often_and_held_out_pairs_are_an_eighth() -> None:
    verbs = Counter(made.things[0].verb for made in scenes("", 400))
    assert set(verbs) == set(VERBS)
    assert min(verbs.values()) > 25
    assert len(HELD_OUT_MOTIONS) == 8
    assert {shape for shape, _ in HELD_OUT_MOTIONS} == set(SHAPES)
    assert {verb for _, verb in HELD_OUT_MOTIONS} == set(VERBS)


def test_trained_and_held_out_pairs_share_none() -> None:
    trained = {thing.pair for made in scenes("pairs=trained", 150) for thing in made.things}
    held_out = {made.things[0].pair for made in scenes("pairs=held-out", 60)}
    assert trained.isdisjoint(HELD_OUT_MOTIONS)
    assert held_out == HELD_OUT_MOTIONS


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("moving-scenes:1,sizes=small", "no option 'sizes'"),
        ("moving-scenes:1,objects=3", "from 1 to 2"),
        ("moving-scenes:1,objects=1,verbs=follows", "no pair of shape and verb"),
        ("moving-scenes:1,shapes=circle,verbs=turns", "no pair of shape and verb"),
        ("moving-scenes:1,colours=red", "two colours"),
        ("moving-scenes:many", "count"),
    ],
)
def test_a_bad_source_is_refused_in_one_line(source: str, says: str) -> None:
    with pytest.raises(DaedalError, match=says) as refused:
        MovingSceneOptions.parse_source(source)
    assert "\n" not in refused.value.what


@pytest.mark.parametrize(
    ("source", "words", "said"),
    [
        ("verbs=moves,objects=1", 0, "{colour} {shape} moves {way}"),
        ("verbs=grows,objects=1", 1, "{colour} {shape} gets bigger"),
        ("verbs=turns,objects=1", 0, "{colour} {shape} turns {way}"),
        ("verbs=passes", 1, "{colour} {shape} moves {way} past a {other.colour} {other.shape}"),
    ],
)
def test_a_caption_says_what_happens(source: str, words: int, said: str) -> None:
    made = scenes(source, 1)[0]
    first, other = made.things[0], made.things[-1]
    expected = said.format(colour=first.colour, shape=first.shape, way=first.way, other=other)
    assert tell(made, MotionPhrasing(words=(words, words))) == f"a {expected}"


def test_captions_are_of_a_small_vocabulary() -> None:
    words = {word for number in range(300) for word in caption(moving_scene(number, 0, EVERYTHING), number, 0).split()}
    assert words >= {*SHAPES, *COLOURS}
    assert len(words) < 60


# -- the judge ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", MOTION_TASKS)
@pytest.mark.parametrize("part", MOTION_PARTS)
def test_true_clips_hold(task: str, part: str) -> None:
    for number, prompt in enumerate(clip_prompts(task, part, 6, seed=1)):
        clip = shown(prompt.scene, (8, 12, 16)[number % 3], (32, 48, 64)[number % 3])
        assert judge(clip, prompt.scene).holds, (prompt.text, judge(clip, prompt.scene))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_every_rendered_clip_holds_with_colours_or_without(number: int) -> None:
    made = moving_scene(number, 9, EVERYTHING)
    clip = shown(made, 16)
    assert judge(clip, made).holds
    assert judge(clip, made, colours=False).holds


def of(verb: Verb | str, count: int = 4) -> list[tuple[MovingScene, np.ndarray]]:
    return [(prompt.scene, shown(prompt.scene)) for prompt in clip_prompts(verb, "seen", count, seed=2)]


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "bounces"])
def test_a_clip_that_runs_backwards_fails(verb: Verb) -> None:
    for made, clip in of(verb):
        assert not judge(clip[::-1], made).holds


@pytest.mark.parametrize("verb", ["moves", "bounces", "follows", "passes"])
def test_a_mirrored_motion_fails(verb: Verb) -> None:
    for made, clip in of(verb):
        across = made.things[0].way in ("left", "right")
        mirrored = clip[:, :, ::-1] if across else clip[:, ::-1]
        assert not judge(mirrored, made).motion


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "appears"])
def test_one_frozen_frame_fails(verb: Verb) -> None:
    for made, clip in of(verb):
        for place in (2, FRAMES - 2):
            frozen = clip.copy()
            frozen[place] = clip[place - 1]
            assert not judge(frozen, made).motion


@pytest.mark.parametrize("verb", VERBS)
def test_frames_in_another_order_fail(verb: Verb) -> None:
    for number, (made, clip) in enumerate(of(verb)):
        order = np.random.default_rng(number).permutation(FRAMES)
        assert not judge(clip[order], made).holds


@pytest.mark.parametrize("verb", VERBS)
def test_a_colour_or_a_shape_that_changes_on_the_way_fails(verb: Verb) -> None:
    for made, clip in of(verb, 3):
        first = made.things[0]
        colour = next(each for each in COLOURS if each not in {thing.colour for thing in made.things})
        shape = next(each for each in SHAPES if each not in {first.shape, "circle", "diamond"})
        for change in ({"colour": colour}, {"shape": shape}):
            other = shown(MovingScene(things=(first.model_copy(update=change), *made.things[1:]), tint=made.tint))
            half = FRAMES // 2 if verb != "appears" else FRAMES - 2
            assert not judge(np.concatenate([clip[:half], other[half:]]), made).holds


def test_two_things_that_change_places_on_the_way_fail() -> None:
    for made, clip in of("two", 8):
        one, other = made.things
        swapped = MovingScene(
            things=(
                one.model_copy(update={"knots": other.knots, "since": other.since}),
                other.model_copy(update={"knots": one.knots, "since": one.since}),
            ),
            tint=made.tint,
        )
        half = FRAMES // 2
        assert not judge(np.concatenate([clip[:half], shown(swapped)[half:]]), made).holds


@pytest.mark.parametrize("verb", ["follows", "passes"])
def test_what_follows_and_what_is_followed_are_not_the_same(verb: Verb) -> None:
    for made, clip in of(verb, 6):
        one, other = made.things
        turned = MovingScene(
            things=(
                one.model_copy(update={"shape": other.shape, "colour": other.colour}),
                other.model_copy(update={"shape": one.shape, "colour": one.colour}),
            ),
            tint=made.tint,
        )
        assert not judge(clip, turned).holds


def test_other_things_fail() -> None:
    for made, clip in of("moves", 6):
        thing = made.things[0]
        for change in (
            {"colour": next(each for each in COLOURS if each != thing.colour)},
            {"shape": next(each for each in SHAPES if each != thing.shape)},
            {"way": "up" if thing.way != "up" else "down"},
            {"verb": "turns", "way": "clockwise"},
            {"verb": "grows", "way": None},
        ):
            assert not judge(clip, made.model_copy(update={"things": (thing.model_copy(update=change),)})).holds


def test_noise_is_forgiven() -> None:
    for made, clip in of("two", 4):
        noise = np.random.default_rng(0).normal(0, 4, clip.shape)
        assert judge(np.clip(np.rint(clip + noise), 0, 255).astype(np.uint8), made).holds
