"""What the processes of a build do that is read in chunks: read a unit of sources, encode a chunk."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from daedal.data.column_codecs import ColumnCodec, load_codecs
from daedal.data.encode import ASSIGNED, Job, encoded_path
from daedal.data.ingest import ingest
from daedal.data.kind import open_kind
from daedal.data.shards import load_array
from daedal.data.sources import Unit
from daedal.data.spool import Spool
from daedal.families import part
from daedal.files import atomic_path


class ChunkWork:
    """The work of a build.

    Args:
        kind: the name of the kind of example.
        options: of the build, as JSON has them.
        work: its folder; see `daedal.data.example_build`.
    """

    def __init__(self, kind: str, options: dict[str, Any], work: str) -> None:
        self._kind = open_kind(kind)
        self._options = self._kind.options.parse(options, "data build")
        self._build = part(self._kind.build)
        self._spool, self._encoded, self._learned = (
            Spool(Path(work, "spool")),
            Path(work, "encoded"),
            Path(work, "codecs"),
        )
        self._codecs: dict[str, ColumnCodec] | None = None

    def do(self, job: Unit | Job, progress: Callable[[int], None]) -> None:
        """Do one job; `progress` is told the bytes done."""
        if isinstance(job, Unit):
            ingest(self._build.chunks(job, self._kind, self._options), self._spool, progress)
            return
        if self._codecs is None:
            self._codecs = load_codecs(self._kind, self._learned)
        text, path = self._spool.text(job.unit, job.number), encoded_path(self._encoded, job.unit, job.number)
        if not path.exists():
            chunk = self._spool.chunk(job.unit, job.number)
            splits = load_array(self._encoded / ASSIGNED)[job.first : job.first + len(chunk.ends)]
            arrays = self._build.encode(self._kind, self._codecs, text, chunk, splits, job)
            with atomic_path(path) as temporary, temporary.open("wb") as file:
                np.savez(file, allow_pickle=False, **arrays)
        progress(len(text))

    def pack(self, job: Unit | Job) -> tuple[Any, bytes]:
        """A job as it goes to a process."""
        return {type(job).__name__: job.model_dump(mode="json")}, b""

    def unpack(self, head: Any, body: bytes) -> Unit | Job:
        """The job that `pack` gave."""
        ((name, values),) = head.items()
        return Unit.model_validate(values) if name == "Unit" else Job.model_validate(values)
