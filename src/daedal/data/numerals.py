"""Cells of tables that say numbers."""

import math
from collections.abc import Sequence
from typing import Any

_VARIED = 10  # different numbers in the first rows, from which on they are no classes


def number_of(value: Any) -> float | None:
    """The number that a cell says; None where it says none, or none that is finite."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def vary(values: Sequence[Any]) -> bool:
    """Whether these are numbers and not classes: some are no whole ones, and many are different."""
    numbers = [number for number in map(number_of, values) if number is not None]
    enough = len(numbers) > 0.9 * len(values) and len(set(numbers)) > _VARIED
    return enough and any(not number.is_integer() for number in numbers)
