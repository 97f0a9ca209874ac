"""Items that the same people took (item-kNN; Sarwar et al. 2001, doi:10.1145/371920.372071; shrinkage as Bell and Koren 2007).

`similarity(i, j) = both(i, j) / (sqrt(taken(i) taken(j)) + shrink)`, of each item the nearest `neighbours` alone; the score
of an item is the sum of its similarities to those of a history.
"""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from jaxtyping import Float, Int

Array = np.ndarray
History = Int[Array, " items"]
_AT_ONCE = 1024


class ItemNeighbours:
    """The nearest items of each, with their similarities.

    Args:
        similar: similarities, a row for each item of a history and a column for each that may follow.
        recent: of a history the last so many count: taste changes (of MovieLens small 20 are better than all).
    """

    def __init__(self, similar: Any, recent: int) -> None:
        self.similar, self.recent = similar, recent

    @classmethod
    def fit(
        cls,
        histories: Sequence[History],
        vocab_size: int,
        neighbours: int = 100,
        shrink: float = 10.0,
        recent: int = 20,
    ) -> Self:
        from scipy.sparse import vstack

        taken = incidence(histories, vocab_size)
        sizes = np.asarray(taken.sum(0)).ravel()
        rows = []
        for first in range(0, vocab_size, _AT_ONCE):
            some = slice(first, min(first + _AT_ONCE, vocab_size))
            both = (taken[:, some].T @ taken).tocoo()
            kept = both.row + first != both.col
            row, column, common = both.row[kept], both.col[kept], both.data[kept]
            near = common / (np.sqrt(sizes[row + first] * sizes[column]) + shrink)
            order = np.lexsort((-near, row))
            row, column, near = row[order], column[order], near[order]
            starts = np.searchsorted(row, np.arange(some.stop - first))
            best = np.arange(len(row)) - starts[row] < neighbours
            rows.append(_table(near[best], row[best], column[best], (some.stop - first, vocab_size)))
        # a column for what may follow: its own nearest decide what counts for it
        return cls(vstack(rows, format="csr").T.tocsr(), recent)

    def scores(self, histories: Sequence[History]) -> Float[Array, "histories vocab"]:
        histories = [each[-self.recent :] for each in histories]
        found: Array = (incidence(histories, self.similar.shape[0]) @ self.similar).toarray()
        return found


def incidence(histories: Sequence[History], vocab_size: int) -> Any:
    """Who has what: a sparse matrix of ones, `[histories, vocab]`."""
    kept = [np.unique(each) for each in histories]
    rows = np.repeat(np.arange(len(kept)), [len(each) for each in kept])
    columns = np.concatenate(kept) if kept else np.zeros(0, dtype=np.int64)
    return _table(np.ones(len(rows)), rows, columns, (len(kept), vocab_size))


def _table(values: Array, rows: Array, columns: Array, shape: tuple[int, int]) -> Any:
    from scipy.sparse import csr_array

    return csr_array((values, (rows, columns)), shape=shape)
