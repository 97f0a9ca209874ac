"""The card of a run or of data, for people (`README.md`, with the header that the Hugging Face Hub reads) and for machines
(`card.json`). What training writes and what `daedal card` writes are rendered in one place, `card.py` and `data_card.py`."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from daedal.config import Config
from daedal.data.folder import open_data
from daedal.data.licences import licence_ledger
from daedal.data.manifest import MANIFEST
from daedal.errors import DaedalError
from daedal.evaluation.accounts import Accounts, accounts_of, risks_in
from daedal.evaluation.card import model_card
from daedal.evaluation.data_card import LIMITS, data_card
from daedal.evaluation.measurement import Measurement
from daedal.evaluation.report import CARD, JSON, Report
from daedal.files import write_json, write_text

RECORD = "card.json"


class Card(Config):
    """What a card says, as data.

    Attributes:
        what: it is, in a line.
        obligations: what the licences of the data ask together.
        markdown: the card as people read it.
        written: its files.
    """

    format: Literal["daedal-card"] = "daedal-card"
    version: Literal[1] = 1
    of: Literal["model", "data"]
    name: str
    fingerprint: str
    what: str
    intended_use: str
    limits: str
    measured: tuple[Measurement, ...] = ()
    accounts: Accounts
    obligations: tuple[str, ...] = ()
    markdown: str = Field(exclude=True)
    written: tuple[str, ...] = Field((), exclude=True)


def card_of(folder: Path) -> Card:
    """The card of a run folder or of a data folder.

    Raises:
        DaedalError: it is neither, damaged, or a model that was not measured yet.
    """
    if (folder / MANIFEST).is_file():
        return _of_data(folder)
    if not (folder / JSON).is_file():
        what = "was not measured yet" if (folder / "config.json").is_file() else "is no run and no data folder"
        raise DaedalError(f"{folder} {what}", "Run daedal evaluate first, or name another folder")
    report = Report.read(folder)
    accounts = accounts_of(folder, report)
    return Card(
        of="model", name=report.model.name, fingerprint=report.model.hash, what=report.presentation.what,
        intended_use=report.presentation.limits.partition(". ")[0], limits=report.presentation.limits,
        measured=report.measurements, accounts=accounts, obligations=accounts.licences.obligations,
        markdown=model_card(report, accounts),
    )  # fmt: skip


def _of_data(folder: Path) -> Card:
    data = open_data(folder)
    accounts = Accounts(
        licences=licence_ledger(folder),
        risks=risks_in(folder, {"audit": "What was found in it"}),
        canaries=data.manifest.canaries,
    )
    own = [each for risk in accounts.risks if risk.name == "audit" for each in risk.measurements]
    use = f"To train and measure models of {data.kind.nouns}, as `daedal train FAMILY --data {folder.name}`."
    return Card(
        of="data", name=folder.name, fingerprint=data.fingerprint, what=data.kind.line.says, intended_use=use,
        limits=LIMITS, measured=tuple(own), accounts=accounts, obligations=accounts.licences.obligations,
        markdown=data_card(data, accounts, use),
    )  # fmt: skip


def write_card(folder: Path) -> Card:
    """Write the card into its folder.

    Raises:
        DaedalError: there is nothing that has a card, or the folder cannot be written.
    """
    card = card_of(folder)
    write_text(folder / CARD, card.markdown)
    write_json(folder / RECORD, card.model_dump(mode="json"))
    return card.model_copy(update={"written": (str(folder / CARD), str(folder / RECORD))})
