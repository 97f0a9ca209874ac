"""GAN: a generator that draws pictures from latents, and a discriminator that tells them from real ones (Goodfellow 2014).

- the relativistic loss with zero-centred penalties R1 and R2 (Huang et al. 2025, arXiv:2501.05441) by default; the losses of
  2014 and those that followed, to learn from
- penalties every few steps, so many times as strong (Karras et al. 2020, arXiv:1912.04958)
- a class is part of the latent, one number for each; the discriminator projects its features on the class's vector (Miyato
  and Koyama 2018, arXiv:1802.05637)
- it measures its own diversity while it learns, and says when it has collapsed
- a real picture is sought in the latent space by descent
"""

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn

from daedal.config import Config
from daedal.models.image import ImageBatch, ImageConfig, ImageModel, Images, ImageSampling
from daedal.models.model import Loss, Moment, assembling
from daedal.nn.convolution import initialise
from daedal.nn.noise import Noise
from daedal.nn.penalty import squared_slope
from daedal.nn.projection import project
from daedal.nn.pyramid import Grower, Pyramid, Residual, Shrinker
from daedal.nn.rivalry import Rivalry

Game = Literal["relativistic", "non-saturating", "saturating", "hinge", "wasserstein"]
Verdicts = Float[Tensor, " batch"]

_LOUD = 3.0  # how far the first weights of the latent are from their usual size: soft ones draw a class all alike

# Of the search for a picture in the latent space: random latents to begin with, and weights beside the error in pixels
_GUESSES = 128
_FEATURES = 0.1
_UNLIKELY = 0.003


class GANShape(Config):
    """What a person may choose of a GAN."""

    game: Game = Field("relativistic", description="the losses of generator and discriminator")
    latent: int = Field(32, ge=1, le=4096, description="numbers that a picture is drawn from")
    breadth: int = Field(16, ge=4, le=1024, description="channels at the finest grid; they double with each halving")
    widest: int = Field(64, ge=4, le=4096, description="channels of any grid at most")
    depth: int = Field(1, ge=1, le=16, description="residual blocks of each grid")
    patch: int = Field(2, ge=1, le=16, description="side in pixels of a cell of the finest grid")
    frames: int = Field(8, ge=0, le=64, description="movable frames of coordinates that the generator draws in")
    penalty: float = Field(
        1.0, ge=0, le=1e6, description="weight of the slope penalties R1 and R2 at 32 pixels; 0 for none"
    )
    penalty_end: float = Field(0.3, gt=0, le=1, description="share of that weight that is left at the end of the run")
    penalty_interval: int = Field(4, ge=1, le=1024, description="steps from one penalty to the next")


class GANConfig(GANShape, ImageConfig):
    """A GAN for pictures of one size."""


class GAN(ImageModel):
    """A latent is `latent` normal numbers and then, where there are classes, how much of each class it is."""

    family = "gan"
    capabilities = frozenset({"sample", "class", "interpolate", "reconstruct"})
    options = frozenset({"truncation"})
    config: GANConfig
    seen: Float[Tensor, " classes"]

    def __init__(self, config: GANConfig) -> None:
        super().__init__()
        self.config: GANConfig = config
        with assembling(self):
            self._assemble(config)

    def _assemble(self, config: GANConfig) -> None:
        pyramid = Pyramid.of(config.height, config.width, config.breadth, config.widest, config.patch)
        features = 2 * pyramid.grids[-1][2]
        self.generator = Grower(
            pyramid, config.latent + config.classes, features // 2, config.channels, config.depth, config.frames
        )
        self.discriminator = Shrinker(pyramid, config.channels, features, config.depth)
        self.verdict = nn.Linear(features, 1)
        self.kinds = nn.Linear(features, config.classes, bias=False) if config.classes else None
        self.register_buffer("seen", torch.zeros(config.classes))
        self._rivalry = Rivalry()
        self._new: Tensor | None = None

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Draw all weights anew. Drawn on the CPU, so that a seed means the same model on every device."""
        initialise(self, generator)
        for module in self.modules():
            if isinstance(module, Residual):  # each block starts as the identity
                module.last.weight.zero_()
                if module.scale is not None:
                    module.scale.weight.zero_()
        first = self.generator.enter.weight
        first[:, : self.config.latent] *= _LOUD
        first[:, self.config.latent :] *= first.shape[1] ** 0.5  # of these inputs but one is not 0
        self.seen.zero_()

    @property
    def players(self) -> dict[str, list[nn.Parameter]]:
        own = list(self.generator.parameters())
        known = {id(parameter) for parameter in own}
        others = [parameter for parameter in self.parameters() if id(parameter) not in known]
        return {"discriminator": others, "generator": own}

    def _shares(self, labels: Int[Tensor, " batch"]) -> Float[Tensor, "batch classes"]:
        """How much of each class a picture is: one where it has a label, and evenly all where it has none."""
        classes = self.config.classes
        whole = F.one_hot(labels.clamp_min(0), max(classes, 1))[:, :classes]
        return torch.where(labels[:, None] < 0, 1 / max(classes, 1), whole.to(self.seen.dtype))

    def judge(self, images: Images, labels: Int[Tensor, " batch"]) -> Verdicts:
        """How real the discriminator finds each picture."""
        features = self.discriminator(images)
        verdicts: Tensor = self.verdict(features).squeeze(1)
        if self.kinds is not None:
            verdicts = verdicts + (self.kinds(features) * self._shares(labels)).sum(1)
        return verdicts

    def loss(self, batch: ImageBatch, player: str = "generator") -> Loss:
        """The loss of one player, summed over the pictures and divided by the count of the whole step."""
        z = batch.noise.normal(f"{player}'s latent", self.config.latent)
        latents = torch.cat([z, self._shares(batch.labels)], 1)
        if player == "generator":
            return self._loss_of_generator(batch, latents)
        with torch.no_grad():
            fake = self.decode(latents)
        return self._loss_of_discriminator(batch, fake)

    def _loss_of_generator(self, batch: ImageBatch, latents: Float[Tensor, "batch latent"]) -> Loss:
        fake = self.judge(self.decode(latents), batch.labels)
        if self.config.game == "relativistic":
            with torch.no_grad():
                real = self.judge(batch.images, batch.labels)
        else:
            real = fake  # the other games do not look
        total = _GENERATOR[self.config.game](real, fake).sum() / batch.moment.count
        return Loss(total, {"generator": total.detach()})

    def _loss_of_discriminator(self, batch: ImageBatch, fake: Images) -> Loss:
        config, moment = self.config, batch.moment
        punished = config.penalty > 0 and moment.step % config.penalty_interval == 0
        images, labels = torch.cat([batch.images, fake]).requires_grad_(punished), batch.labels.repeat(2)
        verdicts = self.judge(images, labels)
        real, false = verdicts.chunk(2)
        total = _DISCRIMINATOR[config.game](real, false).sum() / moment.count
        parts = {"discriminator": total.detach()}
        if punished:
            slopes = squared_slope(verdicts, images).sum() / moment.count
            total = total + self.penalty(moment) * config.penalty_interval / 2 * slopes
            parts["slope"] = slopes.detach()
        if self.training:
            self._rivalry.watch(real.detach(), false.detach(), batch.images, fake)
            counts = self._shares(batch.labels)[batch.labels >= 0].sum(0)
            self._new = counts if self._new is None else self._new + counts
        return Loss(total, parts)

    def penalty(self, moment: Moment) -> float:
        """The weight of the slope penalties: proportional to the pixels, and falling geometrically through the run."""
        pixels = self.config.height * self.config.width / 32**2
        weight: float = self.config.penalty * pixels * self.config.penalty_end**moment.fraction
        return weight

    def after_step(self, total: Callable[[Tensor], Tensor], moment: Moment) -> None:
        """Count the classes that were seen, and take the measures of the players together."""
        self._rivalry.gather(total, moment.fraction)
        if self._new is not None:
            self.seen += total(self._new)
            self._new = None

    def health(self) -> dict[str, float]:
        """The players' measures since the last call (`daedal.nn.rivalry`)."""
        return self._rivalry.take()

    def warning(self) -> str | None:
        """What is wrong with the players, as of the last call of `health`; nothing where all is well."""
        return self._rivalry.warning

    def prior(self, noise: Noise) -> Float[Tensor, "batch latent"]:
        """Latents of the classes that the data has, as often as it has them."""
        z = noise.normal("latent", self.config.latent)
        if not self.config.classes:
            return z
        odds = self.seen if bool(self.seen.any()) else torch.ones_like(self.seen)
        edges = (odds.cumsum(0) / odds.sum())[:-1]
        labels = torch.bucketize(noise.uniform("class").to(edges), edges, right=True)
        return torch.cat([z, self._shares(labels).to(z)], 1)

    def decode(
        self,
        latents: Float[Tensor, "batch latent"],
        labels: Int[Tensor, " batch"] | None = None,
        how: ImageSampling | None = None,
    ) -> Images:
        """The pictures of latents: of the labels' classes, or where there is none of the latent's own.

        `how.truncation` scales the normal numbers towards their mean: likelier pictures, and fewer kinds of them.
        """
        z, own = latents[:, : self.config.latent], latents[:, self.config.latent :]
        if how is not None and how.truncation is not None:
            z = z * how.truncation
        if labels is not None:
            own = torch.where(labels[:, None] < 0, own, self._shares(labels).to(own))
        pictures: Tensor = self.generator(torch.cat([z, own], 1), self.config.height, self.config.width)
        return pictures

    def encode(
        self,
        images: Images,
        labels: Int[Tensor, " batch"] | None = None,
        how: ImageSampling | None = None,
    ) -> Float[Tensor, "batch latent"]:
        """The latents whose pictures come nearest, in pixels and in the discriminator's features.

        Real pictures are not the generator's, so that what is found resembles them, and is not them. It takes some hundred
        passes through the generator for each picture.
        """
        with torch.inference_mode(False):  # a caller may be in it, and descent needs gradients
            guesses = self.prior(Noise(0, 0, _GUESSES, images.device))
            wanted = labels if labels is not None else torch.full((len(images),), -1, device=images.device)
            found = [self._project(*pair, guesses, how) for pair in zip(images.clone(), wanted.clone(), strict=True)]
        return torch.stack(found) if found else guesses[:0]

    def _project(
        self,
        image: Float[Tensor, "channels height width"],
        label: Int[Tensor, ""],
        guesses: Float[Tensor, "count latent"],
        how: ImageSampling | None,
    ) -> Float[Tensor, " latent"]:
        with torch.no_grad():
            sought = self.discriminator(image[None])
            length = sought.square().mean().clamp_min(1e-12)

        def distance(latents: Float[Tensor, "count latent"]) -> Float[Tensor, " count"]:
            pictures = self.decode(latents, label.expand(len(latents)), how)
            unlike: Tensor = (self.discriminator(pictures) - sought).square().mean(1) / length
            unlikely = latents[:, : self.config.latent].square().mean(1)
            far: Tensor = (pictures - image).square().flatten(1).mean(1)
            return far + _FEATURES * unlike + _UNLIKELY * unlikely

        return project(distance, guesses)


Judgement = Callable[[Verdicts, Verdicts], Verdicts]

_DISCRIMINATOR: dict[Game, Judgement] = {
    "relativistic": lambda real, fake: F.softplus(fake - real),
    "non-saturating": lambda real, fake: F.softplus(-real) + F.softplus(fake),
    "saturating": lambda real, fake: F.softplus(-real) + F.softplus(fake),
    "hinge": lambda real, fake: F.relu(1 - real) + F.relu(1 + fake),
    "wasserstein": lambda real, fake: fake - real,
}
_GENERATOR: dict[Game, Judgement] = {
    "relativistic": lambda real, fake: F.softplus(real - fake),
    "non-saturating": lambda real, fake: F.softplus(-fake),
    "saturating": lambda real, fake: -F.softplus(fake),
    "hinge": lambda real, fake: -fake,
    "wasserstein": lambda real, fake: -fake,
}
