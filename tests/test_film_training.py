"""Runs of a tokenizer of clips and of a film: what they learn from, and that they go on bit for bit."""

from pathlib import Path
from typing import Any

import pytest
import torch

import daedal
from daedal.errors import DaedalError
from daedal.models.model import IGNORE
from daedal.training.films import FilmTask
from daedal.training.learner import open_learner
from daedal.training.machine import measure_machine
from daedal.training.processes import Processes
from daedal.training.run import RunFolder
from daedal.training.trainer import Interrupted, Trainer
from runs import same, stop_at

torch.set_num_threads(1)
SMALL: dict[str, dict[str, Any]] = {
    "vqvae3d": {"filters": 8, "depth": 1, "levels": (4, 4), "batch": 2},
    "film": {"width": 32, "depth": 1, "batch": 2, "ending": 0.5},
    "filmflow": {"features": 16, "blocks": 1, "heads": 1, "text_width": 32, "text_depth": 1, "batch": 2, "ending": 0.5},
}


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scenes") / "data"
    daedal.build_data(["moving-scenes:40,objects=1"], folder, frames=6, workers=1)
    return folder


@pytest.fixture(scope="module")
def tokens(scenes: Path) -> Path:
    return trained("vqvae3d", scenes, scenes.parent / "tokens", None)


@pytest.fixture(scope="module")
def film(scenes: Path, tokens: Path) -> Path:
    return trained("film", scenes, scenes.parent / "film", tokens)


def task_of(family: str, data: Path, codec: Path | None, **values: Any) -> tuple[Any, Any]:
    learner = open_learner(family, data, codec=None if codec is None else str(codec))
    given = {**SMALL[family], "steps": 4, "device": "cpu", **values}
    plan = learner.make_plan(None, measure_machine("cpu", 1, "fp32"), given)
    return learner.task(plan), plan


def trained(family: str, data: Path, run: Path, codec: Path | None, stop: int = 0) -> Path:
    """A run of a small model, stopped on the way or not; it goes on where it was stopped."""
    task, plan = task_of(family, data, codec)
    folder = RunFolder(run)
    folder.training.mkdir(parents=True, exist_ok=True)
    folder.write_plan(plan)
    torch.manual_seed(plan.seed)
    trainer = Trainer(task, plan, folder, Processes(torch.device("cpu")))
    if stop:
        stop_at(trainer, stop)
        with pytest.raises(Interrupted):
            trainer.train()
    else:
        trainer.train()
    return run


@pytest.mark.parametrize("family", SMALL)
def test_a_run_that_was_stopped_goes_on_bit_for_bit(
    family: str, scenes: Path, tokens: Path, film: Path, tmp_path: Path
) -> None:
    codec = None if family == "vqvae3d" else tokens
    known = {"vqvae3d": tokens, "film": film}
    whole = known.get(family) or trained(family, scenes, tmp_path / "whole", codec)
    trained(family, scenes, tmp_path / "cut", codec, stop=2)
    assert same(trained(family, scenes, tmp_path / "cut", codec), whole)


def test_all_of_a_step_knows_the_last_frame_or_nothing_of_it(scenes: Path, tokens: Path) -> None:
    task, _ = task_of("film", scenes, tokens, batch=4)
    assert isinstance(task, FilmTask)
    group = task.whole.config.group
    steps = [task.batch(4 * step, 4) for step in range(12)]
    assert {int(batch.first[0]) for batch in steps} == {0, group}
    for step, batch in enumerate(steps):
        halves = [task.batch(4 * step + at, 2) for at in (0, 2)]
        assert torch.equal(torch.cat([half.inputs for half in halves]), batch.inputs)
        led = int(batch.first[0]) == 0
        assert batch.count == 4 * task.whole.layout.places
        assert batch.inputs.shape[1] == task.whole.layout.length + group * led
        assert not led or bool((batch.targets[:, :group] == IGNORE).all())


def test_the_last_frame_is_told_as_a_picture(scenes: Path, tokens: Path) -> None:
    task, _ = task_of("film", scenes, tokens, ending=1.0)
    batch = task.batch(0, 1)
    clip = task.whole.codec.decode_ids(
        batch.inputs[:, -task.whole.layout.places :].view(1, -1, task.whole.codec.grid[1])
    )
    assert clip.shape[1] == 18
    known = batch.inputs[:, : task.whole.config.group]
    assert (known < task.whole.layout.tokens).all()


def test_a_film_goes_on_with_its_own_tokenizer_alone(scenes: Path, tokens: Path, film: Path, tmp_path: Path) -> None:
    other = trained("vqvae3d", scenes, tmp_path / "other", None)
    learner = open_learner("film", scenes, init=str(film), codec=str(film / "codec"))
    assert learner.initial is not None
    assert same(tokens, other)  # of one seed
    daedal.train("vqvae3d", data=scenes, out=tmp_path / "third", steps=1, threads=1, seed=3, **SMALL["vqvae3d"])
    with pytest.raises(DaedalError, match="is no film over the tokens"):
        open_learner("film", scenes, init=str(film), codec=str(tmp_path / "third"))


def test_a_film_and_a_flow_are_not_begun_with_each_other(scenes: Path, film: Path) -> None:
    with pytest.raises(DaedalError, match="is no filmflow over"):
        open_learner("filmflow", scenes, init=str(film), codec=str(film / "codec"))


def test_a_step_of_a_flow_tells_the_codes_of_last_frames_or_none(scenes: Path, tokens: Path) -> None:
    task, _ = task_of("filmflow", scenes, tokens, batch=4)
    config, steps = task.whole.config, [task.batch(4 * step, 4) for step in range(12)]
    assert {step.images.shape[2] - config.height for step in steps} == {0, config.group}
    for step, batch in enumerate(steps):
        halves = [task.batch(4 * step + at, 2) for at in (0, 2)]
        assert torch.equal(torch.cat([half.images for half in halves]), batch.images)
        assert float(sum(task.model.loss(half.at(batch.moment)).total for half in halves)) == pytest.approx(
            float(task.model.loss(batch).total), rel=1e-4
        )


def test_a_codebook_is_nothing_to_a_flow(scenes: Path, tmp_path: Path) -> None:
    small = {**SMALL["vqvae3d"], "quantizer": "vq", "steps": 1, "threads": 1}
    del small["levels"]
    daedal.train("vqvae3d", data=scenes, out=tmp_path / "codec", **small)
    with pytest.raises(DaedalError, match="learns fixed levels"):
        open_learner("filmflow", scenes, codec=str(tmp_path / "codec"))


def test_a_tokenizer_of_pictures_is_none_of_clips(scenes: Path, tmp_path: Path) -> None:
    daedal.build_data(["scenes:12"], tmp_path / "pictures")
    daedal.train("vqvae", data=tmp_path / "pictures", out=tmp_path / "codec", steps=1, threads=1, filters=8, depth=1)
    with pytest.raises(DaedalError, match="makes no tokens of clips"):
        open_learner("film", scenes, codec=str(tmp_path / "codec"))
