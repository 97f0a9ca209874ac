"""`daedal evaluate`: measure a model beside its baselines."""

from pathlib import Path

from daedal.cli import console
from daedal.cli.options import Switch


def evaluate(run: str, /, *, data: Path | None = None, json: Switch = False) -> None:
    """Measure a model beside its baselines, and write the report into the run folder.

    Parameters
    ----------
    run
        A run folder, or the id of a model on the Hugging Face Hub.
    data
        A data folder or a text file to measure on, in place of the data that the run was trained on.
    json
        Print the report as JSON.
    """
    from daedal import api

    api.use_fastest_threads()
    with console.progress() as progress:
        report = api.evaluate(
            run, data=data, progress=lambda done, total, doing="": progress("evaluating", done, total, doing)
        )
    if json:
        console.show_json(report)
    else:
        console.show(report.text())
