"""Rows -> documents: the field that holds the text is guessed where it is not given. And the rows of Parquet, streamed."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from pathlib import Path
from typing import Any, BinaryIO

from daedal.data.columnar import Columnar
from daedal.data.decode import decode, is_binary
from daedal.data.document import Coded, Event, Lost, Note, Raw
from daedal.errors import DaedalError

USUAL = (
    "text", "content", "document", "body", "article", "story", "passage", "sentence", "review", "abstract", "comment",
    "message", "utterance", "code", "output", "response", "completion", "answer", "description", "question", "prompt", "title",
)  # fmt: skip
GUESS_ROWS = 100
_MUCH_MORE = 10
_REPEATED, _SHORT, _FIELDS = 0.1, 32, 3  # of first rows that differ, characters, names that are told
_ADDRESSES = ("url", "uri", "source_url", "warc_target_uri", "link", "canonical_url", "href")
_KINDS: dict[type, str] = {list: "lists", dict: "objects", bytes: "bytes"}


def guess_field(rows: Iterable[Mapping[str, Any]]) -> str | None:
    """The field that most likely holds the text: one of a usual name, else the one with the longest strings."""
    lengths: dict[str, list[int]] = {}
    for row in rows:
        for name, value in row.items():
            if isinstance(value, str):
                lengths.setdefault(name, []).append(len(value))
    lowered = {name.lower(): name for name in reversed(lengths)}
    for usual in USUAL:
        if usual in lowered:
            return lowered[usual]
    means = {name: sum(values) / len(values) for name, values in lengths.items()}
    return max(means, key=lambda name: means[name], default=None)


def address_of(names: Iterable[str], text: str) -> str | None:
    """The field that says where each text is from."""
    lowered = {name.lower(): name for name in names if name != text}
    return next((lowered[usual] for usual in _ADDRESSES if usual in lowered), None)


def nested(rows: Iterable[Mapping[str, Any]], field: str) -> str | None:
    """The field of lists or objects that holds most text, as in chats and in SQuAD, so that `field` would be a poor guess."""
    sizes: Counter[str] = Counter()
    for row in rows:
        for name, value in row.items():
            if isinstance(value, list | dict):
                sizes[name] += len(str(value))
            elif name == field and isinstance(value, str):
                sizes[name] += len(value)
    name, most = max(sizes.items(), key=lambda pair: pair[1], default=(field, 0))
    return name if most > _MUCH_MORE * sizes[field] else None


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


def not_text(label: str, field: str, kind: str, fields: Iterable[str]) -> DaedalError:
    """The line for a field that is there and holds something else."""
    others = ", ".join(fields)
    return DaedalError(
        f"The field {field!r} of {label} holds no text ({kind})",
        f"Choose another with --field: {others}" if others else "Make text of it first",
    )


def told(label: str, field: str, fields: Sized, rows: Sequence[Mapping[str, Any]]) -> Iterator[Note]:
    """Word of a guess, which is one where there are several fields; and of those that may say what each text is.

    Args:
        rows: the first ones.
    """
    if len(fields) > 1:
        yield Note(f"text taken from the field {field!r} of {label} (guessed; --field chooses another)")
    if classes := [name for name in (rows[0] if rows else ()) if name != field and _repeated(rows, name)]:
        names = ", ".join(repr(name) for name in classes[:_FIELDS])
        yield Note(
            f"{names} of {label} may say of each text what it is "
            f"(--kind labelled --column text={field} --column label={classes[0]} makes labelled text of it)"
        )


def _repeated(rows: Sequence[Mapping[str, Any]], name: str) -> bool:
    """Whether a field has few short values, over and over, as classes have."""
    values = [str(row.get(name)) for row in rows]
    return 1 < len(set(values)) <= _REPEATED * len(values) and all(0 < len(value) <= _SHORT for value in values)


def rows_of(label: str, rows: Iterator[Mapping[str, Any]], field: str | None, type_name: str) -> Iterator[Event]:
    """Documents from rows that are mappings."""
    head = []
    for row in rows:
        head.append(row)
        if len(head) == GUESS_ROWS:
            break
    if not head:
        yield Lost(label, "empty", "no rows", broken=False)
        return
    names = dict.fromkeys(name for row in head for name in row)
    chosen = field or guess_field(head)
    if chosen is None or chosen not in names:
        raise missing_field(label, field, names)
    values = [row[chosen] for row in head if row.get(chosen) is not None]
    if values and not any(isinstance(value, str) for value in values):
        others = [name for name in names if any(isinstance(row.get(name), str) for row in head)]
        raise not_text(label, chosen, f"but {_KINDS.get(type(values[0]), 'numbers')}", others)
    if field is None:
        if (inner := nested(head, chosen)) is not None:
            raise DaedalError(
                f"Most text of {label} is in the lists or objects of its field {inner!r}, which is no text",
                f"Make rows with a field of text of it, or choose --field {chosen}",
            )
        yield from told(label, chosen, names, head)
    number, address = 0, address_of(names, chosen)
    for batch in (head, rows):
        for row in batch:
            value = row.get(chosen)
            if isinstance(value, str):
                url = "" if address is None else row.get(address)
                yield Raw(label, number, value, "row", type_name, url=url if isinstance(url, str) else "")
            elif value is not None or chosen not in row:
                yield Lost(label, "row without text", f"row {number}: no text in {chosen!r}", broken=False)
            number += 1


def read_parquet(label: str, stream: BinaryIO, field: str | None, urls: bool = False) -> Iterator[Event]:
    """Documents from Parquet or Arrow, some rows at a time; `stream` must be able to seek. A column of bytes that are UTF-8 is
    text.

    Args:
        urls: whether the addresses of the texts are read too.

    Raises:
        DaedalError: there is no such column, or it holds no text.
    """
    import pyarrow as pa  # type: ignore[import-untyped]

    try:
        file = Columnar(stream)
        schema = file.schema
        columns = _columns(file)
        texts = list(columns)
        rows = [dict(zip(texts, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        chosen = field or guess_field(rows) or next(iter(texts), None)
        if chosen not in texts and chosen in schema.names:
            raise not_text(label, str(chosen), str(schema.field(chosen).type), texts)
        if chosen is None or chosen not in texts:
            raise missing_field(label, field, texts or schema.names)
        if field is None:
            yield from told(label, chosen, schema.names, rows)
        number = replaced = 0
        address = address_of(texts, chosen) if urls else None
        for batch in file.batches(1024, [chosen] if address is None else [chosen, address]):
            values, damaged = _texts(batch.column(chosen), known=True)
            told_of = None if address is None else _texts(batch.column(address), known=True)[0]
            replaced += damaged
            for place, value in enumerate(values or []):
                if value is not None:
                    yield Raw(label, number, value, "row", "Parquet", url=(told_of[place] or "") if told_of else "")
                number += 1
        yield Coded(label, "utf-8", replaced)
    except (pa.ArrowException, OSError) as error:
        yield Lost(label, "broken file", str(error).splitlines()[0][:200])


def text_columns(path: Path) -> list[str]:
    """The columns of a Parquet file that hold text, by their types and first values."""
    with path.open("rb") as stream:
        return list(_columns(Columnar(stream)))


def _columns(file: Columnar) -> dict[str, list[str | None]]:
    """The first values of all columns of text, and of bytes that are text."""
    import pyarrow as pa

    able = [column.name for column in file.schema if _is_text(column.type) or _is_bytes(column.type)]
    batch = next(file.batches(GUESS_ROWS, able), None) if able else None
    found = {}
    for name in able:
        values, _ = _texts(pa.array([], file.schema.field(name).type) if batch is None else batch.column(name))
        if values is not None:
            found[name] = values
    return found


def _texts(column: Any, known: bool = False) -> tuple[list[str | None] | None, int]:
    """The values of a column, and how many U+FFFD stand in them for bytes that are no UTF-8.

    No values of a column of bytes that are not text, unless they are `known` to be.
    """
    import pyarrow as pa

    if not _is_bytes(column.type):
        try:
            return column.to_pylist(), 0
        except UnicodeDecodeError:  # what wrote it did not check
            plain = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
            column, known = plain.cast(pa.large_binary()), True
    values = column.to_pylist()
    if not known and any(is_binary(value[:8192]) for value in values if value):
        return None, 0
    found = [None if value is None else decode(value, "utf-8", mend=False) for value in values]
    damaged = [each.replaced for each in found if each is not None]
    if not known and 4 * sum(map(bool, damaged)) > len(damaged):
        return None, 0
    return [each and each.text for each in found], sum(damaged)


def _is_text(kind: Any) -> bool:
    from pyarrow import types

    if types.is_dictionary(kind):
        kind = kind.value_type
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _is_bytes(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind))
