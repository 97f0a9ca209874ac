"""Where a picture, or a file that speaks of pictures, is: told as one line, and never parsed from one.

A name may hold any character (`C#`, `best!`), so that the archives, the path and the row are kept apart until they are shown.
"""

import unicodedata
from dataclasses import dataclass, replace
from typing import Self

from daedal.data.images.kinds import without_end


@dataclass(frozen=True, slots=True)
class Origin:
    """Where something is.

    Attributes:
        path: inside the innermost archive, or from the source's own name on: `photos/cat/1.png`; in Unicode's form NFC.
        archive: the archives around it, each with a `!` behind it; empty where there is none.
        row: of a table or list of pictures; -1 where it is a file.
        root: the folder of the disk that all of this is in, which tells two sources of one name apart.
    """

    path: str
    archive: str = ""
    row: int = -1
    root: str = ""

    @classmethod
    def of_file(cls, label: str, path: str) -> Self:
        """A file of a source: its label is the end of its path."""
        return cls(unicodedata.normalize("NFC", label), root=path[: len(path) - len(label)])

    def __str__(self) -> str:
        return f"{self.archive}{self.path}" + (f"#{self.row}" if self.row >= 0 else "")

    @property
    def folders(self) -> list[str]:
        """The folders that it is in, outermost first."""
        return self.path.split("/")[:-1]

    @property
    def file(self) -> str:
        """The name of its file."""
        return self.path.rsplit("/", 1)[-1]

    @property
    def stem(self) -> tuple[str, str]:
        """What it shares with the files beside it that are named like it, but for their ends."""
        return self.root, f"{self.archive}{without_end(self.path)}"

    def member(self, path: str) -> "Origin":
        """A file in the archive that this is."""
        return Origin(unicodedata.normalize("NFC", path), f"{self}!", root=self.root)

    def at(self, row: int) -> "Origin":
        """A row of the table or list that this is."""
        return replace(self, row=row)

    def speaks_of(self, other: "Origin") -> bool:
        """Whether a table here is about a picture there: both are in one archive, or the picture is below the table's folder.

        A table that was named as a source itself, without a folder, is about all pictures.
        """
        if self.archive:
            return self.root == other.root and other.archive.startswith(self.archive)
        folder = self.path[: self.path.rfind("/") + 1]
        return not folder or (self.root == other.root and f"{other.archive}{other.path}".startswith(folder))
