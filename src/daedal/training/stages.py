"""Runs of two stages in one budget: the second begins with what the first made. What was asked for is kept beside the run, so
that it goes on where it stands."""

import shutil
import time
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Self

from daedal.config import Config
from daedal.errors import DaedalError
from daedal.files import absolute, read_json, write_json
from daedal.training.learned_data import own_data
from daedal.training.planning import ShortBudget
from daedal.training.run import RunFolder, claimed
from daedal.training.session import Session, TrainingResult


class Stages(Config):
    """What was asked of a run of two stages, for the second of them.

    Attributes:
        data: what the second learns.
        budget: seconds for both; None where their steps are given.
        spent: seconds that the first took, once it is done.
    """

    file: ClassVar[str]
    """In `training/`, where what was asked for is kept."""
    what: ClassVar[tuple[str, str]]
    """What each stage makes."""
    share: ClassVar[float]
    """Of the budget, that the first stage has."""

    data: str
    budget: float | None
    options: dict[str, Any]
    spent: float = 0.0

    @classmethod
    def of(cls, run: RunFolder) -> Self | None:
        """What was asked of a run, where it has such stages.

        Raises:
            DaedalError: the file is damaged.
        """
        path = run.training / cls.file
        return cls.parse(read_json(path), str(path)) if path.exists() else None

    @property
    def skips(self) -> bool:
        """Whether there is no first stage, since what it would make is named."""
        return False

    @abstractmethod
    def place(self, run: RunFolder) -> Path:
        """Where the run of the first stage is."""

    @abstractmethod
    def first(self, session: Session, out: Path, budget: float | None) -> TrainingResult:
        """The first stage, begun."""

    @abstractmethod
    def second(self, session: Session, run: RunFolder, budget: float | None, spent: float) -> TrainingResult:
        """The second."""

    @property
    def first_data(self) -> str:
        """What the first stage learns."""
        return self.data

    def check(self) -> None:
        """
        Raises:
            DaedalError: the data are not for it.
        """

    def train(self, session: Session, out: Path) -> TrainingResult:
        """Both stages, or what is left of them."""
        self.check()
        run = RunFolder(out)
        if session.group.main:
            write_json(run.training / self.file, self.model_dump())
        left = 1.0 if self.skips else 1 - self.share
        try:
            spent = self.spent if self.skips else self._first(session, run)
            now = replace(session, started=time.monotonic())
            with _part_of_budget(left, self.what[1]):
                return self.second(now, run, None if self.budget is None else left * self.budget, spent)
        except DaedalError:
            if session.group.main:
                self._forget(run)
            raise

    def go_on(self, session: Session, run: RunFolder, data: str | Path | None) -> TrainingResult:
        """What is left of both; `data` names where the data was moved to."""
        begun = RunFolder(self.place(run))
        if data is None and self.first_data == self.data and begun.begun:
            data = own_data(begun).folder
        return (self if data is None else self.but(data=absolute(data))).train(session, run.path)

    def _forget(self, run: RunFolder) -> None:
        """Leave nothing of a run that was refused before either stage began, so that it can be asked for anew."""
        first = self.place(run)
        if not run.begun and not RunFolder(first).begun:
            (run.training / self.file).unlink(missing_ok=True)
            shutil.rmtree(first, ignore_errors=True)

    def _first(self, session: Session, run: RunFolder) -> float:
        """The first stage, unless it is done; gives the seconds that it took."""
        made, group = RunFolder(self.place(run)), session.group
        begun, measured = group.agree([made.begun, made.measured])
        if measured:
            return self.spent
        with claimed(made, group, new=not begun):
            if begun:
                result = session.go_on(made, self.first_data)
            else:
                with _part_of_budget(self.share, self.what[0]):
                    result = self.first(session, made.path, None if self.budget is None else self.share * self.budget)
        if group.main:
            write_json(run.training / self.file, self.but(spent=result.seconds).model_dump())
        return result.seconds


@contextmanager
def _part_of_budget(share: float, what: str) -> Iterator[None]:
    """A stage that has a share of a budget: where that is too short, the line tells what the whole should be."""
    try:
        yield
    except ShortBudget as error:
        raise (error if share == 1 else error.of_share(share, what)) from None
