"""Models that learned the codes of another: together with that other they are models of pictures again.

- a flow over the latents of a VAE (latent diffusion; Rombach et al. 2022)
- a GPT over the tokens of a tokenizer (van den Oord et al. 2017; Esser et al. 2021)
"""

import math
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from daedal.errors import DaedalError
from daedal.models.gpt import GPT
from daedal.models.image import ImageBatch, ImageConfig, ImageModel, ImageSampling
from daedal.models.model import Loss, Model, TokenBatch
from daedal.models.vqvae import VQVAE
from daedal.nn.guidance import guided
from daedal.nn.noise import Noise

CODEC = "codec"
"""The folder of a run that holds the model whose codes the run learned."""


def with_codec(model: Model, codec: Model) -> "Coded":
    """A model of codes and the model that turns them into pictures, as one.

    Raises:
        DaedalError: the two do not fit.
    """
    if isinstance(model, GPT) and isinstance(codec, VQVAE):
        return TokenModel(model, codec)
    if isinstance(model, ImageModel) and isinstance(codec, ImageModel) and not isinstance(codec, VQVAE):
        return LatentModel(model, codec)
    raise DaedalError(
        f"A {model.family} cannot learn the codes of a {codec.family}",
        "Let a flow learn the latents of a vae, or a gpt the tokens of a vqvae",
    )


class Coded(ImageModel):
    """What both kinds have in common: the codec is not trained."""

    def __init__(self, inner: Model, codec: ImageModel, classes: int) -> None:
        super().__init__()
        self.inner, self.codec = inner, codec.requires_grad_(False)
        self.family = inner.family  # type: ignore[misc]
        pixels = codec.config
        self.config = ImageConfig(channels=pixels.channels, height=pixels.height, width=pixels.width, classes=classes)

    @property
    def players(self) -> dict[str, list[nn.Parameter]]:
        return self.inner.players

    def initialise(self, generator: torch.Generator) -> None:
        self.inner.initialise(generator)

    def loss(self, batch: ImageBatch, player: str = "model") -> Loss:
        raise TypeError("a model over codes learns codes: ask the inner model for its loss")


class LatentModel(Coded):
    """A model of images over the latents of another; it can do what the inner model can, but give no likelihood."""

    def __init__(self, inner: ImageModel, codec: ImageModel) -> None:
        super().__init__(inner, codec, inner.config.classes)
        self.inner: ImageModel = inner
        self.codec: ImageModel = codec
        self.capabilities = inner.capabilities - {"score"}  # type: ignore[misc]
        self.options = inner.options  # type: ignore[misc]

    def prior(self, noise: Noise) -> Float[Tensor, "batch *latent"]:
        return self.inner.prior(noise)

    def sample(
        self, noise: Noise, labels: Int[Tensor, " batch"] | None = None, how: ImageSampling | None = None
    ) -> Float[Tensor, "batch channels height width"]:
        return self.codec.decode(self.inner.sample(noise, labels, how))

    def decode(
        self,
        latents: Float[Tensor, "batch *latent"],
        labels: Int[Tensor, " batch"] | None = None,
        how: ImageSampling | None = None,
    ) -> Float[Tensor, "batch channels height width"]:
        return self.codec.decode(self.inner.decode(latents, labels, how))

    def encode(
        self,
        images: Float[Tensor, "batch channels height width"],
        labels: Int[Tensor, " batch"] | None = None,
        how: ImageSampling | None = None,
    ) -> Float[Tensor, "batch *latent"]:
        return self.inner.encode(self.codec.encode(images), labels, how)

    def edit(
        self,
        images: Float[Tensor, "batch channels height width"],
        known: Float[Tensor, "batch 1 height width"],
        noise: Noise,
        labels: Int[Tensor, " batch"] | None = None,
        how: ImageSampling | None = None,
    ) -> Float[Tensor, "batch channels height width"]:
        """A code is known where all its pixels are; known pixels stay as they were."""
        codes = self.codec.encode(images)
        unknown = nn.functional.adaptive_max_pool2d(1 - known, codes.shape[-2:])
        drawn = self.codec.decode(self.inner.edit(codes, 1 - unknown, noise, labels, how))
        return torch.where(known >= 1, images, drawn)


class TokenModel(Coded):
    """A GPT that writes the tokens of pictures, row by row.

    The ids: those of the tokenizer, then one that begins a picture, then one for each class in its place.
    """

    capabilities = frozenset({"sample", "class"})
    options: ClassVar[frozenset[str]] = frozenset({"temperature", "top_k", "guidance"})

    def __init__(self, inner: GPT, codec: VQVAE) -> None:
        super().__init__(inner, codec, inner.config.vocab_size - codec.vocab_size - 1)
        self.inner: GPT = inner
        self.codec: VQVAE = codec

    def prior(self, noise: Noise) -> Float[Tensor, "batch tokens"]:
        """The chance that decides each token."""
        return noise.uniform("tokens", math.prod(self.codec.grid))

    @torch.no_grad()
    def decode(
        self,
        latents: Float[Tensor, "batch tokens"],
        labels: Int[Tensor, " batch"] | None = None,
        how: ImageSampling | None = None,
    ) -> Float[Tensor, "batch channels height width"]:
        """The pictures that the model writes when chance falls so: each token is where its number stands in the cumulated
        probabilities. With guidance, each is asked for twice, with and without its class, in one doubled batch."""
        how = how or ImageSampling()
        labels, nothing, guidance = self.condition(len(latents), labels, how)
        doubled = guidance.scale not in (0.0, 1.0)
        cache = self.inner.new_cache(len(labels) * (2 if doubled else 1), latents.shape[1])

        def predict(begun: Tensor, labels: Tensor) -> Tensor:
            said = begin_ids(labels, self.codec.vocab_size)[:, None] if begun.shape[1] == 0 else begun[:, -1:]
            logits: Tensor = self.inner(said, cache)[:, -1, : self.codec.vocab_size]
            return logits.double()

        ids = latents.new_empty((len(latents), 0), dtype=torch.int64)
        for chance in latents.unbind(1):
            logits = guided(predict, ids, labels, nothing, guidance, ids.shape[1] / latents.shape[1])
            ids = torch.cat((ids, _choose(logits, chance, how)[:, None]), 1)
        return self.codec.decode_ids(ids.view(-1, *self.codec.grid))


def _choose(
    logits: Float[Tensor, "batch vocab"], chance: Float[Tensor, " batch"], how: ImageSampling
) -> Int[Tensor, " batch"]:
    logits = logits / (how.temperature or 1.0)
    if how.top_k is not None and how.top_k < logits.shape[1]:
        least = logits.topk(how.top_k).values[:, -1:]
        logits = logits.masked_fill(logits < least, -torch.inf)
    cumulated = logits.softmax(-1).cumsum(-1)
    return torch.searchsorted(cumulated, chance.double()[:, None] * cumulated[:, -1:], right=True)[:, 0]


def begin_ids(labels: Int[Tensor, " batch"], tokens: int) -> Int[Tensor, " batch"]:
    """The id that begins a picture of each label, where a tokenizer has so many `tokens`; -1 is no class."""
    return tokens + 1 + labels


def token_batch(ids: Int[Tensor, "batch *grid"], labels: Int[Tensor, " batch"], tokens: int) -> TokenBatch:
    """Grids of ids as sequences to learn: each begins with the id of its label."""
    targets = ids.flatten(1)
    return TokenBatch(torch.cat([begin_ids(labels, tokens)[:, None], targets[:, :-1]], 1), targets)
