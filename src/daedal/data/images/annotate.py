"""Which class and which caption each picture has, from what the user named or the sources hold."""

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from daedal.data.fields import named_split
from daedal.data.images import tables
from daedal.data.images.example_table import Seen
from daedal.data.images.options import ImageOptions, columns_of
from daedal.data.images.origin import Origin
from daedal.data.images.records import Row
from daedal.data.images.tables import Matched, Rows
from daedal.errors import DaedalError

_FEWEST_PER_CLASS = 2
_NO_TABLES = ("folders", "none", "sidecar", "metadata")
_Value = Callable[[Row], str | None]


@dataclass
class Annotated:
    """What is known of every picture.

    Attributes:
        keep: which pictures `--where` leaves.
        labels_from: where classes are from, in words.
        captions_from: where captions are from.
        notes: what a person should know.
    """

    labels: list[str | None]
    captions: list[str | None]
    keep: list[bool]
    labels_from: str = ""
    captions_from: str = ""
    notes: list[str] = field(default_factory=list)


def wanted_tables(options: ImageOptions) -> frozenset[str]:
    """Names of the files in the sources that are read as tables."""
    named = {_file_name(each) for each in (options.labels, options.captions) if each}
    return tables.USUAL | named


def annotate(seen: Seen, options: ImageOptions) -> Annotated:
    """Find the class and the caption of every picture.

    Raises:
        DaedalError: a file or column that was named is not there, or what it says fits no picture.
    """
    return _Annotator(seen, options).run()


class _Annotator:
    def __init__(self, seen: Seen, options: ImageOptions) -> None:
        self.seen = seen
        self.options = options
        self.result = Annotated(list(seen.labels), list(seen.captions), [True] * len(seen))
        self._tables: dict[str, list[Matched]] = {}

    def run(self) -> Annotated:
        self._join_lists()
        self._label()
        self._caption()
        self._keep_where()
        self.result.notes += [note for named in self._tables.values() for matched in named for note in matched.notes]
        return self.result

    # -- classes -----------------------------------------------------------------------------------------------------

    def _join_lists(self) -> None:
        """Labels that come as a list of numbers, in the order of the pictures (IDX)."""
        labels = self.result.labels
        for group, places in self.seen.lists():
            numbers = self.seen.numbers.get(group)
            if numbers is None:
                continue
            count = self.seen.rows[places[-1]] + 1
            if len(numbers.values) != count:
                raise DaedalError(
                    f"{numbers.origin} has {len(numbers.values):,} labels for {count:,} pictures",
                    "Give the labels that belong to the pictures, or leave them out",
                )
            for place in places.tolist():
                labels[place] = str(int(numbers.values[self.seen.rows[place]]))
        groups = set(self.seen.groups)
        for group, numbers in self.seen.numbers.items():
            if group not in groups:
                self.result.notes.append(f"{numbers.origin}: no pictures belong to these labels")

    def _label(self) -> None:
        wanted = self.options.labels
        if wanted == "none":
            self.result.labels = [None] * len(self.seen)
        elif wanted == "folders":
            self.result.labels = [_folder(origin) for origin in self.seen.origins]
            self.result.labels_from = "the folder that each picture is in"
            if not any(self.result.labels):
                raise DaedalError(
                    "The pictures are not in folders that could be their classes", "Use --labels FILE.csv"
                )
        elif wanted is not None:
            self._label_from(wanted)
        elif any(label is not None for label in self.result.labels):
            self.result.labels_from = "the source itself"
        elif self.options.label_column is not None and self._named(None):
            self._label_from(None)
        else:
            self.result.labels, told = guess_folders(self.seen.origins)
            if told:
                self.result.labels_from = "the folder that each picture is in (guessed; --labels none leaves them out)"
            elif len({_folder(origin) for origin in self.seen.origins}) > 1:
                self.result.notes.append(
                    "no classes: the folders do not look like classes (--labels folders takes the one each picture is in)"
                )

    def _label_from(self, wanted: str | None) -> None:
        found = self._values(wanted, self.options.label_column, tables.LABELS, "--label-column", "labels")
        self.result.labels = [name and unicodedata.normalize("NFC", name) for name in found[0]]
        self.result.labels_from = found[1]

    # -- captions ----------------------------------------------------------------------------------------------------

    def _caption(self) -> None:
        wanted, template = self.options.captions, self.options.caption_template
        if template is not None:
            self.result.captions, self.result.captions_from = self._filled(wanted, template)
        elif wanted == "none":
            self.result.captions = [None] * len(self.seen)
        elif wanted == "sidecar":
            self._sidecars()
            return
        elif wanted == "metadata":
            if not any(self.result.captions):
                raise DaedalError(
                    "No picture's own file says what it shows",
                    "Use --captions FILE.csv, or --captions sidecar for cat.txt beside cat.png",
                )
            self.result.captions_from = "the file of each picture"
        elif wanted is not None:
            found = self._values(wanted, self.options.caption_column, tables.CAPTIONS, "--caption-column", "captions")
            self.result.captions, self.result.captions_from = found
        elif any(self.result.captions):
            self.result.captions_from = "the source itself"
        elif self._has_captions():
            found = self._values(None, self.options.caption_column, tables.CAPTIONS, "--caption-column", "captions")
            self.result.captions, self.result.captions_from = found
        elif self.seen.asides:
            self._sidecars()
            return
        if self.seen.asides:
            first = next(iter(self.seen.asides.values())).origin
            self.result.notes.append(f"{len(self.seen.asides):,} files beside pictures are not used, as {first}")

    def _has_captions(self) -> bool:
        usual = set(tables.CAPTIONS)
        return any(
            self.options.caption_column is not None or usual & {column.lower() for column in matched.table.columns}
            for matched in self._named(None)
        )

    def _sidecars(self) -> None:
        asides = self.seen.asides
        used = set()
        for place, origin in enumerate(self.seen.origins):
            if (aside := asides.get(origin.stem)) is not None:
                used.add(origin.stem)
                self.result.captions[place] = " ".join(aside.text.split()) or None
        if not used and self.options.captions == "sidecar":
            raise DaedalError(
                "No picture has a text file beside it that is named like it",
                "Put cat.txt or cat.caption beside cat.png, or use --captions FILE.csv",
            )
        if used:
            self.result.captions_from = "the text file beside each picture"
        left = [aside.origin for stem, aside in asides.items() if stem not in used]
        if left:
            self.result.notes.append(f"{len(left):,} text files have no picture, as {left[0]}")

    # -- tables ------------------------------------------------------------------------------------------------------

    def _keep_where(self) -> None:
        if not self.options.where:
            return
        every = [each for name in (self.options.labels, self.options.captions, None) for each in self._named(name)]
        for condition in self.options.where:
            column, equals, value = condition.partition("=")
            if not equals:
                raise DaedalError(f"--where {condition} says nothing", "Write it as COLUMN=VALUE")
            having = [matched for matched in every if column in matched.table.columns]
            if not having:
                names = ", ".join(dict.fromkeys(name for matched in every for name in matched.table.columns))
                unused = [note for note in self.result.notes if note.startswith("not used")]
                raise DaedalError(
                    f"No table has a column {column!r} for --where",
                    f"Choose one of: {names}" if names else "; ".join(unused),
                )
            for place in range(len(self.seen)):
                row = next((matched.of[place] for matched in having if place in matched.of), None)
                self.result.keep[place] &= row is not None and _equal(row.get(column, ""), value)

    def _named(self, wanted: str | None) -> list[Matched]:
        """The tables of a name, or the usual ones, each with the rows of the pictures that it speaks of."""
        if wanted in _NO_TABLES:
            return []
        key = wanted or ""
        if key not in self._tables:
            everything = dict(enumerate(self.seen.origins))
            self._tables[key] = [
                tables.match(
                    rows,
                    everything if at is None else {n: each for n, each in everything.items() if at.speaks_of(each)},
                )
                for at, rows in self._read(wanted)
            ]
            if wanted is None:
                self._tables[key] = [matched for matched in self._tables[key] if self._speaks(matched)]
        return self._tables[key]

    def _speaks(self, matched: Matched) -> bool:
        """Whether a table that was not asked for is about pictures: `metadata.json` may be about anything."""
        if matched.of or not matched.table.label.lower().endswith(".json"):
            return True
        self.result.notes.append(f"not used: {matched.table.label} names no picture")
        return False

    def _read(self, wanted: str | None) -> list[tuple[Origin | None, Rows]]:
        """The tables of a name, or the usual ones, with where they lie; `None` for one that is read by its path."""
        column = self.options.file_column
        path = Path(wanted).expanduser() if wanted else None
        if path is not None and path.is_file():
            try:
                return [(None, tables.read_rows(str(wanted), path.name, path.read_bytes(), column))]
            except OSError as error:
                raise DaedalError(f"{wanted} cannot be read ({error.strerror})", "Check its permissions") from None
        base = {_file_name(str(wanted))} if wanted else tables.USUAL
        inside = [each for each in self.seen.tables if each.name in base]
        if wanted and not inside:
            raise DaedalError(
                f"{wanted} is not a file, and no source has one of that name",
                "Check the path; or use --labels folders, --captions sidecar",
            )
        found: list[tuple[Origin | None, Rows]] = []
        for each in inside:
            try:
                found.append((each.origin, tables.read_rows(str(each.origin), each.name, each.data, column)))
            except DaedalError as error:
                if wanted:
                    raise
                self.result.notes.append(f"not used: {error.what}")
        return found

    def _values(
        self, wanted: str | None, column: str | None, usual: tuple[str, ...], option: str, what: str
    ) -> tuple[list[str | None], str]:
        """A column of the tables of a name, for every picture."""
        named = self._named(wanted)
        having: list[tuple[Matched, _Value]] = []
        columns: set[str] = set()
        for matched in named:
            rows = matched.table
            chosen = tables.choose_column(rows.label, rows.columns, column, usual, option)
            if chosen is not None:
                columns.add(chosen)
                having.append((matched, partial(_cell, chosen)))
            elif wanted is not None:
                raise DaedalError(
                    f"{rows.label} has no column with {what} (its columns: {', '.join(rows.columns)})",
                    f"Name it with {option}",
                )
        return self._from_rows(having, " and ".join(f"the column {name!r}" for name in sorted(columns)))

    def _filled(self, wanted: str | None, template: str) -> tuple[list[str | None], str]:
        """The template, filled in from the row of every picture; nothing where the row leaves one of its columns empty."""
        named, columns = self._named(wanted), columns_of(template)
        if not named:
            raise DaedalError(
                "--caption-template takes columns of a table, and the sources have none",
                "Name one by --captions FILE.csv",
            )
        for matched in named:
            for column in columns:
                tables.choose_column(matched.table.label, matched.table.columns, column, (), "--caption-template")

        def fill(row: Row) -> str | None:
            return template.format_map(row) if all(row.get(column) for column in columns) else None

        return self._from_rows([(matched, fill) for matched in named], f"{template!r}, of the columns")

    def _from_rows(self, named: list[tuple[Matched, _Value]], which: str) -> tuple[list[str | None], str]:
        """What the row of every picture says, and where that is from, in words."""
        values: list[str | None] = []
        for place in range(len(self.seen)):
            found = next(((value, matched.of[place]) for matched, value in named if place in matched.of), None)
            values.append((found[0](found[1]) or None) if found else None)
        first = named[0][0].table
        if not any(matched.of for matched, _ in named):
            raise DaedalError(
                f"{first.label} names no picture of the sources: it names {first.names[0]!r}, a picture is"
                f" {str(self.seen.origins[0])!r}",
                "Give the table that belongs to these pictures, or choose its column with --file-column",
            )
        where = f"{which} of {first.label}" + (f" and {len(named) - 1} more" if len(named) > 1 else "")
        if not any(values):
            raise DaedalError(f"Empty for every picture: {where}", f"Choose another of {', '.join(first.columns)}")
        return values, where


def missing(annotated: Annotated, seen: Seen, kept: Iterable[int]) -> Iterator[str]:
    """Word of the pictures, of those that are kept, that have no class or no caption where others have."""
    places = list(kept)
    for what, values in (("class", annotated.labels), ("caption", annotated.captions)):
        without = [place for place in places if not values[place]]
        if 0 < len(without) < len(places):
            yield f"{len(without):,} pictures have no {what}, as {seen.origins[without[0]]}"


def guess_folders(origins: list[Origin]) -> tuple[list[str | None], bool]:
    """Classes from folders, where they look like classes: every picture is in one, at the same depth, and no other level of
    folders tells pictures apart."""
    folders = [[folder for folder in origin.folders if named_split(folder) is None] for origin in origins]
    if not folders or len({len(each) for each in folders}) != 1 or not folders[0]:
        return [None] * len(origins), False
    varying = [level for level in range(len(folders[0])) if len({each[level] for each in folders}) > 1]
    counts = Counter(each[-1] for each in folders)
    if varying != [len(folders[0]) - 1] or min(counts.values()) < _FEWEST_PER_CLASS:
        return [None] * len(origins), False
    return [each[-1] for each in folders], True


def _folder(origin: Origin) -> str | None:
    folders = origin.folders
    return folders[-1] if folders and named_split(folders[-1]) is None else None


def _file_name(path: str) -> str:
    """The name of a table's file, as it is compared."""
    return unicodedata.normalize("NFC", Path(path).name).lower()


def _cell(column: str, row: Row) -> str | None:
    return row.get(column)


def _equal(cell: str, wanted: str) -> bool:
    """Whether a cell says what --where asks for: `true` is True, and 0 is 0.0."""
    if cell == wanted or cell.lower() == wanted.lower() in ("true", "false"):
        return True
    try:
        return float(cell) == float(wanted)
    except ValueError:
        return False
