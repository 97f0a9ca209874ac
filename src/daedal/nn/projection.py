"""Descent in a latent space towards a picture (Zhu et al. 2016, arXiv:1609.03552; Abdal et al. 2019, arXiv:1904.03189)."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

Distance = Callable[[Float[Tensor, "count latent"]], Float[Tensor, " count"]]
"""How far the picture of each latent is from the one that is sought."""


def project(
    distance: Distance,
    candidates: Float[Tensor, "count latent"],
    *,
    starts: int = 4,
    steps: int = 100,
    rate: float = 0.1,
) -> Float[Tensor, " latent"]:
    """The nearest latent that is met on the way down from the nearest candidates.

    Args:
        starts: how many candidates to start from.
        steps: of Adam, at a rate that falls to zero; each start goes its own way.
    """
    with torch.no_grad():
        far = distance(candidates)
    least, nearest = far.topk(min(starts, len(candidates)), largest=False)
    latents = candidates[nearest].clone()
    best = latents.clone()
    first, second = torch.zeros_like(latents), torch.zeros_like(latents)
    for step in range(steps):
        with torch.enable_grad():
            now = distance(latents.requires_grad_())
            (gradient,) = torch.autograd.grad(now.sum(), latents)
        latents, now = latents.detach(), now.detach()
        better = now < least
        least = torch.where(better, now, least)
        best = torch.where(better[:, None], latents, best)
        first.lerp_(gradient, 0.1)
        second.lerp_(gradient.square(), 0.01)
        length = (second / (1 - 0.99 ** (step + 1))).sqrt() + 1e-8
        latents = latents - rate * (1 - step / steps) * first / (1 - 0.9 ** (step + 1)) / length
    return best[least.argmin()]
