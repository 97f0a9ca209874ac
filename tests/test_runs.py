"""Runs among others: two at one folder, data that moved or changed or holds nothing out, folders that cannot be written."""

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from command_line import daedal, story
from daedal import api
from daedal.codecs.chat import ChatTemplate
from daedal.data.shards import Dataset
from daedal.errors import DaedalError
from daedal.files import disk_error
from daedal.inference.generator import Generator
from daedal.lock import holder, locked
from daedal.models.checkpoint import save_model
from daedal.models.gpt import GPT
from daedal.models.habits import Habits
from daedal.training.metrics import Silence
from daedal.training.run import RunFolder
from runs import logged, same
from test_trainer import stop_at, trainer_for
from tiny_models import tiny_gpt

TINY: dict[str, Any] = {
    "width": 16, "depth": 1, "heads": 1, "context": 16, "batch": 4, "steps": 3, "threads": 1, "precision": "fp32",
    "device": "cpu",
}  # fmt: skip
HOLD = """
import sys, time
from pathlib import Path
from daedal.lock import locked
with locked(Path(sys.argv[1]), "it is held"):
    print("held", flush=True)
    time.sleep(60)
"""


@contextmanager
def held(path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Another process holds the lock `path`."""
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        try:
            yield process
        finally:
            process.kill()


def build(folder: Path, seed: int = 0, **options: Any) -> Path:
    source = folder.with_suffix(".txt")
    source.write_text("\n\n".join(story(seed + number) for number in range(40)))
    api.build_data([source], folder, document="paragraph", codec="byte", near_duplicates="off", **options)
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("data") / "built")


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run beside its data, named by a relative path."""
    folder = tmp_path_factory.mktemp("work")
    shutil.copytree(data, folder / "data")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        api.train("gpt", data="data", out="runs/mine", **TINY)
    return folder / "runs" / "mine"


@pytest.fixture
def moved(trained: Path, tmp_path: Path) -> Path:
    """Both, somewhere else."""
    shutil.copytree(trained.parent.parent, tmp_path / "elsewhere")
    run = tmp_path / "elsewhere" / "runs" / "mine"
    plan = json.loads((run / "training" / "plan.json").read_text())
    plan["data"] = str(tmp_path / "gone" / "data")
    (run / "training" / "plan.json").write_text(json.dumps(plan))
    return run


# -- two at one folder -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EINVAL])
def test_a_disk_that_cannot_lock_is_not_another_process(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", fails)
    with pytest.raises(DaedalError, match=os.strerror(number)), locked(tmp_path / "lock", "it is held"):
        pass
    assert holder(tmp_path / "lock") is None


def test_a_link_in_place_of_a_lock_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("all of it")
    (tmp_path / "lock").symlink_to(tmp_path / "precious")
    with pytest.raises(DaedalError, match="lock"), locked(tmp_path / "lock", "it is held"):
        pass
    assert (tmp_path / "precious").read_text() == "all of it"


@pytest.mark.parametrize(
    "said",
    [
        "[" * 100_000,
        '{"process": 1e999, "host": "", "since": ""}',
        '{"process": 1, "host": "\\u001b[31m", "since": "\\n"}',
    ],
)
def test_a_lock_that_says_odd_things_is_told_in_one_line(said: str, tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with held(path):
        path.write_text(said)
        with pytest.raises(DaedalError, match="it is held by") as refused, locked(path, "it is held"):
            pass
    assert str(refused.value).isprintable()


def test_a_lock_dies_with_its_process_and_names_it_while_it_lives(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with held(path) as process:
        with (
            pytest.raises(DaedalError, match=rf"it is held by process {process.pid}, since 20\d\d-"),
            locked(path, "it is held"),
        ):
            pass
        found = holder(path)
        assert found is not None
        assert found.process == process.pid
        assert not found.this
        process.kill()
        process.wait()
        assert path.exists()
        assert holder(path) is None
        with locked(path, "it is held"):
            mine = holder(path)
            assert mine is not None
            assert mine.this
    assert not path.exists()


def test_a_run_that_is_being_trained_is_left_alone(trained: Path, data: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in trained.rglob("*") if path.is_file()}
    with held(trained / "training" / "lock") as process:
        for second in (lambda: api.resume(trained), lambda: api.train("gpt", data=data, out=trained, **TINY)):
            with pytest.raises(DaedalError, match=f"is being trained by process {process.pid}, since"):
                second()
    (trained / "training" / "lock").unlink()
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_the_second_of_two_new_runs_in_one_folder_is_refused_and_the_first_goes_on(data: Path, tmp_path: Path) -> None:
    class Second(Silence):
        def planned(self, plan: Any) -> None:
            with pytest.raises(DaedalError, match=f"is being trained by process {os.getpid()}"):
                api.train("gpt", data=data, out=tmp_path / "run", **TINY)

    api.train("gpt", data=data, out=tmp_path / "run", progress=Second(), **TINY)
    assert RunFolder(tmp_path / "run").measured
    assert not (tmp_path / "run" / "training" / "lock").exists()


def test_a_run_that_was_refused_leaves_no_folder(data: Path, tmp_path: Path) -> None:
    with pytest.raises(DaedalError):
        api.train("gpt", data=data, out=tmp_path / "some" / "run", **{**TINY, "batch": -1})
    assert not (tmp_path / "some").exists()


def test_a_run_in_training_is_measured_and_nothing_is_written_into_it(trained: Path) -> None:
    before = (trained / "evaluation.json").read_bytes()
    with held(trained / "training" / "lock") as process:
        report = api.evaluate(trained, samples=0)
    assert report.measurements
    assert f"is being trained by process {process.pid}" in str(report.unwritten)
    assert (trained / "evaluation.json").read_bytes() == before


# -- data that moved or changed ----------------------------------------------------------------------------------------


def test_a_run_finds_its_data_from_every_working_directory(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert RunFolder(trained).plan.data == str(trained.parent.parent / "data")
    assert api.evaluate(trained, samples=0).unwritten is None


def test_what_is_published_names_no_place_of_the_machine(trained: Path) -> None:
    for name in ("evaluation.json", "report.html", "README.md"):
        assert str(trained.parent.parent) not in (trained / name).read_text()


def test_data_that_moved_together_with_its_run_is_found(moved: Path) -> None:
    report = api.evaluate(moved, samples=0)
    assert report.baselines
    assert report.written
    api.resume(moved)
    assert RunFolder(moved).plan.data == str(moved.parent.parent / "data")


def test_a_folder_of_the_same_name_is_not_taken_for_the_data(moved: Path) -> None:
    shutil.rmtree(moved.parent.parent / "data")
    build(moved.parent.parent / "data", seed=1000)
    for attempt in (lambda: api.evaluate(moved, samples=0), lambda: api.resume(moved)):
        with pytest.raises(DaedalError, match=r"is not at .*gone.*--data"):
            attempt()


def test_data_in_another_place_is_named_and_held_to_its_fingerprint(moved: Path, data: Path, tmp_path: Path) -> None:
    shutil.rmtree(moved.parent.parent / "data")
    with pytest.raises(DaedalError, match="is not what this run was trained on"):
        api.resume(moved, data=build(tmp_path / "other", seed=1000))
    api.resume(moved, data=data)
    assert RunFolder(moved).plan.data == str(data)


def test_a_measurement_on_data_that_changed_is_refused(moved: Path) -> None:
    home = Path(RunFolder(moved).plan.data)
    build(home.parent.parent / "other", seed=1000)
    shutil.copytree(home.parent.parent / "other", home)
    with pytest.raises(DaedalError, match="is not what this run was trained on"):
        api.evaluate(moved, samples=0)
    report = api.evaluate(moved, home, samples=0)  # other data, then
    assert not report.written


# -- measuring ---------------------------------------------------------------------------------------------------------


def test_numbers_are_told_where_they_cannot_be_written(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, value: object) -> None:
        raise disk_error(PermissionError(13, "Permission denied"), path)

    monkeypatch.setattr("daedal.evaluation.evaluate.write_json", refuse)
    ended = daedal("evaluate", trained)
    assert ended.code == 2
    assert "bits per byte" in ended.out.lower()
    assert "evaluation.json cannot be written" in ended.err


def test_data_that_holds_nothing_out_is_learned_and_that_is_told_before(tmp_path: Path) -> None:
    told: list[str] = []

    class Told(Silence):
        def noted(self, message: str) -> None:
            told.append(message)

    folder = build(tmp_path / "all", split=(100, 0, 0))
    result = api.train("gpt", data=folder, out=tmp_path / "run", progress=Told(), **TINY)
    assert "will not be measured" in told[0]
    assert "Not measured" in result.text
    assert result.steps == 3
    with pytest.raises(DaedalError, match="holds out no text"):
        api.evaluate(tmp_path / "run")


def test_a_run_without_validation_text_is_measured_on_its_test_split(tmp_path: Path) -> None:
    folder = build(tmp_path / "most", split=(80, 0, 20))
    api.train("gpt", data=folder, out=tmp_path / "run", **TINY)
    assert json.loads((tmp_path / "run" / "evaluation.json").read_text())["data"]["name"] == "test"


# -- steps -------------------------------------------------------------------------------------------------------------


def test_the_first_mean_after_a_resume_is_of_all_steps_since_the_last_record(data: Path, tmp_path: Path) -> None:
    changes = {"steps": 8, "log_every": 4, "checkpoint_every": 2, "evaluate_every": 8, "sample_every": 8}
    trainer_for(data, tmp_path / "whole", **changes).train()
    stopped = trainer_for(data, tmp_path / "stopped", **changes)
    stop_at(stopped, 6)
    with pytest.raises(Exception, match="stopped at step 6"):
        stopped.train()
    trainer_for(data, tmp_path / "stopped", **changes).train()
    assert same(tmp_path / "whole", tmp_path / "stopped")
    assert logged(tmp_path / "whole", "loss") == logged(tmp_path / "stopped", "loss")


def test_a_run_of_one_step_learns(data: Path, tmp_path: Path) -> None:
    trainer = trainer_for(data, tmp_path / "run", steps=1)
    before = trainer.model.embedding.weight.detach().clone()
    trainer.train()
    assert not before.equal(trainer.model.embedding.weight)
    assert logged(tmp_path / "run", "learning_rate_factor") == [1.0]


# -- from another model ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chatty(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with a chat template and two ends of a text."""
    folder = tmp_path_factory.mktemp("chatty")
    codec = Dataset.open(data).codec
    save_model(tiny_gpt(codec), folder, codec=codec)
    (folder / "chat_template.jinja").write_text("{% for message in messages %}[{{ message.content }}]{% endfor %}")
    ends = {"eos_token_id": [codec.eos_id, 5], "temperature": 0.6}
    (folder / "generation_config.json").write_text(json.dumps(ends))
    return folder


def test_a_model_that_is_trained_on_keeps_its_chat_template_and_all_ends_of_a_text(
    chatty: Path, data: Path, tmp_path: Path
) -> None:
    api.train("gpt", data=data, out=tmp_path / "run", init=chatty, steps=1, threads=1, precision="fp32", device="cpu")
    api.resume(tmp_path / "run")
    api.export(tmp_path / "run", tmp_path / "out")
    for folder in (tmp_path / "run", tmp_path / "out"):
        written = Generator.open(folder)
        assert written.template == ChatTemplate.load(chatty)
        assert written.stop_ids == Generator.open(chatty).stop_ids
        assert json.loads((folder / "generation_config.json").read_text())["temperature"] == 0.6


def test_a_template_among_the_settings_is_kept_too(chatty: Path, data: Path, tmp_path: Path) -> None:
    shutil.copytree(chatty, tmp_path / "from")
    (tmp_path / "from" / "chat_template.jinja").unlink()
    settings = tmp_path / "from" / "tokenizer_config.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"chat_template": "all of {{ messages }}"}))
    codec = Dataset.open(data).codec
    save_model(tiny_gpt(codec), tmp_path / "to", codec=codec, habits=Habits.of(tmp_path / "from"))
    assert ChatTemplate.load(tmp_path / "to").source == "all of {{ messages }}"


def test_a_tokenizer_larger_than_the_weights_is_told(data: Path, tmp_path: Path) -> None:
    codec = Dataset.open(data).codec
    model = tiny_gpt(codec)
    smaller = GPT(model.config.but(vocab_size=codec.vocab_size - 5))
    smaller.initialise(torch.Generator().manual_seed(0))
    save_model(smaller, tmp_path / "base")
    codec.save(tmp_path / "base")
    with pytest.raises(DaedalError, match=rf"the tokenizer has {codec.vocab_size} ids, and the weights know"):
        api.make_plan("gpt", data, init=str(tmp_path / "base"))
