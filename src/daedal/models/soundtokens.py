"""A tokenizer of sounds: recordings as a few codes of each moment, which a GPT can learn, and back.

- log-mel frames go in, as many together as a moment has, and blocks over time; then residual FSQ
  (`daedal.nn.residual_quantizer`): the first book says most, each further one what is left
- the way back ends in a spectrum, amplitudes and phases, and the inverse transform (Vocos; Siuzdak 2023, arXiv:2306.00814):
  no layer runs at the rate of samples, and most at that of moments
- the loss is the mean absolute error of log-mel frames, and at several resolutions that of the spectrum's logarithm beside its
  relative error (Yamamoto et al. 2020, arXiv:1910.11480)
- of some recordings only the first books are heard in training, so that each is worth having without those after it, and what
  books leave of the states has a price
"""

import math
from collections.abc import Sequence
from typing import Annotated, Self

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from pydantic import Field, model_validator
from torch import Tensor, nn

from daedal.codecs.mel import MelCodec
from daedal.config import Config
from daedal.models.model import Loss, Model, assembling
from daedal.models.waves import WaveBatch
from daedal.nn.residual_quantizer import ResidualFSQ
from daedal.nn.spectra import spectral_error
from daedal.nn.temporal import TemporalBlock, draw_layers

MOST_CODES = 2**16
"""Of a book."""
_RESOLUTIONS = (0.5, 2.0)
"""Lengths of the windows at which spectra are compared, in those of frames, at which the log-mel frames are."""
_LOUDEST = 100.0  # amplitude of a bin
_FEWER = 0.5  # share of the recordings of which only the first books are heard
_LEFT = 0.5  # weight of what books leave


class SoundTokensShape(Config):
    """What a person may choose of a tokenizer of sounds."""

    books: int = Field(3, ge=1, le=16, description="codes of a moment")
    levels: tuple[Annotated[int, Field(ge=2, le=256)], ...] = Field(
        (8, 6, 5),
        min_length=1,
        max_length=8,
        description="levels of each channel of fsq; their product is how many codes a book has",
    )
    stride: int = Field(2, ge=1, le=16, description="frames of a moment")
    width: int = Field(128, ge=8, le=4096, description="features of a frame")
    depth: int = Field(3, ge=1, le=32, description="blocks over time of the encoder, and of the decoder")

    @model_validator(mode="after")
    def _codes_fit(self) -> Self:
        if math.prod(self.levels) > MOST_CODES:
            raise ValueError(f"levels give a book of {math.prod(self.levels):,} codes; at most {MOST_CODES:,} fit")
        return self


class SoundTokensConfig(SoundTokensShape):
    """A tokenizer of certain sounds.

    Attributes:
        rate, fft, hop, bands, floor: of the frames; see `daedal.codecs.mel`.
    """

    rate: int = Field(ge=1000)
    fft: int = Field(ge=16)
    hop: int = Field(ge=4)
    bands: int = Field(ge=8)
    floor: float = Field(default=1e-4, gt=0)

    @model_validator(mode="after")
    def _is_of_frames(self) -> "SoundTokensConfig":
        _ = self.mel
        return self

    @property
    def mel(self) -> MelCodec:
        """What makes its frames."""
        return MelCodec.described(self, self.bands)

    @property
    def per_second(self) -> float:
        """Moments of a second."""
        return self.rate / (self.hop * self.stride)

    def moments(self, samples: int) -> int:
        """Of so many samples."""
        return -(-self.mel.frames(samples) // self.stride)

    def samples(self, moments: int) -> int:
        """The most that have so many moments."""
        return moments * self.stride * self.hop - 1


class SoundTokens(Model):
    """See the file. Speaks nothing itself: a GPT learns its codes."""

    family = "soundtokens"
    capabilities = frozenset({"reconstruct"})
    config: SoundTokensConfig

    def __init__(self, config: SoundTokensConfig) -> None:
        super().__init__()
        self.config = config
        with assembling(self):
            self._assemble(config)

    def _assemble(self, config: SoundTokensConfig) -> None:
        width, stride = config.width, config.stride
        self.enter = nn.Linear(stride * config.bands, width)
        self.encoder = nn.ModuleList(TemporalBlock(width) for _ in range(config.depth))
        self.norm = nn.LayerNorm(width)
        self.quantizer = ResidualFSQ(width, config.levels, config.books)
        self.decoder = nn.ModuleList(TemporalBlock(width) for _ in range(config.depth))
        self.last = nn.LayerNorm(width)
        self.leave = nn.Linear(width, stride * 2 * (config.fft // 2 + 1))

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        draw_layers(self, generator)
        self.quantizer.initialise(generator)

    @property
    def vocab_size(self) -> int:
        """Codes of a book."""
        return self.quantizer.size

    def states(
        self, waves: Float[Tensor, "batch samples"], counts: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch moments width"]:
        """What the encoder makes of recordings, of so many moments each; what stands behind is nothing to it."""
        config, mel = self.config, self.config.mel
        frames = 2 - 4 * mel.encode(waves) / mel.silence  # from -2 to about 2
        frames = F.pad(frames, (0, 0, 0, -frames.shape[1] % config.stride), value=-2.0)
        x = frames.reshape(len(frames), -1, config.stride * config.bands)
        there = _there(x.shape[1], counts)
        return self.norm(_through(self.encoder, self.enter(x), there))  # type: ignore[no-any-return]

    def waves(
        self, states: Float[Tensor, "batch moments width"], counts: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch samples"]:
        """The sounds of states."""
        config = self.config
        there = _there(states.shape[1], counts)
        x = self.leave(self.last(_through(self.decoder, states, there))).float()
        size, angle = x.reshape(len(x), -1, config.fft + 2).chunk(2, -1)
        there = there.repeat_interleave(config.stride, 1)
        spectrum = torch.polar(size.exp().clamp_max(_LOUDEST) * there, angle)
        # frames of nothing behind all rows, so that the end of one is the same whatever stands behind it
        whole = F.pad(spectrum, (0, 0, 0, config.fft // (2 * config.hop)))
        return config.mel.samples(whole)[:, : config.samples(states.shape[1])]

    def loss(self, batch: WaveBatch, player: str = "model") -> Loss:
        """The errors of frames and of spectra, summed over the recordings."""
        waves, mel = batch.waves, self.config.mel
        counts = torch.full((len(waves),), self.config.moments(waves.shape[1]), device=waves.device)
        heard = None
        if self.training and self.config.books > 1:
            chance = batch.noise.uniform("books", 2).to(waves.device)
            some = 1 + (chance[:, 1] * self.config.books).long()
            heard = torch.where(chance[:, 0] < _FEWER, some, self.config.books)
        quantized, ids, left = self.quantizer(self.states(waves, counts), heard)
        if self.training:
            self.quantizer.observe(ids)
        made = self.waves(quantized, counts)
        frames = (mel.encode(made) - mel.encode(waves)).abs().mean((1, 2)).sum() / batch.moment.count
        resolutions = [int(share * mel.fft) for share in _RESOLUTIONS]
        spectra = spectral_error(made, waves, resolutions).sum() / batch.moment.count
        cost = _LEFT * left.sum() / batch.moment.count
        return Loss(frames + spectra + cost, {"mel": frames.detach(), "spectrum": spectra.detach()})

    def health(self) -> dict[str, float]:
        """Of each book the share of codes in use, and their perplexity."""
        return self.quantizer.usage()

    @torch.no_grad()
    def encode_ids(self, sounds: Sequence[Float[Tensor, " samples"]]) -> list[Int[Tensor, "moments books"]]:
        """The codes of sounds of any lengths."""
        device, config = next(self.parameters()).device, self.config
        counts = [config.moments(len(each)) for each in sounds]
        waves = torch.stack([F.pad(each, (0, config.samples(max(counts)) - len(each))) for each in sounds])
        moments = torch.tensor(counts, device=device)
        _, ids, _ = self.quantizer(self.states(waves.to(device), moments))
        return [row[:count] for row, count in zip(ids, counts, strict=True)]

    @torch.no_grad()
    def decode_ids(self, ids: Sequence[Int[Tensor, "moments books"]]) -> list[Float[Tensor, " samples"]]:
        """The sounds of codes."""
        counts = torch.tensor([len(each) for each in ids], device=ids[0].device)
        rows = nn.utils.rnn.pad_sequence(list(ids), batch_first=True)
        waves = self.waves(self.quantizer.states(rows), counts)
        return [row[: self.config.samples(len(each))].clamp(-1, 1) for row, each in zip(waves, ids, strict=True)]

    def copy(self, samples: Float[Tensor, " samples"]) -> Float[Tensor, " samples"]:
        """A recording as it comes back from its codes."""
        return self.decode_ids(self.encode_ids([samples]))[0].cpu()


def _there(moments: int, counts: Int[Tensor, " batch"]) -> Float[Tensor, "batch moments 1"]:
    """1 where a row has something."""
    return (torch.arange(moments, device=counts.device) < counts[:, None]).float()[..., None]


def _through(
    blocks: nn.ModuleList, x: Float[Tensor, "batch time width"], there: Float[Tensor, "batch time 1"]
) -> Float[Tensor, "batch time width"]:
    for block in blocks:
        x = block(x, there)
    return x
