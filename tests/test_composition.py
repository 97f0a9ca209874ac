"""Prompts ask for what they say, true pictures fit all of them, and nothing else does."""

import re
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daedal.data.images.captions import Phrasing, describe, phrasing
from daedal.data.worlds.scene_generator import scene
from daedal.data.worlds.scene_options import SceneOptions
from daedal.data.worlds.scenes import (
    COLOURS,
    HELD_OUT_PAIRS,
    HELD_OUT_RELATIONS,
    RELATIONS,
    SIZES,
    Relation,
    Scene,
    Thing,
    arrangements,
    draw,
    relations,
)
from daedal.data.worlds.shapes import SHAPES
from daedal.errors import DaedalError
from daedal.evaluation.means import wilson
from daedal.evaluation.worlds.composition import (
    Composition,
    Picture,
    ceiling,
    composition,
    fits,
    never_trained,
    render,
    table,
)
from daedal.evaluation.worlds.prompts import MAIN_TASKS, TASKS, Part, Prompt, Task, parts_of, prompts

SIDE, MOST = 32, 3
EVERY = [(task, part) for task in TASKS for part in parts_of(task, MOST)]

CIRCLE = Thing(shape="circle", colour="red", size="medium", x=0.27, y=0.3)
STAR = Thing(shape="star", colour="blue", size="medium", x=0.7, y=0.7)
HEART = Thing(shape="heart", colour="green", size="small", x=0.75, y=0.25)


def ask(task: Task, *things: Thing, relation: Relation | None = None, **how: bool) -> Prompt:
    made, said = Scene(things=things, relation=relation), Phrasing.parse(how, "test")
    return Prompt(task=task, part="seen", text=describe(made, said), scene=made, phrasing=said)


def shown(*things: Thing) -> Picture:
    return draw(Scene(things=things), SIDE)


# -- prompts -----------------------------------------------------------------------------------------------------------


def test_tasks_ask_for_what_their_names_say() -> None:
    said = {
        "single_object": "a C S", "two_object": "a C S and a C S", "color_attr": "a C S and a C S", "size": "a Z C S",
        "concepts-1": "a S", "concepts-2": "a C S", "concepts-3": "a Z C S", "concepts-4": "a C S and a C S",
        "concepts-6": "a Z C S and a Z C S",
    }  # fmt: skip
    for task, template in said.items():
        assert {templated(prompt.text) for prompt in prompts(task, "seen", 20, 1)} == {template}  # type: ignore[arg-type]
    related = [f"a C S {relation} a C S" for relation in RELATIONS]
    for task in ("position", "concepts-5"):
        assert [templated(prompt.text) for prompt in prompts(task, "seen", 12, 1)] == related * 2  # type: ignore[arg-type]
    sized = [templated(prompt.text) for prompt in prompts("concepts-7", "seen", 6, 1)]
    assert sized == [each.replace("C", "Z C") for each in related]
    assert [prompt.text.split()[0] for prompt in prompts("counting", "seen", 6, 1)] == ["two", "three", "four"] * 2


def templated(text: str) -> str:
    for letter, words in (("C", COLOURS), ("S", SHAPES), ("Z", SIZES)):
        text = re.sub(rf"\b({'|'.join(words)})\b", letter, text)
    return text


def test_training_captions_are_phrased_as_prompts_are() -> None:
    trained = {phrasing(np.random.default_rng(number)) for number in range(2000)}
    assert {prompt.phrasing for task in TASKS for prompt in prompts(task, "seen", 1, 1)} <= trained


@pytest.mark.parametrize(("task", "part"), EVERY)
def test_prompts_are_of_their_part_and_are_the_same_each_time(task: Task, part: Part) -> None:
    asked = prompts(task, part, 24, 5, MOST)
    assert asked == prompts(task, part, 30, 5, MOST)[:24]
    assert asked != prompts(task, part, 24, 6, MOST)
    for prompt in asked:
        made = prompt.scene
        assert (prompt.task, prompt.part, prompt.text) == (task, part, describe(made, prompt.phrasing))
        assert any(thing.pair in HELD_OUT_PAIRS for thing in made.things) == (part == "held-out pairs")
        assert HELD_OUT_RELATIONS.isdisjoint(arrangements(made)) == (part != "held-out relations")
        assert (len(made.things) > MOST) == (part == "held-out counts")
        assert made.relation is None or made.relation in relations(made.things[0], made.things[1])
        if task == "color_attr":
            assert len({thing.shape for thing in made.things}) == len({thing.colour for thing in made.things}) == 2


def test_counts_are_held_out_where_fewer_were_trained() -> None:
    assert parts_of("counting") == ("seen", "held-out pairs")
    asked = {most: prompts("counting", "held-out counts", 6, 1, most) for most in (2, 3)}
    assert {most: {len(prompt.scene.things) for prompt in each} for most, each in asked.items()} == {2: {3, 4}, 3: {4}}
    assert {len(prompt.scene.things) for prompt in prompts("counting", "seen", 6, 1, 2)} == {2}


def test_what_there_is_not_is_refused() -> None:
    with pytest.raises(DaedalError, match="no part 'held-out pairs'"):
        prompts("concepts-1", "held-out pairs", 5, 1)
    with pytest.raises(DaedalError, match="2 to 4"):
        prompts("counting", "seen", 5, 1, most=1)


# -- what fits ---------------------------------------------------------------------------------------------------------


def test_every_true_picture_fits_its_prompt() -> None:
    found = ceiling(SIDE, 18, seed=3, most=MOST)  # 486 of them
    assert {score.value for score in found.measurements} == {1.0}
    assert {(task, part) for task, scores in found.scores.items() for part in scores if task != "overall"} == set(EVERY)


def test_colours_on_the_wrong_shapes_are_two_objects_but_no_attributes() -> None:
    swapped = shown(CIRCLE.but(colour="blue"), STAR.but(colour="red"))
    for picture, right in ((shown(CIRCLE, STAR), True), (shown(STAR, CIRCLE), True), (swapped, False)):
        assert fits(ask("color_attr", CIRCLE, STAR), picture) == right
        assert fits(ask("two_object", CIRCLE, STAR), picture)
    assert not fits(ask("two_object", CIRCLE, STAR), shown(CIRCLE, HEART))


def test_what_is_said_must_hold_and_the_rest_is_free() -> None:
    large, blue = CIRCLE.but(size="large"), CIRCLE.but(colour="blue")
    single, size = ask("single_object", CIRCLE), ask("size", CIRCLE, sizes=True)
    shape = ask("concepts-1", CIRCLE, colours=False)
    assert [fits(single, shown(thing)) for thing in (CIRCLE, large, blue)] == [True, True, False]
    assert [fits(size, shown(thing)) for thing in (CIRCLE, large, blue)] == [True, False, False]
    assert [fits(shape, shown(thing)) for thing in (CIRCLE, large, blue, STAR)] == [True, True, True, False]


def test_one_thing_more_or_less_does_not_fit() -> None:
    three = [HEART.but(x=x, y=y) for x, y in ((0.2, 0.2), (0.8, 0.2), (0.5, 0.8))]
    assert fits(ask("counting", *three), shown(*three))
    assert not fits(ask("counting", *three), shown(*three[:2]))
    assert not fits(ask("counting", *three[:2]), shown(*three))
    assert not fits(ask("counting", *three), shown(*three[:2], three[2].but(colour="red")))
    assert not fits(ask("two_object", CIRCLE, STAR), shown(CIRCLE))
    assert not fits(ask("two_object", CIRCLE, STAR), shown(CIRCLE, STAR, HEART))


def test_a_relation_fits_where_it_holds_and_nowhere_else() -> None:
    ball, disc = CIRCLE.but(size="small", x=0.5, y=0.5), STAR.but(shape="square", size="large", x=0.5, y=0.5)
    placed = {
        "above": (CIRCLE, STAR.but(x=0.3)), "below": (STAR.but(x=0.3), CIRCLE), "left of": (CIRCLE, STAR.but(y=0.35)),
        "right of": (STAR.but(y=0.35), CIRCLE), "inside": (ball, disc),
        "touching": (CIRCLE.but(x=0.4), disc.but(size="medium", x=0.765, y=0.3)),
    }  # fmt: skip
    assert set(placed) == set(RELATIONS)
    for relation in RELATIONS:
        for one, other in placed.values():
            holds = relation in relations(one, other)
            assert fits(ask("position", one, other, relation=relation), shown(one, other)) == holds
        one, other = placed[relation]
        assert fits(ask("position", one, other, relation=relation), shown(one, other))
    assert not fits(ask("position", disc, ball, relation="inside"), shown(disc, ball))


def test_a_picture_that_cannot_be_read_fits_nothing() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)
    assert not fits(ask("concepts-1", CIRCLE, colours=False), noise)
    marked = shown(CIRCLE)
    marked[-5:, -12:] = (40, 82, 214)
    assert not fits(ask("concepts-1", CIRCLE, colours=False), marked)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(EVERY), st.integers(0, 2**32), st.data())
def test_another_shape_or_a_said_colour_never_fits(which: tuple[Task, Part], seed: int, data: st.DataObject) -> None:
    (prompt,) = prompts(*which, 1, seed, MOST)
    things = list(prompt.scene.things)
    assert fits(prompt, shown(*reversed(things)))
    number = data.draw(st.integers(0, len(things) - 1))
    thing = things[number]
    other = thing.but(shape=data.draw(st.sampled_from([shape for shape in SHAPES if shape != thing.shape])))
    assert not fits(prompt, shown(*things[:number], other, *things[number + 1 :]))
    painted = thing.but(colour=data.draw(st.sampled_from([colour for colour in COLOURS if colour != thing.colour])))
    if which[0] not in ("two_object", "concepts-1"):
        assert not fits(prompt, shown(*things[:number], painted, *things[number + 1 :]))


# -- scores ------------------------------------------------------------------------------------------------------------

KNOWN = {prompt.text: prompt for task, part in EVERY for prompt in prompts(task, part, 6, 3, MOST)}


class Artist:
    """Draws what prompts say, but every `fault`th picture is of a red circle alone; remembers what it was asked."""

    def __init__(self, fault: int = 10**6) -> None:
        self.fault = fault
        self.seeds: list[int] = []

    def __call__(self, texts: Sequence[str], seed: int) -> list[Picture]:
        self.seeds.append(seed)
        true = render([KNOWN[text] for text in texts], SIDE)
        return [shown(CIRCLE) if i % self.fault == self.fault - 1 else picture for i, picture in enumerate(true)]


def scored(artist: Artist, **more: object) -> Composition:
    return composition(artist, SIDE, 6, 3, most=MOST, **more)  # type: ignore[arg-type]


def test_scores_are_shares_with_intervals_and_say_what_they_are() -> None:
    artist = Artist(fault=3)
    found = scored(artist, model_hash="abc")
    position = found.score("position", "held-out relations")
    assert (position.value, position.n, position.interval) == (4 / 6, 6, wilson(4, 6))
    assert position.definition == "composition-position/v1@overlap=0.85,part=held-out-relations,side=32"
    assert found.score("counting").definition == "composition-counting/v1@overlap=0.85,part=seen,side=32,most=3"
    for score in found.measurements:
        assert score.interval is not None
        assert 0 <= score.interval[0] <= score.value <= score.interval[1] <= 1
        assert (score.seed, score.model_hash, score.better) == (3, "abc", "higher")
    assert len(set(artist.seeds)) == len(EVERY)
    assert ceiling(SIDE, 6, 3, most=MOST).score("position").minus(found.score("position")) == pytest.approx(1 / 3)
    assert Composition.model_validate_json(found.model_dump_json()) == found


def test_overall_is_the_mean_of_the_six_main_tasks() -> None:
    found = scored(Artist(fault=2))
    assert list(found.scores["overall"]) == ["seen", "held-out pairs"]
    for part in ("seen", "held-out pairs"):
        mean = np.mean([found.score(task, part).value for task in MAIN_TASKS])  # type: ignore[arg-type]
        overall = found.score("overall", part)  # type: ignore[arg-type]
        assert overall.value == pytest.approx(mean)
        assert overall.n == 36
    with pytest.raises(DaedalError, match="was not measured"):
        scored(Artist(), tasks=("position", "size")).score("overall")


def test_one_of_several_pictures_is_chosen_by_its_prompt() -> None:
    faulty = Artist(fault=2)
    assert scored(faulty, tasks=("position",), best_of=2, choose=lambda text, pictures: 1).score("position").value == 0

    def judged(text: str, pictures: Sequence[Picture]) -> int:
        return max(range(len(pictures)), key=lambda number: fits(KNOWN[text], pictures[number]))

    best = scored(faulty, tasks=("position",), best_of=2, choose=judged).score("position")
    assert (best.value, best.definition.rpartition(",")[2]) == (1.0, "best-of=2")
    with pytest.raises(DaedalError, match="Nothing chooses"):
        scored(faulty, best_of=2)


def test_a_ceiling_is_of_what_becomes_of_true_pictures() -> None:
    def coarse(pictures: Sequence[Picture]) -> list[Picture]:
        return [picture[::8, ::8].repeat(8, 0).repeat(8, 1) for picture in pictures]

    found = ceiling(SIDE, 6, 3, tasks=("color_attr",), through=coarse).score("color_attr")
    assert found.value < 0.5
    with pytest.raises(DaedalError, match="6 pictures were asked for, and 5 came"):
        ceiling(SIDE, 6, 3, tasks=("size",), through=lambda pictures: pictures[1:])
    with pytest.raises(DaedalError, match=r"not \(48, 48, 3\)"):
        composition(Artist(), 48, 6, 3, tasks=("size",))


def test_a_table_has_a_row_for_each_task_and_a_column_for_each_part() -> None:
    lines = table(scored(Artist(), tasks=("position", "concepts-1"))).splitlines()
    assert lines[0] == "| task | seen | held-out pairs | held-out relations |"
    assert lines[2].startswith("| position | 100.0% [61.0%, 100.0%] |")
    assert lines[3] == "| concepts-1 | 100.0% [61.0%, 100.0%] |  |  |"
    assert len(lines) == 4


def test_what_training_leaves_out_is_found_in_its_scenes() -> None:
    def left_out(**world: str) -> tuple[Part, ...]:
        options = SceneOptions.parse(world, "test")
        return never_trained(scene(number, 1, options) for number in range(500))

    assert left_out() == ()
    assert left_out(pairs="trained") == ("held-out pairs",)
    assert left_out(pairs="trained", relation_pairs="trained") == ("held-out pairs", "held-out relations")


def test_only_the_parts_that_are_asked_for_are_scored() -> None:
    found = composition(
        lambda prompts, seed: [shown(CIRCLE)] * len(prompts), SIDE, 2, 0, tasks=MAIN_TASKS, parts=("seen",)
    )
    assert {part for scores in found.scores.values() for part in scores} == {"seen"}
