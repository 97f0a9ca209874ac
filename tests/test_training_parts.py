"""The parts of training that stand alone: schedule, optimizers, horizon, prefetch, state, plan."""

import itertools
import time

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from daedal.errors import DaedalError
from daedal.training.gpt_plan import GPTPlan, GridPlan
from daedal.training.machine import measure_machine
from daedal.training.optimizers import Muon, Optimizer, orthogonalise
from daedal.training.plan import options_of
from daedal.training.prefetch import Prefetch
from daedal.training.schedule import Horizon, is_review, trapezoid
from daedal.training.state import load_state, save_state

SMALL = {
    "data": "d", "vocab_size": 64, "width": 32, "depth": 1, "heads": 1, "kv_heads": 1, "head_width": 32, "mlp_width": 32,
    "context": 8, "steps": 10, "batch": 4, "micro_batch": 2, "learning_rate": 0.01, "evaluate_every": 5, "sample_every": 5,
    "checkpoint_every": 5,
}  # fmt: skip


@given(st.integers(1, 50), st.floats(0, 0.5), st.floats(0, 0.5))
def test_every_step_of_a_schedule_learns_and_none_more_than_its_peak(
    steps: int, warmup: float, cooldown: float
) -> None:
    factors = [trapezoid(step / steps, (step + 1) / steps, warmup, cooldown) for step in range(steps)]
    assert all(0 < factor <= 1 for factor in factors)


def test_a_run_of_one_step_learns_at_its_peak() -> None:
    assert trapezoid(0, 1, 0.02, 0.7) == 1


def test_the_schedule_rises_holds_and_falls_to_nothing_after_the_last_step() -> None:
    assert trapezoid(0.04, 0.05, 0.1, 0.5) == pytest.approx(0.5)
    assert trapezoid(0.3, 0.31, 0.1, 0.5) == 1
    assert trapezoid(0.75, 0.76, 0.1, 0.5) == pytest.approx(0.5)
    assert trapezoid(0.99, 1, 0.1, 0.5) == pytest.approx(0.02)
    assert trapezoid(1, 1, 0.1, 0.5) == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(16, 16), (48, 16), (16, 48)])
def test_orthogonalised_matrices_point_where_the_nearest_orthogonal_ones_do(
    shape: tuple[int, int], dtype: torch.dtype
) -> None:
    matrices = torch.randn(3, *shape, generator=torch.Generator().manual_seed(0))
    u, _, v = torch.linalg.svd(matrices, full_matrices=False)
    found = orthogonalise(matrices, dtype)
    assert found.dtype == torch.float32
    assert torch.cosine_similarity(found.flatten(1), (u @ v).flatten(1)).min() > 0.85
    assert torch.linalg.svdvals(found).max() < 2


def test_matrices_orthogonalised_together_equal_each_alone() -> None:
    matrices = torch.randn(4, 8, 24, generator=torch.Generator().manual_seed(1))
    together = orthogonalise(matrices)
    for one, all_ in zip(matrices, together, strict=True):
        torch.testing.assert_close(orthogonalise(one[None])[0], all_)


def test_muon_treats_a_kernel_as_a_matrix_with_a_row_for_each_output() -> None:
    generator = torch.Generator().manual_seed(0)
    weight, slope = (torch.randn(8, 4, 3, 3, generator=generator) for _ in range(2))
    kernel, matrix = nn.Parameter(weight.clone()), nn.Parameter(weight.flatten(1).clone())
    kernel.grad = slope.contiguous(memory_format=torch.channels_last)
    matrix.grad = slope.flatten(1)
    for parameter in (kernel, matrix):
        Muon([parameter], [(8,)], lr=0.1, weight_decay=0.1).step()
    torch.testing.assert_close(kernel.flatten(1), matrix)


def test_muon_treats_stacked_matrices_as_if_they_were_apart() -> None:
    generator = torch.Generator().manual_seed(2)
    start, gradient = torch.randn(24, 8, generator=generator), torch.randn(24, 8, generator=generator)
    stacked = nn.Parameter(start.clone())
    apart = [nn.Parameter(piece.clone()) for piece in start.split([16, 8])]
    stacked.grad = gradient.clone()
    for parameter, piece in zip(apart, gradient.split([16, 8]), strict=True):
        parameter.grad = piece.clone()
    Muon([stacked], [(16, 8)], lr=0.1, weight_decay=0.1).step()
    Muon(apart, [(16,), (8,)], lr=0.1, weight_decay=0.1).step()
    torch.testing.assert_close(stacked.detach(), torch.cat([p.detach() for p in apart]))


def test_an_optimizer_with_its_state_put_back_goes_on_bit_for_bit() -> None:
    def make() -> tuple[list[nn.Parameter], Optimizer]:
        generator = torch.Generator().manual_seed(3)
        parameters = [nn.Parameter(torch.randn(shape, generator=generator)) for shape in ((8, 4), (4,))]
        muon = Muon(parameters[:1], [(8,)], lr=0.02)
        return parameters, Optimizer([torch.optim.AdamW(parameters[1:], lr=0.01, fused=True), muon])

    def steps(parameters: list[nn.Parameter], optimizer: Optimizer, numbers: range) -> None:
        for number in numbers:
            for parameter in parameters:
                generator = torch.Generator().manual_seed(number)
                parameter.grad = torch.randn(parameter.shape, generator=generator)
            optimizer.step(1 / (number + 1))

    whole, optimizer = make()
    steps(whole, optimizer, range(6))
    first, optimizer = make()
    steps(first, optimizer, range(3))
    second, resumed = make()
    for parameter, value in zip(second, first, strict=True):
        parameter.data.copy_(value.data)
    resumed.load_state({name: tensor.clone() for name, tensor in optimizer.state().items()})
    steps(second, resumed, range(3, 6))
    for a, b in zip(whole, second, strict=True):
        assert torch.equal(a, b)


def test_the_horizon_keeps_what_was_decided() -> None:
    horizon = Horizon(100, [(10, 120), (50, 110)])
    assert [horizon.at(step) for step in (0, 9, 10, 49, 50, 99)] == [100, 100, 120, 120, 110, 110]
    assert not horizon.open(50)
    assert horizon.open(51)
    assert horizon.fraction(110) == 1


def test_no_review_makes_the_share_that_is_done_jump() -> None:
    horizon = Horizon(100, [(10, 200), (20, 50), (45, 300)])
    shares = [horizon.fraction(step) for step in range(301)]
    assert shares[0] == 0
    assert shares[10] == pytest.approx(0.1)
    assert shares[-1] == pytest.approx(1)
    steps = [after - before for before, after in itertools.pairwise(shares)]
    assert min(steps) > 0
    assert max(steps) < 2 / 50
    assert [Horizon(100).fraction(step) for step in (0, 1, 50, 100)] == pytest.approx([0, 0.01, 0.5, 1])


def test_reviews_are_frequent_at_first_and_then_regular() -> None:
    assert [step for step in range(1, 400) if is_review(step, 1000)] == [10, 20, 40, *range(50, 400, 50)]


def test_prefetched_batches_come_in_order_and_their_errors_arrive() -> None:
    def make(step: int) -> int:
        time.sleep(0.001 * (step % 3))
        if step == 20:
            raise DaedalError("no more")
        return step

    with Prefetch(make, 5) as batches:
        assert [batches.get() for _ in range(15)] == list(range(5, 20))
        with pytest.raises(DaedalError, match="no more"):
            batches.get()


def test_a_state_comes_back_as_it_was_and_damage_is_told(tmp_path) -> None:
    tensors = {"weights": {"a": torch.randn(3, 2), "b": torch.arange(4)}, "empty": {}}
    save_state(tmp_path / "step-1", tensors, {"step": 1})
    loaded, progress = load_state(tmp_path / "step-1")
    assert progress["step"] == 1
    assert torch.equal(loaded["weights"]["a"], tensors["weights"]["a"])
    path = tmp_path / "step-1" / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(DaedalError, match="damaged"):
        load_state(tmp_path / "step-1")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"heads": 3, "kv_heads": 2}, "multiple of kv_heads"),
        ({"batch": 3}, "multiple of micro_batch"),
        ({"warmup": 0.6, "cooldown": 0.6}, "must not exceed 1"),
        ({"steps": 0}, "greater than or equal to 1"),
        ({"learning_rate": -1.0}, "greater than 0"),
        ({"unknown": 1}, "Extra inputs"),
    ],
)
def test_a_plan_that_does_not_fit_together_is_refused_in_one_line(change: dict[str, float], message: str) -> None:
    with pytest.raises(DaedalError, match=message) as error:
        GPTPlan.parse({**SMALL, **change}, "plan")
    assert "\n" not in str(error.value)


def test_every_value_of_the_plan_but_its_givens_can_be_set() -> None:
    left = set(GridPlan.model_fields) - set(options_of([GridPlan]).model_fields)
    assert left == {
        "family",
        "kind",
        "data",
        "fingerprint",
        "init",
        "codec",
        "budget",
        "thread_choices",
        "vocab_size",
        "grid",
        "window",
        "predicted",
        "why",
    }


def test_the_machine_is_measured_with_a_few_seconds_of_work() -> None:
    start = time.process_time()
    machine = measure_machine()
    assert time.process_time() - start < 5
    assert machine.gflops > 0
    assert machine.threads >= 1


def test_a_device_that_is_not_there_is_told() -> None:
    with pytest.raises(DaedalError, match="no device called"):
        measure_machine("abacus")
    if not torch.cuda.is_available():
        with pytest.raises(DaedalError, match="no cuda device"):
            measure_machine("cuda")
