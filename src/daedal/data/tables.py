"""Rows of JSON Lines, CSV, TSV and Parquet, streamed; the field that holds the text is guessed where it is not given."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, BinaryIO

from daedal.data.decode import detect
from daedal.data.document import Lost, Note, Raw
from daedal.errors import DaedalError

_USUAL = (
    "text", "content", "document", "body", "article", "story", "passage", "sentence", "review", "abstract", "comment",
    "message", "utterance", "code", "output", "response", "completion", "answer", "description", "question", "prompt", "title",
)  # fmt: skip
_GUESS_ROWS = 100
_BLOCK = 2**20
_MAX_LINE = 64 * 2**20

Event = Raw | Lost | Note


def guess_field(rows: Iterable[Mapping[str, Any]]) -> str | None:
    """The field that most likely holds the text: one of a usual name, else the one with the longest strings."""
    lengths: dict[str, list[int]] = {}
    for row in rows:
        for name, value in row.items():
            if isinstance(value, str):
                lengths.setdefault(name, []).append(len(value))
    lowered = {name.lower(): name for name in reversed(lengths)}
    for usual in _USUAL:
        if usual in lowered:
            return lowered[usual]
    means = {name: sum(values) / len(values) for name, values in lengths.items()}
    return max(means, key=lambda name: means[name], default=None)


def missing_field(label: str, field: str | None, fields: Iterable[str]) -> DaedalError:
    """The line for a field that is not there."""
    names = ", ".join(list(fields)[:20])
    if field is None:
        return DaedalError(
            f"{label} has no field with text (its fields: {names or 'none'})", "Name the field with --field"
        )
    return DaedalError(
        f"{label} has no field {field!r}", f"Choose one of its fields with --field: {names or 'it has none'}"
    )


def told(label: str, field: str) -> Note:
    """Word of a guess."""
    return Note(f"text taken from the field {field!r} of {label} (guessed; --field chooses another)")


def rows_of(label: str, rows: Iterator[Mapping[str, Any]], field: str | None, type_name: str) -> Iterator[Event]:
    """Documents from rows that are mappings."""
    head = []
    for row in rows:
        head.append(row)
        if len(head) == _GUESS_ROWS:
            break
    if not head:
        yield Lost(label, "empty", "no rows", broken=False)
        return
    names = dict.fromkeys(name for row in head for name in row)
    chosen = field or guess_field(head)
    if chosen is None or chosen not in names:
        raise missing_field(label, field, names)
    if field is None:
        yield told(label, chosen)
    number = 0
    for batch in (head, rows):
        for row in batch:
            value = row.get(chosen)
            if isinstance(value, str):
                yield Raw(label, number, value, "row", type_name)
            elif value is not None or chosen not in row:
                yield Lost(label, "row without text", f"row {number}: no text in {chosen!r}", broken=False)
            number += 1


def read_jsonl(label: str, stream: BinaryIO, field: str | None, encoding: str | None) -> Iterator[Event]:
    """Documents from JSON Lines: an object, or a string, a line."""
    bad: list[Lost] = []

    def rows() -> Iterator[Mapping[str, Any]]:
        name = encoding
        for number, line in enumerate(_lines(stream)):
            if number == 0 and name is None:
                name = detect(line)
            try:
                value = json.loads(line.decode(name or "utf-8", errors="replace")) if line.strip() else None
            except (ValueError, RecursionError):
                bad.append(Lost(label, "broken JSON line", f"line {number + 1} is not JSON", len(line), broken=False))
                continue
            if isinstance(value, str):
                value = {"text": value}
            if isinstance(value, dict):
                yield value
            elif value is not None:
                bad.append(
                    Lost(label, "broken JSON line", f"line {number + 1} is not an object", len(line), broken=False)
                )

    for event in rows_of(label, rows(), field, "JSON Lines"):
        yield event
        yield from bad
        bad.clear()
    yield from bad


def read_json(label: str, data: bytes, field: str | None) -> Iterator[Event] | None:
    """Documents from a JSON array of objects; `None` where the file is something else, which is then plain text."""
    if data.lstrip()[:1] != b"[":
        return None
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not value or not all(isinstance(row, dict) for row in value):
        return None
    if field is None and guess_field(value[:_GUESS_ROWS]) is None:
        return None
    return rows_of(label, iter(value), field, "JSON")


def read_csv(label: str, stream: BinaryIO, field: str | None, delimiter: str, encoding: str | None) -> Iterator[Event]:
    """Documents from CSV or TSV whose first line names the columns; without names, columns are called 0, 1, 2 ..."""
    import pyarrow as pa  # type: ignore[import-untyped]
    from pyarrow import csv

    head = stream.read(_BLOCK)
    if not head.strip():
        yield Lost(label, "empty", "no rows", broken=False)
        return
    name = encoding or detect(head)
    first_line = head.decode(name, errors="replace").lstrip("\ufeff").splitlines()[0]
    quoted = delimiter == "," or first_line.startswith('"')
    cells = [cell.strip('"') for cell in first_line.split(delimiter)]
    named = len(set(cells)) == len(cells) and all(cell and len(cell) < 64 and not _number(cell) for cell in cells)
    bad: list[Lost] = []

    def skip(row: Any) -> str:
        detail = f"{row.actual_columns} columns where {row.expected_columns} were expected"
        bad.append(Lost(label, "broken row", detail, broken=False))
        return "skip"

    columns = None if named else [str(number) for number in range(len(cells))]
    parse = csv.ParseOptions(
        delimiter=delimiter, quote_char='"' if quoted else False, newlines_in_values=quoted, invalid_row_handler=skip
    )
    try:
        reader = csv.open_csv(
            pa.PythonFile(_Rejoined(head, stream), mode="r"),
            read_options=csv.ReadOptions(
                block_size=4 * _BLOCK, encoding=_arrow_name(name), column_names=columns, use_threads=False
            ),
            parse_options=parse,
            convert_options=csv.ConvertOptions(
                column_types={cell: pa.string() for cell in (columns or cells)}, strings_can_be_null=False
            ),
        )

        def rows() -> Iterator[Mapping[str, Any]]:
            for batch in reader:
                wanted = [field] if field in batch.schema.names else None
                yield from (batch.select(wanted) if wanted else batch).to_pylist()

        if field is not None and field not in reader.schema.names:
            raise missing_field(label, field, reader.schema.names)
        for event in rows_of(label, rows(), field, "TSV" if delimiter == "\t" else "CSV"):
            yield event
            yield from bad
            bad.clear()
        yield from bad
    except (pa.ArrowException, UnicodeDecodeError) as error:
        yield from bad
        yield Lost(label, "broken file", str(error).splitlines()[0][:200])


def read_parquet(label: str, stream: BinaryIO, field: str | None) -> Iterator[Event]:
    """Documents from Parquet, a row group at a time; `stream` must be able to seek."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(stream)
        texts = [column.name for column in file.schema_arrow if _is_text(column.type)]
        chosen = field
        if chosen is None and texts:
            sample = next(file.iter_batches(batch_size=_GUESS_ROWS, columns=texts), None)
            chosen = guess_field(sample.to_pylist()) if sample is not None else texts[0]
            if chosen is not None:
                yield told(label, chosen)
        if chosen is None or chosen not in texts:
            raise missing_field(label, field, texts or file.schema_arrow.names)
        number = 0
        for batch in file.iter_batches(batch_size=1024, columns=[chosen], use_threads=False):
            for value in batch.column(0).to_pylist():
                if value is not None:
                    yield Raw(label, number, value, "row", "Parquet")
                number += 1
    except (pa.ArrowException, OSError) as error:
        yield Lost(label, "broken file", str(error).splitlines()[0][:200])


def _is_text(kind: Any) -> bool:
    from pyarrow import types

    if types.is_dictionary(kind):
        kind = kind.value_type
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _arrow_name(name: str) -> str:
    return "utf8" if name in ("utf-8", "utf-8-sig", "ascii") else name


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    """Lines of a stream in large reads; a line longer than the limit is given up in pieces that are no JSON."""
    rest = b""
    while block := stream.read(_BLOCK):
        lines = (rest + block).split(b"\n") if b"\n" in block else [rest + block]
        rest = lines.pop()
        yield from lines
        if len(rest) > _MAX_LINE:
            yield rest
            rest = b""
    if rest:
        yield rest


class _Rejoined:
    """A stream whose first bytes were already read."""

    closed = False

    def __init__(self, head: bytes, stream: BinaryIO) -> None:
        self._head = head
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        if not self._head:
            return self._stream.read(size)
        taken, self._head = (self._head, b"") if size < 0 else (self._head[:size], self._head[size:])
        return taken + self._stream.read() if size < 0 else taken

    def close(self) -> None:
        self.closed = True
