"""`daedal train`: one command for each family, and `--resume` for a run that was stopped."""

from pathlib import Path

from cyclopts import App

from daedal.api import TEXT_TO_IMAGE
from daedal.cli.families import STAGES, finish
from daedal.errors import DaedalError
from daedal.families import table

app = App(name="train", help_format="plaintext")
for _family, _line in table().items():
    app.command(f"daedal.cli.families:train_{_family}", name=_family, help=f"Train {_line.says}.")
app.command("daedal.cli.families:train_text_to_image", name=TEXT_TO_IMAGE, help=f"Train {STAGES}.")


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
