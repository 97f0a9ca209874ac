"""The report of code tasks: pass@k of each, what became of the programs, and two models beside one another."""

import hashlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from daedal import __version__
from daedal.errors import DaedalError
from daedal.evaluation.blocks import Block, Note
from daedal.evaluation.code.evaluate import CodeFindings, CodeOptions, evaluate_code
from daedal.evaluation.code.problems import CodeTask
from daedal.evaluation.code.sandbox import Sandbox
from daedal.evaluation.intervals import difference_interval
from daedal.evaluation.measurement import Measurement
from daedal.evaluation.report import DataFacts, ModelFacts, Presentation, Report
from daedal.evaluation.report_folder import keep, require_folder
from daedal.evaluation.tasks.evaluate import NAME, Progress
from daedal.prompting.respondent import Respondent


def evaluate_code_tasks(
    respondent: Respondent,
    tasks: Sequence[CodeTask],
    options: CodeOptions,
    sandbox: Sandbox,
    *,
    says: str = "",
    parameters: int = 0,
    against: Respondent | None = None,
    out: Path | None = None,
    progress: Progress | None = None,
    told: Callable[[str], None] | None = None,
) -> Report:
    """A model's programs for the problems of tasks, run and counted.

    Args:
        says: what the model is, in a line.
        against: another model, which is asked the same.
        out: a folder for the report, as a page and as JSON.
        progress: told how many programs are written, of how many, and for what.
        told: given a line for each task that is done.

    Raises:
        DaedalError: as `evaluate_code`, or the folder cannot be written.
    """
    started = time.monotonic()
    if len({task.name for task in tasks}) < len(tasks):
        raise DaedalError("Two tasks have the same name", "Give each a name of its own")
    if out is not None:
        require_folder(out, NAME)
    blocks: list[Block] = [Note(brief=sandbox.says)]
    measurements: list[Measurement] = []
    found: list[CodeFindings] = []
    for task in tasks:
        own = _asked(respondent, task, options, sandbox, progress)
        found.append(own)
        named = tuple(each.but(name=f"{task.name} {each.name}") for each in own.measurements)
        measurements += named
        if told is not None:
            told(f"{respondent.name}: {'; '.join(str(each).strip() for each in named)}")
        blocks += own.blocks
        if against is not None:
            other = _asked(against, task, options, sandbox, progress)
            blocks.append(_beside(own, other, task.name, respondent.name, against.name, options.samples))
    names = ", ".join(task.name for task in tasks)
    count = sum(len(each.hashes) for each in found)
    data = hashlib.sha256("".join(each for own in found for each in own.hashes).encode()).hexdigest()
    report = Report(
        daedal=__version__,
        model=ModelFacts(
            name=respondent.name, parameters=parameters, hash=respondent.identity, says=says or "a language model"
        ),
        data=DataFacts(
            name=names, hash=data, says=f"{names}: {count:,} problems, {options.samples} programs for each",
            notes=(f"asked {'as conversations' if options.chat else 'as plain text, without a chat template'}",),
        ),
        presentation=Presentation(
            what="A language model that writes programs", data="code", task="text-generation", tag="code", use="", limits="",
            headlines=("pass-at-1",),
        ),
        measurements=tuple(measurements), blocks=tuple(blocks), seconds=round(time.monotonic() - started, 2),
        sampling=options.model_dump(mode="json"),
    )  # fmt: skip
    return report if out is None else keep(report, out, NAME)


def _asked(
    respondent: Respondent, task: CodeTask, options: CodeOptions, sandbox: Sandbox, progress: Progress | None
) -> CodeFindings:
    name = f"{respondent.name}: {task.name}"

    def tell(done: int, of: int) -> None:
        if progress is not None:
            progress(done, of, name)

    if progress is not None:
        progress(0, None, f"{task.name}'s own solutions")
    return evaluate_code(respondent, task, options, sandbox, tell)


def _beside(one: CodeFindings, other: CodeFindings, task: str, name: str, against: str, samples: int) -> Note:
    """The paired difference of pass@1."""
    rates = one.passed / samples, other.passed / samples
    difference = float(np.mean(rates[0] - rates[1]))
    interval = difference_interval(*rates, np.ones(len(rates[0])))
    if interval is None:
        return Note(brief=f"{task}: one problem compares nothing")
    low, high = interval
    noise = ", which is within noise" if low <= 0 <= high else ""
    return Note(
        brief=f"{task}: pass@1 of {name} minus that of {against} is {difference:+.3f} [{low:+.3f}, {high:+.3f}] over "
        f"{len(rates[0])} problems, paired{noise}"
    )
