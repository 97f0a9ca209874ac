"""What of a history is learned, and what is held out: the last item to measure by, and the one before to validate by.

So it is measured how well the next item is told of people whose history was learned from (leave-one-out by time); the splits
of a data folder hold out whole people.
"""

from collections.abc import Sequence
from typing import Any

from daedal.codecs.items import END

FEWEST = 5
"""Items of a history of which the last two are held out, at least: SASRec's 5-core data has such alone."""


def items_of(row: Sequence[int]) -> Sequence[int]:
    """The items of a stored history, without its end."""
    return row[:-1] if len(row) and row[-1] == END else row


def learned(items: Any, left_out: int) -> Any:
    """What of a training history is learned from."""
    return items[: len(items) - left_out] if len(items) >= FEWEST else items


def held(items: Any, back: int) -> tuple[Any, int] | None:
    """An item that is held out of a training history, `back` from its end, and what was before; None of a short one."""
    return (items[:-back], int(items[-back])) if len(items) >= FEWEST else None
