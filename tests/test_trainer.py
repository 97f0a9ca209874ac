"""The trainer's invariants: the same run in pieces, in parts, in two processes, or killed and resumed, is the same run."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from command_line import daedal, story
from daedal import api
from daedal.data.shards import Dataset
from daedal.errors import DaedalError
from daedal.models.checkpoint import load_model
from daedal.models.gpt import GPT
from daedal.training.gpt_plan import GPTPlan
from daedal.training.language import LanguageTask
from daedal.training.metrics import Silence
from daedal.training.pace import Pace
from daedal.training.processes import Processes
from daedal.training.run import RunFolder
from daedal.training.trainer import Interrupted, Trainer
from daedal.training.transformer_learner import gpt_config
from runs import logged, same, stop_at, weights
from warm_python import python

TINY = {
    "width": 32, "depth": 2, "heads": 2, "kv_heads": 1, "head_width": 16, "mlp_width": 64, "context": 16, "batch": 8,
    "micro_batch": 8, "steps": 24, "optimizer": "muon", "learning_rate": 0.01, "threads": 1, "precision": "fp32",
    "compile": False, "checkpoint_every": 6, "evaluate_every": 12, "sample_every": 24, "log_every": 4, "device": "cpu",
}  # fmt: skip


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    source = folder / "stories.txt"
    source.write_text("\n\n".join(story(seed) for seed in range(60)))
    api.build_data([source], folder / "built", document="paragraph", codec="byte", near_duplicates="off")
    return folder / "built"


@pytest.fixture(scope="session")
def all_to_learn(data: Path) -> Path:
    """The same with nothing held out: a run of it is not measured at its end, which saves seconds."""
    source, folder = data.parent / "stories.txt", data.parent / "all-to-learn"
    api.build_data([source], folder, document="paragraph", codec="byte", near_duplicates="off", split=(100, 0, 0))
    return folder


def plan_for(data: Path, **changes: Any) -> GPTPlan:
    dataset = Dataset.open(data)
    return GPTPlan.parse({"data": str(data), "vocab_size": dataset.codec.vocab_size, **TINY, **changes}, "plan")


def trainer_for(data: Path, out: Path, **changes: Any) -> Trainer:
    torch.set_num_threads(1)
    plan = plan_for(data, **changes)
    model = GPT(gpt_config(plan))
    model.initialise(torch.Generator().manual_seed(plan.seed))
    torch.manual_seed(plan.seed)
    run = RunFolder(out) if (out / "training" / "plan.json").exists() else RunFolder.create(out)
    run.write_plan(plan)
    return Trainer(LanguageTask(model, Dataset.open(data), plan), plan, run, Processes(torch.device("cpu")))


def test_training_learns(data: Path, tmp_path: Path) -> None:
    trainer_for(data, tmp_path / "run", steps=60).train()
    losses = logged(tmp_path / "run", "loss")
    assert losses[-1] < losses[0] - 1
    records = RunFolder(tmp_path / "run").records("metrics.jsonl")
    assert [record["step"] for record in records if "validation_loss" in record][-1] == 60


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(data: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        trainer_for(data, tmp_path / name, seed=seed).train()
    assert same(tmp_path / "a", tmp_path / "b")
    assert not same(tmp_path / "a", tmp_path / "c")


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_accumulated_equals_one_large_batch(data: Path, tmp_path: Path, optimizer: str) -> None:
    trainer_for(data, tmp_path / "whole", optimizer=optimizer).train()
    for micro_batch in (1, 4):
        parts = tmp_path / f"of-{micro_batch}"
        trainer_for(data, parts, optimizer=optimizer, micro_batch=micro_batch).train()
        for name, tensor in weights(tmp_path / "whole").items():
            torch.testing.assert_close(weights(parts)[name], tensor, atol=2e-3, rtol=2e-3)


@pytest.mark.parametrize("changes", [{"dropout": 0.1}, {"ema": 0.9}, {"optimizer": "adamw"}])
def test_a_run_that_was_stopped_goes_on_bit_for_bit(data: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    trainer_for(data, tmp_path / "whole", **changes).train()
    first = trainer_for(data, tmp_path / "stopped", **changes)
    stop_at(first, 9)
    with pytest.raises(Interrupted) as stopped:
        first.train()
    assert stopped.value.step == 9
    trainer_for(data, tmp_path / "stopped", **changes).train()
    assert same(tmp_path / "whole", tmp_path / "stopped")
    assert logged(tmp_path / "whole", "validation_loss") == logged(tmp_path / "stopped", "validation_loss")


def test_a_run_that_changed_its_steps_and_threads_goes_on_bit_for_bit(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Pace, "late", False)
    monkeypatch.setattr(Pace, "due", lambda pace, step, late: step in (5, 8, 13) and pace.horizon.open(step))
    decided = {5: (40, 2), 8: (22, 1), 13: (30, 2)}

    def decide(pace: Pace, step: int) -> None:
        for decisions, name, value, what in zip(
            (pace.horizon, pace.threads), ("horizon", "threads"), ("steps", "threads"), decided[step], strict=True
        ):
            with pace._kept(decisions, name, value):
                decisions.decide(step, what)

    monkeypatch.setattr(Pace, "review", decide)
    trainer_for(data, tmp_path / "whole", budget=60).train()
    for step in (7, 11, 17):  # each time that it goes on the decisions before must still be known
        trainer = trainer_for(data, tmp_path / "stopped", budget=60)
        stop_at(trainer, step)
        with pytest.raises(Interrupted):
            trainer.train()
    trainer_for(data, tmp_path / "stopped", budget=60).train()
    assert same(tmp_path / "whole", tmp_path / "stopped")
    for name in ("horizon.jsonl", "threads.jsonl"):
        assert len(RunFolder(tmp_path / "stopped").records(name)) == 3
    assert logged(tmp_path / "whole", "loss")[-1] == logged(tmp_path / "stopped", "loss")[-1]


LOSSES = {8: 2.0, 16: 1.0, 24: 3.0}
"""Validation losses of a run that overfits after step 16."""


def overfitting_trainer(
    data: Path, out: Path, **changes: Any
) -> tuple[Trainer, dict[int, dict[str, torch.Tensor]], list[str]]:
    """A trainer whose validations are `LOSSES`, the weights that each of them saw, and what the listener is told."""
    trainer = trainer_for(data, out, evaluate_every=8, ema=0.9, **changes)
    seen: dict[int, dict[str, torch.Tensor]] = {}
    told: list[str] = []

    def validate(processes: Processes, autocast: Any) -> dict[str, float]:
        seen[trainer.step] = {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}
        return {"validation_loss": LOSSES[trainer.step]}

    trainer.task.validate = validate  # type: ignore[method-assign]
    trainer.listener = Silence()
    trainer.listener.noted = told.append  # type: ignore[method-assign]
    return trainer, seen, told


def test_the_weights_of_the_best_validation_are_saved_where_the_plan_says_so_and_a_line_tells_it(
    data: Path, tmp_path: Path
) -> None:
    best, seen, told = overfitting_trainer(data, tmp_path / "best", keep="best")
    best.train()
    saved = load_model(tmp_path / "best").state_dict()
    assert saved.keys() == seen[16].keys()
    assert all(torch.equal(saved[name], tensor) for name, tensor in seen[16].items())
    assert told == [
        "validation was best at step 16 (1.000); later steps overfit (3.000 at step 24); those weights are saved"
    ]
    last, _, told = overfitting_trainer(data, tmp_path / "last")
    last.train()
    assert not same(tmp_path / "best", tmp_path / "last")
    assert "--keep best" in told[0]


def test_a_run_that_keeps_its_best_weights_goes_on_bit_for_bit(data: Path, tmp_path: Path) -> None:
    overfitting_trainer(data, tmp_path / "whole", keep="best")[0].train()
    first, _, _ = overfitting_trainer(data, tmp_path / "stopped", keep="best")
    stop_at(first, 20)
    with pytest.raises(Interrupted):
        first.train()
    second, _, told = overfitting_trainer(data, tmp_path / "stopped", keep="best")
    second.train()
    assert same(tmp_path / "whole", tmp_path / "stopped")
    assert told[0].startswith("validation was best at step 16")


def test_a_fine_tuning_that_was_stopped_goes_on_bit_for_bit(all_to_learn: Path, tmp_path: Path) -> None:
    data = all_to_learn
    torch.set_num_threads(1)
    trainer_for(data, tmp_path / "base").train()
    Dataset.open(data).codec.save(tmp_path / "base")
    settings = {
        "init": str(tmp_path / "base"),
        "steps": 30,
        "checkpoint_every": 1,
        "threads": 1,
        "batch": 4,
        "context": 16,
    }
    api.train("gpt", data=data, out=tmp_path / "whole", **settings)

    class StopAtTen(Silence):
        def step(self, record: dict[str, float], steps: int, seconds_left: float) -> None:
            if record["step"] == 10:
                signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Interrupted):
        api.train("gpt", data=data, out=tmp_path / "stopped", progress=StopAtTen(), **settings)
    api.resume(tmp_path / "stopped")
    assert same(tmp_path / "whole", tmp_path / "stopped")
    assert not same(tmp_path / "whole", tmp_path / "base")


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "daedal", *map(str, arguments)]


def options(**changes: Any) -> list[str]:
    values = {**TINY, **changes}
    values.pop("compile")
    return [part for name, value in values.items() for part in (f"--{name.replace('_', '-')}", str(value))]


def test_a_killed_run_resumes_to_the_bits_of_one_that_was_not(all_to_learn: Path, tmp_path: Path) -> None:
    steps = {"steps": 100, "checkpoint_every": 10, "evaluate_every": 100, "sample_every": 100}
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    start = ["train", "gpt", "--data", all_to_learn, *options(**steps)]
    assert daedal(*start, "--out", whole).code == 0
    process = subprocess.Popen(command(*start, "--out", killed), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not any(killed.glob("training/state/step-*")):
        assert process.poll() is None
        time.sleep(0.005)
    process.kill()
    process.wait()
    assert RunFolder(killed).state != RunFolder(whole).state
    assert daedal("train", "--resume", killed).code == 0
    assert same(whole, killed)
    steps_logged = [record["step"] for record in RunFolder(killed).records("metrics.jsonl") if "loss" in record]
    assert steps_logged == sorted(set(steps_logged))


def test_two_processes_equal_one(data: Path, tmp_path: Path) -> None:
    arguments = ["train", "gpt", "--data", str(data), *options(micro_batch=4, steps=12)]
    assert daedal(*arguments, "--out", tmp_path / "one").code == 0
    launcher = [python(), "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(
        [*launcher, "-m", "daedal", *arguments, "--out", str(tmp_path / "two")],
        check=True, capture_output=True, env=environment,
    )  # fmt: skip
    for name in ("loss", "validation_loss"):
        assert logged(tmp_path / "one", name) == pytest.approx(logged(tmp_path / "two", name), abs=1e-4)


def test_a_loss_that_is_not_a_number_ends_the_run_in_one_line_and_keeps_the_checkpoint(
    data: Path, tmp_path: Path
) -> None:
    trainer = trainer_for(data, tmp_path / "run")
    step = trainer._step

    def poisoned(*arguments: Any) -> Any:
        if trainer.step == 14:
            with torch.no_grad():
                trainer.model.embedding.weight.fill_(float("nan"))
        return step(*arguments)

    trainer._step = poisoned  # type: ignore[method-assign]
    with pytest.raises(DaedalError, match=r"diverged.*not a number.*step 12 is kept"):
        trainer.train()
    assert RunFolder(tmp_path / "run").state == RunFolder(tmp_path / "run").state_path(12)
    assert all(tensor.isfinite().all() for tensor in weights(tmp_path / "run").values())


def test_a_full_disk_ends_the_run_in_one_line_and_keeps_the_checkpoint(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import daedal.training.state as state

    trainer = trainer_for(data, tmp_path / "run")
    save = state.save_file

    def full(tensors: dict[str, torch.Tensor], path: Path) -> None:
        if trainer.step > 6:
            raise OSError(28, "No space left on device")
        save(tensors, path)

    monkeypatch.setattr(state, "save_file", full)
    with pytest.raises(DaedalError, match="No space left"):
        trainer.train()
    folder = tmp_path / "run" / "training" / "state"
    assert [path.name for path in folder.iterdir()] == ["step-000000006"]
    monkeypatch.undo()
    trainer_for(data, tmp_path / "run").train()


def test_a_run_takes_as_many_steps_as_its_budget_came_to_allow(
    all_to_learn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether that is the time that was asked for is tested on a clock of its own (`test_pace.py`)."""
    monkeypatch.setattr("daedal.training.planning.FEWEST_STEPS", 1)  # on a busy machine few fit in
    small: dict[str, Any] = {"threads": 1, "width": 32, "depth": 1, "context": 32}
    result = api.train("gpt", data=all_to_learn, out=tmp_path / "run", budget="6s", **small)
    decided = RunFolder(tmp_path / "run").records("horizon.jsonl")
    assert decided
    assert result.steps == decided[-1]["steps"]


def test_data_that_changed_under_a_stopped_run_is_told(data: Path, tmp_path: Path) -> None:
    trainer_for(data, tmp_path / "run").train()
    trainer = trainer_for(data, tmp_path / "run")
    trainer.task.fingerprint = "another"
    with pytest.raises(DaedalError, match="is not what this run was trained on"):
        trainer.train()


def test_a_damaged_state_is_told(data: Path, tmp_path: Path) -> None:
    trainer_for(data, tmp_path / "run").train()
    state = RunFolder(tmp_path / "run").state
    assert state is not None
    (state / "progress.json").write_text("{}")
    with pytest.raises(DaedalError, match="step-000000024"):
        trainer_for(data, tmp_path / "run").train()


def test_a_batch_that_processes_cannot_share_is_told(data: Path, tmp_path: Path) -> None:
    plan = plan_for(data, micro_batch=8)
    model = GPT(gpt_config(plan))
    with pytest.raises(DaedalError, match="cannot be shared by 3 processes"):
        Trainer(
            LanguageTask(model, Dataset.open(data), plan),
            plan,
            RunFolder(tmp_path),
            Processes(torch.device("cpu"), 0, 3),
        )


def test_metrics_are_one_object_a_line_with_its_step(data: Path, tmp_path: Path) -> None:
    trainer_for(data, tmp_path / "run").train()
    lines = (tmp_path / "run" / "training" / "metrics.jsonl").read_text().splitlines()
    assert all("step" in json.loads(line) for line in lines)
    assert any((tmp_path / "run" / "training" / "tensorboard").iterdir())
