"""Training on pictures keeps the trainer's invariants for every family: in pieces, in parts, in two processes it is one run."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from daedal import api
from daedal.data.images import build
from daedal.data.images.dataset import ImageDataset
from daedal.errors import DaedalError
from daedal.families import table
from daedal.training.learner import open_learner
from daedal.training.machine import Machine
from daedal.training.plan import plan_class
from daedal.training.processes import Processes
from daedal.training.run import RunFolder
from daedal.training.trainer import Interrupted, Trainer
from runs import logged, same, stop_at, weights
from warm_python import python

RUN = {
    "steps": 8, "batch": 8, "micro_batch": 8, "threads": 1, "precision": "fp32", "device": "cpu", "checkpoint_every": 3,
    "evaluate_every": 4, "sample_every": 8, "log_every": 2, "ema": 0.9,
}  # fmt: skip
SMALL: dict[str, dict[str, Any]] = {
    "vae": {"filters": 8, "depth": 1, "halvings": 1, "latent": 4, "couplings": 2},
    "vqvae": {"filters": 8, "depth": 1, "halvings": 1, "levels": (4, 4)},
    "gan": {"breadth": 8, "widest": 8, "latent": 4, "penalty_interval": 2},
    "flow": {"features": 8, "levels": 1},
}
IMAGE_FAMILIES = [family for family, line in table().items() if line.over == "pixels" and family != "clip"]
"""Those that learn pictures without captions."""
MACHINE = Machine(
    device="cpu", name="a test's", cores=1, threads=1, memory=2**33, gflops=10.0, precision="fp32", compiler=False
)


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures") / "digits"
    build(["digits"], folder, workers=1)
    return folder


def trainer_for(
    family: str, data: Path, out: Path, codec: Path | None = None, count: int = 1, **changes: Any
) -> Trainer:
    torch.set_num_threads(1)
    opened = open_learner(family, data, codec=None if codec is None else str(codec))
    plan = opened.make_plan(None, MACHINE, {**RUN, **SMALL.get(family, {}), **changes})
    run = RunFolder(out) if (out / "training" / "plan.json").exists() else RunFolder.create(out)
    run.write_plan(plan)
    return Trainer(opened.task(plan), plan, run, Processes(torch.device("cpu")))


@pytest.mark.parametrize("family", IMAGE_FAMILIES)
def test_a_plan_takes_the_values_of_its_familys_recipe(digits: Path, family: str) -> None:
    plan = open_learner(family, digits).make_plan(None, MACHINE, {"steps": 9, **SMALL[family]}).model_dump()
    recipe = plan_class(family, "pictures").recipe  # type: ignore[attr-defined]
    assert {name: plan[name] for name in recipe} == recipe


@pytest.mark.parametrize("family", IMAGE_FAMILIES)
def test_a_run_on_pictures_that_was_stopped_goes_on_bit_for_bit(digits: Path, tmp_path: Path, family: str) -> None:
    changes = {"condition": "class"} if family != "vqvae" else {"quantizer": "vq", "codes": 16}
    trainer_for(family, digits, tmp_path / "whole", **changes).train()
    first = trainer_for(family, digits, tmp_path / "stopped", **changes)
    stop_at(first, 5)
    with pytest.raises(Interrupted):
        first.train()
    trainer_for(family, digits, tmp_path / "stopped", **changes).train()
    assert same(tmp_path / "whole", tmp_path / "stopped")


@pytest.mark.parametrize("family", IMAGE_FAMILIES)
def test_accumulated_pictures_equal_one_large_batch(digits: Path, tmp_path: Path, family: str) -> None:
    changes = {"quantizer": "vq", "codes": 16} if family == "vqvae" else {}
    whole = trainer_for(family, digits, tmp_path / "whole", steps=4, learning_rate=1e-4, **changes)
    parts = trainer_for(family, digits, tmp_path / "parts", steps=4, learning_rate=1e-4, micro_batch=2, **changes)
    whole.train(), parts.train()
    for name, tensor in weights(tmp_path / "whole").items():
        torch.testing.assert_close(weights(tmp_path / "parts")[name], tensor, atol=1e-3, rtol=1e-3)
    assert logged(tmp_path / "parts", "loss") == pytest.approx(logged(tmp_path / "whole", "loss"), rel=1e-3)


def test_a_tokenizer_with_a_critic_trains_and_is_validated(digits: Path, tmp_path: Path) -> None:
    trainer_for("vqvae", digits, tmp_path / "run", critic=0.3).train()
    records = RunFolder(tmp_path / "run").records("metrics.jsonl")
    assert any("critic" in record for record in records)
    assert [record["step"] for record in records if "validation_loss" in record] == [4, 8]


def test_two_processes_train_a_gan_as_one(tmp_path: Path) -> None:
    data = tmp_path / "digits"
    # what is not held out is not measured, which would take longest here
    api.build_data(["digits"], data, workers=1, split=(100, 0, 0))
    small = [f"--{name.replace('_', '-')}={value}" for name, value in {**RUN, **SMALL["gan"], "micro_batch": 4}.items()]
    line = ["-m", "daedal", "train", "gan", "--data", str(data), *small]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": "src"}
    together = ["-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"]
    for before, out in (([], "one"), (together, "two")):
        command = [python(), *before, *line, "--out", tmp_path / out]
        subprocess.run(command, check=True, env=environment, capture_output=True)
    for name, tensor in weights(tmp_path / "one").items():
        torch.testing.assert_close(weights(tmp_path / "two")[name], tensor, atol=1e-3, rtol=1e-3)


def test_a_gpt_learns_the_tokens_of_pictures_and_draws(digits: Path, tmp_path: Path) -> None:
    trainer_for("vqvae", digits, tmp_path / "codec").train()
    settled = {"width": 16, "depth": 1, "heads": 1, "head_width": 16, "mlp_width": 32}
    trainer = trainer_for(
        "gpt", digits, tmp_path / "gpt", tmp_path / "codec", condition="class", steps=60, learning_rate=0.01, **settled
    )
    trainer.train()
    losses = logged(tmp_path / "gpt", "loss")
    assert losses[-1] < losses[0] - 0.2
    begins = trainer.task.batch(0, 1000).inputs[:, 0]
    assert 60 < int((begins == begins.min()).sum()) < 140  # labels that are hidden, for guidance
    painter = api.load(tmp_path / "gpt")
    one, many = painter.generate(1, seed=3, label="7"), painter.generate(3, seed=3, label="7")
    assert one[0].image.tobytes() == many[0].image.tobytes()
    assert painter.capabilities == {"sample", "class", "edit"}


def test_a_flow_learns_the_latents_of_a_vae_and_draws(digits: Path, tmp_path: Path) -> None:
    grid = {**SMALL["vae"], "latent": 0, "grid": 2}
    trainer_for("vae", digits, tmp_path / "codec", **grid).train()
    trainer_for("flow", digits, tmp_path / "flow", tmp_path / "codec").train()
    painter = api.load(tmp_path / "flow")
    assert painter.generate(2, seed=0)[1].image.size == (8, 8)
    assert "score" not in painter.capabilities
    trainer_for("vae", digits, tmp_path / "vector").train()
    with pytest.raises(DaedalError, match="vector"):
        trainer_for("flow", digits, tmp_path / "no", tmp_path / "vector")


def test_what_would_take_most_of_a_budget_to_measure_is_not_measured(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from daedal.evaluation import evaluate

    monkeypatch.setattr(evaluate, "expected_seconds", lambda *_: 1000.0)
    small = {name: value for name, value in {**RUN, **SMALL["vae"]}.items() if name != "steps"}
    result = api.train("vae", data=digits, out=tmp_path / "run", budget=25, most_steps=24, **small)
    assert "Not measured: That would take 1000 s of a budget of 25 s. Measure it afterwards" in result.summary()
    assert not (tmp_path / "run" / "evaluation.json").exists()


def test_a_few_pictures_can_be_learned_though_not_measured(tmp_path: Path) -> None:
    api.build_data(["scenes:60"], tmp_path / "few", size=32, workers=1)
    result = api.train("vae", data=tmp_path / "few", out=tmp_path / "run", **{**RUN, **SMALL["vae"]})
    assert result.steps == RUN["steps"]
    assert "Not measured" in result.summary()
    assert "Trained in" in result.summary()  # and not "and measured"
    assert "needs 50" in result.summary()
    assert api.load(tmp_path / "run").generate(1, seed=0)


def test_samples_over_time_and_every_number_are_kept(digits: Path, tmp_path: Path) -> None:
    trainer_for("vqvae", digits, tmp_path / "run").train()
    run = RunFolder(tmp_path / "run")
    record = [each for each in run.records("metrics.jsonl") if "loss" in each][-1]
    assert {"step", "loss", "seconds", "pictures_per_second"} < record.keys()
    assert any("perplexity" in name for name in record)
    assert Path(run.records("samples.jsonl")[0]["text"]).is_file()


def test_a_model_goes_on_from_another_run(digits: Path, tmp_path: Path) -> None:
    trainer_for("vae", digits, tmp_path / "first").train()
    opened = open_learner("vae", digits, init=str(tmp_path / "first"))
    plan = opened.make_plan(None, MACHINE, dict(RUN))
    assert plan.model_dump()["filters"] == 8
    begun = opened.task(plan).model.state_dict()
    assert all(torch.equal(begun[name], tensor) for name, tensor in weights(tmp_path / "first").items())


@pytest.mark.parametrize(
    ("family", "changes", "message"),
    [
        ("gpt", {}, "Train a tokenizer on it first"),
        ("vae", {"codec": "x"}, "learns pixels"),
        ("flow", {"codec": "x"}, "x is not a folder|neither a folder"),
        ("vae", {"halvings": 99}, "halvings"),
        ("llm", {}, "There is no family 'llm'"),
    ],
)
def test_what_cannot_be_trained_is_told_in_one_line(
    digits: Path, tmp_path: Path, family: str, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(DaedalError, match=message) as error:
        api.train(family, data=digits, out=tmp_path / "run", steps=1, **changes)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


def test_text_and_pictures_are_not_confused(digits: Path, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("A story. " * 400)
    api.build_data([tmp_path / "a.txt"], tmp_path / "text", near_duplicates="off")
    with pytest.raises(DaedalError, match="learns pictures"):
        api.make_plan("flow", tmp_path / "text")
    (tmp_path / "plain").mkdir()
    for seed in range(40):
        pixels = torch.rand(8, 8, 3, generator=torch.Generator().manual_seed(seed)).mul(255).byte().numpy()
        Image.fromarray(pixels).save(tmp_path / "plain" / f"{seed}.png")
    build([tmp_path / "plain"], tmp_path / "unlabelled", workers=1)
    with pytest.raises(DaedalError, match="no labels"):
        api.make_plan("flow", tmp_path / "unlabelled", condition="class")
    assert json.loads((digits / "manifest.json").read_text())["format"] == "daedal-images"
    assert ImageDataset.open(digits).classes == tuple("0123456789")
