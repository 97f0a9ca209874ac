"""How far a model has gone from its reference: estimates of KL(pi || pi_ref) from answers that pi gave.

With d = log pi_ref(t) - log pi(t) of each token t (Schulman 2020, http://joschu.net/blog/kl-approx.html):

    k1 = -d                 unbiased, and may be negative
    k3 = exp(d) - 1 - d     unbiased too, never negative, and much less scattered
"""

import math

from jaxtyping import Float
from torch import Tensor


def k1(policy: Float[Tensor, "*tokens"], reference: Float[Tensor, "*tokens"]) -> Float[Tensor, "*tokens"]:
    """Of each token, in nats, from its log-probabilities."""
    return policy - reference


def k3(policy: Float[Tensor, "*tokens"], reference: Float[Tensor, "*tokens"]) -> Float[Tensor, "*tokens"]:
    """Of each token, in nats, from its log-probabilities."""
    away = reference - policy
    return away.expm1() - away


class Controller:
    """The weight of the divergence, moved so that the divergence comes to be `target` (Ziegler et al. 2019, arXiv:1909.08593,
    section 2.2): `beta <- beta (1 + gain clip(kl / target - 1, -0.2, 0.2))` for each rollout.

    Args:
        beta: at first.
        target: nats an answer; None leaves the weight as it is.
    """

    gain = 0.1

    def __init__(self, beta: float, target: float | None = None) -> None:
        self.beta, self.target = beta, target

    def see(self, nats: float) -> None:
        """A rollout whose answers diverge by so many nats on average."""
        if self.target is not None and math.isfinite(nats):
            self.beta *= 1 + self.gain * min(0.2, max(-0.2, nats / self.target - 1))
