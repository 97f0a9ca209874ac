"""Group relative policy optimisation (Shao et al. 2024, arXiv:2402.03300): several answers to each prompt, and each is as good
as it is better than the others of its group. No network tells values.

    A_i = (R_i - mean R) / std R                              of the answers i = 1..G to one prompt (section 4.1.2)

or, as REINFORCE with leave-one-out baselines has it (Kool et al. 2019; Ahmadian et al. 2024, arXiv:2402.14740),

    A_i = R_i - mean_{j != i} R_j

    loss:  PPO's clipped term with A_i for all tokens of answer i, plus beta k3(pi, pi_ref) of each token

Tokens of all answers of a step count alike (Yu et al. 2025, arXiv:2503.14476, section 3.3): where each answer counts alike,
long wrong ones cost too little.
"""

from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from daedal.alignment.divergence import k3
from daedal.alignment.ppo import policy_losses

Baseline = Literal["group", "rloo", "mean"]


def group_advantages(
    rewards: Float[Tensor, "prompts answers"], baseline: Baseline = "group"
) -> Float[Tensor, "prompts answers"]:
    """How much better each answer is than the others to its prompt; "mean" leaves the deviation out (Liu et al. 2025,
    arXiv:2503.20783)."""
    count = rewards.shape[1]
    if baseline == "rloo":
        return (rewards - rewards.mean(1, keepdim=True)) * (count / max(1, count - 1))
    centred = rewards - rewards.mean(1, keepdim=True)
    if baseline == "mean":
        return centred
    return centred / (rewards.std(1, correction=0, keepdim=True) + 1e-4)


class Group(NamedTuple):
    """
    Attributes:
        losses, divergences: of each token; the divergence is in the loss already.
        clipped: which tokens the clipping leaves without a gradient.
    """

    losses: Float[Tensor, " tokens"]
    divergences: Float[Tensor, " tokens"]
    clipped: Bool[Tensor, " tokens"]


def grpo(
    policy: Float[Tensor, " tokens"],
    old: Float[Tensor, " tokens"],
    reference: Float[Tensor, " tokens"],
    gains: Float[Tensor, " tokens"],
    *,
    beta: float,
    below: float = 0.2,
    above: float = 0.2,
) -> Group:
    """
    Args:
        policy, old, reference: log-probabilities of the tokens now, when they were written, and in the reference.
        gains: the advantage of each token's answer.
        beta: what a nat of divergence costs.
    """
    losses, clipped = policy_losses(policy, old, gains, below, above)
    divergences = k3(policy, reference) if beta else torch.zeros_like(losses)
    return Group(losses + beta * divergences, divergences, clipped)
