"""`daedal train`: one command for each family, and `--resume` for a run that was stopped."""

from pathlib import Path

from cyclopts import App

from daedal.cli import console
from daedal.cli.options import given
from daedal.cli.plan import PlanValues
from daedal.cli.watch import watching
from daedal.errors import DaedalError

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

    with watching() as listener:
        result = api.resume(resume, progress=listener)
    console.show(result.summary())


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

    with watching() as listener:
        result = api.train("gpt", data=data, budget=budget, out=out, init=init, progress=listener, **given(values))
    console.show(result.summary())
