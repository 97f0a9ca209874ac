"""What a model or its data answer for, beside how good they are: licences, risks that were measured, canaries, privacy, marks.

`audit` and `bias` leave reports in the folder of a run, `audit data` in that of data; the manifest has the licences. The card
shows them: see `daedal.evaluation.card` and `daedal.evaluation.cards`.
"""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from pydantic import Field

from daedal.config import Config
from daedal.data.folder import open_data
from daedal.data.licences import LicenceLedger
from daedal.errors import DaedalError
from daedal.evaluation.blocks import Note, Table
from daedal.evaluation.measurement import Measurement
from daedal.evaluation.report import Baseline, Report
from daedal.files import read_json
from daedal.training.learned_data import own_data
from daedal.training.lineage import bases, learned_licences
from daedal.training.private import Spent
from daedal.training.run import RunFolder

RISKS = {"audit": "What it gives away", "bias": "How it leans"}
"""The reports that are looked for in the folder of a run, and what they tell of."""
_GENERATES = {
    "text-generation": "text", "unconditional-image-generation": "pictures", "text-to-image": "pictures",
    "text-to-speech": "sounds", "text-to-video": "clips", "translation": "text",
}  # fmt: skip


class Risk(Config):
    """A report on a risk, in short.

    Attributes:
        name: of the report: `audit`, `bias`.
        title: what it tells of.
        of: what it was measured on.
        beside: what the numbers are read beside, by their definitions: of the first baseline, which `against` names and `why`
            explains.
        notes: what it says in sentences.
    """

    name: str
    title: str
    of: str
    measurements: tuple[Measurement, ...] = ()
    beside: tuple[Measurement, ...] = ()
    against: str = ""
    why: str = ""
    notes: tuple[str, ...] = ()


class Accounts(Config):
    """Everything of that kind that is known.

    Attributes:
        base: the id of the model on a hub that it began from, where it did.
        based: licences of what its bases learned.
        canaries: how many secrets were planted in the data, to be looked for.
        privacy: what a training with differential privacy tells of any example.
        marks: how what the model makes can be recognised.
    """

    licences: LicenceLedger = LicenceLedger()
    base: str = ""
    based: tuple[str, ...] = ()
    risks: tuple[Risk, ...] = ()
    canaries: int = Field(default=0, ge=0)
    privacy: Spent | None = None
    marks: tuple[str, ...] = ()


def accounts_of(folder: Path, report: Report) -> Accounts:
    """Of a run, or of any folder that a report was written into."""
    ledger, canaries, risks = LicenceLedger(), 0, risks_in(folder)
    base, based = "", tuple[str, ...]()
    if (folder / "training" / "plan.json").is_file():
        with suppress(DaedalError):
            ledger, begun = learned_licences(folder), list(bases(folder))
            base = next((each for each in begun if not Path(each).exists()), "")
            based = learned_licences(begun[0]).licences if begun else ()
        with suppress(DaedalError):  # the data may be gone: then only what the report says of them is known
            data = own_data(RunFolder(folder)).folder
            canaries = open_data(data).manifest.canaries
    if any(risk.name == "bias" for risk in risks):  # the audit asks our own probes too
        risks = tuple(_without_probes(risk) if risk.name == "audit" else risk for risk in risks)
    return Accounts(
        licences=ledger, base=base, based=based, canaries=canaries, risks=risks, privacy=Spent.read(folder / "training"),
        marks=_marks(report.presentation.task),
    )  # fmt: skip


def _without_probes(risk: Risk) -> Risk:
    kept = tuple(each for each in risk.measurements if not each.definition.startswith("probe-"))
    return risk.but(measurements=kept)


def risks_in(folder: Path, titles: Mapping[str, str] = RISKS) -> tuple[Risk, ...]:
    """The reports in a folder, in short; one that cannot be read is told as such."""
    found = []
    for name, title in titles.items():
        path = folder / f"{name}.json"
        if not path.is_file():
            continue
        try:
            values = read_json(path)
            values = values if isinstance(values, dict) else {}
            report = Report.parse(
                {key: value for key, value in values.items() if key in Report.model_fields}, str(path)
            )
        except DaedalError:
            found.append(
                Risk(name=name, title=title, of="", notes=(f"the report {name}.json in this folder cannot be read",))
            )
            continue
        briefs = dict.fromkeys(each.brief for each in report.blocks if isinstance(each, Note | Table) and each.brief)
        risk = Risk(
            name=name,
            title=title,
            of=report.data.says,
            measurements=report.measurements,
            notes=(*briefs, *(f"not measured: {each}" for each in report.missing)),
        )
        if report.baselines and isinstance(first := report.baselines[0], Baseline):
            risk = risk.but(beside=first.measurements, against=first.name, why=first.why)
        found.append(risk)
    return tuple(found)


def _marks(task: str) -> tuple[str, ...]:
    what = _GENERATES.get(task)
    if what is None:
        return ()
    where = "that is drawn by chance" if what == "text" else "that are large enough"
    signed = "beside it" if what == "text" else "in the file"
    return (
        f"{what.capitalize()} {where}, made with it by Daedal's commands or server: a watermark tells which installation made "
        f"it, and a signed statement {signed} that a model did; `--no-watermark` leaves the watermark out",
        "`daedal verify` finds both, with the error rate of each",
        "What others make with these weights carries neither, unless they mark it",
    )
