"""Which examples stand before an item: lm-eval's own rules where a task asks for them, else balanced by class and the same for
all items, so that they are read once."""

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

from daedal.errors import DaedalError
from daedal.evaluation.tasks.task import Row, Task


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
    for place in places:
        row = task.rows[place]
        own = row if task.pool_is_measured or row in pool[:0] else None
        if len(pool) - (own is not None) < count:
            raise DaedalError(
                f"{task.name} has {len(pool) - (own is not None):,} examples, and {count:,} shots are more",
                "Ask for fewer shots, or name another fewshot_split",
            )
        yield _first(pool, count, own) if sampler == "first_n" else _drawn(pool, count, own, drawn)


def _first(pool: Sequence[Row], count: int, own: Row | None) -> list[Row]:
    return [row for row in pool[: count + 1] if row != own][:count]


def _drawn(pool: Sequence[Row], count: int, own: Any, drawn: Random) -> list[Row]:
    """As lm-eval draws: one more where the item itself may be among them, and again without it where that leaves too few."""
    if own is None:
        return drawn.sample(pool, count)
    found = [row for row in drawn.sample(pool, min(count + 1, len(pool))) if row != own][:count]
    return found if len(found) == count else drawn.sample([row for row in pool if row != own], count)
