"""Prompts that models are asked: held-out ones of a data folder, or a file's."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from daedal.data.dialogues import conversation_of, prompt_of
from daedal.data.examples import ExampleDataset, ExampleSplit
from daedal.data.folder import open_data
from daedal.data.manifest import MANIFEST
from daedal.errors import DaedalError

_MOST_BYTES = 2**28


class Question(NamedTuple):
    """What is asked.

    Attributes:
        messages: the last of which is to be answered.
        known: an answer that somebody gave.
    """

    messages: list[Any]
    known: str | None = None


class Questions(NamedTuple):
    """Those of a source.

    Attributes:
        name: what a person calls it.
    """

    name: str
    asked: list[Question]

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the messages."""
        return hashlib.sha256(json.dumps([each.messages for each in self.asked], sort_keys=True).encode()).hexdigest()

    def drawn(self, seed: int) -> Iterator[Question]:
        """All of them, in an order that is drawn by the seed."""
        order = np.random.Generator(np.random.Philox(seed)).permutation(len(self.asked))
        return (self.asked[place] for place in order)


def questions(source: str | Path) -> Questions:
    """Each prompt once: of a data folder of conversations or preferences those of its test split, or its validation split where
    that is empty; of a file of JSON Lines its `prompt` or `messages`, of another each line.

    Raises:
        DaedalError: there is none, or it is no such source.
    """
    path = Path(source)
    if (path / MANIFEST).is_file():
        name, found = _of_folder(path)
    elif path.is_file():
        name, found = path.name, of_file(path)
    else:
        raise DaedalError(f"There are no prompts at {source}", "Name a file of prompts, or a data folder")
    unique = {json.dumps(each.messages, sort_keys=True): each for each in found}
    if not unique:
        raise DaedalError(f"{source} has no prompts", 'Write {"prompt": "..."} on each line')
    return Questions(name, list(unique.values()))


def _of_folder(path: Path) -> tuple[str, Iterator[Question]]:
    data: Any = open_data(path)
    if not isinstance(data, ExampleDataset) or data.kind_name not in ("chat", "preferences"):
        raise DaedalError(f"{path} holds no conversations and no preferences", "Name other prompts")
    split = next((data.split(name) for name in ("test", "validation") if len(data.split(name))), None)
    if split is None:
        raise DaedalError(f"{path} holds out nothing", "Build the data with a larger --split for it")
    return f"{split.name} of {path.resolve().name}", of_split(split)


def of_split(split: ExampleSplit) -> Iterator[Question]:
    """What is asked in a split: the prompts of preferences, or what comes before the last answer of conversations."""
    return _of_preferences(split) if split.dataset.has("prompt") else _of_chats(split)


def _of_preferences(split: ExampleSplit) -> Iterator[Question]:
    for prompt, chosen in zip(split.values("prompt"), split.values("chosen"), strict=True):
        yield Question(prompt, None if chosen is None else chosen["messages"][-1]["content"])


def _of_chats(split: ExampleSplit) -> Iterator[Question]:
    for whole in split.values("conversation"):
        if (found := _before_the_last_answer(whole["messages"])) is not None:
            yield found


def _before_the_last_answer(messages: list[Any]) -> Question | None:
    places = [place for place, each in enumerate(messages) if each["role"] == "assistant" and place]
    return Question(messages[: places[-1]], messages[places[-1]]["content"]) if places else None


def of_file(path: Path) -> Iterator[Question]:
    """What is asked in a file: of JSON Lines the `prompt` or `messages` of each, with the answer that they end with; of another
    each line.

    Raises:
        DaedalError: it cannot be read, or a line is no prompt.
    """
    try:
        if path.exists() and not path.is_file() and not path.is_dir():  # it may have no end
            raise DaedalError(f"{path} cannot be read: it is no regular file", "Name a file of UTF-8 text")
        if path.stat().st_size > _MOST_BYTES:
            raise DaedalError(f"{path} is larger than {_MOST_BYTES >> 20} MiB", "Give fewer prompts")
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DaedalError(f"{path} cannot be read as text ({error})", "Name a file of UTF-8 text") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        if path.suffix.lower() in (".jsonl", ".ndjson", ".json"):
            yield _of_row(line, f"{path}, line {number}")
        else:
            yield Question([{"role": "user", "content": line.strip()}])


def _of_row(line: str, where: str) -> Question:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        raise DaedalError(f"{where} is no JSON", 'Write {"prompt": "..."} on each line') from None
    if isinstance(row, str) and row.strip():
        return Question([{"role": "user", "content": row}])
    if isinstance(row, Mapping):
        whole = conversation_of(row)
        if whole is not None:
            if whole["messages"][-1]["role"] != "assistant":
                return Question(whole["messages"])
            if (found := _before_the_last_answer(whole["messages"])) is not None:
                return found
        elif messages := prompt_of(row, {}):
            return Question(messages)
    raise DaedalError(f"{where} has no prompt", 'Write {"prompt": "..."} or {"messages": [...]} on each line')
