"""What is measured, whatever it makes: the name of the model, the run that trained it, and how that run went."""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from daedal.training.run import RunFolder

_CURVE_POINTS = 400


def subject_name(name: str) -> str:
    """The name of a model that was opened by `name`: a folder's is its own, for where it lies is nobody's affair."""
    return Path(name).resolve().name if Path(name).is_dir() else name


def run_folder(path: Path) -> RunFolder | None:
    """The run folder at `path`, where a training run says so."""
    return RunFolder(path) if (path / "training" / "plan.json").is_file() else None


def curve_points(records: Iterable[Mapping[str, Any]], name: str) -> tuple[tuple[int, float], ...]:
    """Steps and the finite values of `name` as they were logged, averaged in groups where they are many."""
    found = [(int(r["step"]), float(r[name])) for r in records if isinstance(r.get(name), int | float)]
    found = [(step, value) for step, value in found if math.isfinite(value)]
    size = max(1, -(-len(found) // _CURVE_POINTS))
    groups = [found[start : start + size] for start in range(0, len(found), size)]
    return tuple((group[-1][0], sum(value for _, value in group) / len(group)) for group in groups)
