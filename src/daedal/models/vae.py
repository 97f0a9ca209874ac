"""VAE: pictures from latents whose distribution is known, by a bound on their likelihood (Kingma & Welling 2014).

    log p(x) >= E_q(z|x) [log p(x|z)] + E_q(z|x) [log p(z) - log q(z|x)]

- residual convolutions, none at full resolution; the likelihood is one of `nn/likelihood.py`
- latents: a vector whose prior a small flow learns along (Rezende & Mohamed 2015; Chen et al. 2017), and a grid of finer
  ones whose prior the vector gives (a ladder of two rungs; Sonderby et al. 2016); either can be left out
- from outside a latent is the noise that it comes from: standard normal whatever the priors have learned, so that drawing
  is drawing noise, and a great circle is the way from one picture to another
- `log_likelihood(batch, samples=k)` is the importance-weighted bound (Burda et al. 2016): k = 1 the ELBO, 500 nearly exact
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, Self

import torch
from jaxtyping import Float, Int
from pydantic import Field, model_validator
from torch import Tensor, nn

from daedal.config import Config
from daedal.models.image import ImageBatch, ImageConfig, ImageModel, Images, ImageSampling, Latents
from daedal.models.model import Loss, assembling
from daedal.nn.convolution import Decoder, Encoder, ResidualBlock, initialise, pad_to_multiple
from daedal.nn.coupling import CouplingFlow, standard_log_prob
from daedal.nn.likelihood import Bernoulli, Gaussian, Likelihood, Logistic
from daedal.nn.mixture import Mixture
from daedal.nn.noise import Noise

LIKELIHOODS: dict[str, type[Likelihood]] = {"bernoulli": Bernoulli, "logistic": Logistic, "gaussian": Gaussian}
Density = Callable[[Tensor], Tensor]
_DRAWN = 16
"""Importance samples of a picture whose noise is drawn at once."""
_ROWS = 256
"""Pictures that are decoded at once for the importance-weighted bound: few enough to stay in a processor's cache."""
_UNTOLD = 0.1
"""Share of pictures whose class the model is not told while it learns."""
_FITTED = 20_000
"""Pictures that the mixture is fitted to."""


class VAEShape(Config):
    """What a person may choose."""

    likelihood: Literal["bernoulli", "logistic", "gaussian"] = Field(
        "logistic",
        description="of a pixel: bernoulli for black and white, logistic for exact bytes, gaussian for smooth",
    )
    filters: int = Field(32, ge=4, le=2048, description="channels of the network where the picture is smallest")
    depth: int = Field(2, ge=0, le=64, description="residual blocks of the encoder, and of the decoder")
    halvings: int = Field(2, ge=1, le=6, description="how often the picture is halved on the way to the latents")
    latent: int = Field(40, ge=0, le=4096, description="numbers of the latent vector; 0 for a grid alone")
    grid: int = Field(0, ge=0, le=256, description="latent numbers at each place of the smallest picture; 0 for none")
    couplings: int = Field(6, ge=0, le=64, description="layers of the flow that learns the vector's prior; 0: normal")
    mixture: int = Field(
        0,
        ge=0,
        le=1024,
        description="Gaussians fitted to the vectors of pictures after training, to draw from; 0 for none",
    )
    kl_warmup: float = Field(0.0, ge=0, le=1, description="share of the run over which the latents' cost rises to full")
    free_bits: float = Field(0.0, ge=0, le=1e6, description="bits that the latents of a picture may hold at no cost")

    @model_validator(mode="after")
    def _has_latents(self) -> Self:
        if not self.latent and not self.grid:
            raise ValueError("latent and grid cannot both be 0")
        if self.mixture and not self.latent:
            raise ValueError("a mixture is fitted to the latent vector; latent is 0")
        if self.latent == 1 and self.couplings:
            raise ValueError("a latent of one number has no couplings; set couplings to 0")
        return self


class VAEConfig(VAEShape, ImageConfig):
    """A VAE of certain pictures."""

    @property
    def cells(self) -> tuple[int, int]:
        """Height and width of the smallest picture."""
        scale = 2**self.halvings
        return -(-self.height // scale), -(-self.width // scale)

    @property
    def cell_values(self) -> int:
        return self.grid * self.cells[0] * self.cells[1]


@dataclass(frozen=True)
class _Posterior:
    """What the encoder makes of pictures, all that the latents' posterior depends on."""

    features: Float[Tensor, "batch filters h w"]
    mean: Float[Tensor, "batch latent"]
    log_deviation: Float[Tensor, "batch latent"]

    def of(self, rows: Int[Tensor, " rows"]) -> "_Posterior":
        """Of these pictures, one for each row."""
        return _Posterior(self.features[rows], self.mean[rows], self.log_deviation[rows])


class VAE(ImageModel):
    """See the file. `VAE(config)` under `torch.device("meta")` allocates and initialises nothing."""

    family = "vae"
    capabilities = frozenset({"sample", "class", "interpolate", "reconstruct", "score"})
    options = frozenset({"temperature"})

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        self.config: VAEConfig = config
        with assembling(self):
            self._assemble(config)

    def _assemble(self, config: VAEConfig) -> None:
        wide, cells = config.filters, config.cells[0] * config.cells[1]
        self.likelihood = LIKELIHOODS[config.likelihood]()
        self.encoder = Encoder(config.channels, wide, config.depth, config.halvings)
        if config.latent:
            self.to_vector = nn.Linear(wide * cells, 2 * config.latent)
            self.from_vector = nn.Linear(config.latent, wide * cells)
            self.flow = CouplingFlow(config.latent, config.couplings, 4 * config.latent)
        self.mixture = Mixture(config.mixture, config.latent) if config.mixture else None
        early = config.depth // 2 if config.latent and config.grid else 0
        self.early = nn.Sequential(*(ResidualBlock(wide) for _ in range(early)))
        if config.grid:
            self.grid_prior = nn.Conv2d(wide, 2 * config.grid, 1) if config.latent else None
            self.to_grid = nn.Sequential(
                nn.Conv2d(2 * wide if config.latent else wide, wide, 1),
                nn.SiLU(),
                nn.Conv2d(wide, 2 * config.grid, 1),
            )
            self.from_grid = nn.Conv2d(config.grid, wide, 1)
        self.decoder = Decoder(config.channels, wide, config.depth - early, config.halvings)
        self.class_features = nn.Embedding(config.classes + 1, wide, _weight=torch.empty(config.classes + 1, wide))
        self.class_flow = nn.Embedding(
            config.classes + 1, 4 * config.latent, _weight=torch.empty(config.classes + 1, 4 * config.latent)
        )

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Draw all weights anew."""
        initialise(self, generator)
        self.likelihood.initialise()
        self.class_features.weight.zero_()
        self.class_flow.weight.zero_()
        if self.config.latent:
            self.flow.initialise()
        if self.mixture is not None:
            self.mixture.initialise()
        if self.config.grid and self.grid_prior is not None:
            self.grid_prior.weight.zero_()

    # --- the networks

    def _classes(self, labels: Tensor | None, count: int) -> Tensor:
        """Row 0 of the tables is for pictures whose class is not told."""
        if labels is None or not self.config.classes:
            return torch.zeros(count, dtype=torch.long, device=self.class_features.weight.device)
        return labels + 1

    def _posterior(self, images: Tensor, classes: Tensor) -> _Posterior:
        padded = pad_to_multiple(images, 2**self.config.halvings)
        features = self.encoder(padded) + self.class_features(classes)[:, :, None, None]
        if not self.config.latent:
            nothing = features.new_zeros(len(features), 0)
            return _Posterior(features, nothing, nothing)
        mean, log_deviation = self.to_vector(features.flatten(1)).float().chunk(2, -1)
        return _Posterior(features, mean, _bounded(log_deviation))

    def _ground(self, vector: Tensor, classes: Tensor) -> Tensor:
        """The smallest picture that the decoder begins with."""
        ground = self.class_features(classes)[:, :, None, None]
        if not self.config.latent:
            return ground.expand(-1, -1, *self.config.cells).contiguous()  # type: ignore[no-any-return]
        cells = self.from_vector(vector).unflatten(1, (self.config.filters, *self.config.cells))
        return self.early(cells + ground)  # type: ignore[no-any-return]

    def _grid_prior(self, ground: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and logarithm of the deviation."""
        if self.grid_prior is None:
            zeros = ground.new_zeros(len(ground), self.config.grid, *self.config.cells)
            return zeros, zeros
        mean, log_deviation = self.grid_prior(ground).float().chunk(2, 1)
        return mean, _bounded(log_deviation)

    def _grid_posterior(self, features: Tensor, ground: Tensor, prior: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """What the picture changes in the prior (Vahdat & Kautz 2020): nothing at first is nothing paid."""
        both = torch.cat((features, ground), 1) if self.config.latent else features
        shift, log_scale = self.to_grid(both).float().chunk(2, 1)
        return prior[0] + shift * torch.exp(prior[1]), prior[1] + _bounded(log_scale)

    def _paint(self, ground: Tensor, cells: Tensor | None) -> Tensor:
        """What the decoder says of each value of the pictures."""
        if cells is not None:
            ground = ground + self.from_grid(cells)
        height, width = self.config.height, self.config.width
        out: Tensor = self.decoder(ground)[:, :, :height, :width].float()  # sums over pixels need more than bf16 has
        return out

    def _bound(
        self, x: Tensor, posterior: _Posterior, classes: Tensor, noise: Tensor, base_log_prob: Density
    ) -> tuple[Float[Tensor, " batch"], Float[Tensor, " batch"]]:
        """For one draw of the latents: the picture's log-likelihood, and `log q - log p` of the latents; in nats."""
        vector_noise, grid_noise = self._parts(noise)
        divergence = x.new_zeros(len(x))
        vector = posterior.mean + torch.exp(posterior.log_deviation) * vector_noise
        if self.config.latent:
            divergence = divergence + standard_log_prob(vector_noise) - posterior.log_deviation.sum(1)
            base, volume = self.flow(vector, self.class_flow(classes))
            divergence = divergence - base_log_prob(base) - volume
        ground, cells = self._ground(vector, classes), None
        if self.config.grid:
            prior = self._grid_prior(ground)
            mean, log_deviation = self._grid_posterior(posterior.features, ground, prior)
            grid_noise = grid_noise.view(mean.shape)
            cells = mean + torch.exp(log_deviation) * grid_noise
            base = (cells - prior[0]) * torch.exp(-prior[1])
            divergence = divergence + standard_log_prob(grid_noise) - standard_log_prob(base)
            divergence = divergence + (prior[1] - log_deviation).flatten(1).sum(1)
        return self.likelihood.log_prob(x, self._paint(ground, cells)), divergence

    # --- what it gives

    def _target(self, batch: ImageBatch) -> Tensor:
        """What is learned of the pictures, and from -1 to 1 what the encoder sees of it."""
        uniform = batch.noise.uniform("binary", *self.config.shape) if self.config.likelihood == "bernoulli" else None
        return self.likelihood.target(batch.images, uniform)

    def _seen(self, target: Tensor) -> Tensor:
        return target * 2 - 1 if self.config.likelihood == "bernoulli" else target

    def loss(self, batch: ImageBatch, player: str = "model") -> Loss:
        """The negative ELBO in nats per value of a picture; its parts in nats per picture."""
        config, target = self.config, self._target(batch)
        classes = self._classes(batch.labels, batch.count)
        if config.classes:  # a class that is not told must be possible too
            classes = classes.masked_fill(batch.noise.uniform("told") < _UNTOLD, 0)
        noise = batch.noise.normal("latent", config.latent + config.cell_values)
        posterior = self._posterior(self._seen(target), classes)
        likelihood, divergence = self._bound(target, posterior, classes, noise, standard_log_prob)
        share = min(1.0, batch.moment.fraction / config.kl_warmup) if config.kl_warmup else 1.0
        cost = divergence.clamp_min(config.free_bits * math.log(2)) if config.free_bits else divergence
        values = math.prod(config.shape)
        total = (share * cost - likelihood).sum() / (batch.moment.count * values)
        parts = {"nats": divergence - likelihood, "reconstruction": -likelihood, "divergence": divergence}
        return Loss(total, {name: part.detach().sum() / batch.moment.count for name, part in parts.items()})

    def prior(self, noise: Noise) -> Latents:
        """Latents: the noise that everything is drawn from."""
        values = noise.normal("latent", self.config.latent + self.config.cell_values)
        if self.mixture is not None:
            values = torch.cat((self.mixture.draw(noise, "vector"), self._parts(values)[1]), 1)
        return self._shaped(values)

    @torch.no_grad()
    def encode(
        self,
        images: Images,
        labels: Int[Tensor, " batch"] | None = None,
        how: ImageSampling | None = None,
    ) -> Latents:
        """The middle of each picture's posterior."""
        classes = self._classes(labels, len(images))
        posterior = self._posterior(images, classes)
        vector, ground = posterior.mean, self._ground(posterior.mean, classes)
        parts = [self.flow(vector, self.class_flow(classes))[0]] if self.config.latent else []
        if self.config.grid:
            prior = self._grid_prior(ground)
            mean = self._grid_posterior(posterior.features, ground, prior)[0]
            parts.append(((mean - prior[0]) * torch.exp(-prior[1])).flatten(1))
        return self._shaped(torch.cat(parts, 1))

    @torch.no_grad()
    def decode(
        self,
        latents: Latents,
        labels: Int[Tensor, " batch"] | None = None,
        how: ImageSampling | None = None,
    ) -> Images:
        """The pictures that are expected of latents; the temperature scales these."""
        classes = self._classes(labels, len(latents))
        vector, cells = self._parts((how or ImageSampling()).scaled(latents).flatten(1))
        if self.config.latent:
            vector = self.flow.back(vector, self.class_flow(classes))
        ground, grid = self._ground(vector, classes), None
        if self.config.grid:
            mean, log_deviation = self._grid_prior(ground)
            grid = mean + torch.exp(log_deviation) * cells.reshape(mean.shape)
        return self.likelihood.mean(self._paint(ground, grid))

    def _shaped(self, latents: Float[Tensor, "batch values"]) -> Latents:
        """Latents of a grid alone are a small picture, which another model can learn."""
        if self.config.latent:
            return latents
        return latents.view(-1, self.config.grid, *self.config.cells)

    def _parts(self, values: Float[Tensor, "batch values"]) -> tuple[Tensor, Tensor]:
        """The vector's share and the grid's."""
        return values[:, : self.config.latent], values[:, self.config.latent :]

    @torch.no_grad()
    def finish(self, batches: Iterable[ImageBatch]) -> None:
        """Fits the mixture, if there is one, to draws from the posteriors of pictures."""
        if self.mixture is None:
            return
        vectors: list[Tensor] = []
        for batch in batches:
            classes = self._classes(batch.labels, batch.count)
            posterior = self._posterior(self._seen(self._target(batch)), classes)
            noise = self._parts(batch.noise.normal("latent", self.config.latent + self.config.cell_values))[0]
            vector = posterior.mean + torch.exp(posterior.log_deviation) * noise
            vectors.append(self.flow(vector, self.class_flow(classes))[0])
            if len(vectors) * batch.count >= _FITTED:
                break
        self.mixture.fit(torch.cat(vectors))

    @torch.no_grad()
    def log_likelihood(self, batch: ImageBatch, samples: int = 1) -> Float[Tensor, " batch"]:
        """The importance-weighted bound of `samples` draws, in nats; the pictures binarised by the batch's noise where the
        likelihood is Bernoulli."""
        target = self._target(batch)
        classes = self._classes(batch.labels, batch.count)
        posterior = self._posterior(self._seen(target), classes)
        values = self.config.latent + self.config.cell_values
        base_log_prob = standard_log_prob if self.mixture is None else self.mixture.log_prob
        weights: list[Tensor] = []
        for first in range(0, samples, _DRAWN):
            count = min(_DRAWN, samples - first)
            noise = batch.noise.normal(f"importance {first}", _DRAWN, values)[:, :count].flatten(0, 1)
            rows = torch.arange(batch.count, device=noise.device).repeat_interleave(count)
            each: list[Tensor] = []
            for some, of in zip(torch.split(noise, _ROWS), torch.split(rows, _ROWS), strict=True):
                likelihood, divergence = self._bound(target[of], posterior.of(of), classes[of], some, base_log_prob)
                each.append((likelihood - divergence).double())
            weights.append(torch.cat(each).view(batch.count, count))
        return torch.cat(weights, 1).logsumexp(1) - math.log(samples)


def _bounded(log_deviation: Tensor) -> Tensor:
    """Between -7 and 7, and unchanged near 0: no deviation can vanish or explode."""
    return 7 * torch.tanh(log_deviation / 7)
