"""What tables beside clips say of them: their captions and classes, by the names of their files."""

from collections.abc import Iterator, Sequence
from typing import BinaryIO, NamedTuple

from daedal.data.beside import Beside, one_line
from daedal.data.document import Note
from daedal.data.fields import match
from daedal.data.filetypes import FileType
from daedal.data.images.records import FILES
from daedal.data.images.tables import CAPTIONS, LABELS
from daedal.data.rows import Chosen, Read, Row, read_chosen, rows_in
from daedal.data.sources import Item

USUAL = {"file": (*FILES, "video", "clip"), "caption": CAPTIONS, "label": LABELS}
TABLES = frozenset(("csv", "tsv", "jsonl", "json"))


class Said(NamedTuple):
    """What is said of a clip."""

    caption: str | None = None
    label: str | None = None


def said_of_clips(items: Sequence[Item], asked: dict[str, str], encoding: str | None) -> Beside[Said]:
    """The rows of all tables in sources."""
    found = Beside(Said())

    def columns(rows: Sequence[Row]) -> dict[str, str]:
        names = list(dict.fromkeys(name for row in rows for name in row.values))
        chosen = match(names, USUAL, asked)
        if "file" not in chosen or len(chosen) < 2:
            return {}
        told = ", ".join(f"{name} from {column!r}" for name, column in chosen.items() if name != "file")
        found.columns.append(Note(f"{rows[0].label} speaks of the clips: {told}"))
        return chosen

    for item in items:
        for each in read_chosen(item, encoding, columns, lambda *file: found.told(_read(*file))):
            if isinstance(each, Chosen) and "file" in each.choice:
                cells = {name: one_line(each.row.values.get(column)) for name, column in each.choice.items()}
                if (name := cells.pop("file")) is not None:
                    found.add(name, Said(**cells))
    return found


def _read(label: str, stream: BinaryIO, type_: FileType) -> Iterator[Read]:
    """The rows of tables; nothing of other files."""
    if type_.reader in TABLES:
        yield from rows_in(label, stream, type_)
