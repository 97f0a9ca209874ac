"""What the processes of a build do that is read in chunks: read a unit of sources, encode a chunk."""

from pathlib import Path
from typing import Any

from daedal.data.column_codecs import ColumnCodec, load_codecs
from daedal.data.encode import Job
from daedal.data.ingest import ingest
from daedal.data.kind import open_kind
from daedal.data.sources import Unit
from daedal.data.spool import Spool
from daedal.data.workers import Progress
from daedal.families import part


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
        self._work, self._spool = Path(work), Spool(Path(work, "spool"))
        self._codecs: dict[str, ColumnCodec] | None = None

    def do(self, job: Unit | Job, progress: Progress) -> None:
        """Do one job; `progress` is told the bytes done."""
        if isinstance(job, Unit):
            ingest(self._build.chunks(job, self._kind, self._options), self._spool, progress)
            return
        if self._codecs is None:
            self._codecs = load_codecs(self._kind, self._work / "codecs")
        progress(self._build.encode(job, self._kind, self._codecs, self._spool, self._work / "encoded"))

    def pack(self, job: Unit | Job) -> tuple[Any, bytes]:
        """A job as it goes to a process."""
        return {type(job).__name__: job.model_dump(mode="json")}, b""

    def unpack(self, head: Any, body: bytes) -> Unit | Job:
        """The job that `pack` gave."""
        ((name, values),) = head.items()
        return Unit.model_validate(values) if name == "Unit" else Job.model_validate(values)
