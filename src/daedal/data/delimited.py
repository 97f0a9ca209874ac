"""Rows of CSV and TSV, whatever their delimiter; a row that is broken is lost alone.

The delimiter is the one by which most of the first rows have as many cells as the first. Where none is, each line is one cell.
A text file is a table where all of its first lines have as many tabs, `::` or bars.
Quotation marks are CSV's (RFC 4180), MySQL's (`\\"` inside) or behind a space. In tab-separated files they are text unless the
first rows say otherwise.
"""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any, BinaryIO, NamedTuple

from daedal.data.decode import Decoder
from daedal.data.document import Coded, Event, Lost, Raw
from daedal.data.plain_text import MOST_AT_ONCE, blocks_of_lines
from daedal.data.tables import GUESS_ROWS, USUAL, guess_field, missing_field, told

_SAMPLE_LINES = 200
_CUT_OFF = "unexpected end of data"  # what `csv` says of text that ends in a quoted cell
_SAID = re.compile("sep=(.)\n")
_UNCLOSED = "a quotation mark is not closed"
_IN_VAIN = 2**27  # so many characters are read again; then rows are lines
_ONE_COLUMN = "\x1f"  # a delimiter that text does not have
_ENDS = (".", "!", "?", "\u3002")
_MOST_WORDS = 6  # of a name, unless it is a question
_TIME = re.compile(r"\d{4}-\d\d-\d\d")
_SEPARATORS = {"\t": 1, "::": 2, "|": 4}  # of tables that are called text: so many in a line at least


class Dialect(NamedTuple):
    """How the cells of a row are told apart.

    Attributes:
        quoted: quotation marks enclose cells; else they are text.
        escape: what stands before a quotation mark in a cell, where it is not doubled.
        spaced: a space may stand before a cell.
    """

    delimiter: str
    quoted: bool = True
    escape: str | None = None
    spaced: bool = False

    def reader(self, lines: Iterable[str], strict: bool) -> Any:
        """Python's parser of it."""
        return csv.reader(
            lines,
            delimiter=self.delimiter,
            quoting=csv.QUOTE_MINIMAL if self.quoted else csv.QUOTE_NONE,
            escapechar=self.escape,
            skipinitialspace=self.spaced,
            strict=strict,
        )


class Table(NamedTuple):
    """A table that is read as it is asked for.

    Attributes:
        names: of its columns: what the first line says, or 0, 1, 2 ...
        rows: its cells, and in place of a row that is broken word of it.
        decoder: knows the encoding when all is read.
    """

    names: list[str]
    rows: Iterator[list[str] | Lost]
    decoder: Decoder


def open_csv(label: str, stream: BinaryIO, type_name: str, encoding: str | None, field: str | None = None) -> Table:
    """CSV or TSV; without rows it has no names either.

    Args:
        label: its name, as shown to people.
        stream: its bytes.
        type_name: `TSV`, where only a tab can be the delimiter, or `CSV`; or what `separator_of` gave.
        encoding: the encoding; detected where not given.
        field: a column that is asked for by name: a first line that has it names columns, whatever it looks like.
    """
    csv.field_size_limit(4 * MOST_AT_ONCE)  # the library's own limit of 131,072 characters is a page of a book
    decoder = Decoder(encoding)
    blocks = blocks_of_lines(stream, decoder)
    begin = next(blocks, [])
    delimiters = "\t" if type_name in ("TSV", "\t") else ",;\t|"
    if begin and (said := _SAID.fullmatch(begin[0])):  # as Excel is told
        delimiters, begin = said[1], begin[1:]
    blocks = chain((begin,), blocks)
    if type_name in ("::", "|"):
        blocks = ([line.replace(type_name, _ONE_COLUMN) for line in block] for block in blocks)
        dialect = Dialect(_ONE_COLUMN, quoted=False)
    else:
        dialect = sniff(begin[:_SAMPLE_LINES], delimiters)
    records = _records(label, blocks, dialect)
    lost: list[Lost] = []
    for record in records:
        if isinstance(record, list):
            names = _names(record, field)
            body = records if names is not None else chain((record,), records)
            return Table(names or [str(number) for number in range(len(record))], chain(lost, body), decoder)
        lost.append(record)
    return Table([], iter(lost), decoder)


def separator_of(text: str) -> str | None:
    """What parts the cells of a text that is a table by its first lines; None where it is none."""
    lines = [line for line in text.split("\n")[:_SAMPLE_LINES] if line.strip()]
    lines = lines[:-1] if len(lines) > 2 else lines  # the last may be cut off
    for separator, least in _SEPARATORS.items():
        counts = {0 if line.startswith(separator) else line.count(separator) for line in lines}
        if len(lines) > 1 and len(counts) == 1 and counts.pop() >= least:
            return separator
    return None


def read_csv(label: str, stream: BinaryIO, field: str | None, type_name: str, encoding: str | None) -> Iterator[Event]:
    """Documents from CSV or TSV whose first line names the columns; without names, columns are called 0, 1, 2 ...

    Args:
        field: the column that holds the text; guessed where not given.

    Raises:
        DaedalError: there is no such column.
    """
    names, body, decoder = open_csv(label, stream, type_name, encoding, field)
    head: list[list[str]] = []
    for row in body:
        if isinstance(row, Lost):
            yield row
        else:
            head.append(row)
        if len(head) == GUESS_ROWS:
            break
    if not head:
        yield Lost(label, "empty", "no rows", broken=False)
        return
    chosen = field or guess_field(dict(zip(names, row, strict=False)) for row in head)
    if chosen is None or chosen not in names:
        raise missing_field(label, field, names)
    if field is None:
        yield from told(label, chosen, names, [dict(zip(names, row, strict=False)) for row in head])
    place, number = names.index(chosen), 0
    for row in chain(head, body):
        if isinstance(row, Lost):
            yield row
        else:
            yield Raw(label, number, row[place], "row", type_name)
            number += 1
    yield Coded(label, decoder.encoding, decoder.replaced)


def sniff(lines: list[str], delimiters: str) -> Dialect:
    """The dialect of a table that begins with `lines`."""
    shares: dict[str, tuple[float, float]] = {}
    for delimiter in delimiters:
        widths = [len(row) for row in Dialect(delimiter).reader(lines, strict=False) if row]
        if not widths or widths[0] == 1:
            continue
        width, most = Counter(widths).most_common(1)[0]
        if width > 1 and most >= 0.5 * len(widths):
            text = "".join(lines)
            spaced = text.count(f"{delimiter} ") / text.count(delimiter)  # as after a comma in prose
            shares[delimiter] = (most / len(widths), -spaced)
    delimiter = max(shares, key=lambda each: shares[each], default=_ONE_COLUMN)
    if delimiter == "\t" and not _tabs_are_quoted(lines, usual=len(delimiters) > 1):
        return Dialect(delimiter, quoted=False)
    able = [Dialect(delimiter)]
    if any('\\"' in line for line in lines):
        able.append(Dialect(delimiter, escape="\\"))
    if any(f'{delimiter} "' in line for line in lines):
        able.append(Dialect(delimiter, spaced=True))
    return min(able, key=lambda dialect: _faults(lines, dialect)) if len(able) > 1 else able[0]


def _faults(lines: list[str], dialect: Dialect) -> int:
    """Rows that a dialect cannot read, or of another width than most."""
    rows = list(_records("", iter((lines,)), dialect, check=False))
    widths = Counter(len(row) for row in rows if not isinstance(row, Lost))
    return len(rows) - max(widths.values(), default=0)


def _tabs_are_quoted(lines: list[str], usual: bool) -> bool:
    """Whether quotation marks enclose cells of a tab-separated file, and are not text; `usual`, where either may be."""
    if lines and lines[0].startswith('"'):
        return True
    rows = [line.rstrip("\n").split("\t") for line in lines if line.strip()]
    if len({len(row) for row in rows}) > 1:  # there may be tabs and line ends in cells
        try:
            return len({len(row) for row in Dialect("\t").reader(lines, strict=True) if row}) == 1
        except csv.Error as error:
            return str(error) == _CUT_OFF  # the sample ends in a long cell
    marked = [cell for row in rows for cell in row if cell.startswith('"')]
    whole = [cell[1:-1] for cell in marked if len(cell) > 1 and re.fullmatch('"(?:[^"]|"")*"', cell)]
    return len(whole) == len(marked) and (usual or any('""' in cell for cell in whole))


def _records(
    label: str, blocks: Iterator[list[str]], dialect: Dialect, check: bool = True
) -> Iterator[list[str] | Lost]:
    """The rows of a table; those that are broken, or with `check` have another width than the first, as `Lost`.

    A quotation mark that is not closed makes one row of all lines up to the next one. That is noticed by what then follows it,
    or by the width of the row; the line with the mark is lost, and those behind it are read again. Where that happens too
    often, no row goes on in the next line any more.
    """
    width, in_vain = 0, 0  # characters of rows that were read, and are read again in other ones
    for block in blocks:
        lines, place = block, 0
        while place < len(lines):
            following = map(lines.__getitem__, range(place, len(lines)))  # a slice would be a copy for each broken row
            alone = in_vain > _IN_VAIN
            reader = dialect.reader(islice(following, 1) if alone else following, strict=True)
            begin = place  # the first line of the row
            try:
                for cells in reader:
                    end = place + reader.line_num
                    if len(cells) == width or (cells and not (check and width)):
                        width = width or len(cells)
                        yield cells
                    elif cells:
                        row = lines[begin:end]
                        if any(len(each) == width for each in dialect.reader(row[1:], strict=False)):
                            yield _broken(label, _UNCLOSED, row[0])
                            in_vain += sum(map(len, row))
                            end = begin + 1
                            begin = end
                            break
                        yield _broken(label, f"{len(cells)} columns where {width} were expected", row[0])
                    begin = end
                place = begin
            except csv.Error as error:
                taken, place = place + reader.line_num - begin, begin
                unclosed = str(error) == _CUT_OFF
                if unclosed and not alone:
                    size = sum(map(len, islice(lines, place, None)))
                    if size < MOST_AT_ONCE and (more := _as_many(blocks, len(lines) - place)):
                        lines, place = lines[place:] + more, 0  # the row goes on
                        continue
                    in_vain += size
                if taken > 1 or unclosed:
                    yield _broken(label, _UNCLOSED, lines[place])
                else:  # there is text behind a quoted cell
                    cells = next(dialect.reader(lines[place : place + 1], strict=False))
                    wrong = check and width and len(cells) != width
                    yield (
                        _broken(label, f"{len(cells)} columns where {width} were expected", lines[place])
                        if wrong
                        else cells
                    )
                    width = width or len(cells)
                place += 1


def _as_many(blocks: Iterator[list[str]], count: int) -> list[str]:
    """At least `count` lines more, if there are so many: so that a long row is not parsed from its start too often."""
    lines = list[str]()
    for block in blocks:
        lines += block
        if len(lines) >= count:
            break
    return lines


def _broken(label: str, why: str, line: str) -> Lost:
    return Lost(label, "broken row", f"{why}: {' '.join(line[:60].split())}", len(line), broken=False)


def _names(cells: list[str], field: str | None) -> list[str] | None:
    """The names of columns, if that is what the first row holds: short, no numbers, different or of a usual name."""
    names = [cell.strip() for cell in cells]
    asked = field is not None and field in names
    if asked and str(field).isdigit():  # a cell may be a number too, as the label of a first row without names
        asked = all(name.isdigit() or not name for name in names)
    if not asked:
        if not any(names) or any(map(_is_said, names)) or all(name.endswith(_ENDS) for name in names):
            return None
        if len(set(names)) < len(names) and not any(name.lower() in USUAL for name in names):
            return None
    different = list[str]()
    before = Counter[str]()  # of what the row says
    for place, said in enumerate(names):
        name = said or str(place)
        again = before[name]
        different.append(f"{name}.{again}" if again else name)
        before[said] += 1
    return different


def _is_said(name: str) -> bool:
    """Whether a cell is too long for the name of a column, or a number or a time."""
    long = len(name) >= 64 or (len(name.split()) > _MOST_WORDS and not name.endswith("?"))
    return long or _number(name) or _TIME.match(name) is not None


def _number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
