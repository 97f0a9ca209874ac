"""KTO: learning from thumbs, up or down, for single answers (Ethayarajh et al. 2024, arXiv:2402.01306).

With r(y) = log pi(y|x) - log pi_ref(y|x), and z the KL divergence of the model from the reference that it is judged against,

    liked:      w+ (1 - sigmoid(beta (r(y) - z)))
    disliked:   w- (1 - sigmoid(beta (z - r(y))))                                  (equations 7 and 8)

z is estimated from answers that belong to other prompts of the step, and no gradient flows through it: z = max(0, mean r(y')).
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def kto(
    ratios: Float[Tensor, " answers"],
    liked: Bool[Tensor, " answers"],
    divergence: Float[Tensor, ""] | float,
    *,
    beta: float = 0.1,
    up: float = 1.0,
    down: float = 1.0,
) -> Float[Tensor, " answers"]:
    """The loss of each answer.

    Args:
        ratios: log pi(y|x) - log pi_ref(y|x) of each answer, in nats, summed over its tokens.
        divergence: z, in nats.
        up, down: weights of liked and of disliked answers.
    """
    gain = torch.sigmoid(beta * torch.where(liked, ratios - divergence, divergence - ratios))
    return torch.where(liked, up, down) * (1 - gain)


def mismatched_divergence(ratios: Float[Tensor, " answers"]) -> float:
    """z, from the ratios of answers that belong to other prompts."""
    return max(0.0, float(ratios.mean())) if len(ratios) else 0.0


def weights(liked: int, disliked: int) -> tuple[float, float]:
    """Weights of liked and disliked answers by which the rarer of the two counts as much as the other (section 4.2: between 1
    and 4/3 in favour of the liked is best; here they are even)."""
    if not liked or not disliked:
        return 1.0, 1.0
    return (disliked / liked, 1.0) if liked < disliked else (1.0, liked / disliked)
