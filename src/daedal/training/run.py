"""A run folder: a Hugging Face checkpoint, and beside it `training/` with the plan, the metrics and what resume needs."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from daedal.errors import DaedalError
from daedal.families import PIPELINES
from daedal.files import make_folder, read_json, write_json
from daedal.lock import Holder, holder, locked
from daedal.training.plan import Plan, read_plan
from daedal.training.processes import Processes


class RunFolder:
    """The paths of a run, and the few files of it that are plain records."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.training = self.path / "training"

    @classmethod
    def create(cls, path: str | Path) -> "RunFolder":
        """A new run folder.

        Raises:
            DaedalError: something is there already, or it cannot be written.
        """
        cls.check_new(path)
        run = cls(path)
        make_folder(run.training)
        return run

    @classmethod
    def check_new(cls, path: str | Path) -> None:
        """Refuse a folder that is taken, before anything is measured or trained for it."""
        run = cls(path)
        if run.begun or run.staged:
            raise DaedalError(
                f"{path} already holds a run", f"Go on with it by daedal train --resume {path}, or choose another --out"
            )
        if run.path.exists() and (not run.path.is_dir() or run._others()):
            raise DaedalError(f"{path} exists and is not an empty folder", "Choose another --out")

    @contextmanager
    def claimed(self, new: bool = False) -> Iterator[None]:
        """Only this process trains here while the block runs.

        Args:
            new: whether the run is to begin; then the folder must be free, and goes again where nothing came of it.

        Raises:
            DaedalError: another process trains here, or a folder for a new run is taken.
        """
        if new and not self._lock.exists():
            self.check_new(self.path)
        made = [folder for folder in (self.training, self.path, *self.path.parents) if new and not folder.exists()]
        make_folder(self.training)
        try:
            with locked(self._lock, f"{self.path} is being trained"):
                if new:
                    self.check_new(self.path)
                yield
        finally:
            with suppress(OSError):  # of those, the ones that something is in stay
                for folder in made:
                    folder.rmdir()

    @property
    def trainer(self) -> Holder | None:
        """The other process that trains here, if one does."""
        found = holder(self._lock)
        return None if found is None or found.this else found

    @property
    def _lock(self) -> Path:
        return self.training / "lock"

    def _others(self) -> bool:
        """Whether there is anything here but the lock of a run that is to begin."""
        found = set(self.path.iterdir())
        return bool(found) and (found != {self.training} or set(self.training.iterdir()) - {self._lock} != set())

    @classmethod
    def open(cls, path: str | Path) -> "RunFolder":
        run = cls(path)
        if not run.path.is_dir():
            raise DaedalError(f"There is no run folder at {path}", "Check the path")
        return run

    @property
    def begun(self) -> bool:
        """Whether it has a plan, with which training begins."""
        return (self.training / "plan.json").exists()

    @property
    def staged(self) -> bool:
        """Whether it is one of two stages, of which what was asked is kept."""
        return any(
            (self.training / name).exists() for name in (*(f"{each}.json" for each in PIPELINES), "pretraining.json")
        )

    @property
    def measured(self) -> bool:
        """Whether the model was measured, with which training ends."""
        return (self.path / "evaluation.json").exists()

    @property
    def tokens(self) -> Path:
        """The run of the first of two stages, which learns the tokens of pictures."""
        return self.training / "tokens"

    @property
    def reference(self) -> Path:
        """The model that an alignment began as, from which it measures how far it went."""
        return self.training / "reference"

    @property
    def pretrained(self) -> Path:
        """The run of the first of two stages, which learns to fill in what is hidden of texts."""
        return self.training / "bert"

    @property
    def codec(self) -> Path:
        """The model whose codes the run learns, if it does not learn the artifacts themselves."""
        return self.path / "codec"

    @property
    def plan(self) -> Plan:
        path = self.training / "plan.json"
        return read_plan(read_json(path), path)

    def write_plan(self, plan: Plan) -> None:
        write_json(self.training / "plan.json", plan.model_dump())

    @property
    def state(self) -> Path | None:
        """The newest complete checkpoint of the training state."""
        found = sorted((self.training / "state").glob("step-*"))
        return found[-1] if found else None

    @property
    def fingerprint(self) -> str | None:
        """SHA-256 of the data that the run was begun with; None where an older version did not write it down."""
        if (found := self.plan.fingerprint) is not None or self.state is None:
            return found
        progress = read_json(self.state / "progress.json")
        known = progress.get("data") if isinstance(progress, dict) else None
        return None if known is None else str(known)

    def state_path(self, step: int) -> Path:
        return self.training / "state" / f"step-{step:09d}"

    def drop_older_states(self, keep: Path) -> None:
        for path in (self.training / "state").iterdir():
            if path != keep:
                shutil.rmtree(path, ignore_errors=True)

    def records(self, name: str) -> list[dict[str, Any]]:
        """The records of a JSON Lines file, which all name their step; a line that was cut off by a kill is left out."""
        path = self.training / name
        if not path.is_file():
            return []
        records = []
        for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
            with suppress(ValueError, RecursionError):
                record = json.loads(line)
                if isinstance(record, dict) and type(record.get("step")) is int:
                    records.append(record)
        return records


@contextmanager
def claimed(run: RunFolder, group: Processes, new: bool = False) -> Iterator[None]:
    """A run folder is the processes' own while the block runs: the main one holds its lock; see `RunFolder.claimed`."""
    if not group.main:
        group.wait()
        yield
        return
    with run.claimed(new):
        group.wait()
        yield
