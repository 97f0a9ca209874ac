"""The Bradley-Terry model: what is chosen of two is told by the difference of two numbers, one for each.

    p(chosen over rejected) = sigmoid(r(chosen) - r(rejected))
    loss = -log sigmoid(r(chosen) - r(rejected) - m)

- Bradley and Terry 1952, *Rank Analysis of Incomplete Block Designs*: the probability
- Ouyang et al. 2022, arXiv:2203.02155, equation 1: the loss of a reward model, over pairs of answers to a prompt
- Touvron et al. 2023, arXiv:2307.09288, equation 2: the margin m, larger where people said that one is much better

Only differences count: a number that is added to all rewards changes nothing.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def bradley_terry_loss(
    chosen: Float[Tensor, " pairs"], rejected: Float[Tensor, " pairs"], margins: Float[Tensor, " pairs"] | None = None
) -> Float[Tensor, " pairs"]:
    """Nats of each pair; log 2 where the two rewards are equal.

    Args:
        margins: by how much the chosen one is to be ahead before the loss falls below log 2; 0 unless given.
    """
    ahead = chosen - rejected
    return -F.logsigmoid(ahead if margins is None else ahead - margins)


def preferred(chosen: Float[Tensor, " pairs"], rejected: Float[Tensor, " pairs"]) -> Float[Tensor, " pairs"]:
    """1 where the chosen one has the higher reward, 0 where the rejected one has, 1/2 where neither: who cannot tell is
    right in half of the cases."""
    return (1 + torch.sign(chosen - rejected)) / 2
