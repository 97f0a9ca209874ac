"""The paths of the files that documents came from, as the table of documents of a data folder has them."""

from pathlib import Path

from daedal.data.manifest import DOCUMENTS
from daedal.errors import DaedalError


def paths_of(folder: Path, split: str) -> list[str | None]:
    """Of each document of a split the path within its source; None where it is a row or a piece of a file, or the table of
    documents is missing.

    Raises:
        DaedalError: the table is damaged.
    """
    import pyarrow as pa  # type: ignore[import-untyped]
    from pyarrow import parquet

    table = folder / DOCUMENTS
    if not table.is_file():
        return []
    try:
        columns = parquet.read_table(table, columns=["split", "index", "source", "row"]).to_pydict()
    except (OSError, pa.ArrowException) as error:
        raise DaedalError(f"{table} is damaged ({error})", "Build the data again") from None
    found: dict[int, str | None] = {}
    for name, index, source, row in zip(*columns.values(), strict=True):
        if name == split:
            found[index] = _within(source) if row is None and index not in found else None
    return [found.get(index) for index in range(max(found, default=-1) + 1)]


def _within(source: str) -> str:
    """A path without the name of the folder or the archive that was given."""
    first, _, rest = source.partition("/")
    return rest or first
