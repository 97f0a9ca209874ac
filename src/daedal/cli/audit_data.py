"""`daedal audit data`: what data hold that a model should not learn, or that makes it lean."""

from pathlib import Path

from daedal.cli import console
from daedal.cli.options import Switch


def data(source: str, /, *, kind: str | None = None, out: Path | None = None, json: Switch = False) -> None:
    """Look for personal data, secrets, licences, copies and imbalance in data; what is shown of a finding is masked.

    Parameters
    ----------
    source
        A data folder, or files, a folder, an archive or a built-in source.
    kind
        Of example that files hold, as for data build. [default: seen from the sources]
    out
        A folder for the report, as a page and as JSON. [default: the data folder; of files none is written]
    json
        Print the report as JSON.
    """
    from daedal import api
    from daedal.evaluation.terminal import render

    with console.progress() as progress:
        report = api.audit_data(source, kind, out=out, progress=progress)
    if json:
        console.show_json(report)
    else:
        console.show(render(report))
