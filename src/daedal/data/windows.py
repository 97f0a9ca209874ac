"""Training samples: windows that tile a split's token stream, in a new order each epoch, with nothing to remember.

Sample `s` belongs to epoch `s // samples_per_epoch`. Each epoch tiles the stream from a random phase, so that windows
begin elsewhere every time, and visits the tiles in the order of a keyed permutation: a Feistel network over the next power of
four, walked until it lands inside (Black and Rogaway, "Ciphers with arbitrary finite domains", 2002). A sample is
therefore a pure function of the seed and its number, and resuming needs only that number.
"""

import numpy as np
from jaxtyping import Int64, UInt64

from daedal.data.shards import Split
from daedal.errors import DaedalError

Array = np.ndarray
_ROUNDS = 6
_GOLDEN = 0x9E3779B97F4A7C15
_MASK64 = 2**64 - 1


def mix(values: UInt64[Array, "..."]) -> UInt64[Array, "..."]:
    """The finalizer of SplitMix64 (Steele, Lea and Flood, 2014): a bijection of 64-bit words that looks random."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: Array = values ^ (values >> np.uint64(31))
    return mixed


def permute(index: UInt64[Array, " count"], size: int, key: UInt64[Array, " count"]) -> UInt64[Array, " count"]:
    """Where each index goes in the permutation of `range(size)` that its key names; O(1) memory."""
    half = np.uint64(max(1, ((size - 1).bit_length() + 1) // 2))
    low = np.uint64((1 << int(half)) - 1)
    result = index.copy()
    walking = np.arange(len(index))
    while len(walking):
        left, right = result[walking] >> half, result[walking] & low
        for number in range(_ROUNDS):
            salt = np.uint64((number + 1) * _GOLDEN & _MASK64)
            left, right = right, left ^ (mix(right + (key[walking] ^ salt)) & low)
        result[walking] = (left << half) | right
        walking = walking[result[walking] >= size]
    return result


def visit(first: int, count: int, size: int, seed: int) -> tuple[UInt64[Array, " count"], UInt64[Array, " count"]]:
    """Which of `size` things come at places `first` to `first + count` of an endless stream that goes through all of them
    in each epoch, every time in a new order; and the random words that belong to the epochs."""
    epoch, index = np.divmod(np.uint64(first) + np.arange(count, dtype=np.uint64), np.uint64(size))
    key = mix(mix(np.full(count, seed & _MASK64, dtype=np.uint64)) + epoch * np.uint64(_GOLDEN))
    return permute(index, size, key), key


class Windows:
    """Windows of `context` tokens and their targets from a split.

    Args:
        split: where the tokens are.
        context: tokens in a window.
        seed: of phases and permutations.

    Raises:
        DaedalError: the split is shorter than one window and the target of its last token.
    """

    def __init__(self, split: Split, context: int, seed: int) -> None:
        if context < 1:
            raise DaedalError(f"A context of {context} tokens cannot be", "Give 1 or more")
        if split.tokens < context + 1:
            fits = f"a context of at most {split.tokens - 1} fits" if split.tokens > 1 else "no context fits"
            raise DaedalError(
                f"The {split.name} split has {split.tokens} tokens, too few for a context of {context}"
                f" (it takes {context + 1})",
                f"Give more text or a shorter context: {fits}",
            )
        self.split = split
        self.context = context
        self.seed = seed
        self.samples_per_epoch = max(1, (split.tokens - context) // context)
        self._phases = min(context, split.tokens - self.samples_per_epoch * context)

    def epochs(self, samples: int) -> float:
        """How many times `samples` samples go through the split."""
        return samples / self.samples_per_epoch

    def starts(self, first_sample: int, count: int) -> Int64[Array, " count"]:
        """Where in the token stream samples `first_sample` to `first_sample + count` begin."""
        tile, key = visit(first_sample, count, self.samples_per_epoch, self.seed)
        phase = mix(key) % np.uint64(self._phases)
        return (tile * np.uint64(self.context) + phase).astype(np.int64)

    def batch(
        self, first_sample: int, count: int
    ) -> tuple[Int64[Array, "count context"], Int64[Array, "count context"]]:
        """Inputs and targets (the same tokens, one later) of `count` samples from `first_sample` on. A target that is not to be
        learned is `IGNORE`."""
        starts = self.starts(first_sample, count)
        rows = self.split.gather(starts, self.context + 1)
        return rows[:, :-1], self.split.targets(starts, rows)
