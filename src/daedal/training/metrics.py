"""What a run writes down as it goes: JSON Lines, one object a line with its step, and TensorBoard's event files."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from daedal.files import disk_error, write_text
from daedal.training.plan import Plan
from daedal.training.run import RunFolder


class Listener(Protocol):
    """Whoever wants to watch a run: the command line, a notebook, a page."""

    def planned(self, plan: Plan) -> None:
        """The run is about to start."""

    def step(self, record: dict[str, float], steps: int, seconds_left: float) -> None:
        """A record of the loss: `step`, `loss`, `bits_per_byte`, `tokens_per_second` and others."""

    def validated(self, record: dict[str, float]) -> None:
        """The whole validation split was measured: `step`, `validation_loss`, `validation_bits_per_byte`."""

    def sampled(self, step: int, text: str) -> None:
        """The model wrote something."""

    def noted(self, message: str) -> None:
        """Something worth a line."""


class Silence:
    """The listener that does nothing."""

    def planned(self, plan: Plan) -> None: ...

    def step(self, record: dict[str, float], steps: int, seconds_left: float) -> None: ...

    def validated(self, record: dict[str, float]) -> None: ...

    def sampled(self, step: int, text: str) -> None: ...

    def noted(self, message: str) -> None: ...


_JOURNALS = ("metrics", "samples", "warnings")


class Journal:
    """Appends records to `training/*.jsonl` and to TensorBoard. Records after the step that a run resumes from are dropped."""

    def __init__(self, run: RunFolder, resumed_at: int = 0) -> None:
        self._folder = run.training
        for path in (self._folder / f"{name}.jsonl" for name in _JOURNALS):
            kept = [record for record in run.records(path.name) if record["step"] <= resumed_at]
            write_text(path, "".join(json.dumps(record) + "\n" for record in kept))
        self._board: Any = None
        self._resumed_at = resumed_at

    def write(self, name: str, record: dict[str, Any]) -> None:
        """Append one record to `training/{name}.jsonl`."""
        path = Path(self._folder / f"{name}.jsonl")
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
        except OSError as error:
            raise disk_error(error, path) from None

    def scalars(self, record: dict[str, float]) -> None:
        """Append numbers to `metrics.jsonl` and TensorBoard."""
        self.write("metrics", record)
        with self._on_disk():
            if self._board is None:
                from torch.utils.tensorboard import SummaryWriter  # a slow import

                purge = self._resumed_at + 1 if self._resumed_at else None
                self._board = SummaryWriter(str(self._folder / "tensorboard"), purge_step=purge)
            for name, value in record.items():
                if name != "step":
                    self._board.add_scalar(name, value, int(record["step"]))

    def close(self) -> None:
        if self._board is not None:
            with self._on_disk():
                self._board.close()

    @contextmanager
    def _on_disk(self) -> Iterator[None]:
        """What TensorBoard's own thread could not write, it says at any later call."""
        try:
            yield
        except OSError as error:
            raise disk_error(error, Path(self._folder / "tensorboard")) from None
