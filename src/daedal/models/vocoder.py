"""A vocoder: the sound of log-mel frames by a network over time with an inverse short-time Fourier transform behind it (Vocos;
Siuzdak 2023, arXiv:2306.00814).

- blocks over time at the rate of the frames, and no upsampling: a second of sound costs as little as its frames
- the head says of each bin of each frame by what factor its magnitude differs from what the mel bands tell of it, and its phase
- it learns by what is heard: log-mel frames, and magnitudes at several resolutions. There is no adversary
"""

from collections.abc import Sequence

import torch
from jaxtyping import Complex, Float, Int
from pydantic import Field, model_validator
from torch import Tensor, nn

from daedal.codecs.mel import LEAST_SPREAD, MelCodec
from daedal.config import Config
from daedal.models.model import Loss, Model, assembling
from daedal.models.waves import WaveBatch
from daedal.nn.spectra import spectral_error
from daedal.nn.temporal import TemporalBlock, draw_layers

_KERNEL = 7
_LOUDEST = 100.0  # magnitude of a bin; a full-scale tone has a quarter of the window's samples
_UPDATES = 5  # by which magnitudes are found from mel bands
_TOGETHER = 16


class VocoderShape(Config):
    """What a person may choose of a vocoder."""

    width: int = Field(128, ge=8, le=4096, description="features of a frame")
    depth: int = Field(4, ge=1, le=64, description="blocks over time")


class VocoderConfig(VocoderShape):
    """The whole configuration.

    Attributes:
        rate, fft, hop, bands, floor: of the frames; see `daedal.codecs.mel`.
        mean, spread: of log-mel values in the training recordings.
    """

    rate: int = Field(ge=1000)
    fft: int = Field(ge=16)
    hop: int = Field(ge=4)
    bands: int = Field(ge=8)
    floor: float = Field(default=1e-4, gt=0)
    mean: float = Field(default=0.0, ge=-100, le=100)
    spread: float = Field(default=1.0, ge=LEAST_SPREAD, le=100)

    @model_validator(mode="after")
    def _is_of_frames(self) -> "VocoderConfig":
        _ = self.mel
        return self

    @property
    def mel(self) -> MelCodec:
        """What makes its frames."""
        return MelCodec.described(self, self.bands)


class Vocoder(Model):
    """Frames to sound."""

    family = "vocoder"
    capabilities = frozenset({"vocode"})
    config: VocoderConfig

    def __init__(self, config: VocoderConfig) -> None:
        super().__init__()
        self.config, self.mel = config, config.mel
        with assembling(self):
            self._assemble(config)

    def _assemble(self, config: VocoderConfig) -> None:
        self.enter = nn.Conv1d(config.bands, config.width, _KERNEL, padding=_KERNEL // 2)
        self.first = nn.LayerNorm(config.width)
        self.blocks = nn.ModuleList(TemporalBlock(config.width, _KERNEL) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, 2 * (config.fft // 2 + 1))

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        draw_layers(self, generator)
        self.head.weight[: self.config.fft // 2 + 1].mul_(0.1)  # magnitudes begin as the mel bands tell them

    def forward(
        self, frames: Float[Tensor, "batch frames bands"], counts: Int[Tensor, " batch"]
    ) -> Complex[Tensor, "batch frames bins"]:
        """The spectra of log-mel frames, of so many of each; what stands behind is nothing to them."""
        config = self.config
        there = (torch.arange(frames.shape[1], device=frames.device) < counts[:, None])[..., None].float()
        x = (frames - config.mean) / config.spread * there
        x = self.first(self.enter(x.mT).mT)
        for block in self.blocks:
            x = block(x, there)
        factor, phase = self.head(self.norm(x)).float().chunk(2, -1)
        told = self.mel.magnitudes(frames.exp(), _UPDATES)
        return torch.polar((told * factor.exp()).clamp_max(_LOUDEST), phase)

    def loss(self, batch: WaveBatch, player: str = "model") -> Loss:
        """The errors of log-mel frames and of spectra, summed over the pieces."""
        waves = batch.waves
        frames = self.mel.encode(waves)
        made = self.mel.samples(self(frames, torch.full((len(waves),), frames.shape[1], device=waves.device)))
        heard = (self.mel.encode(made) - frames).abs().mean((1, 2)).sum() / batch.moment.count
        spectra = spectral_error(made, waves).sum() / batch.moment.count
        return Loss(heard + spectra, {"mel": heard.detach(), "spectrum": spectra.detach()})

    @torch.no_grad()
    def sounds(self, frames: Sequence[Float[Tensor, "_ bands"]]) -> list[Float[Tensor, " samples"]]:
        """The sounds of log-mel frames of any lengths, two or more each."""
        device, made = next(self.parameters()).device, []
        for first in range(0, len(frames), _TOGETHER):
            rows = frames[first : first + _TOGETHER]
            counts = torch.tensor([len(row) for row in rows], device=device)
            spectra = self(nn.utils.rnn.pad_sequence(list(rows), batch_first=True).to(device), counts)
            made += [
                self.mel.samples(one[:count]).clamp(-1, 1).cpu()
                for one, count in zip(spectra, counts.tolist(), strict=True)
            ]
        return made

    def copy(self, samples: Float[Tensor, " samples"]) -> Float[Tensor, " copied"]:
        """A recording as it comes back from its frames."""
        return self.sounds([self.mel.encode(self.mel.lengthened(samples))])[0][: len(samples)]

    @property
    def way(self) -> str:
        """What makes sound of frames."""
        return "the vocoder"
