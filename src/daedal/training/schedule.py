"""Learning rates as functions of the fraction of the budget used, so that every run ends annealed.

Warm-up, a constant stretch, then a linear cooldown to nothing (the trapezoid of Hägele et al. 2024, arXiv:2405.18392).
"""


def trapezoid(begin: float, end: float, warmup: float, cooldown: float) -> float:
    """The factor on the peak learning rate for one step. Each of a run's steps learns: the factor would be 0 for a step before
    the first, and for one after the last.

    Args:
        begin: how much of the run is done before the step, 0 to 1.
        end: how much is done after it.
        warmup: the share of the run over which the factor rises from 0 to 1.
        cooldown: the share of the run over which it falls from 1 to 0.
    """
    rising = 1.0 if warmup <= 0 else min(1.0, end / warmup)
    falling = 1.0 if cooldown <= 0 else min(1.0, (1.0 - begin) / cooldown)
    return max(0.0, min(rising, falling))
