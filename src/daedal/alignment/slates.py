"""Preferences among items: DPO with several that were not liked (S-DPO; Chen et al. 2024, arXiv:2406.09215).

After a history x somebody liked the item w, and not those of a slate D. With r(i) = beta (log pi(i|x) - log pi_ref(i|x)),

    -log sigmoid(-log sum over d in D of exp(r(d) - r(w)))      (equation 9)

which is DPO where D has one item. The softmax's normaliser is the same for all items after a history and leaves the
differences: logits do in place of log-probabilities.
"""

import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor


def slate_losses(
    liked: Float[Tensor, " slates"],
    others: Float[Tensor, "slates items"],
    there: Bool[Tensor, "slates items"],
    beta: float = 1.0,
) -> Float[Tensor, " slates"]:
    """The loss of each slate, in nats.

    Args:
        liked: of the item that was liked, its logit less that in the reference.
        others: the same of those that were not.
        there: which of these there are; at least one of each slate.
        beta: how much it costs to leave the reference.
    """
    away = (beta * (others - liked[:, None])).masked_fill(~there, float("-inf"))
    return -F.logsigmoid(-away.logsumexp(1))
