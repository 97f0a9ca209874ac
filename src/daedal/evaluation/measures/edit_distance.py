"""How many symbols are to be put in, left out or replaced to make one sequence of another (Levenshtein 1966)."""

from collections.abc import Sequence

import numpy as np


def edit_distance(one: Sequence[object], other: Sequence[object]) -> int:
    """The fewest edits; of words for the word error rate, of characters for that of characters."""
    numbers = {each: number for number, each in enumerate(dict.fromkeys([*one, *other]))}
    wanted = np.array([numbers[each] for each in other], dtype=np.int64)
    places = np.arange(len(other) + 1)
    row = places.copy()
    for count, each in enumerate(one, 1):
        # of each place: replaced or the same, left out; what is put in is a running minimum along the row
        best = np.minimum(row[1:] + 1, row[:-1] + (wanted != numbers[each]))
        row = np.minimum.accumulate(np.concatenate([[count], best]) - places) + places
    return int(row[-1])
