"""Models that learned the codes of another: together with that other they are models of pictures again.

- a flow over the latents of a VAE (latent diffusion; Rombach et al. 2022)
- a GPT over the tokens of a tokenizer (van den Oord et al. 2017; Esser et al. 2021)
"""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from daedal.errors import DaedalError
from daedal.models.autoregression import UNKNOWN, ByChance, TorchNetwork, likeliest, write
from daedal.models.film import Film, TokenFilm
from daedal.models.film_model import FilmModel
from daedal.models.filmflow import FilmFlow, LatentFilm
from daedal.models.gpt import GPT
from daedal.models.image import (
    ImageBatch,
    ImageConfig,
    ImageModel,
    Images,
    ImageSampling,
    Labels,
    Latents,
    Masks,
    Sketch,
    Sketches,
)
from daedal.models.layout import TokenLayout
from daedal.models.model import Loss, Model, TokenBatch
from daedal.models.soundgpt import SoundGPT, SoundModel
from daedal.models.soundtokens import SoundTokens
from daedal.models.speech import Speech
from daedal.models.token_tables import smooth_tables
from daedal.models.vocoder import Vocoder
from daedal.models.vqvae import VQVAE
from daedal.models.vqvae3d import VQVAE3D
from daedal.nn.noise import Noise


def with_codec(model: Model, codec: Model) -> "Coded | FilmModel | SoundModel | Speech":
    """A model of codes and the model that turns them into pictures, clips or sounds, as one.

    Raises:
        DaedalError: the two do not fit.
    """
    if isinstance(model, Speech) and isinstance(codec, Vocoder) and model.config.mel == codec.mel:
        model.vocoder = codec.requires_grad_(False)
        return model
    if isinstance(model, Film) and isinstance(codec, VQVAE3D):
        return TokenFilm(model, codec)
    if isinstance(model, FilmFlow) and isinstance(codec, VQVAE3D):
        return LatentFilm(model, codec)
    if isinstance(model, SoundGPT) and isinstance(codec, SoundTokens):
        return SoundModel(model, codec)
    if isinstance(model, GPT) and isinstance(codec, VQVAE):
        return TokenModel(model, codec)
    if isinstance(model, ImageModel) and isinstance(codec, ImageModel) and not isinstance(codec, VQVAE):
        return LatentModel(model, codec)
    raise DaedalError(
        f"A {model.family} cannot learn the codes of a {codec.family}",
        "A flow learns the latents of a vae, a gpt the tokens of a vqvae, a film or a filmflow those of a vqvae3d; speech "
        "has a vocoder",
    )


def needs_codec(model: Model) -> bool:
    """Whether a model is nothing without the one whose codes it learned."""
    return isinstance(model, Film | FilmFlow | SoundGPT)


class Coded(ImageModel):
    """What both kinds have in common: the codec is not trained."""

    def __init__(self, inner: Model, codec: ImageModel, **condition: int) -> None:
        super().__init__()
        self.inner, self.codec = inner, codec.requires_grad_(False)
        self.family = inner.family  # type: ignore[misc]
        pixels = codec.config
        self.config = ImageConfig(channels=pixels.channels, height=pixels.height, width=pixels.width, **condition)

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
        known = inner.config
        super().__init__(inner, codec, classes=known.classes, words=known.words, window=known.window)
        self.inner: ImageModel = inner
        self.codec: ImageModel = codec
        self.capabilities = inner.capabilities - {"score"}  # type: ignore[misc]
        self.options = inner.options  # type: ignore[misc]
        self.inverted = inner.inverted  # type: ignore[misc]

    def prior(self, noise: Noise) -> Latents:
        return self.inner.prior(noise)

    def drawing(self, noise: Noise, labels: Labels | None = None, how: ImageSampling | None = None) -> Sketches:
        return _Decoded(self.codec, self.inner.drawing(noise, labels, how))

    def abreast(self, drawings: Sequence[Sketches]) -> list[Sketch[Tensor]]:
        mine = [drawing for drawing in drawings if isinstance(drawing, _Decoded)]
        latents = self.inner.abreast([drawing.latents for drawing in mine])
        return [drawing.decoded(found) for drawing, found in zip(mine, latents, strict=True)]

    def decode(self, latents: Latents, labels: Labels | None = None, how: ImageSampling | None = None) -> Images:
        return self.codec.decode(self.inner.decode(latents, labels, how))

    def encode(self, images: Images, labels: Labels | None = None, how: ImageSampling | None = None) -> Latents:
        return self.inner.encode(self.codec.encode(images), labels, how)

    @torch.no_grad()
    def editing(
        self, images: Images, known: Masks, noise: Noise, labels: Labels | None = None, how: ImageSampling | None = None
    ) -> Sketches:
        """A code is known where all its pixels are; known pixels stay as they were."""
        codes = self.codec.encode(images)
        unknown = nn.functional.adaptive_max_pool2d(1 - known, codes.shape[-2:])
        latents = self.inner.editing(codes, 1 - unknown, noise, labels, how)
        return _Decoded(self.codec, latents, lambda drawn: torch.where(known >= 1, images, drawn))


class _Decoded(Sketches):
    """Pictures whose latents are on their way.

    Args:
        finish: what is done to them last.
    """

    def __init__(
        self, codec: ImageModel, latents: Sketches, finish: Callable[[Tensor], Tensor] = lambda drawn: drawn
    ) -> None:
        self._codec, self.latents, self._finish = codec, latents, finish

    def __next__(self) -> Sketch[Tensor]:
        return self.decoded(next(self.latents))

    def decoded(self, latents: Sketch[Tensor]) -> Sketch[Tensor]:
        """The pictures of the latents so far."""
        return Sketch(latents.done, torch.no_grad()(lambda: self._finish(self._codec.decode(latents.show()))))


class TokenModel(Coded):
    """A GPT that writes the tokens of pictures, row by row, after their class or caption (`TokenLayout`)."""

    options: ClassVar[frozenset[str]] = frozenset({"temperature", "top_k", "guidance"})
    prompted: ClassVar[ImageSampling] = ImageSampling(guidance=2.0, temperature=0.7)
    capabilities = frozenset({"sample", "class", "edit", "prompt", "caption"})

    def __init__(self, inner: GPT, codec: VQVAE) -> None:
        layout = TokenLayout.of(inner.config, codec.vocab_size, math.prod(codec.grid))
        super().__init__(inner, codec, classes=layout.classes, words=layout.words, window=layout.window)
        self.layout = layout
        self.inner: GPT = inner
        self.codec: VQVAE = codec

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Draw the weights of the GPT anew. Tokens that stand for nearly the same begin with nearly the same vectors."""
        super().initialise(generator)
        smooth_tables(self.inner.token_tables, self.codec.quantizer, generator)

    def prior(self, noise: Noise) -> Float[Tensor, "batch tokens"]:
        """The chance that decides each token."""
        return noise.uniform("tokens", self.layout.places)

    @torch.no_grad()
    def drawing(self, noise: Noise, labels: Labels | None = None, how: ImageSampling | None = None) -> Sketches:
        grey = torch.zeros(noise.count, *self.config.shape, device=noise.device)
        yield from self._sketches(self._write(self.prior(noise), labels, how), grey, grey[:, :1])

    @torch.no_grad()
    def editing(
        self, images: Images, known: Masks, noise: Noise, labels: Labels | None = None, how: ImageSampling | None = None
    ) -> Sketches:
        """A token is known where all its pixels are; the others are written anew, each after those before it. A number between
        0 and 1 is the chance with which a token is kept. Known pixels stay as they were."""
        given = self.codec.encode_ids(images).flatten(1)
        least = 1 - nn.functional.adaptive_max_pool2d(1 - known, self.codec.grid).flatten(1)
        kept = noise.uniform("kept", self.layout.places) < least
        written = self._write(self.prior(noise), labels, how, torch.where(kept, given, UNKNOWN))
        yield from self._sketches(written, images, known)

    def token_log_likelihood(self, images: Images, labels: Labels | None = None) -> Float[Tensor, " batch"]:
        """Log-likelihood of the tokens of pictures after their classes or captions, in nats: not that of pixels, which
        many pictures of the same tokens share."""
        layout, (labels, _, _) = self.layout, self.condition(len(images), labels, ImageSampling())
        batch = layout.to_draw(self.codec.encode_ids(images), labels)
        return self._log_likelihood(batch, slice(layout.window, layout.window + layout.places), slice(0, layout.tokens))

    @torch.no_grad()
    def caption(self, images: Images, noise: Noise, temperature: float = 0.0) -> Int[Tensor, "batch window"]:
        """The words that the model writes after pictures, ends after them; 0 takes the likeliest each time."""
        layout, ids = self.layout, self.codec.encode_ids(images).flatten(1)
        begin = ids.new_full((len(ids), 1), layout.tokens)
        words = ids.new_full((len(ids), layout.window), UNKNOWN)
        choose = ByChance(noise.uniform("words", layout.window), temperature) if temperature else likeliest
        *_, told = write(
            TorchNetwork(self.inner), torch.cat((begin, ids, begin + 1, words), 1), choose,
            allowed=slice(layout.first_word, None), first=layout.window, end=layout.end,
        )  # fmt: skip
        return told[:, -layout.window :] - layout.first_word

    def caption_log_likelihood(self, images: Images, words: Int[Tensor, "batch window"]) -> Float[Tensor, " batch"]:
        """Log-likelihood of captions, their ends included, after pictures, in nats."""
        layout = self.layout
        batch = layout.to_tell(self.codec.encode_ids(images), words)
        return self._log_likelihood(batch, slice(layout.places + 1, None), slice(layout.first_word, None))

    @torch.no_grad()
    def _log_likelihood(self, batch: TokenBatch, places: slice, allowed: slice) -> Float[Tensor, " batch"]:
        """Of the targets in some places, of codes of which no others are possible there."""
        logits = self.inner(batch.inputs, first=batch.first)[:, places, allowed].double()
        asked = batch.targets[:, places] - allowed.start
        found: Tensor = (logits.log_softmax(-1).gather(2, asked.clamp_min(0)[..., None])[..., 0] * (asked >= 0)).sum(1)
        return found

    def _write(
        self,
        chances: Float[Tensor, "batch tokens"],
        labels: Labels | None,
        how: ImageSampling | None,
        given: Int[Tensor, "batch tokens"] | None = None,
    ) -> Iterator[Int[Tensor, "batch written"]]:
        """The tokens so far of pictures that are written; of those that are given, where they are known, as they are."""
        layout, how = self.layout, how or ImageSampling()
        labels, nothing, guidance = self.condition(len(chances), labels, how)
        given = torch.full(chances.shape, UNKNOWN, device=chances.device) if given is None else given
        asked, unasked = (torch.cat((layout.opening(said), given), 1) for said in (labels, nothing))
        written = write(
            TorchNetwork(self.inner), asked if guidance.scale else unasked,
            ByChance(chances, how.temperature or 1.0, how.top_k), allowed=slice(layout.tokens),
            unasked=unasked if guidance.scale not in (0.0, 1.0) else None, guidance=guidance,
        )  # fmt: skip
        return (codes[:, asked.shape[1] - layout.places :] for codes in written)

    def _sketches(self, written: Iterator[Int[Tensor, "batch written"]], images: Images, known: Masks) -> Sketches:
        """Row by row."""
        for ids in written:
            if ids.shape[1] % self.codec.grid[1] == 0:
                yield Sketch(ids.shape[1] / self.layout.places, partial(self._so_far, ids, images, known))

    def _so_far(self, ids: Int[Tensor, "batch written"], images: Images, known: Masks) -> Images:
        """The pictures of their first rows of tokens; others below, and where those are known."""
        places = self.layout.places
        pictures = self._pictures(nn.functional.pad(ids, (0, places - ids.shape[1])))
        row = pictures.shape[2] * ids.shape[1] // places
        return torch.where(known >= 1, images, torch.cat((pictures[:, :, :row], images[:, :, row:]), 2))

    def _pictures(self, ids: Int[Tensor, "batch tokens"]) -> Images:
        return self.codec.decode_ids(ids.view(-1, *self.codec.grid))
