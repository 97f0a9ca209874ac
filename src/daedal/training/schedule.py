"""Learning rates as functions of the fraction of the budget used, so that every run ends annealed.

Warm-up, a constant stretch, then a linear cooldown to nothing (the trapezoid of Hägele et al. 2024, arXiv:2405.18392).
"""


def trapezoid(fraction: float, warmup: float, cooldown: float) -> float:
    """The factor on the peak learning rate.

    Args:
        fraction: how much of the run is done, 0 to 1.
        warmup: the share of the run over which the factor rises from 0 to 1.
        cooldown: the share of the run over which it falls from 1 to 0.
    """
    rising = 1.0 if warmup <= 0 else min(1.0, fraction / warmup)
    falling = 1.0 if cooldown <= 0 else min(1.0, (1.0 - fraction) / cooldown)
    return max(0.0, min(rising, falling))
