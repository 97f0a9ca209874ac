"""What a command prints and where: results on stdout, notes and progress on stderr, JSON alone on stdout."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from daedal.duration import format_duration

if TYPE_CHECKING:
    from rich.console import RenderableType

_LINE_EVERY = 5.0
"""Seconds between two plain progress lines, where stderr is not a terminal."""


class ProgressCallback(Protocol):
    """What a long task reports to: how much of the whole is done, and what it is doing."""

    def __call__(self, done: float, total: float | None, doing: str = "") -> None: ...


def show(result: "RenderableType") -> None:
    """Print a result on stdout: plain text as it is, anything else as rich draws it."""
    if isinstance(result, str):
        print(result, flush=True)
        return
    from rich.console import Console

    console = Console() if sys.stdout.isatty() else Console(width=100)
    console.print(result)


def show_json(value: Any) -> None:
    """Print `value` on stdout as JSON; a pydantic model is taken as its JSON form."""
    plain = value.model_dump(mode="json") if hasattr(value, "model_dump") else value
    print(json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False), flush=True)


def note(text: str) -> None:
    """Print a line on stderr."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def progress(title: str) -> Iterator[ProgressCallback]:
    """A callback that shows progress with the time left: a bar on a terminal, else a line now and then."""
    if sys.stderr.isatty():
        with _bar(title) as callback:
            yield callback
    else:
        yield _lines(title)


@contextmanager
def _bar(title: str) -> Iterator[ProgressCallback]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[doing]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None, doing="")

        def report(done: float, total: float | None, doing: str = "") -> None:
            bar.update(task, completed=done, total=total, doing=doing)

        yield report


def _lines(title: str) -> ProgressCallback:
    started = told = time.monotonic()

    def report(done: float, total: float | None, doing: str = "") -> None:
        nonlocal told
        now = time.monotonic()
        if now - told < _LINE_EVERY:
            return
        told = now
        if total and 0 < done < total:
            left = (now - started) * (total - done) / done
            note(f"{title}: {100 * done / total:.0f} %, {format_duration(left)} left {doing}".rstrip())
        else:
            note(f"{title}: {doing}".rstrip(": "))

    return report
