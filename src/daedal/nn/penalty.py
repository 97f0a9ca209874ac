"""Penalties on a critic's slope: how fast its verdict changes with the picture.

R1 is the squared length of the gradient at real pictures (Mescheder et al. 2018, arXiv:1801.04406), R2 the same at
generated ones. A difference of verdicts a small step apart would be cheaper, but its gradient in the weights is mostly
noise where activations have kinks (docs/log.md).
"""

import torch
from jaxtyping import Float
from torch import Tensor


def squared_slope(
    verdicts: Float[Tensor, " batch"], images: Float[Tensor, "batch channels height width"]
) -> Float[Tensor, " batch"]:
    """The squared length of each verdict's gradient in its own picture, to be differentiated in the critic's weights.

    Args:
        verdicts: of a critic that looks at each picture alone.
        images: what it looked at; they must require gradients.
    """
    (gradient,) = torch.autograd.grad(verdicts.sum(), images, create_graph=True)
    return gradient.square().flatten(1).sum(1)
