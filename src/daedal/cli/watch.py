"""Watching a training run: a bar with the loss and the time left on a terminal, lines elsewhere, samples in both."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from daedal.cli.console import note
from daedal.duration import format_duration
from daedal.printable import harmless

if TYPE_CHECKING:
    from daedal.training.metrics import Listener
    from daedal.training.plan import Plan

_LINE_EVERY = 10.0
"""Seconds between two lines of the loss, where stderr is not a terminal."""
_UNSHOWN = ("step", "seconds", "learning_rate_factor")
_SAMPLE_WIDTH = 300
"""Characters of a sample that are shown."""


@contextmanager
def watching() -> Iterator["Listener"]:
    """A listener for the trainer that prints to stderr."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (BarColumn(bar_width=14), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True, highlight=False), transient=True) as bar:
        yield _Bar(bar)


class _Lines:
    """A line for the plan, for each validation and sample, and for the loss now and then."""

    def __init__(self) -> None:
        self._told = time.monotonic()

    def planned(self, plan: "Plan") -> None:
        self.noted(plan.explain())

    def step(self, record: dict[str, float], steps: int, seconds_left: float) -> None:
        if time.monotonic() - self._told >= _LINE_EVERY:
            self._told = time.monotonic()
            self.noted(_progress(record, steps, seconds_left))

    def validated(self, record: dict[str, float]) -> None:
        self.noted(f"step {record['step']:.0f}: {_numbers(record)}")

    def sampled(self, step: int, text: str) -> None:
        self.noted(f"step {step}, a sample: {_short(text)}")

    def noted(self, message: str) -> None:
        note(message)


class _Bar(_Lines):
    """The same, with the loss in a bar at the foot of the terminal."""

    def __init__(self, bar: Any) -> None:
        super().__init__()
        self._bar = bar
        self._task = bar.add_task("starting", total=None)

    def step(self, record: dict[str, float], steps: int, seconds_left: float) -> None:
        description = f"{record['step']:.0f}/{steps}  {_numbers(record)}  {_pace(record, seconds_left)}"
        self._bar.update(self._task, completed=record["step"], total=steps, description=description)

    def noted(self, message: str) -> None:
        self._bar.console.print(harmless(message), markup=False, soft_wrap=True)


def _progress(record: dict[str, float], steps: int, seconds_left: float) -> str:
    return f"step {record['step']:.0f}/{steps}: {_numbers(record)}, {_pace(record, seconds_left)}"


def _pace(record: dict[str, float], seconds_left: float) -> str:
    speeds = [
        f"{value:,.0f} {name.removesuffix('_per_second').replace('_', ' ')}/s"
        for name, value in record.items()
        if name.endswith("_per_second")
    ]
    return ", ".join([*speeds, f"{format_duration(max(0, seconds_left))} left"])


def _numbers(record: dict[str, float]) -> str:
    """The loss and what it means, for training or validation, whichever the record holds."""
    shown = []
    for name, value in record.items():
        if name in _UNSHOWN or name.endswith("_per_second"):
            continue
        if name.endswith("bits_per_byte"):
            shown.append(f"{name.removesuffix('bits_per_byte').replace('_', ' ')}{value:.3f} bits per byte")
        elif name in ("nats", "validation_nats"):  # of a translator, whose loss is that of smoothed targets
            shown.append(f"{name.removesuffix('nats').replace('_', ' ')}{value:.3f} nats/token")
        elif name.endswith("loss") and any(other.endswith("bits_per_byte") for other in record):
            shown.append(f"{name.replace('_', ' ')} {value:.3f} nats/token")
        else:
            shown.append(f"{name.replace('_', ' ')} {value:.4g}")
    return ", ".join(shown)


def _short(text: str) -> str:
    """`text` on one line, cut to what is worth a glance."""
    line = harmless(" ".join(text.split()))
    return line if len(line) <= _SAMPLE_WIDTH else line[:_SAMPLE_WIDTH] + "..."
