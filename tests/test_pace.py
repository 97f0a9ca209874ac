"""A run keeps its time on a machine whose speed changes: steps and threads, on a clock of the tests' own."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from daedal.errors import DaedalError
from daedal.training import clock as clocks
from daedal.training import pace as paces
from daedal.training.gpt_plan import GPTPlan
from daedal.training.pace import Pace
from daedal.training.processes import Processes
from daedal.training.run import RunFolder
from daedal.training.threads import Threads

Speed = Callable[[float, int], float]
"""Seconds of a step, at a time of the clock, with a number of threads."""


class Clock:
    """A clock that stands still unless it is told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    perf_counter = monotonic


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(paces, "time", clock)
    monkeypatch.setattr(clocks, "time", clock)
    return clock


@pytest.fixture(autouse=True)
def _threads_as_before() -> Any:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def plan(budget: float | None = 180.0, steps: int = 2000, per_step: float = 0.08, **changes: Any) -> GPTPlan:
    values = {
        "data": "data", "vocab_size": 64, "architecture": "qwen3", "width": 32, "depth": 1, "heads": 1, "kv_heads": 1,
        "head_width": 32, "mlp_width": 64, "context": 16, "batch": 8, "micro_batch": 8, "learning_rate": 0.01,
        "evaluate_every": steps // 10, "sample_every": steps // 4, "checkpoint_every": 800, "budget": budget,
        "steps": steps, "threads": 2, "thread_choices": (1, 2),
        "predicted": {"parameters": 1, "seconds_per_step": per_step, "seen": 1},
    }  # fmt: skip
    return GPTPlan.parse({**values, **changes}, "plan")


def test_a_speed_is_told_as_soon_as_a_step_counts_and_not_before(clock: Clock) -> None:
    steps, told = clocks.StepClock(memory=60), []
    for _ in range(4):
        clock.now += 2
        steps.count(32)
        told.append(steps.per_second())
    assert told == [None, None, 16, 16]


def trained(folder: Path, clock: Clock, made: GPTPlan, speed: Speed) -> tuple[Pace, int]:
    """A run as the trainer goes through it, measured afterwards, and its number of steps."""
    run = RunFolder.create(folder)
    pace = Pace(made, run, Processes(torch.device("cpu")), elapsed=3.0, reserve=15.0)
    step = 0
    while step < pace.steps(step):
        with pace.step(step):
            clock.now += speed(pace.elapsed, torch.get_num_threads())
        step += 1
        pace.clock.count(1)
        if pace.due(step, pace.late):
            pace.review(step)
        with pace.clock.paused():
            if step % made.evaluate_every == 0:
                pace.timed("validate", lambda: setattr(clock, "now", clock.now + 10 * speed(pace.elapsed, 1)))
    for _ in range(150):  # measuring suffers as steps do, though less
        clock.now += 0.1 * min(3.0, max(1.0, speed(pace.elapsed, torch.get_num_threads()) / 0.08))
    return pace, step


def steady(seconds: float) -> Speed:
    return lambda now, threads: seconds


LOADS: dict[str, Speed] = {
    "idle": lambda now, threads: 0.08,
    "three times as slow all the time": lambda now, threads: 0.24,
    "slow from the middle on": lambda now, threads: 0.08 if now < 80 else 0.24,
    "slow in the middle": lambda now, threads: 0.64 if 60 < now < 110 else 0.08,
    "slow until the middle": lambda now, threads: 0.64 if now < 80 else 0.08,
    "slow near the end": lambda now, threads: 0.08 if now < 140 else 0.16,
    "coming and going": lambda now, threads: 0.08 if int(now / 7) % 2 else 0.32,
    "two threads that wait": lambda now, threads: 0.14 if threads == 1 else 1.5 if now > 40 else 0.08,
}


@pytest.mark.parametrize("load", LOADS)
def test_the_budget_is_kept_whatever_the_load(tmp_path: Path, clock: Clock, load: str) -> None:
    pace, _ = trained(tmp_path / "run", clock, plan(), LOADS[load])
    assert pace.elapsed == pytest.approx(180, rel=0.08)
    assert pace.horizon.fraction(pace.steps(10**9)) == pytest.approx(1)


def test_threads_follow_what_is_fastest(tmp_path: Path, clock: Clock) -> None:
    def speed(now: float, threads: int) -> float:  # alone, then beside one busy core, then alone again
        busy = 50 < now < 110
        return (0.4 if threads == 2 else 0.14) if busy else (0.08 if threads == 2 else 0.14)

    used: dict[int, float] = {}

    def watched(now: float, threads: int) -> float:
        seconds = speed(now, threads)
        key = (1 if 50 < now < 110 else 2) == threads
        used[key] = used.get(key, 0) + seconds
        return seconds

    trained(tmp_path / "run", clock, plan(), watched)
    assert used[True] > 0.85 * (used[True] + used[False])


def test_an_idle_machine_pays_next_to_nothing_for_trials(tmp_path: Path, clock: Clock) -> None:
    _, steps = trained(tmp_path / "run", clock, plan(), lambda now, threads: 0.14 / threads**0.8)
    (tmp_path / "other").mkdir()
    _, most = trained(
        tmp_path / "other" / "run", clock, plan(thread_choices=()), lambda now, threads: 0.14 / threads**0.8
    )
    assert steps > 0.985 * most


def test_threads_stay_where_they_are_set_by_hand_or_the_code_is_compiled(tmp_path: Path, clock: Clock) -> None:
    for name, changes in (("hand", {"thread_choices": ()}), ("compiled", {"compile": True})):
        pace, _ = trained(tmp_path / name, clock, plan(**changes), lambda now, threads: 0.08 * threads)
        assert pace.threads.all == [(0, 2)]


def test_steps_that_were_given_are_not_reviewed(tmp_path: Path, clock: Clock) -> None:
    pace, steps = trained(tmp_path / "run", clock, plan(budget=None, steps=200), steady(9.0))
    assert steps == 200
    assert not (tmp_path / "run" / "training" / "horizon.jsonl").exists()
    assert pace.threads.all == [(0, 2)]


def test_no_more_steps_are_taken_than_may_be(tmp_path: Path, clock: Clock) -> None:
    _, steps = trained(tmp_path / "run", clock, plan(most_steps=900, steps=900), steady(0.04))
    assert steps == 900


def test_what_was_decided_is_decided_again_however_often_a_run_goes_on(tmp_path: Path, clock: Clock) -> None:
    speed = LOADS["two threads that wait"]
    pace, steps = trained(tmp_path / "run", clock, plan(), speed)
    assert len(pace.horizon.all) > 3
    assert len(pace.threads.all) > 3
    for _ in range(2):
        again = Pace(plan(), RunFolder(tmp_path / "run"), Processes(torch.device("cpu")), 3.0, 15.0)
        assert again.horizon.all == pace.horizon.all
        assert again.threads.all == pace.threads.all
        for step in (10, 20, steps // 2):
            again.review(step)  # on a machine that is faster now
        assert again.horizon.all == pace.horizon.all


def test_a_trial_that_was_cut_off_is_made_again() -> None:
    threads = Threads(2, (1, 2))
    threads.review(10, 0.1)
    again = Threads(2, (1, 2), threads.all[1:])
    assert again.at(100) == 1
    again.review(10, 0.1)  # was decided before
    assert again.all == threads.all
    again.review(20, 0.1)
    for step in range(21, 40):
        again.count(step, 0.1 * again.at(step - 1))
    assert [again.at(step) for step in (20, 22, 26, 40)] == [2, 2, 1, 1]


def test_first_steps_that_load_kernels_do_not_cut_the_run(tmp_path: Path, clock: Clock) -> None:
    slow_at_first = iter([4.0, 1.0])
    pace, steps = trained(
        tmp_path / "run", clock, plan(40.0, steps=700, per_step=0.025), lambda *_: next(slow_at_first, 0.025)
    )
    assert steps > 400
    assert pace.elapsed < 40.0


def test_a_damaged_record_of_decisions_is_left_out(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run")
    (run.training / "horizon.jsonl").write_text(json.dumps({"step": 10, "steps": 500}) + '\n{"step": 20, "st')
    pace = Pace(plan(), run, Processes(torch.device("cpu")), 0.0, 0.0)
    assert pace.horizon.all == [(0, 2000), (10, 500)]


def test_a_decision_behind_a_line_that_was_cut_off_is_found_again(tmp_path: Path, clock: Clock) -> None:
    run = RunFolder.create(tmp_path / "run")
    (run.training / "horizon.jsonl").write_text('{"step": 20, "st')
    pace = Pace(plan(), run, Processes(torch.device("cpu")), 0.0, 0.0)
    with pace._kept(pace.horizon, "horizon", "steps"):
        pace.horizon.decide(30, 700)
    assert Pace(plan(), run, Processes(torch.device("cpu")), 0.0, 0.0).horizon.all == [(0, 2000), (30, 700)]


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("horizon", '{"step": -5, "steps": 500}'),
        ("horizon", '{"step": 10, "steps": 0}'),
        ("horizon", '{"step": 10, "steps": "500"}'),
        ("horizon", '{"step": 10}'),
        ("threads", '{"step": 10, "threads": 1000000000}'),
        ("threads", '{"step": 10, "threads": -1}'),
    ],
)
def test_what_no_run_decides_is_refused(name: str, line: str, tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run")
    (run.training / f"{name}.jsonl").write_text(line + "\n")
    with pytest.raises(DaedalError, match=rf"{name}.jsonl holds what no run decides"):
        Pace(plan(), run, Processes(torch.device("cpu")), 0.0, 0.0)


def test_records_that_are_none_are_left_out(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run")
    odd = b'[1]\nnull\n{}\n{"step": true}\n\xff\n' + b"[" * 100_000 + b'\n{"step": 3}\n'
    (run.training / "metrics.jsonl").write_bytes(odd)
    assert run.records("metrics.jsonl") == [{"step": 3}]
