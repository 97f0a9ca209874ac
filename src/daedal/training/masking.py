"""Which tokens of a row are hidden, and by what, for a model that learns to fill them in (Devlin et al. 2019).

Of those that are chosen, 80 % become the mask, 10 % any token, and 10 % stay as they are. What is chosen is a pure function of
the seed and the example, so that it is another in each epoch and the same in a run that goes on.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int64

from daedal.codecs.both_ways import word_starts
from daedal.codecs.text import TextCodec
from daedal.models.model import IGNORE
from daedal.models.sequences import Sequences, TargetBatch, by_length, line
from daedal.nn.noise import Noise

Array = np.ndarray
_MASKED, _REPLACED = 0.8, 0.1


class Masking:
    """Hides tokens of rows.

    Args:
        share: of the tokens.
        words: whole words are hidden, and not single tokens.
    """

    def __init__(self, codec: TextCodec, share: float, words: bool = False) -> None:
        assert codec.mask_id is not None
        self._mask, self._share = codec.mask_id, share
        self._plain = np.setdiff1d(np.arange(codec.vocab_size), codec.special_ids)
        self._special = np.ones(codec.vocab_size, dtype=bool)
        self._special[self._plain] = False
        self._begins = word_starts(codec).astype(bool) if words else None

    def __call__(self, rows: Sequence[Int64[Array, " tokens"]], noise: Noise) -> TargetBatch:
        """The rows, with some of each hidden: at least one."""
        longest = max(len(row) for row in rows)
        chances, fates = (noise.uniform(name, longest).numpy() for name in ("hide", "fate"))
        others = noise.integers("other", len(self._plain), longest).numpy()
        read, targets = [], []
        for row, chance, fate, other in zip(rows, chances, fates, others, strict=True):
            size = len(row)
            hidden = self._chosen(row, chance[:size])
            fate = fate[:size]
            seen = np.where(hidden & (fate < _MASKED), self._mask, row)
            replaced = hidden & (fate >= _MASKED) & (fate < _MASKED + _REPLACED)
            read.append(np.where(replaced, self._plain[other[:size]], seen))
            targets.append(np.where(hidden, row, IGNORE))
        order = by_length(rows)
        return TargetBatch(Sequences.of([read[at] for at in order]), line([targets[at] for at in order]))

    def _chosen(self, row: Int64[Array, " tokens"], chance: Float[Array, " tokens"]) -> Bool[Array, " tokens"]:
        free = ~self._special[row]
        if self._begins is not None:
            begins = self._begins[row]
            begins[:1] = True
            chance = chance[np.maximum.accumulate(np.where(begins, np.arange(len(row)), 0))]
        chance = np.where(free, chance, 2.0)
        count = min(int(free.sum()), max(1, round(self._share * int(free.sum()))))
        if not count:
            return np.zeros(len(row), dtype=bool)
        most = np.partition(chance, count - 1)[count - 1]
        chosen: Array = (chance <= most) & free
        return chosen
