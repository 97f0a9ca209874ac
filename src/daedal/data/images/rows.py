"""Rows that hold pictures: Parquet as Hugging Face writes it, and datasets of the hub, streamed."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from daedal.data.columnar import class_names
from daedal.data.document import Lost, Note
from daedal.data.fields import named_split, split_of_name
from daedal.data.hub import open_hub, parse_hub_name
from daedal.data.images.events import Event, Found
from daedal.data.images.origin import Origin
from daedal.data.images.picture import Picture
from daedal.data.images.tables import CAPTIONS, LABELS
from daedal.errors import DaedalError

_IMAGES = ("image", "img", "picture", "photo", "images", "pixel_values")
_BATCH = 64


class Columns(NamedTuple):
    """The columns that the user named."""

    image: str | None = None
    label: str | None = None
    caption: str | None = None


def read_parquet_pictures(origin: Origin, stream: BinaryIO, wanted: Columns) -> Iterator[Event]:
    """The pictures of a Parquet file, a few rows at a time; `stream` must be able to seek.

    Raises:
        DaedalError: a column that was named is not there, or none holds pictures.
    """
    import pyarrow as pa  # type: ignore[import-untyped]
    from pyarrow import parquet

    label = str(origin)
    try:
        file = parquet.ParquetFile(stream)
        schema = file.schema_arrow
        able = image_columns(schema)
        others = [name for name in schema.names if name not in able]
        chosen = _choose(label, wanted, able, others)
        names = class_names(schema.metadata, chosen.label)
        yield from _told(label, chosen, wanted)
        columns = [name for name in chosen if name is not None]
        rows = (
            row
            for batch in file.iter_batches(batch_size=_BATCH, columns=columns, use_threads=False)
            for row in batch.to_pylist()
        )
        yield from _pictures(origin, rows, chosen, names, split_of_name(origin.path))
    except pa.ArrowException as error:
        yield Lost(label, "broken file", str(error).splitlines()[0][:200])


def holds_pictures(stream: BinaryIO) -> bool:
    """Whether a Parquet file has a column of pictures; one that is broken may have."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        return bool(image_columns(parquet.read_schema(stream)))
    except pa.ArrowException:
        return True
    finally:
        stream.seek(0)


def image_columns(schema: Any) -> list[str]:
    """Columns that may hold pictures: bytes, or bytes and a path as Hugging Face writes them."""
    import pyarrow as pa

    def able(kind: Any) -> bool:
        if pa.types.is_struct(kind):
            index = kind.get_field_index("bytes")
            return index >= 0 and able(kind.field(index).type)
        return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))

    return [field.name for field in schema if able(field.type)]


def read_hub_pictures(source: str, wanted: Columns) -> Iterator[Event]:
    """The pictures of a hub dataset.

    Raises:
        DaedalError: `datasets` is not installed, there is no network, or no such dataset, split or column.
    """
    with open_hub(source) as splits:
        from datasets import Image  # type: ignore[import-untyped]

        (stream,) = splits.values()
        features = dict(stream.features or {})
        able = [each for each, feature in features.items() if isinstance(feature, Image)]
        chosen = _choose(source, wanted, able, [each for each in features if each not in able])
        rows = stream.cast_column(chosen.image, Image(decode=False))
        yield from _told(source, chosen, wanted)
        names = getattr(features.get(chosen.label or ""), "names", None)
        hub = parse_hub_name(source)
        read = (with_bytes(row, chosen.image or "", hub.name) for row in rows)
        yield from _pictures(Origin(source), read, chosen, names, named_split(hub.split or "train"))


def with_bytes(row: Mapping[str, Any], column: str, source: str) -> Mapping[str, Any]:
    """A row whose picture is a file of the dataset, read; a path of this machine outside the dataset is not followed."""
    match row.get(column):
        case {"path": str(path), **rest} if rest.get("bytes") is None and ("://" in path or _inside(path, source)):
            from datasets.utils.file_utils import xopen  # type: ignore[import-untyped]

            with xopen(path, "rb") as file:
                return {**row, column: {"bytes": file.read()}}
    return row


def _inside(path: str, folder: str) -> bool:
    return Path(path).resolve().is_relative_to(Path(folder).resolve())


def _choose(label: str, wanted: Columns, able: list[str], others: list[str]) -> Columns:
    if wanted.image is not None and wanted.image not in able:
        raise DaedalError(
            f"{label} has no pictures in a column {wanted.image!r}",
            f"Choose from {', '.join(able) or 'other files: it has none'}",
        )
    image = wanted.image or next((name for name in _IMAGES if name in able), able[0] if able else None)
    if image is None:
        raise DaedalError(f"{label} has no column with pictures (its columns: {', '.join(others[:20])})")
    for given in (wanted.label, wanted.caption):
        if given is not None and given not in others:
            raise DaedalError(f"{label} has no column {given!r}", f"Choose from {', '.join(others[:20]) or 'none'}")
    lowered = {name.lower(): name for name in reversed(others)}
    return Columns(
        image,
        wanted.label or next((lowered[name] for name in LABELS if name in lowered), None),
        wanted.caption or next((lowered[name] for name in CAPTIONS if name in lowered), None),
    )


def _told(label: str, chosen: Columns, wanted: Columns) -> Iterator[Note]:
    for what, name, given in zip(("pictures", "labels", "captions"), chosen, wanted, strict=True):
        if name is not None and given is None:
            yield Note(f"{what} taken from the column {name!r} of {label} (guessed)")


def _pictures(
    origin: Origin, rows: Iterable[Mapping[str, Any]], chosen: Columns, names: list[str] | None, split: str | None
) -> Iterator[Found | Lost]:
    for number, row in enumerate(rows):
        value = row.get(chosen.image or "")
        data = value.get("bytes") if isinstance(value, Mapping) else value
        if not isinstance(data, bytes):
            yield Lost(str(origin.at(number)), "row without a picture", "empty or a path only", broken=False)
            continue
        yield Found(
            Picture(
                origin.at(number),
                encoded=data,
                label=_class(row.get(chosen.label or ""), names),
                caption=_caption(row.get(chosen.caption or "")),
                split=split,
            )
        )


def _class(value: Any, names: list[str] | None) -> str | None:
    if isinstance(value, bool) or value is None or value == "":
        return None if value in (None, "") else str(value)
    if names is not None and isinstance(value, int):
        return names[value] if 0 <= value < len(names) else None  # -1 says that nobody knows
    return str(value) if isinstance(value, str | int) else None


def _caption(value: Any) -> str | None:
    if isinstance(value, list):  # several captions of one picture: the first stands for them
        value = value[0] if value else None
    return value if isinstance(value, str) and value.strip() else None
