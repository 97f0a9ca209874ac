"""Private training: per-window clipping, noise and sampling are what DP-SGD says, and epsilon is the library's."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from command_line import TINY, daedal, mistake, story
from daedal import api
from daedal.errors import DaedalError
from daedal.models.model import Moment
from daedal.training.learner import open_learner
from daedal.training.private import FILE, Privacy, Spent, epsilon, run_key
from daedal.training.processes import Processes
from daedal.training.run import RunFolder
from daedal.training.trainer import Interrupted, Trainer
from runs import same, stop_at

SHAPE = [each for place, each in enumerate(TINY) if "--micro-batch" not in (each, TINY[place - 1])]
PRIVATE = ("--private-clip", "0.5", "--private-noise", "0.8")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    (folder / "stories.txt").write_text("\n\n".join(story(seed) for seed in range(60)))
    api.build_data(
        [folder / "stories.txt"], folder / "built", document="paragraph", codec="byte", near_duplicates="off"
    )
    return folder / "built"


def gradients(losses: list[torch.Tensor], parameters: list[torch.nn.Parameter]) -> list[list[torch.Tensor]]:
    return [list(torch.autograd.grad(loss, parameters)) for loss in losses]


def of_windows(data: Path) -> tuple[torch.nn.Module, list[torch.Tensor], list[torch.nn.Parameter]]:
    """A model, the mean losses of its first windows, and its parameters."""
    learner = open_learner("gpt", data)
    task = learner.task(learner.plans.parse({**_plan(data), "private_clip": 1.0, "private_noise": 1.0}, "plan"))
    model = task.model.double()
    batches = [task.window(number) for number in range(6)]  # type: ignore[attr-defined]
    losses = [model.loss(batch.at(Moment(float(batch.count)))).total for batch in batches]
    return model, losses, list(model.parameters())


def _plan(data: Path) -> dict[str, object]:
    codec = open_learner("gpt", data).codec  # type: ignore[attr-defined]
    return {
        "family": "gpt", "data": str(data), "vocab_size": codec.vocab_size, "width": 16, "depth": 1, "heads": 2, "kv_heads": 1,
        "head_width": 8, "mlp_width": 32, "context": 16, "batch": 8, "micro_batch": 1, "steps": 12, "learning_rate": 0.01,
        "threads": 1, "precision": "fp32", "checkpoint_every": 4, "evaluate_every": 12, "sample_every": 12, "log_every": 4,
        "device": "cpu", "private_delta": 1e-3,
    }  # fmt: skip


@pytest.mark.parametrize("clip", [1e9, 0.3])
def test_the_clipped_sum_is_that_of_a_loop_and_with_an_endless_clip_the_plain_gradient(data: Path, clip: float) -> None:
    _, losses, parameters = of_windows(data)
    privacy = Privacy(100, len(losses), clip, 0.0, b"key")
    expected = [torch.zeros_like(p) for p in parameters]
    for own in gradients(losses, parameters):
        norm = torch.sqrt(sum(g.square().sum() for g in own))
        for total, gradient in zip(expected, own, strict=True):
            total += gradient * min(1.0, clip / float(norm)) / len(losses)
    _, losses, parameters = of_windows(data)
    for loss in losses:
        loss.backward()
        privacy.add(parameters)
    privacy.finish(parameters, 0)
    for parameter, gradient in zip(parameters, expected, strict=True):
        assert parameter.grad is not None
        assert torch.allclose(parameter.grad, gradient, atol=1e-10)
    if clip > 1e6:
        _, losses, parameters = of_windows(data)
        plain = torch.autograd.grad(torch.stack(losses).mean(), parameters)
        assert all(torch.allclose(a, b, atol=1e-10) for a, b in zip(plain, expected, strict=True))


def test_the_noise_has_its_deviation_and_comes_from_the_secret() -> None:
    parameter = torch.nn.Parameter(torch.zeros(200, 200))
    found = {}
    for key in (b"one", b"one", b"two"):
        privacy = Privacy(1000, 10, 2.0, 1.5, key)
        privacy.finish([parameter], 3)
        assert parameter.grad is not None
        assert float(parameter.grad.std()) == pytest.approx(1.5 * 2.0 / 10, rel=0.02)
        assert found.setdefault(key, parameter.grad).equal(parameter.grad)
    assert not found[b"one"].equal(found[b"two"])


def test_a_window_is_in_a_step_by_chance_alone() -> None:
    privacy = Privacy(400, 40, 1.0, 1.0, b"key")
    steps = [privacy.chosen(step) for step in range(300)]
    sizes = np.array([len(each) for each in steps])
    assert sizes.mean() == pytest.approx(40, abs=1.5)
    assert sizes.var() == pytest.approx(400 * 0.1 * 0.9, rel=0.3)  # binomial: steps differ in size
    times = np.bincount(np.concatenate(steps), minlength=400)
    assert times.mean() == pytest.approx(30, abs=1.2)
    assert times.var() == pytest.approx(300 * 0.1 * 0.9, rel=0.3)


def test_what_is_no_number_counts_as_nothing() -> None:
    parameter = torch.nn.Parameter(torch.zeros(3))
    privacy = Privacy(10, 1, 1.0, 0.0, b"key")
    for gradient in ([float("nan"), 0, 0], [float("inf"), 0, 0], [3.0, 4.0, 0.0]):
        parameter.grad = torch.tensor(gradient)
        privacy.add([parameter])
    privacy.finish([parameter], 0)
    assert parameter.grad is not None
    assert torch.allclose(parameter.grad, torch.tensor([0.6, 0.8, 0.0]))


def test_epsilon_is_the_librarys() -> None:
    from opacus.accountants import RDPAccountant

    found, accountant = epsilon(1.0, 0.01, 1000, 1e-5)
    assert found == pytest.approx(1.838, abs=0.01)
    assert accountant.startswith("opacus-")
    looser = RDPAccountant()
    looser.history = [(1.0, 0.01, 1000)]
    assert found < looser.get_epsilon(delta=1e-5) < 1.2 * found
    whole, _ = epsilon(2.0, 1.0, 1, 1e-5)  # one step with all: the Gaussian mechanism, whose epsilon is known exactly
    from scipy.optimize import brentq
    from scipy.special import ndtr

    def delta(eps: float) -> float:  # Balle and Wang 2018, theorem 8, for sensitivity 1 and deviation 2
        return float(ndtr(0.25 - 2 * eps) - np.exp(eps) * ndtr(-0.25 - 2 * eps))

    assert whole == pytest.approx(brentq(lambda eps: delta(eps) - 1e-5, 0.1, 20), rel=0.01)
    assert epsilon(0.0, 0.1, 10, 1e-5)[0] is None


def test_a_private_run_says_what_it_tells_and_forgets_its_secret(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    ended = daedal("train", "gpt", "--data", data, "--out", run, "--steps", "6", *SHAPE, *PRIVATE)
    assert ended.code == 0, ended.err
    assert "Privacy    each window's gradient clipped to 0.5, noise 0.8" in ended.out + ended.err
    spent = Spent.read(run / "training")
    assert spent is not None
    assert (spent.clip, spent.noise, spent.steps) == (0.5, 0.8, 6)
    assert spent.epsilon == pytest.approx(epsilon(0.8, spent.rate, 6, spent.delta)[0])
    assert spent.delta == pytest.approx(0.1 / spent.windows, rel=0.1)
    assert not (run / "training" / "privacy.key").exists()
    assert "private: epsilon" in ended.err + ended.out
    assert "Trained privately: epsilon" in (run / "README.md").read_text()
    assert json.loads((run / "training" / FILE).read_text())["accountant"].endswith("/prv")


def test_a_secret_that_was_cut_off_is_none(tmp_path: Path) -> None:
    assert len(run_key(tmp_path)) == 32
    assert run_key(tmp_path) == run_key(tmp_path)
    (tmp_path / "privacy.key").write_bytes(b"")
    with pytest.raises(DaedalError, match="no secret"):
        run_key(tmp_path)


def test_a_private_run_that_is_stopped_goes_on_to_the_same_bits(data: Path, tmp_path: Path) -> None:
    learner = open_learner("gpt", data)
    plan = learner.plans.parse({**_plan(data), "private_clip": 0.5, "private_noise": 0.8}, "plan")
    for name in ("whole", "stopped"):
        run = RunFolder(tmp_path / name)
        run.training.mkdir(parents=True)
        run.write_plan(plan)
        (run.training / "privacy.key").write_bytes(b"the same for both".ljust(32))

    def trainer(name: str) -> Trainer:
        torch.manual_seed(plan.seed)
        task = open_learner("gpt", data).task(plan)
        return Trainer(task, plan, RunFolder(tmp_path / name), Processes(torch.device("cpu")))

    trainer("whole").train()
    first = trainer("stopped")
    stop_at(first, 5)
    with pytest.raises(Interrupted):
        first.train()
    assert (tmp_path / "stopped" / "training" / "privacy.key").exists()
    trainer("stopped").train()
    assert same(tmp_path / "whole", tmp_path / "stopped")


def test_mistakes_are_one_line(data: Path, tmp_path: Path) -> None:
    one = ("train", "gpt", "--data", data, "--out", tmp_path / "run", "--steps", "2")
    assert "private_clip and private_noise go together" in mistake(*one, *SHAPE, "--private-clip", "1")
    assert "micro_batch must be 1" in mistake(*one, *TINY, *PRIVATE)
    assert "nor with fim" in mistake(*one, *SHAPE, *PRIVATE, "--fim")
    large = ("100000" if SHAPE[place - 1] == "--batch" else each for place, each in enumerate(SHAPE))
    assert "windows on average" in mistake(*one, *large, *PRIVATE)
    assert not (tmp_path / "run" / "model.safetensors").exists()
