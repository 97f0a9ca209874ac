"""What an audit says beside its measures: under which licences a model's training data stand."""

from pathlib import Path

from daedal.data.manifest import values_of
from daedal.evaluation.blocks import Note, Table
from daedal.evaluation.evaluator import Findings
from daedal.printable import counted

_UNKNOWN = "unknown"


def licences(folder: Path) -> Findings:
    """The sources of a data folder and their licences."""
    rows = tuple(
        (
            Path(str(each.get("source"))).name or str(each.get("source")),
            str(each.get("licence") or _UNKNOWN),
            int(each.get("files") or 0),
        )
        for each in values_of(folder).get("sources") or ()
    )
    unknown = sum(licence == _UNKNOWN for _, licence, _ in rows)
    notes = (
        (Note(brief=f"{counted(unknown, 'source')} of {len(rows)} has no licence that is known"),) if unknown else ()
    )
    return Findings(blocks=(*notes, Table(title="Licences", head=("source", "licence", "files"), rows=rows)))
