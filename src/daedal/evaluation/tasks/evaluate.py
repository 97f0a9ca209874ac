"""Measure a model on tasks: ask, score, set baselines beside, and report. It is what `daedal evaluate --task` does."""

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from daedal.errors import DaedalError
from daedal.evaluation.report import Report
from daedal.evaluation.report_folder import keep, require_folder
from daedal.evaluation.tasks.items import ItemResults, Scored
from daedal.evaluation.tasks.report import TaskReport
from daedal.evaluation.tasks.run import Job, TaskOptions, prepare, require_likelihoods, run
from daedal.evaluation.tasks.task import Task
from daedal.prompting.respondent import Respondent

NAME = "tasks"
"""Of the files of its report."""

Progress = Callable[[float, float | None, str], None]


def evaluate_tasks(
    respondent: Respondent,
    tasks: Sequence[Task],
    options: TaskOptions | None = None,
    *,
    says: str = "",
    parameters: int = 0,
    against: Respondent | None = None,
    train: Callable[[], Iterable[str]] | None = None,
    out: Path | None = None,
    progress: Progress | None = None,
    told: Callable[[str], None] | None = None,
) -> Report:
    """A model's numbers on tasks, each with its interval, beside simple baselines.

    Args:
        says: what the model is, in a line.
        against: another model, asked the same; the two are compared item by item.
        train: gives the texts that the model learned from, where they are known.
        out: a folder for the report, as a page and as JSON.
        progress: told how many items are done, of how many, and what is asked.
        told: given a line for each task that is done.

    Raises:
        DaedalError: a task or an item makes no sense, which is said before anything is asked; or the model cannot be asked.
    """
    options, started = options or TaskOptions(), time.monotonic()
    if not tasks:
        raise DaedalError("There are no tasks", "Name one: daedal tasks lists them")
    if len({task.name for task in tasks}) < len(tasks):
        raise DaedalError("Two tasks have the same name", "Give each a name of its own")
    if out is not None:
        require_folder(out, NAME)  # before anything is asked
    if progress is not None:
        progress(0, None, "reading")
    jobs = prepare(tasks, options)
    for each in (respondent,) if against is None else (respondent, against):
        require_likelihoods(each, jobs)
    results = _ask(respondent, jobs, 0, 2 if against is not None else 1, progress, told)
    own = [place for place, job in enumerate(jobs) if not job.variant]
    variants = [(job, result) for job, result in zip(jobs, results, strict=True) if job.variant]
    jobs, results = [jobs[place] for place in own], [results[place] for place in own]
    others = [] if against is None else _ask(against, jobs, 1, 2, progress, told)
    found = TaskReport(respondent, jobs, results, options, train, variants)
    report = found.report(says, parameters, against, others, started)
    return report if out is None else keep(report, out, NAME)


def _ask(
    respondent: Respondent,
    jobs: Sequence[Job],
    number: int,
    of: int,
    progress: Progress | None,
    told: Callable[[str], None] | None,
) -> list[ItemResults]:
    """The results of all jobs of one model."""
    total, done = of * sum(map(len, jobs)), number * sum(map(len, jobs))
    results = []
    for job in jobs:
        name = job.called + (f", another {job.variant}" if job.variant else "")

        def tell(count: int, before: int = done, doing: str = name) -> None:
            if progress is not None:
                progress(before + count, total, doing)

        tell(0)
        results.append(run(respondent, job, tell))
        done += len(job)
        if told is not None:
            numbers = (f"{scored.name} {_short(scored)}" for scored in results[-1].scores.values())
            told(f"{respondent.name}: {name}: {', '.join(numbers)}")
    return results


def _short(scored: Scored) -> str:
    found = scored.number()
    ends = "" if found.interval is None else f" [{found.interval[0]:.3g}, {found.interval[1]:.3g}]"
    return f"{found.value:.3g}{ends}"
