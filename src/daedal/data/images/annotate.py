"""Which class and which caption each picture has, from what the user named or the sources hold."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from daedal.data.images import tables
from daedal.data.images.kinds import named_split, path_of, without_end
from daedal.data.images.options import ImageOptions, columns_of
from daedal.data.images.seen import Seen
from daedal.data.images.tables import Row, Rows
from daedal.errors import DaedalError

_FEWEST_PER_CLASS = 2
_NO_TABLES = ("folders", "none", "sidecar", "metadata")


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
    named = {Path(each).name for each in (options.labels, options.captions) if each}
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
        self._tables: dict[str, list[tuple[str, Rows]]] = {}

    def run(self) -> Annotated:
        self._join_lists()
        self._label()
        self._caption()
        self._keep_where()
        for named in self._tables.values():
            for _, rows in named:
                self._tell_unused(rows)
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
                    f"{numbers.label} has {len(numbers.values):,} labels for {count:,} pictures",
                    "Give the labels that belong to the pictures, or leave them out",
                )
            for place in places.tolist():
                labels[place] = str(int(numbers.values[self.seen.rows[place]]))
        groups = set(self.seen.groups)
        for group, numbers in self.seen.numbers.items():
            if group not in groups:
                self.result.notes.append(f"{numbers.label}: no pictures belong to these labels")

    def _label(self) -> None:
        wanted = self.options.labels
        if wanted == "none":
            self.result.labels = [None] * len(self.seen)
        elif wanted == "folders":
            self.result.labels = [_folder(name) for name in self.seen.names]
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
            self.result.labels, told = guess_folders(self.seen.names)
            if told:
                self.result.labels_from = "the folder that each picture is in (guessed; --labels none leaves them out)"
            elif len({_folder(name) for name in self.seen.names}) > 1:
                self.result.notes.append(
                    "no classes: the folders do not look like classes (--labels folders takes the one each picture is in)"
                )
        missing = sum(label is None for label in self.result.labels)
        if 0 < missing < len(self.seen):
            first = next(name for name, label in zip(self.seen.names, self.result.labels, strict=True) if label is None)
            self.result.notes.append(f"{missing:,} pictures have no class, as {first}")

    def _label_from(self, wanted: str | None) -> None:
        found = self._values(wanted, self.options.label_column, tables.LABELS, "--label-column", "labels")
        self.result.labels, self.result.labels_from = found

    # -- captions ----------------------------------------------------------------------------------------------------

    def _caption(self) -> None:
        wanted, template = self.options.captions, self.options.caption_template
        if template is not None:
            self.result.captions, self.result.captions_from = self._filled(wanted, template)
        elif wanted == "none":
            self.result.captions = [None] * len(self.seen)
        elif wanted == "sidecar":
            self._sidecars()
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
        missing = sum(not caption for caption in self.result.captions)
        if 0 < missing < len(self.seen):
            pairs = zip(self.seen.names, self.result.captions, strict=True)
            first = next(name for name, caption in pairs if not caption)
            self.result.notes.append(f"{missing:,} pictures have no caption, as {first}")

    def _has_captions(self) -> bool:
        usual = set(tables.CAPTIONS)
        return any(
            self.options.caption_column is not None or usual & {column.lower() for column in rows.columns}
            for _, rows in self._named(None)
        )

    def _sidecars(self) -> None:
        asides = dict(self.seen.asides)
        used = set()
        for place, name in enumerate(self.seen.names):
            stem = without_end(name)
            if stem in asides:
                used.add(stem)
                self.result.captions[place] = " ".join(asides[stem].text.split()) or None
        if not used:
            raise DaedalError(
                "No picture has a text file beside it that is named like it",
                "Put cat.txt beside cat.png, or use --captions FILE.csv",
            )
        self.result.captions_from = "the text file beside each picture"
        left = [aside.label for stem, aside in asides.items() if stem not in used]
        if left:
            self.result.notes.append(f"{len(left):,} text files have no picture, as {left[0]}")

    # -- tables ------------------------------------------------------------------------------------------------------

    def _keep_where(self) -> None:
        if not self.options.where:
            return
        every = [pair for name in (self.options.labels, self.options.captions, None) for pair in self._named(name)]
        for condition in self.options.where:
            column, equals, value = condition.partition("=")
            if not equals:
                raise DaedalError(f"--where {condition} says nothing", "Write it as COLUMN=VALUE")
            having = [(container, rows) for container, rows in every if column in rows.columns]
            if not having:
                names = ", ".join(dict.fromkeys(name for _, rows in every for name in rows.columns))
                raise DaedalError(
                    f"No table has a column {column!r} for --where", f"Choose one of: {names}" if names else ""
                )
            for place, name in enumerate(self.seen.names):
                row = _row_of(name, having)
                self.result.keep[place] &= row is not None and row.get(column) == value

    def _named(self, wanted: str | None) -> list[tuple[str, Rows]]:
        """The tables of a name, or the usual ones, each with the beginning of the names that it speaks of."""
        if wanted in _NO_TABLES:
            return []
        key = wanted or ""
        if key not in self._tables:
            self._tables[key] = self._read(wanted)
        return self._tables[key]

    def _read(self, wanted: str | None) -> list[tuple[str, Rows]]:
        column = self.options.file_column
        path = Path(wanted).expanduser() if wanted else None
        if path is not None and path.is_file():
            try:
                found = [("", tables.read_rows(str(wanted), path.read_bytes(), column))]
            except OSError as error:
                raise DaedalError(f"{wanted} cannot be read ({error.strerror})", "Check its permissions") from None
        else:
            base = {path.name} if path is not None else tables.USUAL
            inside = [each for each in self.seen.tables if path_of(each.label)[-1] in base]
            if path is not None and not inside:
                raise DaedalError(
                    f"{wanted} is not a file, and no source has one of that name",
                    "Check the path; or use --labels folders, --captions sidecar",
                )
            found = []
            for each in inside:
                try:
                    found.append((tables.container_of(each.label), tables.read_rows(each.label, each.data, column)))
                except DaedalError:
                    if path is not None:
                        raise  # one that was not asked for may be about something else
        for container, rows in found:
            mine = [name for name in self.seen.names if name.startswith(container)]
            if (more := tables.ambiguous(rows, mine)) is not None:
                raise DaedalError(
                    f"{rows.label} names {more[0]!r}, which is {more[1]} pictures", "Write more of their paths"
                )
        return found

    def _values(
        self, wanted: str | None, column: str | None, usual: tuple[str, ...], option: str, what: str
    ) -> tuple[list[str | None], str]:
        """A column of the tables of a name, for every picture."""
        named = self._named(wanted)
        columns: dict[str, str] = {}
        for _, rows in named:
            chosen = tables.choose_column(rows.label, rows.columns, column, usual, option)
            if chosen is None:
                raise DaedalError(
                    f"{rows.label} has no column with {what} (its columns: {', '.join(rows.columns)})",
                    f"Name it with {option}",
                )
            columns[rows.label] = chosen
        which = " and ".join(sorted({f"the column {name!r}" for name in columns.values()}))
        return self._from_rows(named, lambda rows, row: row.get(columns[rows.label]), which)

    def _filled(self, wanted: str | None, template: str) -> tuple[list[str | None], str]:
        """The template, filled in from the row of every picture; nothing where the row leaves one of its columns empty."""
        named, columns = self._named(wanted), columns_of(template)
        if not named:
            raise DaedalError(
                "--caption-template takes columns of a table, and the sources have none",
                "Name one by --captions FILE.csv",
            )
        for _, rows in named:
            for column in columns:
                tables.choose_column(rows.label, rows.columns, column, (), "--caption-template")

        def fill(_: Rows, row: Row) -> str | None:
            return template.format_map(row) if all(row.get(column) for column in columns) else None

        return self._from_rows(named, fill, f"{template!r}, of the columns")

    def _from_rows(
        self, named: list[tuple[str, Rows]], value: Callable[[Rows, Row], str | None], which: str
    ) -> tuple[list[str | None], str]:
        """What the row of every picture says, and where that is from, in words."""
        values: list[str | None] = []
        for name in self.seen.names:
            found = next(
                ((rows, row) for container, rows in named if name.startswith(container) and (row := rows.of(name))),
                None,
            )
            values.append(value(*found) or None if found else None)
        first = named[0][1]
        if not any(rows.used for _, rows in named):
            raise DaedalError(
                f"{first.label} names no picture of the sources: it names {next(iter(first.by_file), '')!r}, a picture is"
                f" {self.seen.names[0]!r}",
                "Give the table that belongs to these pictures, or choose its column with --file-column",
            )
        where = f"{which} of {first.label}" + (f" and {len(named) - 1} more" if len(named) > 1 else "")
        if not any(values):
            raise DaedalError(f"Empty for every picture: {where}", f"Choose another of {', '.join(first.columns)}")
        return values, where

    def _tell_unused(self, rows: Rows) -> None:
        if unused := rows.unused():
            self.result.notes.append(
                f"{rows.label}: {len(unused):,} rows name pictures that are not there, as {unused[0]}"
            )
        if rows.again:
            self.result.notes.append(
                f"{rows.label}: {rows.again:,} rows name a picture again; the first row of each is used"
            )


def guess_folders(names: list[str]) -> tuple[list[str | None], bool]:
    """Classes from folders, where they look like classes: every picture is in one, at the same depth, and no other level of
    folders tells pictures apart."""
    folders = [_significant(name) for name in names]
    if not folders or len({len(each) for each in folders}) != 1 or not folders[0]:
        return [None] * len(names), False
    varying = [level for level in range(len(folders[0])) if len({each[level] for each in folders}) > 1]
    counts = Counter(each[-1] for each in folders)
    if varying != [len(folders[0]) - 1] or min(counts.values()) < _FEWEST_PER_CLASS:
        return [None] * len(names), False
    return [each[-1] for each in folders], True


def _significant(name: str) -> list[str]:
    """The folders of a picture, without those that name splits."""
    return [folder for folder in path_of(name)[:-1] if named_split(folder) is None]


def _folder(name: str) -> str | None:
    folders = path_of(name)[:-1]
    return folders[-1] if folders and named_split(folders[-1]) is None else None


def _row_of(name: str, having: list[tuple[str, Rows]]) -> Row | None:
    for container, rows in having:
        if name.startswith(container) and (row := rows.of(name)) is not None:
            return row
    return None


def natural(name: str) -> tuple[int, int, str]:
    """The order of classes: numbers by their size, then names by their letters."""
    return (0, int(name), name) if name.isascii() and name.isdigit() else (1, 0, name)
