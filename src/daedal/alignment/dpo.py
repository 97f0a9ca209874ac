"""Direct preference optimisation (Rafailov et al. 2023, arXiv:2305.18290), and IPO (Azar et al. 2023, arXiv:2310.12036).

Of two answers y+ and y- to a prompt x the first was chosen. With the implicit reward of an answer

    r(y) = beta (log pi(y|x) - log pi_ref(y|x))

    DPO:  -(1 - e) log sigmoid(r(y+) - r(y-)) - e log sigmoid(r(y-) - r(y+))      (equation 7; smoothed as Mitchell 2023)
    IPO:  ((r(y+) - r(y-)) / beta - 1 / (2 beta))^2                               (equation 17)

IPO's log-probabilities are means over an answer's tokens: with sums, the one margin for pairs of all lengths would be met
by length alone.
"""

from typing import Literal, NamedTuple

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

Form = Literal["dpo", "ipo"]


class PairLosses(NamedTuple):
    """
    Attributes:
        losses: of each pair.
        chosen, rejected: implicit rewards, in nats times beta.
    """

    losses: Float[Tensor, " pairs"]
    chosen: Float[Tensor, " pairs"]
    rejected: Float[Tensor, " pairs"]


def dpo(
    chosen: Float[Tensor, " pairs"],
    rejected: Float[Tensor, " pairs"],
    *,
    beta: float = 0.1,
    smoothing: float = 0.0,
    form: Form = "dpo",
) -> PairLosses:
    """
    Args:
        chosen, rejected: log pi(y|x) - log pi_ref(y|x), in nats: summed over an answer for DPO, its mean a token for IPO.
        beta: how much it costs to leave the reference.
        smoothing: the share e of pairs that are taken to be labelled the wrong way round; DPO only.
    """
    margin = chosen - rejected
    if form == "ipo":
        losses = (margin - 1 / (2 * beta)).square()
    else:
        losses = -(1 - smoothing) * F.logsigmoid(beta * margin) - smoothing * F.logsigmoid(-beta * margin)
    return PairLosses(losses, beta * chosen, beta * rejected)
