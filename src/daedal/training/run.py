"""A run folder: a Hugging Face checkpoint, and beside it `training/` with the plan, the metrics and what resume needs."""

import json
import shutil
from pathlib import Path
from typing import Any

from daedal.errors import DaedalError
from daedal.files import make_folder, read_json, write_json
from daedal.training.plan import Plan
from daedal.training.plans import read_plan


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
        if run.begun or run.request.exists():
            raise DaedalError(
                f"{path} already holds a run", f"Go on with it by --resume {path}, or choose another --out"
            )
        if run.path.exists() and (not run.path.is_dir() or any(run.path.iterdir())):
            raise DaedalError(f"{path} exists and is not an empty folder", "Choose another --out")

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
    def request(self) -> Path:
        """What was asked of a run of two stages, for the second of them."""
        return self.training / "text-to-image.json"

    @property
    def measured(self) -> bool:
        """Whether the model was measured, with which training ends."""
        return (self.path / "evaluation.json").exists()

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

    def state_path(self, step: int) -> Path:
        return self.training / "state" / f"step-{step:09d}"

    def drop_older_states(self, keep: Path) -> None:
        for path in (self.training / "state").iterdir():
            if path != keep:
                shutil.rmtree(path, ignore_errors=True)

    def records(self, name: str) -> list[dict[str, Any]]:
        """The records of a JSON Lines file; a line that was cut off by a kill is left out."""
        path = self.training / name
        if not path.exists():
            return []
        records = []
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                records.append(json.loads(line))
            except json.JSONDecodeError:
                continue
        return records
