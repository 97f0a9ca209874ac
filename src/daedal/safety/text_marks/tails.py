"""How probable a sum as large is by chance: exact tails, by the incomplete beta and gamma functions.

The normal approximation in their place is too small by a factor of three to six at the probabilities that matter
(docs/watermarks.md).
"""


def binomial_tail(successes: int, trials: int, chance: float) -> float:
    """P(X >= successes) of a binomial X."""
    from scipy.special import betainc

    if successes <= 0:
        return 1.0
    return float(betainc(successes, trials - successes + 1, chance)) if successes <= trials else 0.0


def gamma_tail(total: float, count: int) -> float:
    """P(X >= total) of a sum of so many standard exponentials."""
    from scipy.special import gammaincc

    return float(gammaincc(count, max(0.0, total)))
