"""What readers give: a raw document, or word of how its file was coded, of a choice, or of what was left out or is lost."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

Form = Literal["prose", "code", "row"]


class Raw(NamedTuple):
    """A document as it was found.

    Attributes:
        label: the file it is from, as shown to people; members of archives follow after `!`.
        row: its row in that file, or its part where a long file was cut; -1 where the file is the document.
        text: its text, decoded and not yet cleaned.
        form: prose, source code, or a row of a table.
        type: the kind of file, as `Markdown` or `Python`.
        part: whether it is a part of a longer text: parts are kept in one split.
        url: where a row says that its text is from.
    """

    label: str
    row: int
    text: str
    form: Form
    type: str
    part: bool = False
    url: str = ""


class Example(NamedTuple):
    """An example of a kind that has columns, as it was found.

    Attributes:
        label: the file that it is from, as shown to people; members of archives follow after `!`.
        row: its row in that file; -1 where the file is the example.
        values: of its columns; None, or nothing, where it has none.
        split: `train`, `validation` or `test` where its source says so.
        part: whether it is a part of a longer one: parts of a file are kept in one split.
    """

    label: str
    row: int
    values: Mapping[str, Any]
    split: str | None = None
    part: bool = False


class Lost(NamedTuple):
    """A file, member or row that gave no document, and why.

    Attributes:
        broken: whether something is wrong with it, so that a source with nothing else is an error.
    """

    label: str
    reason: str
    detail: str
    bytes: int = 0
    broken: bool = True


class Coded(NamedTuple):
    """How the text of a file was coded; told once for each, after its documents.

    Attributes:
        encoding: the encoding that it was read in.
        replaced: how many U+FFFD stand in it for bytes that do not fit the encoding.
    """

    label: str
    encoding: str
    replaced: int


class Note(NamedTuple):
    """Something that the reader decided and the user should know, as which field holds the text."""

    text: str


class Omitted(NamedTuple):
    """Pieces of documents that are no part of what these say, as page numbers and quoted mail: told once for a build."""

    what: str
    number: int


class Mended(NamedTuple):
    """Something that was set right in an example as it was read: counted, and told once for a build."""

    what: str
    number: int = 1


Event = Raw | Lost | Coded | Note | Omitted | Mended
