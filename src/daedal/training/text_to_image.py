"""The request of a run of text to image, which is kept beside the run until its second stage has begun."""

from pathlib import Path
from typing import Any

from daedal.config import Config
from daedal.files import read_json


class TextToImage(Config):
    """What was asked of a run of text to image, for its second stage.

    Attributes:
        budget: seconds for both stages; None where their steps are given.
        codec: a tokenizer that there is already; then there is no first stage.
        spent: seconds that the first stage took, once it is done.
    """

    data: str
    budget: float | None
    codec: str | None
    options: dict[str, Any]
    spent: float = 0.0

    @classmethod
    def read(cls, path: Path) -> "TextToImage":
        """
        Raises:
            DaedalError: the file is damaged.
        """
        return cls.parse(read_json(path), str(path))
