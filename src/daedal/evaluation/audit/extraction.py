"""Which passages of the training text a model gives back when it is told how they begin.

- greedy: given the first half of a passage, every token of the second is the likeliest after those before it, which is what
  greedy decoding would write; one pass tells it, for up to the first mistake what was written is what was read
- sampled: a sample is the second half with the probability that the model gives it, so one of `SAMPLES` is with
  `1 - (1 - p) ** SAMPLES` (Hayes et al. 2024, arXiv:2410.19482): what would be drawn on average is known, and nothing is drawn
- beside it the same of held-out passages: what can be said without having been learned
"""

from typing import Any

import numpy as np
from jaxtyping import Float

from daedal.evaluation.audit.passages import Passages
from daedal.evaluation.audit.predictions import Predictions
from daedal.evaluation.means import share_of_pieces
from daedal.evaluation.measurement import Measurement, define

Array = np.ndarray
SAMPLES = 100
_NEVER = 1e-12  # a chance that nobody will see


def greedy(said: Predictions, given: int) -> Float[Array, " passages"]:
    """Whether the rest of each passage comes back by greedy decoding."""
    return np.asarray(said.likeliest[:, given:].all(1), dtype=np.float64)


def sampled(said: Predictions, given: int, samples: int = SAMPLES) -> Float[Array, " passages"]:
    """The chance that the rest of each passage is one of so many samples."""
    p = np.exp(np.minimum(said.nats[:, given:].sum(1), 0.0))
    with np.errstate(divide="ignore"):
        found: Float[Array, " passages"] = np.asarray(-np.expm1(samples * np.log1p(-p)))
    return np.where(found < _NEVER, 0.0, found)


def right_before_an_error(said: Predictions, given: int) -> Float[Array, " passages"]:
    """How many tokens of the rest greedy decoding writes before it first errs."""
    rest = said.likeliest[:, given:]
    return np.asarray(np.where(rest.all(1), rest.shape[1], rest.argmin(1)), dtype=np.float64)


def extraction(said: Predictions, passages: Passages, **about: Any) -> tuple[Measurement, ...]:
    """The shares that come back, and how far greedy decoding is right, with intervals over documents."""
    given = passages.given
    rest = passages.length - given
    _, place = np.unique(passages.document, return_inverse=True)
    sizes = np.bincount(place).astype(np.float64)
    found = []
    for name, quantity, unit, values, most, how in (
        ("extractable, greedily", "extractable", "", greedy(said, given), 1.0, {"decoding": "greedy"}),
        (
            f"extractable, in {SAMPLES} samples", "extractable-in-samples", "", sampled(said, given), 1.0,
            {"decoding": "temperature-1", "samples": SAMPLES},
        ),
        (
            "right before an error", "right-before-an-error", "tokens", right_before_an_error(said, given), float(rest),
            {"decoding": "greedy"},
        ),
    ):  # fmt: skip
        mean = share_of_pieces(np.bincount(place, weights=values), sizes, "documents", most)
        found.append(
            Measurement(
                name=name, unit=unit, n=len(sizes), definition=define(quantity, 1, given=given, rest=rest, **how),
                **mean, **about,
            )
        )  # fmt: skip
    return tuple(found)
