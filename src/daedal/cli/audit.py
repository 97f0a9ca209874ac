"""`daedal audit`: what a model gives away of its training data, and what data hold."""

from pathlib import Path

from cyclopts import App

from daedal.cli import console
from daedal.cli.options import Switch
from daedal.errors import DaedalError

app = App(name="audit", help_format="plaintext")
app.command(
    "daedal.cli.audit_data:data", name="data", help="Look for personal data, secrets, licences, copies and imbalance."
)


@app.default
def audit(
    run: str,
    /,
    *,
    data: Path | None = None,
    out: Path | None = None,
    budget: str | None = None,
    seed: int = 0,
    json: Switch = False,
) -> None:
    """Measure what a model gives away of its training data: what it copies, what can be drawn out of it, whether it can be told
    what it has learned; and under which licences that stands.

    Parameters
    ----------
    run
        A run folder, or the id of a model on the Hugging Face Hub.
    data
        The data folder that it learned from; the one that the run names unless given.
    out
        A folder for the report, as a page and as JSON; the run folder unless given.
    budget
        About how long it may take, such as 3m; a minute unless given.
    seed
        Of every choice: the same seed and budget look at the same passages.
    json
        Print the report as JSON.
    """
    from daedal import api
    from daedal.evaluation.terminal import render

    api.use_fastest_threads()
    with console.progress() as progress:
        report = api.audit(
            run,
            data,
            out=out,
            budget=budget,
            seed=seed,
            progress=lambda done, total, doing: progress("auditing", done, total, doing),
        )
    if json:
        console.show_json(report)
    else:
        console.show(render(report))
    if report.unwritten is not None:
        raise DaedalError(report.unwritten, "The numbers above are all there is of it")
