"""Keyed random directions, and the exact odds that something points along one by chance.

A mark is a vector of standard normal numbers drawn from the key, so its direction is equally likely to be any. Whoever does not
know the key made their picture or sound independently of it; whatever numbers that gives, their correlation with a direction
drawn uniformly from the sphere has one known distribution: the p-value holds for every picture, natural or not, without a
model of pictures (Furon & Bas 2008, "Broken Arrows").
"""

import hashlib
import sys

import numpy as np
from jaxtyping import Complex, Float

Array = np.ndarray
LEAST = sys.float_info.min
"""The least p-value that is told; smaller ones are no numbers."""


def direction(secret: bytes, purpose: str, count: int) -> Complex[Array, " count"]:
    """Complex numbers whose two parts are standard normal, the same on every machine (SHAKE-256, then Box & Muller 1958). The
    first of many are those of few."""
    words = np.frombuffer(hashlib.shake_256(secret + purpose.encode()).digest(8 * count), dtype="<u4")
    first, second = (words.reshape(count, 2).T.astype(np.float64) + 0.5) / 2**32
    drawn: Array = np.sqrt(-2 * np.log(first)) * np.exp(2j * np.pi * second)
    return drawn


def tail(correlation: Float[Array, "*shape"] | float, dimensions: int) -> Float[Array, "*shape"]:
    """How often a direction drawn uniformly in so many dimensions correlates at least as much with a given one.

    Exact: the square of the correlation has a beta distribution of 1/2 and (n - 1) / 2.
    """
    from scipy.special import betainc

    correlation = np.clip(correlation, -1, 1)
    half = betainc((dimensions - 1) / 2, 0.5, 1 - np.square(correlation)) / 2
    found: Array = np.maximum(np.where(correlation > 0, half, 1 - half), LEAST)
    return found


def corrected(p_value: float, tries: int) -> float:
    """The p-value of the best of so many tries, whatever they have to do with each other (Bonferroni)."""
    return min(1.0, p_value * tries)
