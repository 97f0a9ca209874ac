"""Directions in a space of latents along which pictures change in a way that a person can name."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from daedal.errors import DaedalError


def principal_directions(latents: Float[Tensor, "count *latent"], most: int) -> Float[Tensor, "directions *latent"]:
    """The directions in which the latents of pictures differ most, each as long as their standard deviation along it
    (principal components; for GANs Harkonen et al. 2020, arXiv:2004.02546). Those of one space always point the same way.

    Raises:
        DaedalError: there are fewer than two pictures.
    """
    if len(latents) < 2:
        raise DaedalError("Directions are found between pictures, and there is only one", "Give at least two pictures")
    flat = latents.flatten(1).double()
    _, lengths, directions = torch.linalg.svd(flat - flat.mean(0), full_matrices=False)
    kept = min(most, len(latents) - 1, directions.shape[0])
    directions, lengths = directions[:kept], lengths[:kept] / (len(latents) - 1) ** 0.5
    largest = directions.gather(1, directions.abs().argmax(1, keepdim=True))
    directions = directions * largest.sign() * lengths[:, None]
    return directions.view(-1, *latents.shape[1:]).to(latents.dtype)  # type: ignore[no-any-return]


def attribute_direction(
    latents: Float[Tensor, "count *latent"], having: Bool[Tensor, " count"]
) -> Float[Tensor, "*latent"]:
    """From the average picture that does not have an attribute to the average one that has it (Larsen et al. 2016,
    arXiv:1512.09300).

    Raises:
        DaedalError: all pictures have it, or none has.
    """
    if not having.any() or having.all():
        raise DaedalError(
            "An attribute's direction needs pictures with it and pictures without", "Give pictures of both kinds"
        )
    return latents[having].mean(0) - latents[~having].mean(0)
