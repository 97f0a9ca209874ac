"""What a model is measured on, and what it learned from: the first thing that an evaluation opens."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from daedal.data.manifest import MANIFEST
from daedal.errors import DaedalError
from daedal.training.learned_data import Data as Data
from daedal.training.learned_data import is_own, opened, own_data
from daedal.training.run import RunFolder


@dataclass(frozen=True)
class Source:
    """Data to measure on: a data folder, opened, or the place of files.

    Attributes:
        learned: what the model learned from, where that is at hand; of a model that no run here trained, the data itself.
        own: whether the model learned from the data.
    """

    data: Data | str | Path
    learned: Data | None
    own: bool

    @classmethod
    def open(cls, data: str | Path | Data | None, folder: RunFolder | None) -> "Source":
        """
        Raises:
            DaedalError: none is named, and no run says which; or it is damaged.
        """
        if data is None:
            if folder is None:
                raise DaedalError(
                    "This model has no training run that says what to measure it on",
                    "Name the data by --data or --against",
                )
            learned = own_data(folder)
            return cls(learned, learned, True)
        if isinstance(data, str | Path) and (Path(data) / MANIFEST).is_file():
            data = opened(Path(data))
        if folder is None:
            return cls(data, None if isinstance(data, str | Path) else data, False)
        if not isinstance(data, str | Path) and is_own(data, folder):
            return cls(data, data, True)
        known = None
        with suppress(DaedalError):  # it is gone: then there is nothing to learn baselines from
            known = own_data(folder)
        return cls(data, known, False)
