"""VQ-VAE: pictures as small grids of whole numbers, which a GPT can learn (van den Oord et al. 2017, arXiv:1711.00937).

- an encoder, a quantizer of `nn/quantizer.py` (FSQ by default: Mentzer et al. 2023), a decoder
- the loss is `mean (x - y)^2 + 0.2 mean |x - y|` of a picture x and its reconstruction y, and what the quantizer asks
- the nats that it takes to say the tokens have a price (`nn/rate.py`): what costs a GPT more to learn than the picture
  gains by it, such as grain, is left out
- a critic that tells pictures from reconstructions may join (Esser et al. 2021) from the first step: its pull on each
  reconstruction is a share, slowly rising, of the pull of the loss above, so that it can never outweigh it
"""

import math
from collections.abc import Callable
from typing import Annotated, Literal, Self

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from pydantic import Field, model_validator
from torch import Tensor, nn

from daedal.config import Config
from daedal.models.image import ImageBatch, ImageConfig, ImageModel, Images, ImageSampling, Latents
from daedal.models.model import Loss, Moment, assembling
from daedal.nn.convolution import Decoder, Encoder, Halve, initialise, pad_to_multiple
from daedal.nn.quantizer import FSQ, VQ, Quantized, Quantizer
from daedal.nn.rate import Rate

_ABSOLUTE = 0.2
"""Weight of the absolute error beside the squared one: edges come out sharper."""
_RAMP = 0.25
"""Share of the run over which the critic's share rises to full."""


class VQVAEShape(Config):
    """What a person may choose."""

    quantizer: Literal["fsq", "vq"] = Field("fsq", description="fsq: fixed levels; vq: a learned codebook")
    levels: tuple[Annotated[int, Field(ge=2, le=256)], ...] = Field(
        (8, 6, 5),
        min_length=1,
        max_length=16,
        description="levels of each channel of fsq; their product is the vocabulary",
    )
    codes: int = Field(256, ge=2, le=65536, description="vectors in the codebook of vq")
    code_width: int = Field(8, ge=1, le=256, description="length of the vectors of vq")
    rate: float = Field(
        0.0, ge=0, le=100, description="price of a nat that tells a value of the picture, in its error; of fsq alone"
    )
    filters: int = Field(48, ge=4, le=2048, description="channels of the network where the picture is smallest")
    depth: int = Field(2, ge=0, le=64, description="residual blocks of the encoder, and of the decoder")
    halvings: int = Field(2, ge=1, le=6, description="how often the picture is halved on the way to the tokens")
    critic: float = Field(0.0, ge=0, le=2, description="share of a critic in what shapes the pictures; 0 for none")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if math.prod(self.levels) > 65536:
            raise ValueError(f"levels give a vocabulary of {math.prod(self.levels):,}; at most 65,536 fit")
        if self.rate and self.quantizer != "fsq":
            raise ValueError("rate is the price of fsq's levels; leave it away, or choose fsq")
        return self


class VQVAEConfig(VQVAEShape, ImageConfig):
    """A tokenizer of certain pictures."""

    @property
    def vocab_size(self) -> int:
        return math.prod(self.levels) if self.quantizer == "fsq" else self.codes

    @property
    def tokens(self) -> tuple[int, int]:
        """Rows and columns of tokens."""
        scale = 2**self.halvings
        return -(-self.height // scale), -(-self.width // scale)


class Critic(nn.Sequential):
    """How real each neighbourhood of a picture looks (Isola et al. 2017), without normalisation."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__(
            Halve(channels, width, kernel=3),
            nn.LeakyReLU(0.2),
            Halve(width, 2 * width),
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * width, 2 * width, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * width, 1, 1),
        )


class VQVAE(ImageModel):
    """See the file. Draws nothing itself: a GPT learns its ids. `VQVAE(config)` under `torch.device("meta")` allocates and
    initialises nothing."""

    family = "vqvae"
    capabilities = frozenset({"reconstruct"})

    def __init__(self, config: VQVAEConfig) -> None:
        super().__init__()
        self.config: VQVAEConfig = config
        with assembling(self):
            self._assemble(config)

    def _assemble(self, config: VQVAEConfig) -> None:
        self.quantizer: Quantizer = (
            FSQ(config.levels) if config.quantizer == "fsq" else VQ(config.codes, config.code_width)
        )
        self.encoder, decoder = self._networks()
        self.to_codes = nn.Conv2d(config.filters, self.quantizer.channels, 1)
        self.from_codes = nn.Conv2d(self.quantizer.channels, config.filters, 1)
        self.decoder = decoder
        self.critic = Critic(config.channels, max(8, config.filters // 2)) if config.critic else None
        self.rate = self._pricing() if config.rate else None

    def _networks(self) -> tuple[nn.Module, nn.Module]:
        """From pictures to features of their grid, and back."""
        config = self.config
        trunk = (config.channels, config.filters, config.depth, config.halvings)
        return Encoder(*trunk), Decoder(*trunk)

    def _pricing(self) -> Rate:
        return Rate(self.config.levels)

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Draw all weights anew."""
        initialise(self, generator)
        self.quantizer.initialise(generator)

    @property
    def players(self) -> dict[str, list[nn.Parameter]]:
        if self.critic is None:
            return {"model": list(self.parameters())}
        critic = list(self.critic.parameters())
        return {"model": [p for p in self.parameters() if all(p is not c for c in critic)], "critic": critic}

    @property
    def vocab_size(self) -> int:
        return self.quantizer.size

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the ids of a picture."""
        return self.config.tokens

    def _latents(self, images: Tensor) -> Tensor:
        return self.to_codes(self.encoder(pad_to_multiple(images, 2**self.config.halvings))).float()  # type: ignore[no-any-return]

    def _pictures(self, codes: Tensor) -> Tensor:
        height, width = self.config.height, self.config.width
        return self.decoder(self.from_codes(codes))[:, :, :height, :width].float()  # type: ignore[no-any-return]

    def loss(self, batch: ImageBatch, player: str = "model") -> Loss:
        return self._critic_loss(batch) if player == "critic" else self._model_loss(batch)

    def _model_loss(self, batch: ImageBatch) -> Loss:
        count = batch.moment.count
        latents = self._latents(batch.images)
        quantized = self.quantizer(latents)
        if self.training:
            self.quantizer.observe(latents, quantized.ids, batch.noise.first, round(count))
        pictures = self._pictures(quantized.codes)
        error = (pictures - batch.images).flatten(1)
        rebuilt = error.square().mean(1) + _ABSOLUTE * error.abs().mean(1)
        total = (rebuilt + quantized.cost).sum() / count
        parts = {"squared_error": error.detach().square().mean(1).sum() / count}
        if self.rate is not None:
            assert quantized.levels is not None
            nats = self.rate(quantized.codes, quantized.levels).flatten(1)
            total = total + self.config.rate * nats.sum() / (error.shape[1] * count)
            parts["nats"] = nats.detach().mean(1).sum() / count
        if self.critic is not None and self.training:
            # its value is nothing, and where nothing is learned it has no gradient
            total = total + self._pull(pictures, rebuilt, batch.moment.fraction) / count
        return Loss(total, parts)

    def _pull(self, pictures: Tensor, rebuilt: Float[Tensor, " batch"], fraction: float) -> Float[Tensor, ""]:
        """A term whose gradient at each reconstruction is the critic's, as long as its share of the loss's own."""
        assert self.critic is not None
        (wanted,) = torch.autograd.grad(rebuilt.sum(), pictures, retain_graph=True)
        shown = pictures.detach().requires_grad_()
        (doubt,) = torch.autograd.grad(-self.critic(shown).mean((1, 2, 3)).sum(), shown)
        share = self.config.critic * min(1.0, fraction / _RAMP)
        scale = share * _length(wanted) / _length(doubt).clamp_min(1e-12)
        return ((pictures - pictures.detach()) * scale * doubt).sum()

    def _critic_loss(self, batch: ImageBatch) -> Loss:
        """The hinge loss (Lim & Ye 2017) on real pictures and reconstructions."""
        assert self.critic is not None
        with torch.no_grad():
            rebuilt = self.reconstruct(batch.images)
        real, fake = self.critic(batch.images), self.critic(rebuilt)
        each = F.relu(1 - real).mean((1, 2, 3)) + F.relu(1 + fake).mean((1, 2, 3))
        total = each.sum() / batch.moment.count
        return Loss(total, {"critic": total.detach()})

    def after_step(self, total: Callable[[Tensor], Tensor], moment: Moment) -> None:
        self.quantizer.after_step(total, moment.step)

    def health(self) -> dict[str, float]:
        """The share of the vocabulary in use, and its perplexity."""
        return self.quantizer.usage()

    @torch.no_grad()
    def encode_ids(self, images: Images) -> Int[Tensor, "batch rows columns"]:
        """The tokens of pictures."""
        quantized: Quantized = self.quantizer(self._latents(images))
        return quantized.ids

    @torch.no_grad()
    def decode_ids(self, ids: Int[Tensor, "batch rows columns"]) -> Images:
        """The pictures of tokens."""
        return self.decode(self.quantizer.codes(ids))

    @torch.no_grad()
    def encode(
        self,
        images: Images,
        labels: Int[Tensor, " batch"] | None = None,
        how: ImageSampling | None = None,
    ) -> Latents:
        """The quantized codes of pictures."""
        quantized: Quantized = self.quantizer(self._latents(images))
        return quantized.codes

    @torch.no_grad()
    def decode(
        self,
        latents: Latents,
        labels: Int[Tensor, " batch"] | None = None,
        how: ImageSampling | None = None,
    ) -> Images:
        """The pictures of codes."""
        return self._pictures(latents).clamp(-1, 1)


def _length(pictures: Tensor) -> Float[Tensor, "batch 1 1 1"]:
    return torch.linalg.vector_norm(pictures, dim=(1, 2, 3), keepdim=True)  # type: ignore[no-any-return]
