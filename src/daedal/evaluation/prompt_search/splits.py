"""The items of a task for a search: a pool of examples, items to select on, and items that nothing sees until the end.

Each item goes where its hash says, so that it stays there when others are added. Near copies of an item never stand on two
sides: what is held out is no near copy of anything that was seen, and what is selected on of no example.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from daedal.errors import DaedalError
from daedal.evaluation.tasks.task import Row, Task, digest

LEAST = 8  # items to select on, and held out
_MOST = {"examples": 1000, "selection": 2000}
_LITTLE = 200  # items of training data, too few to select on
_ALIKE = 0.6  # of words in threes, by Jaccard
_COMMON, _LEAST_COMMON = (
    0.01,
    10,
)  # a share of the texts, and a number of them: what more have is the task's own wording

Grams = frozenset[tuple[str, ...]]


class Splits(NamedTuple):
    """The sides.

    Attributes:
        left_out: near copies across them.
    """

    examples: list[Row]
    selection: list[Row]
    held_out: list[Row]
    left_out: int

    @property
    def rows(self) -> dict[str, Sequence[Row]]:
        """By name, as a task has its splits."""
        return {"examples": self.examples, "selection": self.selection, "held-out": self.held_out}

    @property
    def hash(self) -> str:
        """SHA-256 of the items that are held out."""
        return hashlib.sha256("".join(map(digest, self.held_out)).encode()).hexdigest()


def split(task: Task, limit: int | None = None) -> Splits:
    """The sides of a task. Of much training data a third gives examples and the rest is selected on; a little gives examples,
    and half of the items are selected on. Without any, a fifth of the items gives examples, and two fifths are selected on.
    What is left is held out.

    Args:
        limit: items that are held out, at most.

    Raises:
        DaedalError: there are too few items.
    """
    named = task.definition.training_split
    training = task.splits.get(named, ()) if named and named != task.split else ()
    seen = {digest(row): row for row in training}
    measured = {digest(row): row for row in task.rows}
    if 0 < len(seen) < _LITTLE:
        examples = list(seen)
        selection = [key for key in measured if _share(key) < 0.5 and key not in seen]
        held_out = [key for key in measured if _share(key) >= 0.5 and key not in seen]
    elif seen:
        examples = [key for key in seen if _share(key) < 1 / 3]
        selection = [key for key in seen if _share(key) >= 1 / 3]
        held_out = [key for key in measured if key not in seen]
    else:
        examples = [key for key in measured if _share(key) < 0.2]
        selection = [key for key in measured if 0.2 <= _share(key) < 0.6]
        held_out = [key for key in measured if _share(key) >= 0.6]
    rows = seen | measured
    sides = {"examples": examples, "selection": selection, "held-out": held_out}
    # in the order of their hashes, which says nothing of them
    cut = {name: [rows[key] for key in sorted(keys)][: _MOST.get(name)] for name, keys in sides.items()}
    known, left_out = _Texts(row for side in cut.values() for row in side), 0
    for row in cut["examples"]:
        known.add(row)
    kept: list[Row] = []
    for row in cut["selection"]:
        if known.has(row):
            left_out += 1
        else:
            kept.append(row)
    for row in kept:
        known.add(row)
    fresh: list[Row] = []
    for row in cut["held-out"]:
        if len(fresh) == limit:
            break
        if known.has(row):
            left_out += 1
        else:
            fresh.append(row)
    found = Splits(cut["examples"], kept, fresh, left_out)
    if min(len(kept), len(found.held_out)) < LEAST:
        raise DaedalError(
            f"{task.name} has {len(kept)} items to select on and {len(found.held_out)} to hold out, and at least {LEAST} of "
            "each are needed",
            "Give it more items",
        )  # fmt: skip
    return found


def _share(key: str) -> float:
    """Where in 0 to 1 a hash stands; not by its beginning, by which items are ordered."""
    return int(key[-12:], 16) / 16**12


class _Texts:
    """Texts that are known, to find near copies of them.

    Args:
        rows: all that may come, by which is known what is the task's own wording.
    """

    def __init__(self, rows: Iterable[Row]) -> None:
        self._texts = {id(row): _words(row) for row in rows}
        often = Counter(gram for words in self._texts.values() for gram in _threes(words))
        most = max(_LEAST_COMMON, _COMMON * len(self._texts))
        self._common = {gram for gram, count in often.items() if count > most}
        self._sets: list[Grams] = []
        self._with: dict[tuple[str, ...], list[int]] = {}

    def add(self, row: Row) -> None:
        grams = self._grams(row)
        for gram in grams:
            self._with.setdefault(gram, []).append(len(self._sets))
        self._sets.append(grams)

    def has(self, row: Row) -> bool:
        """Whether there is a near copy."""
        grams = self._grams(row)
        near = {place for gram in grams for place in self._with.get(gram, ())}
        return any(len(grams & self._sets[place]) >= _ALIKE * len(grams | self._sets[place]) for place in near)

    def _grams(self, row: Row) -> Grams:
        """The words in threes that are not the task's own; all words together where there are none."""
        words = self._texts[id(row)]
        return (_threes(words) - self._common) or frozenset([words])


def _words(row: Row) -> tuple[str, ...]:
    said = " ".join(str(value) for value in row.values() if isinstance(value, str | list | int | float))
    return tuple(re.findall(r"\w+|[^\w\s]", said.casefold()))


def _threes(words: tuple[str, ...]) -> Grams:
    return frozenset(zip(words, words[1:], words[2:], strict=False))
