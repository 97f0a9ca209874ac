"""Proximal policy optimisation (Schulman et al. 2017, arXiv:1707.06347), as it is used on texts (Ziegler et al. 2019,
Ouyang et al. 2022): each token is an action, the reward of the whole answer comes with its last one, and each token pays
for leaving the reference.

    r_t = -beta (log pi_old(t) - log pi_ref(t)),  and for the last token the reward besides
    delta_t = r_t + gamma V_{t+1} - V_t
    A_t = delta_t + gamma lambda A_{t+1}                        generalised advantages (Schulman et al. 2016, arXiv:1506.02438)
    G_t = A_t + V_t                                             what the value is to be

    policy:  -min(rho_t A_t, clip(rho_t, 1 - e, 1 + e) A_t)     with rho_t = pi(t) / pi_old(t)
    value:   max((V_t - G_t)^2, (clip(V_t, V_old +- e) - G_t)^2) / 2
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def advantages(
    rewards: Float[Tensor, "answers time"],
    values: Float[Tensor, "answers time"],
    known: Bool[Tensor, "answers time"],
    gamma: float = 1.0,
    decay: float = 0.95,
) -> tuple[Float[Tensor, "answers time"], Float[Tensor, "answers time"]]:
    """Generalised advantages, and what the values are to be; 0 where no token is `known`. Rows begin at their first token.

    Args:
        values: of the state before each token.
        decay: lambda.
    """
    found = torch.zeros_like(rewards)
    later = torch.zeros_like(rewards[:, 0])
    after = torch.zeros_like(later)
    for time in reversed(range(rewards.shape[1])):
        here = known[:, time]
        delta = rewards[:, time] + gamma * after - values[:, time]
        later = torch.where(here, delta + gamma * decay * later, 0.0)
        after = torch.where(here, values[:, time], 0.0)
        found[:, time] = later
    return found, torch.where(known, found + values, 0.0)


def token_rewards(
    rewards: Float[Tensor, " answers"],
    divergences: Float[Tensor, "answers time"],
    known: Bool[Tensor, "answers time"],
    beta: float,
) -> Float[Tensor, "answers time"]:
    """What each token earns: the reward of its answer where it is the last, less what its divergence costs."""
    last = known.sum(1) - 1
    earned = -beta * divergences * known
    return earned.scatter_add(1, last.clamp_min(0)[:, None], (rewards * (last >= 0))[:, None])


def whitened(x: Float[Tensor, " tokens"]) -> Float[Tensor, " tokens"]:
    """With mean 0 and deviation 1."""
    return (x - x.mean()) / (x.std(correction=0) + 1e-8)


class Clipped(NamedTuple):
    """
    Attributes:
        losses: of each token.
        clipped: which of them the clipping leaves without a gradient.
    """

    losses: Float[Tensor, " tokens"]
    clipped: Bool[Tensor, " tokens"]


def policy_losses(
    policy: Float[Tensor, " tokens"],
    old: Float[Tensor, " tokens"],
    gains: Float[Tensor, " tokens"],
    below: float = 0.2,
    above: float = 0.2,
) -> Clipped:
    """
    Args:
        policy, old: log-probabilities of the tokens now, and when they were written.
        gains: advantages.
        below, above: how far a ratio may be under and over 1.
    """
    ratio = (policy - old).exp()
    free, held = ratio * gains, ratio.clamp(1 - below, 1 + above) * gains
    return Clipped(-torch.minimum(free, held), held < free)


def value_losses(
    values: Float[Tensor, " tokens"],
    old: Float[Tensor, " tokens"],
    wanted: Float[Tensor, " tokens"],
    clip: float = 0.2,
) -> Clipped:
    """
    Args:
        values, old: now, and when the tokens were written.
        wanted: what they are to be.
    """
    near = old + (values - old).clamp(-clip, clip)
    free, held = (values - wanted).square(), (near - wanted).square()
    return Clipped(torch.maximum(free, held) / 2, held > free)
