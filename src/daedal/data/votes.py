"""A person's thumbs as preference data: a line of JSON for each, with the messages, the answer, and whether it was liked.

`daedal data build` reads such a file as preferences (`daedal.data.kinds.preferences`); KTO and reward models learn from them.
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from daedal.errors import DaedalError
from daedal.files import disk_error, make_folder, require_place


class Votes:
    """A file to which votes are added; what is in it already stays.

    Raises:
        DaedalError: it cannot be written, or is no file of lines.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if path.exists() and not path.is_file():
            raise DaedalError(f"{path} is not a file", "Name a file of JSON lines, which may be new")
        require_place(path)

    def add(self, prompt: Sequence[Mapping[str, Any]], answer: str, liked: bool) -> None:
        """Write a vote, whole or not at all as far as the operating system can, and have the disk keep it.

        Raises:
            DaedalError: the disk is full, or the file cannot be written.
        """
        line = json.dumps({"prompt": list(prompt), "completion": answer, "label": liked}, ensure_ascii=False) + "\n"
        make_folder(self.path.parent)
        try:
            with self.path.open("ab+") as file:
                if file.tell():
                    file.seek(-1, os.SEEK_END)
                    line = line if file.read(1) == b"\n" else "\n" + line  # of a line that was cut off
                file.write(line.encode("utf-8", "replace"))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise disk_error(error, self.path) from None
