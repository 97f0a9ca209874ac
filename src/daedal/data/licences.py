"""The licences of a data folder, whatever built it: what its manifest says, shown in cards and in the signature of what a model
makes. How they are found: `daedal.data.licence_search`."""

from pathlib import Path

from daedal.data.folder import open_data
from daedal.data.licence_ledger import LicenceEntry
from daedal.data.licence_ledger import LicenceLedger as LicenceLedger
from daedal.data.licence_terms import UNKNOWN


def licence_ledger(data_folder: str | Path) -> LicenceLedger:
    """The ledger of a data folder; of one that was built before there was one, what its sources say.

    Raises:
        DaedalError: it is no data folder, or damaged.
    """
    manifest = open_data(data_folder).manifest
    if manifest.licences.entries:
        ledger: LicenceLedger = manifest.licences
        return ledger
    return LicenceLedger(
        entries=tuple(
            LicenceEntry(
                source=each.source, licence=each.licence or UNKNOWN, files=each.files,
                how="given" if each.licence else "unknown",
            )
            for each in manifest.sources
        )
    )  # fmt: skip
