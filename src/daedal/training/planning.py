"""How a planner settles values: as a person gave them, or by a rule. What every family's planner has in common."""

import math
from typing import Any, NamedTuple

from daedal.errors import DaedalError
from daedal.training.machine import Machine, thread_choices
from daedal.training.processes import process_count

DEFAULT_BUDGET = 180.0
FEWEST_STEPS = 20

_EFFICIENCY = 0.35  # of a lone matrix product's speed, in a whole training step
_VALIDATION_SHARE = 0.05


class Choice(NamedTuple):
    """What a person set, and what the rules say for the rest."""

    given: dict[str, Any]
    values: dict[str, Any]

    def __call__(self, name: str, rule: Any) -> Any:
        """Settle one value: as given, or by the rule."""
        self.values[name] = self.given.get(name, rule)
        return self.values[name]


class ShortBudget(DaedalError):
    """A budget in which nothing could be trained.

    Args:
        budget: seconds, as given.
        why: what takes too long.
        least: seconds that would do.
        otherwise: what else would.
    """

    def __init__(self, budget: float, why: str, least: int, otherwise: str = "") -> None:
        self.budget, self.why, self.least, self.otherwise = budget, why, least, otherwise
        super().__init__(
            f"A budget of {budget:g} s is too short to train anything: {why}",
            f"Give at least --budget {least}s" + (f", or {otherwise}" if otherwise else ""),
        )

    def of_share(self, share: float, what: str) -> "ShortBudget":
        """The same of the whole budget, where `what` had this share of it."""
        why = f"{what} has {self.budget:g} s of it, and {self.why}"
        return ShortBudget(self.budget / share, why, math.ceil(self.least / share), self.otherwise)


class Time(NamedTuple):
    """The time of a run.

    Attributes:
        budget: seconds for all of it, or None where the number of steps was given.
        seconds: what is left of it for training steps.
    """

    budget: float | None
    seconds: float

    @classmethod
    def of(cls, budget: float | None, given: dict[str, Any], reserve: float = 3.0) -> "Time":
        """
        Args:
            reserve: seconds that go to measuring the machine and the model, before and after training.

        Raises:
            DaedalError: the budget is too short to train anything.
        """
        budget = None if "steps" in given else budget or DEFAULT_BUDGET
        seconds = 120.0 if budget is None else 0.9 * budget - reserve
        if budget is not None and seconds < 1:
            raise ShortBudget(
                budget, f"to measure the machine and the model takes {reserve:.0f} s", math.ceil((reserve + 5) / 0.9)
            )
        return cls(budget, seconds)

    def computation(self, machine: Machine) -> float:
        """Floating point operations that fit into the training steps."""
        return self.seconds * machine.gflops * 1e9 * _EFFICIENCY


def choose_machine(choose: Choice, machine: Machine) -> None:
    """Device, threads and precision: what the machine was measured to be best at."""
    for name in ("device", "threads", "precision"):
        choose(name, getattr(machine, name))
    free = "threads" not in choose.given and choose.values["device"] == "cpu" and process_count() == 1
    choose.values["thread_choices"] = thread_choices() if free else ()


def choose_length(choose: Choice, time: Time, per_step: float, smaller: str) -> int:
    """How many steps.

    Args:
        per_step: seconds.
        smaller: what to do for cheaper steps.

    Raises:
        DaedalError: too few steps fit into the budget to train anything.
    """
    possible = int(time.seconds / per_step)
    steps: int = choose("steps", min(possible, choose.values.get("most_steps") or possible))
    if steps < FEWEST_STEPS and time.budget is not None:
        least = math.ceil((FEWEST_STEPS * per_step + time.budget - time.seconds) / 0.9)
        raise ShortBudget(time.budget, f"a step takes {per_step:.2g} s", least, smaller)
    return steps


def largest_share(batch: int, most: int) -> int:
    """The largest micro batch of at most `most` examples by which the processes can share a batch; where they cannot, training
    says so."""
    processes = process_count()
    whole = batch // processes if batch % processes == 0 else batch
    return next(size for size in range(max(1, min(whole, most)), 0, -1) if whole % size == 0)


def choose_rhythm(choose: Choice, steps: int, per_step: float, validation: float) -> None:
    """How often to log, validate, sample and save; validation may take a twentieth of the run, and happens more often where it
    chooses the weights that are kept.

    Args:
        validation: seconds of one pass over the validation split.
    """
    most = 30 if choose.values.get("keep") == "best" else 10
    validations = max(1, min(most, int(_VALIDATION_SHARE * steps * per_step / max(1e-9, validation))))
    choose("log_every", max(1, min(50, steps // 50)))
    choose("evaluate_every", max(1, math.ceil(steps / validations)))
    choose("sample_every", max(1, math.ceil(steps / 4)))
    choose("checkpoint_every", max(10, int(60 / per_step)))


UNPLANNED = {"steps": 1, "evaluate_every": 1, "sample_every": 1, "checkpoint_every": 1}
"""Values of a draft of a plan: those that follow from the time of a step."""
