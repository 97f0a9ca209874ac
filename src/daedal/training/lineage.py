"""What a run began from, and what all of that learned."""

from collections.abc import Iterator
from pathlib import Path

from daedal.data.licence_ledger import LicenceEntry, LicenceLedger
from daedal.data.licence_terms import UNKNOWN
from daedal.data.licences import licence_ledger
from daedal.errors import DaedalError
from daedal.training.run import RunFolder


def bases(run: Path | str) -> Iterator[str]:
    """What a run began from, what that began from, and so on: run folders, and last perhaps the id of a model on a hub, of
    which nothing more is known. None for a folder that is no run.

    Raises:
        DaedalError: a plan is damaged.
    """
    folder, seen = RunFolder(run), {str(run)}
    while folder.begun and (base := folder.plan.init) is not None and base not in seen:
        seen.add(base)
        yield base
        folder = RunFolder(base)


def learned_licences(run: Path | str) -> LicenceLedger:
    """The licences of what a run learned, and of what those learned that it began from; what is not here is unknown.

    Raises:
        DaedalError: a plan is damaged.
    """
    entries: list[LicenceEntry] = []
    for place in (str(run), *bases(run)):
        folder = RunFolder(place)
        try:
            if folder.begun:
                entries += licence_ledger(folder.plan.data).entries
                continue
        except DaedalError:
            place = folder.plan.data
        entries.append(LicenceEntry(source=place, licence=UNKNOWN, files=0, how="unknown"))
    return LicenceLedger(entries=tuple(dict.fromkeys(entries)))
