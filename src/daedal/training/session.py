"""One run from its plan to its measurement: planned, begun or gone on with, trained, measured."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from daedal.config import Config
from daedal.duration import format_duration, parse_duration
from daedal.families import ALIGNMENTS, line
from daedal.files import absolute
from daedal.models.base_folder import base_folder, base_of
from daedal.training.learned_data import fingerprint_of, own_data
from daedal.training.learner import Learner, open_learner
from daedal.training.machine import keep_freed_memory, measure_machine
from daedal.training.metrics import Listener, Silence
from daedal.training.plan import Plan, options_of, plan_classes
from daedal.training.processes import Processes
from daedal.training.run import RunFolder
from daedal.training.task import Task
from daedal.training.trainer import Trainer


class TrainingResult(Config):
    """A finished run.

    Attributes:
        seconds: what the whole run took, evaluation and saving included, however often it was stopped.
        text: what to tell a person.
    """

    run: Path
    steps: int
    seconds: float
    text: str

    def summary(self) -> str:
        return self.text


Measure = Callable[[Task, Plan, Listener], tuple[float, Callable[[Path], str]]]
"""Measures a run when it ends, which rooms above training do: gives the seconds of its budget to leave, and what then tells
what was found and done, as in "Trained and measured"."""


def make_plan(
    family: str,
    data: str | Path,
    budget: str | float | None,
    init: str | None,
    codec: str | Path | None,
    options: dict[str, Any],
    group: Processes | None = None,
) -> tuple[Plan, Learner]:
    """What a run would do, and the family with its data.

    Raises:
        DaedalError: an option is wrong, the data does not fit, or the budget is too short.
    """
    given = options_of(plan_classes(family)).parse(options, "plan").model_dump(exclude_none=True)
    seconds = None if budget is None else parse_duration(budget)
    if init is not None and Path(init).is_dir():
        init = absolute(init)  # and not an id of the hub
    learner = open_learner(family, absolute(data), init, None if codec is None else absolute(codec))
    learner.require_options(given)
    if group is not None and not group.main:
        return learner.plans.parse(group.agree(None), "plan"), learner
    machine = measure_machine(given.get("device"), given.get("threads"), given.get("precision"))
    plan = learner.make_plan(seconds, machine, given)
    plan = plan.but(fingerprint=fingerprint_of(learner.dataset, plan))
    if group is not None:
        group.agree(plan.model_dump())
    return plan, learner


@dataclass(frozen=True)
class Session:
    """A call that trains in a run folder, which is claimed.

    Attributes:
        started: when its time began.
        watcher: whoever wants to watch.
    """

    group: Processes
    measure: Measure
    started: float
    watcher: Listener | None = None

    def begin(
        self,
        family: str,
        data: str | Path,
        out: str | Path,
        budget: str | float | None,
        init: str | None,
        codec: str | Path | None,
        options: dict[str, Any],
        spent: float = 0.0,
    ) -> TrainingResult:
        """A run of one model, in a folder that is known to be free; `spent` are seconds of a stage before it."""
        plan, learner = make_plan(family, data, budget, init, codec, options, self.group)
        return self._train(plan, learner, RunFolder(out), spent)

    def go_on(self, folder: RunFolder, data: str | Path | None, spent: float = 0.0) -> TrainingResult:
        """A run that was stopped; `data` names where its data was moved to."""
        plan = folder.plan
        home = absolute(own_data(folder).folder if data is None else data)
        plan = plan if plan.data == home else plan.but(data=home)
        # what another model brought is in the run's own checkpoint by now, were the other to be gone
        init = str(folder.path) if plan.init is not None and folder.state is not None else plan.init
        if plan.family in ALIGNMENTS:  # which goes on from what it began as
            init = str(folder.reference) if folder.reference.is_dir() else plan.init
        if (base := base_of(folder.path)) is not None:  # of a LoRA the state holds that alone
            init = str(base_folder(base, folder.path))
        kept = (folder.codec, folder.tokens) if line(plan.family).codes_of is not None else ()
        codec = next((str(path) for path in kept if path.is_dir()), plan.codec)
        return self._train(plan, open_learner(plan.family, plan.data, init, codec), folder, spent)

    def _train(self, plan: Plan, learner: Learner, run: RunFolder, spent: float) -> TrainingResult:
        group = self.group
        watcher: Listener = self.watcher if self.watcher is not None and group.main else Silence()
        if group.main:
            run.write_plan(plan)
        group.wait()
        watcher.planned(plan)
        torch.set_num_threads(plan.threads)
        keep_freed_memory()
        task = learner.task(plan)
        torch.manual_seed(plan.seed)  # dropout's
        reserve, measured = self.measure(task, plan, watcher)
        trainer = Trainer(task, plan, run, group, watcher, time.monotonic() - self.started, reserve)
        trainer.train()
        text = measured(run.path) if group.main else ""
        group.wait()
        seconds = trainer.pace.elapsed + spent
        if group.main:
            text += f" in {format_duration(seconds)}. Run folder: {run.path}"
        return TrainingResult(run=run.path, steps=trainer.step, seconds=seconds, text=text)
