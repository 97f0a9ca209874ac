"""What workers do in a build of examples with columns: read a unit, encode a chunk."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from daedal.data.column_codecs import CODECS, ColumnCodec
from daedal.data.columns import Ragged
from daedal.data.encode import Job
from daedal.data.example_files import encode_examples
from daedal.data.example_spool import ingest_examples
from daedal.data.kind import open_columns
from daedal.data.sources import Unit
from daedal.data.spool import Spool


class ExampleWork:
    """The work on examples of a kind.

    Args:
        options: of the build, as JSON has them.
    """

    def __init__(self, kind: str, options: dict[str, Any]) -> None:
        self._kind = open_columns(kind)
        self._options = self._kind.options.parse(options, "data build")
        self._codecs: dict[str, ColumnCodec] = {}

    def read(self, unit: Unit, spool: Spool, progress: Callable[[int], None]) -> None:
        """Read a unit into chunks."""
        ingest_examples(unit, self._kind, self._options, spool, progress)

    def encode(self, job: Job, spool: Spool, codecs: Path, encoded: Path) -> int:
        """Encode a chunk; gives its bytes."""
        for column in self._kind.columns.values():
            if isinstance(column, Ragged) and column.codec not in self._codecs:
                self._codecs[column.codec] = CODECS[column.codec].load(codecs / column.codec)
        return encode_examples(self._kind, self._codecs, spool, job, encoded)
