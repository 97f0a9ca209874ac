"""What a stratified split draws from: the class of each example; the rarest of its classes; or how large its number is.

Examples of a stratum have their share of every split: see `daedal.data.split`.
"""

import numpy as np
from jaxtyping import Float64, Int64

Array = np.ndarray
_PARTS = 10


def of_sets(ids: Int64[Array, " ids"], counts: Int64[Array, " examples"]) -> Int64[Array, " examples"]:
    """The rarest class of each example, -1 for none: so rare ones are in every split (Sechidis et al. 2011, in one pass).

    Args:
        ids: the classes of all examples, end to end.
        counts: how many each has.
    """
    common = np.bincount(ids, minlength=1)
    owner = np.repeat(np.arange(len(counts)), counts)
    order = np.lexsort((ids, common[ids], owner))
    strata = np.full(len(counts), -1, dtype=np.int64)
    owners, first = np.unique(owner[order], return_index=True)
    strata[owners] = ids[order[first]]
    return strata


def of_numbers(numbers: Float64[Array, " examples"]) -> Int64[Array, " examples"]:
    """Tenths of the examples, by the size of their numbers; equal ones are in one."""
    ordered = np.sort(numbers)
    return np.searchsorted(ordered, numbers) * _PARTS // max(1, len(numbers))
