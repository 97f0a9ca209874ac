"""BLEU (Papineni et al. 2002) as sacreBLEU has it (Post 2018): the counts of each sentence are its own, and the score of any
sum of them is its formula, so that an interval costs no more than a product of matrices."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

_ORDERS = 4


def counts(said: Sequence[str], right: Sequence[str]) -> Float[np.ndarray, "sentences 10"]:
    """Of each sentence: its length, its reference's, and of 1- to 4-grams how many are in both and how many there are."""
    from sacrebleu.metrics.bleu import BLEU

    metric = BLEU()
    found = (metric.corpus_score([one], [[other]]) for one, other in zip(said, right, strict=True))
    rows = [(each.sys_len, each.ref_len, *each.counts, *each.totals) for each in found]
    return np.array(rows, dtype=np.float64).reshape(-1, 2 + 2 * _ORDERS)


def bleu(sums: Float[np.ndarray, "replicates 10"]) -> Float[np.ndarray, " replicates"]:
    """BLEU, 0 to 100, of sums of counts. Orders without a hit are smoothed as NIST does: the k-th counts half to the k-th power
    of a hit; where there is not even a 4-gram, it is 0."""
    length, reference = sums[:, 0], sums[:, 1]
    hits, totals = sums[:, 2 : 2 + _ORDERS], sums[:, 2 + _ORDERS :]
    missed = (hits == 0) & (totals > 0)
    smoothed = np.where(missed, 0.5 ** np.cumsum(missed, axis=1), hits)
    whole = (totals > 0).all(1) & (hits.sum(1) > 0)
    logs = np.log(np.where(whole[:, None], smoothed / np.maximum(totals, 1), 1.0)).mean(1)
    short = np.minimum(0.0, 1 - reference / np.maximum(length, 1e-9))
    return np.where(whole, 100 * np.exp(logs + short), 0.0)


def signature() -> str:
    """What sacreBLEU calls this way of counting: its options and its version."""
    from sacrebleu.metrics.bleu import BLEU

    metric = BLEU()
    metric.corpus_score(["a"], [["a"]])  # it knows the number of references then
    return str(metric.get_signature())
