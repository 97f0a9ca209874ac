"""`daedal train`: one command for each family, and `--resume` for a run that was stopped."""

import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import App

from daedal.cli import console, faults
from daedal.cli.options import given
from daedal.cli.plan import PlanValues
from daedal.cli.watch import watching
from daedal.errors import DaedalError

if TYPE_CHECKING:
    from daedal.api import TrainingResult
    from daedal.training.metrics import Listener

app = App(name="train", help_format="plaintext")


@app.default
def resume(*, resume: Path | None = None) -> None:
    """Train a model, or go on with a run that was stopped.

    Parameters
    ----------
    resume
        The run folder to go on with, after Ctrl-C, a kill or a reboot.
    """
    if resume is None:
        raise DaedalError(
            "Nothing to train", "Name a family, as in daedal train gpt --data DIR --out RUN, or go on with --resume RUN"
        )
    from daedal import api

    _finish(resume, lambda listener: api.resume(resume, progress=listener))


@app.command
def gpt(
    *,
    data: Path,
    out: Path,
    budget: str | None = None,
    init: str | None = None,
    values: PlanValues = None,
) -> None:
    """Train a GPT: a Transformer that learns to go on with a text.

    Parameters
    ----------
    data
        The data folder that `daedal data build` made.
    out
        The run folder to write; it opens in Hugging Face Transformers as it is.
    budget
        Time for the whole run, such as 30s, 3m or 1h30m. [default: 3m, unless --steps is given]
    init
        A run folder or Hugging Face id to start from instead of random weights.
    """
    from daedal import api

    _finish(
        out,
        lambda listener: api.train(
            "gpt", data=data, budget=budget, out=out, init=init, progress=listener, **given(values)
        ),
    )


def _finish(run: Path, train: "Callable[[Listener], TrainingResult]") -> None:
    """Train, and tell the result; when asked to stop, tell how to go on. SIGTERM is no failure, Ctrl-C ends with 130."""
    from daedal.training.trainer import Interrupted

    try:
        with watching() as listener:
            result = train(listener)
    except Interrupted as stop:
        console.note(f"Stopped at step {stop.step}, and saved. Go on with: daedal train --resume {run}")
        sys.exit(faults.INTERRUPTED if stop.asked is signal.SIGINT else 0)
    if text := result.summary():  # under torchrun only one process has something to tell
        console.show(text)
