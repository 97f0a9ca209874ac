"""`daedal train`: one command for each family, and `--resume` for a run that was stopped."""

from pathlib import Path

from cyclopts import App

from daedal.cli.families import finish
from daedal.errors import DaedalError
from daedal.families import PIPELINES, TUNINGS, table

app = App(name="train", help_format="plaintext")
_SAYS = {name: each.says for known in (table() | TUNINGS, PIPELINES) for name, each in known.items()}
for _name, _says in _SAYS.items():
    app.command(f"daedal.cli.families:train_{_name.replace('-', '_')}", name=_name, help=f"Train {_says}.")


@app.default
def resume(*, resume: Path | None = None, data: Path | None = None) -> None:
    """Train a model, or go on with a run that was stopped.

    Parameters
    ----------
    resume
        The run folder to go on with, after Ctrl-C, a kill or a reboot.
    data
        Where its data lies now, if it was moved.
    """
    if resume is None:
        raise DaedalError(
            "Nothing to train", "Name a family, as in daedal train gpt --data DIR --out RUN, or go on with --resume RUN"
        )
    from daedal import api

    finish(resume, lambda listener: api.resume(resume, progress=listener, data=data))
