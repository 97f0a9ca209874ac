"""The table of formats: which module reads each, and the package that it cannot do without."""

import importlib
from collections.abc import Callable, Iterable, Iterator
from importlib.util import find_spec
from typing import BinaryIO, NamedTuple

from daedal.data.document import Event
from daedal.data.filetypes import file_type

Read = Callable[[str, BinaryIO, int, str | None], Iterator[Event]]
EXTRA = "documents"
"""The extra of Daedal's package that holds what the formats need."""

MISSING = "package missing"
"""The reason of what is `Lost` since the package that reads it is not installed."""


class Format(NamedTuple):
    """How a format is read.

    Attributes:
        module: of `daedal.data.documents`, that reads it.
        package: what must be installed.
        many: whether a file has many documents, each with a time of its own.
    """

    module: str
    package: str | None = None
    many: bool = False

    def reader(self) -> Read:
        """The function that reads it."""
        read: Read = importlib.import_module(f"daedal.data.documents.{self.module}").read
        return read


FORMATS = {
    "PDF": Format("pdf", "pypdfium2"),
    "DOCX": Format("docx"),
    "ODT": Format("odt"),
    "PPTX": Format("pptx"),
    "EPUB": Format("epub"),
    "RTF": Format("rtf"),
    "Jupyter": Format("notebook"),
    "mail": Format("mail"),
    "mbox": Format("mbox", many=True),
    "subtitles": Format("subtitles"),
}
"""By the name that `daedal.data.filetypes` gives a file."""


def packages_for(names: Iterable[str]) -> tuple[str, ...]:
    """The installed packages that read files of these names, or may find such a file in an archive."""
    types = {file_type(name) for name in names}
    packed = any(type_.reader in ("zip", "tar", "compressed") for type_ in types)
    used = FORMATS.values() if packed else (FORMATS[type_.name] for type_ in types if type_.name in FORMATS)
    return tuple(
        sorted({each.package for each in used if each.package is not None and find_spec(each.package) is not None})
    )
