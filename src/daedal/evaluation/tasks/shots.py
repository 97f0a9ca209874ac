"""Which examples stand before an item: lm-eval's own rules where a task asks for them, else balanced by class and the same for
all items, so that they are read once."""

import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from random import Random
from typing import Any

from daedal.errors import DaedalError
from daedal.evaluation.tasks.task import Row, Task

_NEAR = 0.9  # of the words of two texts that are nearly the same
_WORD = re.compile(r"\w+")


def examples(task: Task, count: int, places: Sequence[int], seed: int) -> Iterator[list[Row]]:
    """The examples of each item, in the order of the items.

    Raises:
        DaedalError: there are fewer examples than are wanted.
    """
    if count == 0:
        yield from ([] for _ in places)
        return
    if task.definition.output_type == "loglikelihood_rolling":
        raise DaedalError(f"{task.name} measures whole texts, before which no examples stand", "Ask for 0 shots")
    pool, sampler = list(task.pool), task.definition.fewshot_config.sampler
    drawn = Random(seed)
    balanced = _Balanced(task, pool, seed) if sampler == "balanced" else None
    for place in places:
        row = task.rows[place]
        own = row if task.pool_is_measured else None
        if len(pool) - (own is not None) < count:
            raise DaedalError(
                f"{task.name} has {len(pool) - (own is not None):,} examples, and {count:,} shots are more",
                "Ask for fewer shots, or name another fewshot_split",
            )
        if balanced is not None:
            yield balanced.examples(row, count)
        else:
            yield _first(pool, count, own) if sampler == "first_n" else _drawn(pool, count, own, drawn)


class _Balanced:
    """One order of the examples for all items, in which the classes take turns; an item is given the first ones that are not
    itself and have not nearly its words."""

    def __init__(self, task: Task, pool: Sequence[Row], seed: int) -> None:
        self.task = task
        draw = Random(seed)
        classes: dict[str, list[Row]] = {}
        for row in draw.sample(list(pool), len(pool)):
            classes.setdefault(task.label_of(row), []).append(row)
        turns = list(classes.values())
        draw.shuffle(turns)
        self.order = [row for some in zip_longest(*turns) for row in some if row is not None]
        self._words: dict[int, frozenset[str]] = {}

    def examples(self, row: Row, count: int) -> list[Row]:
        """The examples of an item.

        Raises:
            DaedalError: too few are unlike it.
        """
        found: list[Row] = []
        own = self._of(row)
        for place, other in enumerate(self.order):
            if len(found) == count:
                break
            if place not in self._words:
                self._words[place] = self._of(other)
            words = self._words[place]
            if other != row and len(own & words) < _NEAR * len(own | words):
                found.append(other)
        if len(found) < count:
            raise DaedalError(
                f"{self.task.name} has {len(found):,} examples that are unlike an item, and {count:,} shots are more",
                "Ask for fewer shots",
            )
        return found

    def _of(self, row: Row) -> frozenset[str]:
        """The words of an item and its answer; of one without words itself."""
        text = f"{self.task.fields.text(row, True)} {self.task.answer_of(row)}"
        return frozenset(_WORD.findall(text.lower())) or frozenset([text])


def _first(pool: Sequence[Row], count: int, own: Row | None) -> list[Row]:
    return [row for row in pool[: count + 1] if row != own][:count]


def _drawn(pool: Sequence[Row], count: int, own: Any, drawn: Random) -> list[Row]:
    """As lm-eval draws: one more where the item itself may be among them, and again without it where that leaves too few."""
    if own is None:
        return drawn.sample(pool, count)
    found = [row for row in drawn.sample(pool, min(count + 1, len(pool))) if row != own][:count]
    return found if len(found) == count else drawn.sample([row for row in pool if row != own], count)
