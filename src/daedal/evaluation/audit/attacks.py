"""Attacks that ask whether a text was learned: a score of each passage, higher for what is rather a member.

- `loss` (Yeom et al. 2018, arXiv:1709.01604): the mean log-probability of its tokens
- `zlib` (Carlini et al. 2021, arXiv:2012.07805): that, over the bytes of the passage as zlib packs it
- `min-k` (Shi et al. 2024, arXiv:2310.16789): the mean of the fifth of its tokens that are the least likely
- `min-k++` (Zhang et al. 2024, arXiv:2404.02936): the same of log-probabilities that are standardised by the model's own
  distribution at each place
"""

import zlib
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float64

from daedal.evaluation.audit.predictions import Predictions

Array = np.ndarray
SHARE = 0.2
"""Of the tokens of a passage, those of min-k."""
_LEAST_DEVIATION = 1e-6

Scores = Float64[Array, " passages"]


def loss(said: Predictions, texts: Sequence[bytes]) -> Scores:
    found: Scores = said.nats.mean(1)
    return found


def packed(said: Predictions, texts: Sequence[bytes]) -> Scores:
    sizes = np.array([len(zlib.compress(text)) for text in texts], dtype=np.float64)
    found: Scores = said.nats.mean(1) / sizes
    return found


def least(said: Predictions, texts: Sequence[bytes]) -> Scores:
    return _least(said.nats)


def least_standardised(said: Predictions, texts: Sequence[bytes]) -> Scores:
    return _least((said.nats - said.mean) / np.maximum(said.deviation, _LEAST_DEVIATION))


def _least(values: Float64[Array, "passages length"]) -> Scores:
    """The mean of the lowest values of each passage."""
    count = max(1, int(SHARE * values.shape[1]))
    found: Scores = np.partition(values.astype(np.float64), count - 1, axis=1)[:, :count].mean(1)
    return found


ATTACKS: dict[str, Callable[[Predictions, Sequence[bytes]], Scores]] = {
    "loss": loss,
    "zlib": packed,
    "min-k": least,
    "min-k++": least_standardised,
}
