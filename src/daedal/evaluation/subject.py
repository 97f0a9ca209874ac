"""What is measured, whatever it makes: the name of the model, the run that trained it, and how that run went."""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

from daedal.errors import DaedalError
from daedal.training.run import RunFolder

_CURVE_POINTS = 400


class NotMeasurable(DaedalError):
    """A data folder holds too little out to measure a model with, or there is no time for it."""


class Report(Protocol):
    """What was measured, of whatever kind."""

    def write(self, folder: Path) -> Self: ...

    def model_copy(self, *, update: Mapping[str, Any]) -> Self: ...


Written = TypeVar("Written", bound=Report)


def subject_name(name: str) -> str:
    """The name of a model that was opened by `name`: a folder's is its own, for where it lies is nobody's affair."""
    return Path(name).resolve().name if Path(name).is_dir() else name


def run_folder(path: Path) -> RunFolder | None:
    """The run folder at `path`, where a training run says so."""
    return RunFolder(path) if (path / "training" / "plan.json").is_file() else None


def plan_facts(folder: RunFolder | None) -> dict[str, Any] | None:
    """The plan of a run for its report, in which a folder goes by its name."""
    if folder is None:
        return None
    facts = folder.plan.model_dump(mode="json")
    places = {
        name: Path(facts[name]).name for name in ("data", "init", "codec") if Path(facts[name] or "").is_absolute()
    }
    return facts | places


def kept(report: Written, folder: RunFolder | None) -> Written:
    """A report that was written into the folder of its run; where that cannot be, it says why, and nothing is lost."""
    if folder is None:
        return report
    if (trainer := folder.trainer) is not None:
        return report.model_copy(
            update={"unwritten": f"{folder.path} is being trained by {trainer}: the report is not written there"}
        )
    try:
        return report.write(folder.path)
    except DaedalError as error:
        return report.model_copy(update={"unwritten": f"The report could not be written: {error}"})


def curve_points(records: Iterable[Mapping[str, Any]], name: str) -> tuple[tuple[int, float], ...]:
    """Steps and the finite values of `name` as they were logged, averaged in groups where they are many."""
    found = [(int(r["step"]), float(r[name])) for r in records if isinstance(r.get(name), int | float)]
    found = [(step, value) for step, value in found if math.isfinite(value)]
    size = max(1, -(-len(found) // _CURVE_POINTS))
    groups = [found[start : start + size] for start in range(0, len(found), size)]
    return tuple((group[-1][0], sum(value for _, value in group) / len(group)) for group in groups)
