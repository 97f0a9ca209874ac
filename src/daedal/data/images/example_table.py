"""The table of examples that reading fills: names, labels, captions, splits and truths, a few hundred bytes each.

The pixels are in the spool. Next stage: `annotate`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from daedal.data.images.events import Aside, Event, Found, Numbers, Table
from daedal.data.images.origin import Origin
from daedal.data.options import SPLITS
from daedal.data.sources import Role
from daedal.data.spool import Tally


@dataclass
class Seen:
    """All pictures, in order, and what was said of them.

    Attributes:
        origins: where each is.
        roles: the split that the user gave each for: 0 train (to be drawn), 1 validation, 2 test.
        found: the split that its place in the sources says, -1 for none.
        groups: the list of labels that each belongs to; empty for none.
        rows: its place there.
        tables: files that say something about pictures.
        asides: texts beside pictures, by `Origin.stem`; of `cat.txt` and `cat.caption` the latter.
        numbers: lists of labels, by group.
    """

    origins: list[Origin] = field(default_factory=list)
    labels: list[str | None] = field(default_factory=list)
    captions: list[str | None] = field(default_factory=list)
    truths: list[str | None] = field(default_factory=list)
    roles: list[int] = field(default_factory=list)
    found: list[int] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    asides: dict[tuple[str, str], Aside] = field(default_factory=dict)
    numbers: dict[str, Numbers] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)

    def __len__(self) -> int:
        return len(self.origins)

    def take(self, event: Event, role: Role) -> Found | None:
        """Remember an event; gives it back where it is a picture."""
        if isinstance(event, Found):
            picture = event.picture
            self.origins.append(picture.origin)
            self.labels.append(picture.label)
            self.captions.append(picture.caption)
            self.truths.append(picture.truth)
            self.roles.append(SPLITS.index(role))
            self.found.append(SPLITS.index(picture.split) if picture.split in SPLITS else -1)
            self.groups.append(event.group)
            self.rows.append(event.row)
            return event
        if isinstance(event, Table):
            self.tables.append(event)
        elif isinstance(event, Aside):
            before = self.asides.setdefault(event.origin.stem, event)
            if before is not event:
                kept, left = sorted((before, event), key=lambda each: not each.origin.file.lower().endswith(".caption"))
                self.asides[event.origin.stem] = kept
                self.tally.drop("second text of a picture", 0, f"{left.origin}: {kept.origin} is its caption")
        elif isinstance(event, Numbers):
            self.numbers[event.group] = event
        else:
            self.tally.record(event)
        return None

    def lists(self) -> Iterator[tuple[str, np.ndarray]]:
        """The pictures of each list, by its group."""
        groups = np.array(self.groups)
        for group in sorted({*self.groups} - {""}):
            yield group, np.flatnonzero(groups == group)
