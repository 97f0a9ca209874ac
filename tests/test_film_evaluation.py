"""How good a film is: true clips are near to true ones, broken ones are not; copies are found; and a whole evaluation."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

import daedal
from daedal.data.columns import Signal
from daedal.data.worlds.moving_captions import caption
from daedal.data.worlds.moving_scene_generator import moving_scene
from daedal.data.worlds.moving_scene_options import MovingSceneOptions
from daedal.data.worlds.moving_scenes import MovingScene, film
from daedal.errors import DaedalError
from daedal.evaluation.clips.contact_sheet import contact_sheet
from daedal.evaluation.clips.copies import ClipCopies
from daedal.evaluation.clips.motion_network import MotionExtractor, bent, usual_words
from daedal.evaluation.evaluate import applicable, expected_seconds, seconds_for, subject_class
from daedal.evaluation.evaluator import Findings
from daedal.evaluation.examples.held_out import Examples
from daedal.evaluation.images.frechet import frechet_distance
from daedal.evaluation.kinds.clips import ClipSubject, frames_of
from daedal.evaluation.measures.steadiness import (
    STEADINESS,
    area_persistence,
    change,
    colour_persistence,
    flicker,
    frozen,
)
from daedal.evaluation.report import Baseline, Report
from daedal.evaluation.source import Source
from daedal.evaluation.worlds.clip_prompts import MOTION_PARTS, MOTION_TASKS, learned
from daedal.inference.generator import Generator
from daedal.training.clip_pictures import ClipPictures
from daedal.training.learned_data import opened as open_data
from daedal.training.run import RunFolder

torch.set_num_threads(1)
ONE = MovingSceneOptions(objects=(1, 1), pairs="trained")


def scenes(count: int, first: int = 0, options: MovingSceneOptions = ONE) -> list[MovingScene]:
    return [moving_scene(number, 0, options) for number in range(first, first + count)]


def clips_of(made: list[MovingScene], frames: int = 6) -> Examples:
    clips = [Signal(film(each, 32, frames), 8.0) for each in made]
    return Examples("train", {"clip": clips, "caption": [caption(each, at, 0) for at, each in enumerate(made)]})


# -- frames ------------------------------------------------------------------------------------------------------------


@given(arrays(np.uint8, st.tuples(st.integers(2, 5), st.just(4), st.just(4), st.just(3))))
@settings(max_examples=40)
def test_what_is_told_of_frames_is_between_none_and_all(clip: np.ndarray) -> None:
    for quantity, (_, measure) in STEADINESS.items():
        value = measure(clip)
        assert value is None or 0 <= value <= (2 if quantity == "frame-jerk" else 1), quantity


def test_a_clip_that_stands_still_is_frozen_and_keeps_all() -> None:
    still = np.repeat(film(scenes(1)[0], 32, 2)[:1], 5, axis=0)
    assert (change(still), flicker(still), frozen(still)) == (0, 0, 1)
    assert colour_persistence(still) == pytest.approx(1)
    assert area_persistence(still) == 1


def test_what_comes_and_goes_flickers_and_does_not_persist() -> None:
    clip = film(moving_scene(3, 0, ONE.but(verbs=("moves",))), 32, 8)
    blinking = clip.copy()
    blinking[1::2] = clip[0, 0, 0]
    assert flicker(blinking) > 3 * flicker(clip)
    assert colour_persistence(blinking) < colour_persistence(clip)
    assert area_persistence(blinking) == 0
    assert area_persistence(clip) > 0.9  # type: ignore[operator]


# -- features ----------------------------------------------------------------------------------------------------------


def test_in_the_network_broken_clips_are_far_from_true_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAEDAL_CACHE", str(tmp_path))
    train, held = clips_of(scenes(60), 4), clips_of(scenes(60, 1000), 4)
    by = MotionExtractor.open(train, 320, lambda share: None)
    draw = np.random.default_rng(0)
    reference, true = by(frames_of(held)).values, frames_of(train)

    def away(clips: np.ndarray) -> float:
        return frechet_distance(by(clips).values, reference)

    near = away(true)
    for time in ("in another order", "frozen"):
        assert away(np.stack([bent(clip, time, draw) for clip in true])) > 1.4 * near, time
    again = MotionExtractor.open(train, 320, lambda share: pytest.fail("it is trained again"))
    assert again.conditions == by.conditions
    assert torch.equal(again(true[:3]).values, by(true[:3]).values)


def test_words_that_all_clips_have_or_one_teach_nothing() -> None:
    told = Examples(
        "train", {"clip": [None] * 4, "caption": ["a cat", "a dog", "a cat sits", None], "label": ["x"] * 4}
    )
    assert usual_words(told) == ("a", "cat") or usual_words(told) == ("cat",)


# -- what scenes teach -------------------------------------------------------------------------------------------------


def test_what_was_never_trained_is_asked_for_apart() -> None:
    assert learned([]) == (MOTION_TASKS, MOTION_PARTS)
    some = MovingSceneOptions(verbs=("moves", "turns"), objects=(1, 1), pairs="trained")
    tasks, parts = learned(scenes(40, options=some))
    assert tasks == ("moves", "turns")
    assert parts == MOTION_PARTS
    held = scenes(4, options=MovingSceneOptions(pairs="held-out"))
    assert learned(held)[1] == ("seen",)


# -- reports -----------------------------------------------------------------------------------------------------------


def test_what_two_evaluators_measure_of_a_baseline_is_one() -> None:
    one, other, more = (Baseline(name=name, why="", measurements=()) for name in ("true", "true", "none"))
    found = Findings(baselines=(one,)) + Findings(baselines=(other, more))
    assert [each.name for each in found.baselines] == ["true", "none"]


def test_a_contact_sheet_has_a_row_for_each_clip() -> None:
    clips = [film(each, 32, 4) for each in scenes(2)]
    plain, marked = contact_sheet(clips), contact_sheet(clips, ["a red circle", "日本 \n"], [True, False])
    assert plain.height < marked.height
    colours = {marked.getpixel((1, y)) for y in range(marked.height)}
    assert len(colours) >= 3  # paper, what holds, what does not


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film that has hardly learned anything, measured when it was trained."""
    folder = tmp_path_factory.mktemp("film")
    source = "moving-scenes:130,pairs=trained,objects=1,verbs=moves+grows"
    daedal.build_data([source], folder / "data", frames=3, workers=1, split=(60, 20, 20))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAEDAL_CACHE", str(folder / "cache"))
        patch.setattr("daedal.evaluation.clips.distances._VIEWS", (64,))
        daedal.train("video", data=folder / "data", out=folder / "run", steps=2, threads=1, batch=2, width=32, depth=1)
    return folder / "run"


def test_all_that_is_measured_stands_beside_true_clips_and_the_tokenizer(run: Path) -> None:
    report = Report.read(run)
    columns = [each.name for each in report.columns]
    assert columns == ["true clips", "through its tokens", "shuffled frames", "frozen"]
    rows = {own.quantity.split("/")[0]: (own, beside) for own, beside in report.rows()}
    for quantity in ("motion-overall", "motion-overall-held-out-pairs", "motion-moves", "flicker"):
        own, (true, tokens, _, _) = rows[quantity]
        assert true is not None
        assert tokens is not None
        assert own.value <= 1
    assert rows["motion-overall"][1][0].value == 1  # type: ignore[union-attr]
    assert "motion-turns" not in rows  # which was never trained
    for quantity in ("fvd-motion-network", "kvd-motion-network", "precision-motion-network"):
        assert all(each is not None for each in rows[quantity][1])
    for name in ("network=", "trained-on=", "views=64", "samples=24"):
        assert name in rows["fvd-motion-network"][0].definition
    assert {"frame-change", "flicker", "authenticity", "data-copying", "clip-token-nats"} <= set(rows)
    assert rows["clip-token-nats"][0].value < np.log(report.model.model_extra["vocab_size"]) + 1  # type: ignore[index]
    assert not report.missing


def test_the_page_needs_nothing_else_and_shows_the_clips(run: Path) -> None:
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "data:image/webp;base64," in page
    assert page.count("data:image/png;base64,") == 3  # strips, what was judged, neighbours
    assert "http://" not in page
    assert "https://" not in page
    for name in ("clips.webp", "clips.png", "judged.png", "neighbours.png"):
        assert (run / name).stat().st_size > 0
        assert f"({name})" in (run / "README.md").read_text(encoding="utf-8")
    assert "pipeline_tag: text-to-video" in (run / "README.md").read_text(encoding="utf-8")
    assert json.loads((run / "evaluation.json").read_text())["sampling"]["clips"] == 24


def test_clips_are_scored_one_by_one_and_after_what_is_said_of_them(run: Path) -> None:
    model = Generator.open(run)
    clips, said = frames_of(clips_of(scenes(9), 3)), ["a red circle moves right"] * 9
    after, without = model.token_log_likelihoods(clips, said), model.token_log_likelihoods(clips)
    assert after.shape == (9,)
    assert (after < 0).all()
    assert np.abs(after - without).max() > 1e-6
    assert model.token_log_likelihoods(clips[8:], said[8:]) == pytest.approx(after[8:], rel=1e-4)
    back = model.through_tokens(clips)
    assert back.shape == clips.shape
    assert np.abs(model.through_tokens(clips[8:]).astype(int) - back[8:]).max() <= 1
    with pytest.raises(DaedalError, match="the model's"):
        model.through_tokens(clips[:, :2])


def test_training_clips_are_found_to_be_copies(run: Path) -> None:
    subject = opened(run)
    assert subject.train is not None
    subject.drawn = frames_of(subject.train.at(np.arange(24)))
    found = {
        each.quantity.split("/")[0]: each.value
        for each in ClipCopies().measure(subject, 1, lambda *_: None).measurements
    }
    assert found["authenticity"] == 0
    assert found["data-copying-p"] < 0.01
    subject.drawn = frames_of(subject.held)[:20]
    found = {
        each.quantity.split("/")[0]: each.value
        for each in ClipCopies().measure(subject, 1, lambda *_: None).measurements
    }
    assert found["authenticity"] > 0.2
    assert found["data-copying-p"] > 0.05


def opened(run: Path, data: Path | None = None) -> ClipSubject:
    generator = Generator.open(run)
    kind = subject_class(generator.model)
    assert kind is ClipSubject
    source = Source.open(data, RunFolder(run))
    return kind.open(generator, source, kind.options.parse({"seconds": 1.0}, "test"), lambda *_: None)  # type: ignore[return-value]


def test_files_are_measured_on_without_a_judge(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "gifs"
    folder.mkdir()
    for number, made in enumerate(scenes(6)):
        first, *others = (Image.fromarray(frame) for frame in film(made, 32, 4))
        first.save(folder / f"{number}.gif", save_all=True, append_images=others, duration=100)
    subject = opened(run, folder)
    assert len(subject.held) == 6
    chosen, _ = applicable(subject)
    assert "Motions" not in {type(each).__name__ for each in chosen}
    assert subject.held["clip"][0].values.shape == (3, 32, 32, 3)  # at the model's size


def test_clips_of_another_size_are_refused(run: Path, tmp_path: Path) -> None:
    daedal.build_data(["moving-scenes:12,objects=1"], tmp_path / "data", frames=2, workers=1)
    with pytest.raises(DaedalError, match="3 of 32 x 32"):
        opened(run, tmp_path / "data")


def test_how_long_measuring_takes_is_foretold_of_a_model_in_training(run: Path) -> None:
    plan = RunFolder(run).plan

    class InTraining:
        whole = Generator.open(run).model
        model = whole.inner
        dataset = ClipPictures(open_data(run.parent / "data"))

    ClipSubject.require_held_out(InTraining.dataset)
    seconds = expected_seconds(ClipSubject.of_task(InTraining, seconds_for(plan)))
    assert 0 < seconds < 600
