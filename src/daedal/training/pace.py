"""How a run keeps its time: the steps that the rest of the budget allows, and threads that fit what else the machine does.

Both are looked at again at reviews. What was decided, and at which step, is kept in `training/horizon.jsonl` and
`training/threads.jsonl`; a run that goes on repeats it.
"""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from daedal.errors import DaedalError
from daedal.files import disk_error
from daedal.training.clock import StepClock
from daedal.training.plan import MOST, MOST_THREADS, Plan
from daedal.training.processes import Processes
from daedal.training.run import RunFolder
from daedal.training.schedule import Decisions, Horizon, is_review
from daedal.training.threads import Threads

_WITHOUT_REVIEW = 0.03  # of the budget, at most
_SHORT, _LONG = 0.05, 0.2  # of the budget, to know the speed from: now, and with what comes and goes
_UNPLANNED = 600.0  # seconds, in place of a budget that is none
_OF_THE_REST = 0.25  # at most, so that what is left is known ever better
_SLOWEST = 3.0  # measuring suffers less from other work than threads that wait for one another


class Pace:
    """The clock of a run and what follows from it.

    Args:
        elapsed: seconds of the budget that were used before.
        reserve: seconds of the budget to leave for what comes after, on a machine as fast as when the run was planned.
    """

    def __init__(self, plan: Plan, run: RunFolder, processes: Processes, elapsed: float, reserve: float) -> None:
        self.plan, self.run, self.processes = plan, run, processes
        self.horizon = Horizon(plan.steps, _decided(run, "horizon", "steps"))
        # compiled code is made for one number of threads
        choices = () if plan.compile else plan.thread_choices
        self.threads = Threads(plan.threads, choices, _decided(run, "threads", "threads"))
        self._started = time.monotonic() - elapsed
        self._reviewed = time.monotonic()
        self._reserve = reserve
        self._cost = {"validate": 0.0, "sample": 0.0, "save": 0.0}
        self.clock = StepClock(_LONG * (plan.budget or _UNPLANNED))

    @property
    def elapsed(self) -> float:
        """Seconds of the budget used so far, by this process and those that it goes on from."""
        return time.monotonic() - self._started

    def go_on(self, elapsed: float) -> None:
        """The run has been resumed from a state after so many seconds of its budget."""
        self._started = time.monotonic() - elapsed

    def steps(self, step: int) -> int:
        """How many steps the run has, as known at `step`."""
        return self.horizon.at(step)

    def seconds_left(self, step: int) -> float:
        """About how long the run will still take."""
        steps = self.steps(step) - step
        return steps * self.seconds_per_step + self._pauses(steps) + self.reserve

    @property
    def seconds_per_step(self) -> float:
        """What a step takes now; what was planned for, as long as that is not known."""
        found = self.clock.seconds_per_step(_SHORT * (self.plan.budget or _UNPLANNED))
        planned = self.plan.predicted.seconds_per_step if self.plan.predicted else 0.0
        return planned if found is None else found

    @property
    def reserve(self) -> float:
        """Seconds to leave for what comes after: more where the machine is slower than when the run was planned."""
        now = self.clock.seconds_per_step()
        if self.plan.predicted is None or now is None:
            return self._reserve
        slower = now / self.plan.predicted.seconds_per_step
        return self._reserve * min(_SLOWEST, max(1.0, slower))

    @property
    def late(self) -> bool:
        """Whether too much of the budget has gone since the last review, whatever the number of steps."""
        if self.plan.budget is None:
            return False
        most = min(_WITHOUT_REVIEW * self.plan.budget, _OF_THE_REST * (self.plan.budget - self.elapsed - self._reserve))
        return time.monotonic() - self._reviewed > max(0.5, most)

    def due(self, step: int, late: bool) -> bool:
        """Whether to review at `step`.

        Args:
            late: whether any of the processes is.
        """
        steps = self.steps(step)
        known = self.seconds_per_step > 0
        return self.plan.budget is not None and known and step < steps and (late or is_review(step, steps))

    def review(self, step: int) -> None:
        """Set the number of steps to what the rest of the budget allows, and try threads. All processes together."""
        assert self.plan.budget is not None
        self._reviewed = time.monotonic()
        per_step = self.seconds_per_step
        with self._kept(self.threads, "threads", "threads"):
            self.threads.review(step, per_step)
        if not self.horizon.open(step):
            return  # a resumed run first repeats what was decided
        old = self.horizon.at(step)
        left = self.plan.budget - self.elapsed - self.reserve - self._pauses(old - step)
        new = step + max(1, int(left / per_step))
        if self.plan.most_steps:
            new = min(new, self.plan.most_steps)
        new = self.processes.agree(new)
        if abs(new - old) > 0.005 * (old - step):
            with self._kept(self.horizon, "horizon", "steps"):
                self.horizon.decide(step, new)

    @contextmanager
    def step(self, step: int) -> Iterator[None]:
        """Around the computation of a step, which is the one after `step` steps."""
        self.threads.apply(step)
        start = time.perf_counter()
        yield
        with self._kept(self.threads, "threads", "threads"):
            self.threads.count(step + 1, time.perf_counter() - start)

    def timed(self, what: str, work: Callable[[], None]) -> None:
        """Do what stands between steps, and remember what it takes."""
        start = time.monotonic()
        work()
        self._cost[what] = time.monotonic() - start

    def _pauses(self, steps: int) -> float:
        """Seconds that validation, samples and checkpoints will take in the next `steps` steps."""
        rhythm = {
            "validate": self.plan.evaluate_every,
            "sample": self.plan.sample_every,
            "save": self.plan.checkpoint_every,
        }
        return sum(self._cost[what] * (steps // every + 1) for what, every in rhythm.items())

    @contextmanager
    def _kept(self, decisions: Decisions, name: str, value: str) -> Iterator[None]:
        """Write down what is decided within."""
        before = len(decisions.all)
        yield
        new = decisions.all[before:]
        if not new or not self.processes.main:
            return
        path = self.run.training / f"{name}.jsonl"
        try:
            with path.open("a+b") as file:  # behind a line that was cut off by a kill, a line begins
                file.seek(max(0, file.seek(0, os.SEEK_END) - 1))
                cut = file.read(1) not in (b"", b"\n")
                lines = "".join(json.dumps({"step": step, value: what}) + "\n" for step, what in new)
                file.write(b"\n" * cut + lines.encode())
        except OSError as error:
            raise disk_error(error, path) from None


def _decided(run: RunFolder, name: str, value: str) -> list[tuple[int, int]]:
    """
    Raises:
        DaedalError: it is nothing that can have been decided.
    """
    found: list[tuple[int, Any]] = [(record["step"], record.get(value)) for record in run.records(f"{name}.jsonl")]
    most = MOST_THREADS if value == "threads" else MOST
    if not all(step >= 0 and type(what) is int and 1 <= what <= most for step, what in found):
        path = run.training / f"{name}.jsonl"
        raise DaedalError(f"{path} holds what no run decides", "Restore it from a copy, or train again")
    return found
