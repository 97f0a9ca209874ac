"""How far secrets that were planted in the training text are out (Carlini et al. 2019, "The Secret Sharer", arXiv:1802.08232).

A planted secret is one of many that could have stood in its place, all equally likely a priori. Its exposure is how many
bits of it a model gives away: `log2 |R| - log2 rank` among all of them by the model's likelihood. The rank is estimated

- by so many others drawn at random: exact, but no exposure is above their number's logarithm
- by a skew-normal distribution of the others' likelihoods, past the end of which the planted one may lie

A secret that was never planted stands beside each: its exposure is 1.44 bits on average.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from daedal.data.canaries import CANARIES, Canaries, Canary
from daedal.errors import DaedalError
from daedal.evaluation.blocks import Note, Table
from daedal.evaluation.documents import Documents
from daedal.evaluation.evaluator import Findings, Tell
from daedal.evaluation.means import mean_interval, student
from daedal.evaluation.measurement import Measurement, define
from daedal.inference.continuations import likelihoods
from daedal.models.gpt import GPT

Array = np.ndarray
OTHERS = 500
"""Secrets that stand beside a planted one."""
MOST = 100
"""Planted ones that are asked for, the first of them."""


_QUANTITIES = (("by rank", "exposure"), ("extrapolated", "exposure-extrapolated"))


def alternatives(secret: str, alphabet: str, count: int, generator: np.random.Generator) -> list[str]:
    """Secrets that could stand in the place of one, drawn at random. What is of no alphabet, as spaces, stays."""
    drawn = np.array(list(alphabet))
    places = [place for place, each in enumerate(secret) if each in alphabet]
    rows = np.array([list(secret)] * count).reshape(count, len(secret))
    rows[:, places] = drawn[generator.integers(0, len(drawn), size=(count, len(places)))]
    return ["".join(row) for row in rows]


def bits(secret: str, alphabet: str) -> float:
    """The binary logarithm of how many there could be."""
    return sum(each in alphabet for each in secret) * math.log2(len(alphabet))


def planted_in(folder: Path) -> Canaries:
    """The secrets that were planted in a data folder.

    Raises:
        DaedalError: what tells of them is damaged.
    """
    found = Canaries.of(folder)
    alphabet = found.format.alphabet
    for each in found.secrets:
        if len(alphabet) < 2 or each.secret not in each.text or not set(each.secret) & set(alphabet):
            raise DaedalError(f"{folder / CANARIES}: a secret does not stand in its text", "Build the data again")
    return found


def exposure(
    model: GPT, documents: Documents, canaries: Canaries, tell: Tell, others: int = OTHERS, seed: int = 0, **about: Any
) -> tuple[Findings, tuple[Measurement, ...]]:
    """The exposures of planted secrets, by how often they were planted; and the measurements of secrets that were not."""
    generator, alphabet = np.random.default_rng(seed), canaries.format.alphabet
    planted, unplanted = list[tuple[float, float]](), list[tuple[float, float]]()
    secrets = canaries.secrets[:MOST]
    for number, each in enumerate(secrets):
        tell(number / len(secrets), "asking for planted secrets")
        drawn = alternatives(each.secret, alphabet, others + 1, generator)
        nats = _nats(model, documents, each, [each.secret, *drawn])
        most = bits(each.secret, alphabet)
        planted.append(exposed(nats[0], nats[2:], most))
        unplanted.append(exposed(nats[1], nats[2:], most))
    times = np.array([each.repeats for each in secrets])
    one, other = (np.array(each) for each in (planted, unplanted))
    how = {"secrets": len(times), "others": others}
    measured = tuple(_measured(values, how, about) for values in (one, other))
    rows = tuple(
        (
            int(repeats),
            int((times == repeats).sum()),
            *(float(v) for v in one[times == repeats].mean(0)),
            float(one[times == repeats, 1].max()),
        )
        for repeats in np.unique(times)
    )
    says = (
        f"Bits that the model gives away, of {bits(secrets[0].secret, alphabet):.1f}: by the rank among {others} "
        f"others, which tells at most {math.log2(others + 1):.1f}, and by a skew-normal distribution of these. A secret that "
        f"was never planted has {other[:, 1].mean():.2f} here."
    )
    head = ("planted", "secrets", "exposure by rank", "extrapolated", "the most")
    table = Table(title="Planted secrets", says=says, head=head, rows=rows)
    mine = measured[0][1]
    brief = f"planted secrets are out by {mine.value:.1f} bits on average, those never planted by {measured[1][1].value:.1f}"
    findings = Findings(measured[0], blocks=(Note(brief=brief), table), sampling={"seed": seed})
    return findings, tuple(each.but(model_hash="") for each in measured[1])


def _nats(model: GPT, documents: Documents, planted: Canary, secrets: Sequence[str]) -> Float[Array, " secrets"]:
    """The log-likelihood of each secret and what follows it, after what stands before it in a line of its own."""
    before, _, after = f"\n{planted.text}".partition(planted.secret)
    kept = before.rstrip()
    opening = [documents.prefix, *documents.codec.encode(kept)]
    pairs = [(opening, f"{before[len(kept) :]}{secret}{after}") for secret in secrets]
    nats = np.zeros(len(pairs))
    for place, found in likelihoods(model, documents.codec, pairs):
        nats[place] = found.nats
    return nats


def exposed(own: float, others: Float[Array, " others"], most: float) -> tuple[float, float]:
    """A secret's exposure in bits by its rank and by extrapolation, from log-likelihoods in nats; never above what there is.

    A tie counts against the secret.
    """
    by_rank = math.log2((len(others) + 1) / (1 + int((others >= own).sum())))
    return min(most, by_rank), min(most, _extrapolated(own, others))


def _extrapolated(own: float, others: Float[Array, " others"]) -> float:
    """`-log2 F` of a skew-normal distribution of surprises, in bits, that is fitted by maximum likelihood."""
    from scipy.integrate import quad
    from scipy.stats import skewnorm

    surprises, mine = -others / math.log(2), -own / math.log(2)
    if float(np.ptp(surprises)) < 1e-9:
        return 0.0 if mine >= surprises[0] else math.inf
    shape, place, width = skewnorm.fit(surprises)
    below = float(skewnorm.cdf(mine, shape, place, width))
    if below > 1e-6:
        return -math.log2(below)
    # Far out a difference of two nearly equal numbers is left of it: the density is added up instead, beside its value there
    density = float(skewnorm.logpdf(mine, shape, place, width))

    def beside(away: float) -> float:
        return math.exp(min(0.0, float(skewnorm.logpdf(mine - away, shape, place, width)) - density))

    area, _ = quad(beside, 0, 10 * width, limit=100)
    return -(density + math.log(area)) / math.log(2) if area > 0 and math.isfinite(density) else math.inf


def _measured(values: Float[Array, "secrets 2"], how: dict[str, int], about: dict[str, Any]) -> tuple[Measurement, ...]:
    return tuple(
        Measurement(
            name=f"exposure of planted secrets, {says}", value=float(column.mean()), unit="bits",
            interval=mean_interval(column, (0.0, math.inf)), interval_method=student("secrets") if len(column) > 1 else "",
            n=len(column), pieces="secrets", definition=define(quantity, 1, **how), **about,
        )
        for (says, quantity), column in zip(_QUANTITIES, values.T, strict=True)
    )  # fmt: skip
