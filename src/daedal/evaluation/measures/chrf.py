"""chrF2, the F-score of character n-grams (Popović 2015), as sacreBLEU counts it."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from daedal.evaluation.measures.share import share

_ORDERS = 6
_BETA = 2.0


def counts(said: Sequence[str], right: Sequence[str]) -> Float[np.ndarray, "sentences 18"]:
    """Of each sentence, for 1- to 6-grams of characters that are no white space: how many it has (none are counted where its
    reference has none of that order), how many its reference has, and how many are in both."""
    rows = []
    for one, other in zip(said, right, strict=True):
        texts = "".join(one.split()), "".join(other.split())
        row: list[int] = []
        for order in range(1, _ORDERS + 1):
            mine, theirs = (Counter(text[at : at + order] for at in range(len(text) - order + 1)) for text in texts)
            row += [mine.total() if theirs else 0, theirs.total(), (mine & theirs).total()]
        rows.append(row)
    return np.array(rows, dtype=np.float64).reshape(-1, 3 * _ORDERS)


def chrf(sums: Float[np.ndarray, "replicates 18"]) -> Float[np.ndarray, " replicates"]:
    """chrF2, 0 to 100, of sums of counts: precision and recall are means over the orders that both have."""
    mine, theirs, both = (sums[:, column::3] for column in range(3))
    orders = np.maximum(1, ((mine > 0) & (theirs > 0)).sum(1))
    precision = share(both, np.where(theirs > 0, mine, 0)).sum(1) / orders
    recall = share(both, np.where(mine > 0, theirs, 0)).sum(1) / orders
    return 100 * share((1 + _BETA**2) * precision * recall, _BETA**2 * precision + recall)


def signature() -> str:
    """What sacreBLEU calls this way of counting."""
    from sacrebleu.metrics.chrf import CHRF

    metric = CHRF()
    metric.corpus_score(["a"], [["a"]])
    return str(metric.get_signature())
