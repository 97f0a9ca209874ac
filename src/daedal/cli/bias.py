"""`daedal bias`: how a model leans."""

from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from daedal.cli import console
from daedal.cli.options import Switch
from daedal.cli.remote import Remote, remote, use_threads_for
from daedal.errors import DaedalError


def bias(
    run: str,
    /,
    *,
    sets: Annotated[list[str] | None, Parameter(consume_multiple=True, negative=())] = None,
    counterfactual: Switch = False,
    groups: Path | None = None,
    column: str | None = None,
    limit: int | None = None,
    seed: int = 0,
    out: Path | None = None,
    behind: Remote = None,
    json: Switch = False,
) -> None:
    """Measure how a model leans: stereotypes in language models, variety in what is drawn, and groups in decisions.

    Parameters
    ----------
    run
        A run folder, the id of a model on the Hugging Face Hub, or the URL of an API that tells likelihoods.
    sets
        The field's sets, of which none ships: bbq=FOLDER, crows=FILE.csv, stereoset=FILE.json, any of them.
    counterfactual
        For models of pictures of scenes: ask for what leaves the colour free, and compare what is drawn with the data.
    groups
        For classifiers, reward models and recommenders: a CSV, TSV or JSON Lines file of rows.
    column
        The column of that file that says which group a row is of.
    limit
        So many items of each set, evenly from first to last; so many templates of each theme of our own probes; so many
        pictures.
    seed
        Of the pictures and of the intervals.
    out
        A folder for the report; the run folder unless given.
    json
        Print the report as JSON.
    """
    from daedal import api
    from daedal.evaluation.terminal import render

    options = {"counterfactual": counterfactual, "groups": groups, "column": column, "limit": limit, "seed": seed}
    use_threads_for(run)
    with console.progress() as progress:
        report = api.bias(
            run,
            sets=_places(sets or ()),
            out=out,
            remote=remote(behind),
            progress=partial(progress, "measuring bias"),
            **options,
        )
    if json:
        console.show_json(report)
    else:
        console.show(render(report))


def _places(given: list[str] | tuple[str, ...]) -> dict[str, Path]:
    """Where each set is.

    Raises:
        DaedalError: one is not written as NAME=PATH, or stands twice.
    """
    found: dict[str, Path] = {}
    for each in given:
        name, equals, path = each.partition("=")
        if not (name and equals and path):
            raise DaedalError(f"--sets {each}: there is no =", "Write it as --sets bbq=FOLDER crows=FILE.csv")
        if name in found:
            raise DaedalError(f"--sets gives {name} twice", "Give it once")
        found[name] = Path(path)
    return found
