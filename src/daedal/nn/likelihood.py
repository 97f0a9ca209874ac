"""How likely a picture is, given what a decoder says of each of its values: Bernoulli, discretised logistic, Gaussian.

Pictures are `x = v / 127.5 - 1` for bytes `v`. All give log-likelihoods in nats, summed over a picture's values.
"""

import math
from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

HALF = 1 / 255
"""Half the step from one byte to the next."""


class Likelihood(nn.Module, ABC):
    """The last layer of a decoder. A number for each value of a picture becomes its distribution."""

    @abstractmethod
    def mean(self, given: Float[Tensor, "batch c h w"]) -> Float[Tensor, "batch c h w"]:
        """The picture that is expected."""

    @abstractmethod
    def log_prob(self, x: Float[Tensor, "batch c h w"], given: Float[Tensor, "batch c h w"]) -> Float[Tensor, " batch"]:
        """Log-likelihood of each picture, in nats."""

    def target(self, images: Float[Tensor, "batch c h w"], uniform: Tensor | None) -> Float[Tensor, "batch c h w"]:
        """What is learned of a picture: itself."""
        return images

    def initialise(self) -> None:
        """Its own parameters anew."""


class Bernoulli(Likelihood):
    """For pictures that are nearly black and white: a value is the chance of white, drawn anew whenever a picture is seen
    (dynamic binarisation; Salakhutdinov & Murray 2008)."""

    def mean(self, given: Float[Tensor, "batch c h w"]) -> Float[Tensor, "batch c h w"]:
        return torch.sigmoid(given) * 2 - 1

    def target(self, images: Float[Tensor, "batch c h w"], uniform: Tensor | None) -> Float[Tensor, "batch c h w"]:
        assert uniform is not None
        return (uniform < (images + 1) / 2).to(images.dtype)

    def log_prob(self, x: Float[Tensor, "batch c h w"], given: Float[Tensor, "batch c h w"]) -> Float[Tensor, " batch"]:
        return -F.binary_cross_entropy_with_logits(given, x, reduction="none").flatten(1).sum(1)


class Logistic(Likelihood):
    """A logistic distribution's mass on each of the 256 bytes (Kingma et al. 2016; Salimans et al. 2017): an exact
    likelihood of the bytes. The decoder says the middle of each; the width is one number learned for the whole data. Were it
    said for each value, a wide one would excuse what is hard: shapes lose their colours while the ground is polished."""

    def __init__(self) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.empty(()))

    def initialise(self) -> None:
        nn.init.constant_(self.log_scale, -2.0)

    def mean(self, given: Float[Tensor, "batch c h w"]) -> Float[Tensor, "batch c h w"]:
        return given.clamp(-1, 1)

    def log_prob(self, x: Float[Tensor, "batch c h w"], given: Float[Tensor, "batch c h w"]) -> Float[Tensor, " batch"]:
        log_scale = self.log_scale.clamp(-9, 1)
        sharpness = torch.exp(-log_scale)
        above, below = (x + HALF - given) * sharpness, (x - HALF - given) * sharpness
        # sigmoid(a) - sigmoid(b) = sigmoid(a) sigmoid(-b) (1 - exp(b - a)), exact however small; the first byte's mass
        # begins at minus infinity, the last one's has no end
        up, down = F.logsigmoid(above), F.logsigmoid(-below)
        between = up + down + torch.log(-torch.expm1(-2 * HALF * sharpness))
        mass = torch.where(x < HALF - 1, up, torch.where(x > 1 - HALF, down, between))
        return mass.flatten(1).sum(1)


class Gaussian(Likelihood):
    """A normal distribution whose variance is one number learned for the whole data (Dai & Wipf 2019; Rybkin et al. 2021).
    A density over reals: no likelihood of bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.log_deviation = nn.Parameter(torch.empty(()))

    def initialise(self) -> None:
        nn.init.constant_(self.log_deviation, -1.0)

    def mean(self, given: Float[Tensor, "batch c h w"]) -> Float[Tensor, "batch c h w"]:
        return given.clamp(-1, 1)

    def log_prob(self, x: Float[Tensor, "batch c h w"], given: Float[Tensor, "batch c h w"]) -> Float[Tensor, " batch"]:
        # bytes are steps apart: a deviation under a third of a step would fit the grid of bytes, not the pictures
        log_deviation = self.log_deviation.clamp_min(math.log(HALF * 2 / 3))
        error = ((x - given) * torch.exp(-log_deviation)).square().flatten(1).sum(1)
        return -0.5 * error - x[0].numel() * (log_deviation + 0.5 * math.log(2 * math.pi))
