"""The items of tasks: rows of local JSON, JSON Lines, CSV, text and Parquet, or of a data set of the Hub, by their splits.

Where rows lack a column that others have, it is None, as in `datasets`.
"""

import csv
import glob
import gzip
import io
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from daedal.errors import DaedalError
from daedal.files import disk_error, read_bytes

Row = dict[str, Any]
_MOST = 2**31
_KNOWN = ("data_files", "field", "encoding", "delimiter", "sep", "column_names", "sample_by", "trust_remote_code")
FORMATS = {
    ".jsonl": "json", ".json": "json", ".ndjson": "json", ".csv": "csv", ".tsv": "csv", ".txt": "text",
    ".parquet": "parquet",
}  # fmt: skip
"""How files of a name are read, a `.gz` behind it or not."""


def splits(dataset: str, name: str | None, options: Mapping[str, Any], folder: Path) -> dict[str, list[Row]]:
    """The rows of all splits that are local, or of a data set of the Hub.

    Args:
        dataset: `json`, `csv`, `text` or `parquet`, or what the Hub calls it.
        options: of `datasets.load_dataset`: `data_files` and how they are read.
        folder: from which files are named; if there is none, from where the command runs.

    Raises:
        DaedalError: a file cannot be read, or an option is not known.
    """
    if dataset not in FORMATS.values():
        return _from_hub(dataset, name)
    for option in options:
        if option not in _KNOWN:
            raise DaedalError(f"dataset_kwargs has no {option}", f"Use {', '.join(_KNOWN[:-1])}")
    files = options.get("data_files")
    if not files:
        raise DaedalError(
            f"dataset_path is {dataset}, and no files are named", "Name them as dataset_kwargs.data_files"
        )
    named = files if isinstance(files, Mapping) else {"train": files}
    return {
        split: uniform([row for file in _files(places, folder) for row in rows(file, dataset, options)])
        for split, places in named.items()
    }


def _files(places: Any, folder: Path) -> list[Path]:
    """The files that a name or a pattern means."""
    found: list[Path] = []
    for place in places if isinstance(places, list) else [places]:
        if not isinstance(place, str):
            raise DaedalError(f"{str(place)[:60]!r} is no file", "Name files in data_files by texts")
        for root in (folder, Path()):
            if chosen := sorted(glob.glob(str(root / place))) or [str(root / place)] * (root / place).is_file():
                found += map(Path, chosen)
                if folders := [each for each in map(Path, chosen) if each.is_dir()]:
                    raise DaedalError(f"{folders[0]} is a folder", f"Name the files in it: {place}/*.jsonl")
                break
        else:
            raise DaedalError(f"There is no file {place}", f"Put it into {folder}, or correct data_files")
    return found


def uniform(found: Sequence[Row]) -> list[Row]:
    """The rows, each with all columns in the same order."""
    columns = list(dict.fromkeys(column for row in found for column in row))
    return [{column: row.get(column) for column in columns} for row in found]


def rows(path: Path, kind: str | None = None, options: Mapping[str, Any] | None = None) -> Iterator[Row]:
    """The rows of a file.

    Args:
        kind: as `FORMATS` has it; by its name unless given.

    Raises:
        DaedalError: it cannot be read, or is no file of rows.
    """
    options = options or {}
    kind = kind or format_of(path)
    if kind == "parquet":
        yield from _parquet(path)
        return
    text = _text(path, str(options.get("encoding") or "utf-8"))
    if kind == "json":
        yield from _json(path, text, options.get("field"))
    elif kind == "csv":
        separator = options.get("sep") or options.get("delimiter") or ("\t" if ".tsv" in path.suffixes else ",")
        yield from _csv(path, text, str(separator), options.get("column_names"))
    elif options.get("sample_by", "line") == "document":
        yield {"text": text}
    elif options.get("sample_by") == "paragraph":
        yield from ({"text": each} for each in text.split("\n\n") if each)
    else:
        yield from ({"text": line} for line in io.StringIO(text).read().splitlines())


def format_of(path: Path) -> str:
    """How a file is read.

    Raises:
        DaedalError: its name does not say.
    """
    name = path.name.removesuffix(".gz")
    if (found := FORMATS.get(Path(name).suffix.lower())) is None:
        raise DaedalError(f"{path} is no file of tasks or rows", f"Name it {', '.join(FORMATS)} or .yaml")
    return found


def _text(path: Path, encoding: str) -> str:
    try:
        raw = read_bytes(path, _MOST)
        if path.suffix == ".gz":
            with gzip.open(io.BytesIO(raw)) as file:
                raw = file.read(_MOST + 1)
            if len(raw) > _MOST:
                raise DaedalError(f"{path} unpacks to more than {_MOST >> 20} MiB", "Give it in several files")
        return raw.decode(encoding).removeprefix("\ufeff")
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise DaedalError(f"{path} is no whole gzip file", "Restore it from a copy") from None
    except OSError as error:
        raise disk_error(error, path) from None
    except (UnicodeDecodeError, LookupError):
        raise DaedalError(f"{path} is not {encoding}", "Name its encoding in dataset_kwargs") from None


def _json(path: Path, text: str, field: str | None) -> Iterator[Row]:
    try:
        whole = json.loads(text)
    except RecursionError:
        raise DaedalError(f"{path} is nested too deeply", "Make it flatter") from None
    except ValueError:
        if field is not None:
            raise DaedalError(f"{path} is no JSON with a field {field}", "Correct dataset_kwargs.field") from None
        yield from _json_lines(path, text)
        return
    if field is not None:
        if not isinstance(whole, dict) or field not in whole:
            raise DaedalError(f"{path} has no field {field}", "Correct dataset_kwargs.field")
        whole = whole[field]
    elif isinstance(whole, dict):
        whole = [whole]
    if not isinstance(whole, list) or not all(isinstance(row, dict) for row in whole):
        raise DaedalError(f"{path} holds no list of objects", "Write an object for each item, one a line")
    yield from whole


def _json_lines(path: Path, text: str) -> Iterator[Row]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            column = getattr(error, "colno", 1)
            raise DaedalError(f"{path}, line {number}, column {column}: this is not JSON", "Correct it there") from None
        if not isinstance(row, dict):
            raise DaedalError(f"{path}, line {number}: this is no object", "Write an object for each item, one a line")
        yield row


def _csv(path: Path, text: str, separator: str, names: Sequence[str] | None) -> Iterator[Row]:
    if len(separator) != 1:
        raise DaedalError(f"{separator!r} is no delimiter", "Give one character")
    try:
        lines = list(csv.reader(io.StringIO(text), delimiter=separator, strict=True))
    except csv.Error as error:
        raise DaedalError(f"{path} is no CSV: {error}", "Correct its quotes") from None
    lines = [line for line in lines if line]
    if names is not None and not (isinstance(names, list) and all(isinstance(each, str) for each in names)):
        raise DaedalError(f"{str(names)[:60]} are no names of columns", "Give column_names as a list of texts")
    head = list(names) if names else lines.pop(0) if lines else []
    for number, line in enumerate(lines, 1):
        if len(line) != len(head):
            raise DaedalError(
                f"{path}, row {number}: {len(line)} values under {len(head)} columns", "Quote what holds a delimiter"
            )
    columns = [_numbers([line[place] for line in lines]) for place in range(len(head))]
    yield from (dict(zip(head, values, strict=True)) for values in zip(*columns, strict=True))


def _numbers(values: Sequence[str]) -> list[Any]:
    """A column: whole numbers, numbers or texts; what is empty is None."""
    for kind in (int, float):
        try:
            return [None if value == "" else kind(value) for value in values]
        except ValueError:
            continue
    return [value or None for value in values]


def _parquet(path: Path) -> Iterator[Row]:
    import pyarrow  # type: ignore[import-untyped]
    from pyarrow import parquet

    try:
        table = parquet.read_table(path)
    except (OSError, pyarrow.ArrowException) as error:
        line = (str(error).splitlines() or [""])[0][:200]
        raise DaedalError(f"{path} is no Parquet that can be read ({line})", "Restore it from a copy") from None
    for batch in table.to_batches():
        yield from batch.to_pylist()


def _from_hub(dataset: str, name: str | None) -> dict[str, list[Row]]:
    from daedal.data.hub import open_hub

    try:
        with open_hub(f"hf:{dataset}" + (f"#{name}" if name else ""), every=True) as found:
            return {label.rsplit("/", 1)[-1]: uniform(list(map(dict, split))) for label, split in found.items()}
    except DaedalError as error:
        here = "or read files of this machine: dataset_path: json, and dataset_kwargs: {data_files: {test: FILE}}"
        raise DaedalError(error.what, f"{error.fix}; {here}") from None
