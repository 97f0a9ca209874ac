"""From a key, the tokens before and a token to 64 bits that look like chance: integers alone, so that every machine and device
finds the same, and nothing is as long as the vocabulary unless all of it is asked for.

The mix is SplitMix64's (Steele et al. 2014, doi:10.1145/2660193.2660195): a bijection of 64 bits in which a changed bit changes
every other by about half. It is no cryptographic function: who has the model and very many marked texts could learn something.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int, UInt64

_ALL = 2**64 - 1
_STEP = 0x9E3779B97F4A7C15
_ONE, _TWO = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_STEPS, _ONES, _TWOS = np.uint64(_STEP), np.uint64(_ONE), np.uint64(_TWO)


def mix(value: int) -> int:
    """64 bits of 64 bits."""
    value = ((value ^ (value >> 30)) * _ONE) & _ALL
    value = ((value ^ (value >> 27)) * _TWO) & _ALL
    return value ^ (value >> 31)


def mixed(values: UInt64[np.ndarray, "*shape"]) -> UInt64[np.ndarray, "*shape"]:
    """`mix` of each, in place."""
    values ^= values >> np.uint64(30)
    values *= _ONES
    values ^= values >> np.uint64(27)
    values *= _TWOS
    values ^= values >> np.uint64(31)
    return values


def context_seed(key: int, context: Sequence[int]) -> int:
    """64 bits of a key and the tokens before a place."""
    for token in context:
        key = mix(key ^ ((token + 1) * _STEP & _ALL))
    return key


def context_seeds(key: int, ids: Int[np.ndarray, " time"], width: int) -> UInt64[np.ndarray, " places"]:
    """`context_seed` for each token of a text that has `width` tokens before it in the text, in order."""
    places = max(0, len(ids) - width)
    steps = (ids.astype(np.uint64) + np.uint64(1)) * _STEPS
    seeds = np.full(places, key, np.uint64)
    for before in range(width):
        seeds = mixed(seeds ^ steps[before : before + places])
    return seeds


def word(seed: int, id: int) -> int:
    """64 bits of a place's seed and a token."""
    return mix((seed + (id + 1) * _STEP) & _ALL)


def words(seeds: UInt64[np.ndarray, "*#shape"], ids: Int[np.ndarray, "*#shape"]) -> UInt64[np.ndarray, "*shape"]:
    """`word` of each seed with the token beside it."""
    values = (ids.astype(np.uint64) + np.uint64(1)) * _STEPS
    return mixed(np.asarray(values + seeds))
