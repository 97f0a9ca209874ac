"""The ledger of licences in a manifest: under which licence each source of data stands, how that is known, and what may not be
mixed."""

from daedal.config import Config
from daedal.data.licence_terms import UNKNOWN, obligations


class LicenceEntry(Config):
    """Files of a source under one licence.

    Attributes:
        licence: an SPDX expression, or what was said in other words; `NOASSERTION` where nobody says.
        how: it is known: `given`, `header`, `licence file`, `card`, `built in`, or `unknown`.
        where: the file that says so.
        files: how many.
    """

    source: str
    licence: str
    how: str
    where: str = ""
    files: int


class LicenceLedger(Config):
    """The licences of all sources of a data folder."""

    entries: tuple[LicenceEntry, ...] = ()

    @property
    def licences(self) -> tuple[str, ...]:
        """Each licence once."""
        return tuple(sorted({each.licence for each in self.entries}))

    def of(self, source: str) -> str | None:
        """The expression that holds for all of a source: that of each of its files; none where nothing is known."""
        found = sorted({each.licence for each in self.entries if each.source == source})
        if not found or found == [UNKNOWN]:
            return None
        return " AND ".join(f"({each})" if " OR " in each and len(found) > 1 else each for each in found)

    @property
    def obligations(self) -> tuple[str, ...]:
        """What the licences ask, and which of them do not go together: a sentence each, without its full stop."""
        return tuple(obligations(self.licences))
