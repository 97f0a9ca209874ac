"""Whether a translator only repeats what it has read: 4-grams of references that no training target has, and how many of them
its translations have."""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Float

ORDER = 4


def novel_ngrams(
    said: Sequence[str], right: Sequence[str], train: Iterable[str], order: int = ORDER
) -> tuple[Float[np.ndarray, " sentences"], Float[np.ndarray, " sentences"]]:
    """Of each sentence: how many of its reference's n-grams that stand in no training target the translation has, and how many
    such n-grams there are. Words are split as sacreBLEU splits them (`13a`)."""
    from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

    split = Tokenizer13a()  # type: ignore[no-untyped-call]
    wanted = [Counter(_ngrams(split(text), order)) for text in right]
    new = set().union(*wanted)
    for text in train:  # what is searched is small, and the training text may be large
        new.difference_update(_ngrams(split(text), order))
        if not new:
            break
    hits, totals = np.zeros(len(right)), np.zeros(len(right))
    for place, (text, ngrams) in enumerate(zip(said, wanted, strict=True)):
        rare = Counter({each: count for each, count in ngrams.items() if each in new})
        totals[place] = rare.total()
        hits[place] = (rare & Counter(_ngrams(split(text), order))).total()
    return hits, totals


def _ngrams(text: str, order: int) -> Iterable[tuple[str, ...]]:
    words = text.split()
    return zip(*(words[place:] for place in range(order)), strict=False)
