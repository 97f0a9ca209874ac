"""Distributions of what pictures show, beside those of the data: distance, sharpness, amplification, with intervals.

    TV   total variation, half the sum of |share in samples - share in data|: 0 alike, 1 nothing in common
    dH   entropy of the samples minus that of the data, in bits: below 0 the model is sharper than what it learned from
    A    amplification: over what is more than its even share in the data, mean(share in samples - share in data), after Zhao et
         al. 2017 (aclanthology.org/D17-1323)

TV is above 0 by chance too, and the entropy of few samples below 0: what as many samples of the data itself would give stands
beside each as a baseline. An interval that holds this number shows no difference.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from daedal.evaluation.bootstrap import REPLICATES
from daedal.evaluation.intervals import LEVEL, normal
from daedal.evaluation.measurement import Measurement, define

METHOD = f"normal, by the deviation of {REPLICATES:,} bootstrap replicates over pictures and data, 95 %"


class Counted(NamedTuple):
    """What was asked for, how often each value was seen in the samples, and in the data."""

    asked: str
    drawn: Int[np.ndarray, " values"]
    learned: Int[np.ndarray, " values"]


Shares = Float[np.ndarray, "replicates values"]
Compare = Callable[[Shares, Shares], Float[np.ndarray, " replicates"]]


def total_variation(drawn: Shares, learned: Shares) -> Float[np.ndarray, " replicates"]:
    """Half the sum of absolute differences."""
    found: Float[np.ndarray, " replicates"] = np.abs(drawn - learned).sum(1) / 2
    return found


def entropy_difference(drawn: Shares, learned: Shares) -> Float[np.ndarray, " replicates"]:
    """In bits; below 0 where the samples are sharper."""
    found: Float[np.ndarray, " replicates"] = _entropy(drawn) - _entropy(learned)
    return found


def amplification(drawn: Shares, learned: Shares) -> Float[np.ndarray, " replicates"]:
    """The mean difference over values above their even share; 0 where the data have none."""
    above = learned > 1 / learned.shape[1] + 1e-12
    count = above.sum(1)
    found: Float[np.ndarray, " replicates"] = ((drawn - learned) * above).sum(1) / np.maximum(1, count)
    return found


def _entropy(shares: Shares) -> Float[np.ndarray, " replicates"]:
    logs = np.log2(shares, out=np.zeros_like(shares), where=shares > 0)
    found: Float[np.ndarray, " replicates"] = -(shares * logs).sum(1)
    return found


_MEASURES: tuple[tuple[str, str, Compare, str, Literal["lower", "neither"], tuple[float, float]], ...] = (
    ("distance to the data", "total-variation", total_variation, "", "lower", (0.0, 1.0)),
    ("entropy less the data's", "entropy-difference", entropy_difference, "bits", "neither", (-np.inf, np.inf)),
    ("amplification", "amplification", amplification, "", "neither", (-1.0, 1.0)),
)  # fmt: skip


def compared(
    counts: Sequence[Counted], what: str, slug: str, seed: int, **about: Any
) -> tuple[list[Measurement], list[Measurement]]:
    """The three numbers, means over what was asked for, and those of as many samples of the data itself.

    Args:
        what: the values are of: "colours".
        slug: begins the definitions.
        about: hashes of model and data.
    """
    generator = np.random.Generator(np.random.Philox(seed))
    n = int(sum(each.drawn.sum() for each in counts))
    found, chance = [], []
    for name, quantity, measure, unit, better, possible in _MEASURES:
        value = float(np.mean([measure(_shares(each.drawn), _shares(each.learned))[0] for each in counts]))
        drawn = np.mean([_replicates(each, measure, generator) for each in counts], axis=0)
        half = normal((1 + LEVEL) / 2) * float(drawn.std(ddof=1))
        ends = tuple(float(np.clip(end, *possible)) for end in (value - half, value + half))
        null = float(np.mean([_by_chance(each, measure, generator) for each in counts]))
        common = {
            "name": f"{what}: {name}", "unit": unit, "n": n, "pieces": "things seen", "better": better, "seed": seed,
            "definition": define(f"{slug}-{quantity}", 1, prompts=len(counts)),
        }  # fmt: skip
        found.append(
            Measurement.parse({**common, **about, "value": value, "interval": ends, "interval_method": METHOD}, name)
        )
        chance.append(Measurement.parse({**common, **about, "model_hash": "", "value": null}, name))
    return found, chance


def _shares(counts: Int[np.ndarray, " values"]) -> Shares:
    found: Shares = (counts / counts.sum())[None]
    return found


def _replicates(each: Counted, measure: Compare, generator: np.random.Generator) -> Float[np.ndarray, " replicates"]:
    """Samples and data drawn anew from their own shares."""
    samples, learned = (
        generator.multinomial(counts.sum(), counts / counts.sum(), size=REPLICATES) / counts.sum()
        for counts in (each.drawn, each.learned)
    )
    return measure(samples, learned)


def _by_chance(each: Counted, measure: Compare, generator: np.random.Generator) -> float:
    """The mean of as many samples of the data itself."""
    size, shares = int(each.drawn.sum()), _shares(each.learned)
    samples = generator.multinomial(size, shares[0], size=REPLICATES) / size
    return float(measure(samples, np.broadcast_to(shares, samples.shape)).mean())
