"""What a command prints and where: results on stdout, notes and progress on stderr, JSON alone on stdout."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from daedal.duration import format_duration
from daedal.printable import harmless

if TYPE_CHECKING:
    from rich.console import RenderableType

_WIDTH = 100
"""Columns of a result, where stdout is not a terminal."""
_LINE_EVERY = 5.0
"""Seconds between two plain progress lines, where stderr is not a terminal."""


class ProgressCallback(Protocol):
    """What a long task reports to: a stage, how much of it is done, of how much (None: unknown), and what is being done."""

    def __call__(self, stage: str, done: float, total: float | None, doing: str = "") -> None: ...


def show(result: "RenderableType") -> None:
    """Print a result on stdout: plain text as `write` does, anything else as rich draws it."""
    if isinstance(result, str):
        write(f"{result}\n")
        return
    from rich.console import Console

    if sys.stdout.isatty():
        Console().print(result)
        return
    console = Console(width=_WIDTH)
    with console.capture() as drawn:
        console.print(result)
    print("\n".join(line.rstrip() for line in drawn.get().splitlines()), flush=True)


def show_json(value: Any) -> None:
    """Print `value` on stdout as JSON; a pydantic model is taken as its JSON form."""
    plain = value.model_dump(mode="json") if hasattr(value, "model_dump") else value
    print(json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False), flush=True)


def write(text: str) -> None:
    """Print a piece of a text, such as a model writes."""
    print(harmless(text) if sys.stdout.isatty() else text, end="", flush=True)


def note(text: str) -> None:
    """Print a line on stderr, without what a terminal would obey."""
    print(harmless(text), file=sys.stderr, flush=True)


@contextmanager
def progress() -> Iterator[ProgressCallback]:
    """A callback that shows progress with the time left: a bar on a terminal, else a line now and then."""
    if sys.stderr.isatty():
        with _bar() as callback:
            yield callback
    else:
        yield _lines()


@contextmanager
def _bar() -> Iterator[ProgressCallback]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=None)
        current = ""

        def report(stage: str, done: float, total: float | None, doing: str = "") -> None:
            nonlocal current
            if stage != current:  # a new stage has its own time left
                bar.reset(task, total=total)
                current = stage
            bar.update(task, completed=done, total=total, description=harmless(_at(stage, doing)))

        yield report


def _lines() -> ProgressCallback:
    told = began = time.monotonic()
    current = ""

    def report(stage: str, done: float, total: float | None, doing: str = "") -> None:
        nonlocal told, began, current
        now = time.monotonic()
        if stage != current:
            current, began = stage, now
        if now - told < _LINE_EVERY:
            return
        told = now
        if total and 0 < done < total:
            left = format_duration((now - began) * (total - done) / done)
            note(f"{_at(stage, doing)}: {100 * done / total:.0f} %, {left} left")
        else:
            note(_at(stage, doing))

    return report


def _at(stage: str, doing: str) -> str:
    return f"{stage} ({doing})" if doing else stage
