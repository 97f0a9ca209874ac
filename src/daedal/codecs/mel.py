"""Log-mel frames of sound, and sound of such frames by the fast Griffin-Lim algorithm (Perraudin, Balazs and Søndergaard 2013).

- amplitudes (power 1), Slaney's mel scale and norm, centred frames between zeros: what HiFi-GAN, Vocos and F5 learn, and
  librosa's `melspectrogram(power=1)` gives, natural logarithm on top
- a frame is a row, so that neither a transform nor a product of matrices has to turn anything around
- magnitudes are found again from mel bands by Lee and Seung's multiplicative updates (2001)
"""

from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Any, Self

import numpy as np
import torch
from jaxtyping import Complex, Float, Int
from pydantic import Field, model_validator
from torch import Tensor

from daedal.codecs.sound import HIGHEST, LOWEST
from daedal.config import Config

Array = np.ndarray
_LINEAR = 200 / 3  # Hz of a mel, below 1000 Hz
_LOG_FROM = 1000.0
_LOG_STEP = np.log(6.4) / 27
_TINY = 1e-10
_NOTHING = 1e-30  # squared
LEAST_SPREAD = 1e-3
"""The least standard deviation of log-mel values that a model is told of: recordings may be all alike."""


class MelCodec(Config):
    """Samples <-> log-mel frames.

    Attributes:
        rate: samples in a second.
        fft: samples that a frame looks at.
        hop: samples from one frame to the next, a part of `fft`.
        bands: of a frame.
        floor: the least amplitude: its logarithm stands for silence.
        iterations: of Griffin and Lim.
        momentum: of theirs; 0 is the algorithm of 1984.
    """

    rate: int = Field(ge=LOWEST, le=HIGHEST)
    fft: int = Field(ge=16, le=2**16)
    hop: int = Field(ge=4)
    bands: int = Field(ge=4)
    floor: float = Field(default=1e-4, ge=1e-12, le=1)
    iterations: int = Field(default=32, ge=0)
    momentum: float = Field(default=0.99, ge=0, lt=1)

    @model_validator(mode="after")
    def _hops_fill_a_frame(self) -> Self:
        if self.fft % self.hop or self.fft < 2 * self.hop:
            raise ValueError("fft is two or more hops")
        if self.bands > self.fft // 2:
            raise ValueError("there are more bands than frequencies")
        return self

    @classmethod
    def described(cls, by: Any, bands: int) -> Self:
        """Those that a model's configuration tells of.

        Raises:
            DaedalError: there are none such.
        """
        return cls.parse(
            {name: getattr(by, name) for name in ("rate", "fft", "hop", "floor")} | {"bands": bands}, "frames"
        )

    @classmethod
    def for_rate(cls, rate: int) -> Self:
        """What suits a rate: a frame each 11 to 21 ms, four times as long; 64 bands up to 8 kHz, 80, from 32 kHz on 100,
        and never more than frequencies."""
        hop = 1 << max(4, round(float(np.log2(rate * 0.0145))))
        bands = 64 if rate <= 8000 else 80 if rate < 32000 else 100
        return cls(rate=rate, fft=4 * hop, hop=hop, bands=min(bands, 2 * hop))

    @property
    def silence(self) -> float:
        """The value of nothing."""
        return float(np.log(self.floor))

    def frames(self, samples: int) -> int:
        """Of so many samples."""
        return 1 + samples // self.hop

    def lengthened(self, samples: Float[Tensor, " samples"]) -> Float[Tensor, " longer"]:
        """A sound with silence behind it where it has one frame, of which no sound can be made: it then has two."""
        return torch.nn.functional.pad(samples, (0, max(0, self.hop - len(samples))))

    def encode(self, samples: Float[Tensor, "*batch samples"]) -> Float[Tensor, "*batch frames bands"]:
        """The frames of a sound, from -1 to 1; in the type of its samples, also within what learns in mixed precision."""
        with torch.autocast(samples.device.type, enabled=False):
            mel: Tensor = _size(self.spectrum(samples)) @ self._filters.to(samples.device).mT
        return mel.clamp_min(self.floor).log()

    def encode_all(
        self, sounds: Sequence[Float[Array, " samples"]]
    ) -> tuple[Float[Tensor, "batch frames bands"], Int[Tensor, " batch"]]:
        """The frames of sounds of different lengths, and how many each has; behind them is silence."""
        longest = max(map(len, sounds))
        padded = np.stack([np.pad(each, (0, longest - len(each))) for each in sounds])
        return self.encode(torch.from_numpy(padded)), torch.tensor([self.frames(len(each)) for each in sounds])

    def spectrum(self, samples: Float[Tensor, "*batch samples"]) -> Complex[Tensor, "*batch frames bins"]:
        """The short-time Fourier transform."""
        padded = torch.nn.functional.pad(samples, (self.fft // 2, self.fft // 2))
        spectrum: Tensor = torch.fft.rfft(padded.unfold(-1, self.fft, self.hop) * self._window.to(samples.device))
        return spectrum

    def samples(self, spectrum: Complex[Tensor, "*batch frames bins"]) -> Float[Tensor, "*batch samples"]:
        """The sound whose transform is nearest (Griffin and Lim 1984, equation 6)."""
        window = self._window.to(spectrum.device)
        added = self._added(torch.fft.irfft(spectrum, n=self.fft) * window)
        weights = self._added(window.square().expand(spectrum.shape[-2], self.fft)).clamp_min(_TINY)
        half = self.fft // 2
        made: Tensor = added[..., half:-half] / weights[half:-half]
        return made

    def _added(self, frames: Float[Tensor, "*batch frames fft"]) -> Float[Tensor, "*batch padded"]:
        """Frames laid over each other."""
        *batch, count, fft = frames.shape
        parts, hop = fft // self.hop, self.hop
        hops = frames.reshape(*batch, count, parts, hop)
        added = frames.new_zeros(*batch, count + parts - 1, hop)
        for part in range(parts):
            added[..., part : part + count, :] += hops[..., part, :]
        return added.flatten(-2)

    def decode(
        self, mel: Float[Tensor, "*batch frames bands"], angles: Float[Tensor, "*batch frames bins"] | None = None
    ) -> Float[Tensor, "*batch samples"]:
        """A sound of frames.

        Args:
            angles: of the spectrum to begin with; all zero where not given.
        """
        return self.griffin_lim(self.magnitudes(mel.exp()), angles)

    def griffin_lim(
        self, magnitudes: Float[Tensor, "*batch frames bins"], angles: Float[Tensor, "*batch frames bins"] | None = None
    ) -> Float[Tensor, "*batch samples"]:
        """A sound whose transform has about these magnitudes."""
        made = torch.polar(magnitudes, torch.zeros_like(magnitudes) if angles is None else angles)
        weight = self.momentum / (1 + self.momentum)
        before: Tensor | None = None
        for _ in range(self.iterations):
            rebuilt = self.spectrum(self.samples(made))
            phases = rebuilt if before is None else torch.sub(rebuilt, before, alpha=weight)
            scale = magnitudes / (_size(phases) + _TINY)
            made = torch.view_as_complex(torch.view_as_real(phases) * scale[..., None])
            before = rebuilt
        return self.samples(made)

    def magnitudes(
        self, mel: Float[Tensor, "*batch frames bands"], iterations: int = 60
    ) -> Float[Tensor, "*batch frames bins"]:
        """Magnitudes of which these are the mel bands, as nearly as it goes, and none below zero."""
        filters = self._filters.to(mel.device)
        found: Tensor = (mel @ self._inverse.to(mel.device).mT).clamp_min(_TINY)
        wanted = mel @ filters
        for _ in range(iterations):
            found = found * wanted / (found @ filters.mT @ filters).clamp_min(_TINY)
        return found

    @cached_property
    def _window(self) -> Float[Tensor, " fft"]:
        return torch.hann_window(self.fft)

    @cached_property
    def _filters(self) -> Float[Tensor, "bands bins"]:
        return torch.from_numpy(mel_filters(self.rate, self.fft, self.bands)).float()

    @cached_property
    def _inverse(self) -> Float[Tensor, "bins bands"]:
        inverse: Tensor = torch.linalg.pinv(self._filters)
        return inverse


def _size(spectrum: Complex[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """The magnitudes; three times as fast as `abs`, and far from where squares overflow. Of nothing the root has no slope."""
    return (spectrum.real.square() + spectrum.imag.square()).clamp_min(_NOTHING).sqrt()


def mel_of(hertz: Float[Array, " n"]) -> Float[Array, " n"]:
    """Frequencies in Slaney's mels: even up to 1 kHz, then by their logarithm."""
    high = np.log(np.maximum(hertz, _LOG_FROM) / _LOG_FROM) / _LOG_STEP
    mels: Array = np.where(hertz < _LOG_FROM, hertz / _LINEAR, _LOG_FROM / _LINEAR + high)
    return mels


def hertz_of(mels: Float[Array, " n"]) -> Float[Array, " n"]:
    """Slaney's mels in Hz."""
    high = np.maximum(mels - _LOG_FROM / _LINEAR, 0.0)
    hertz: Array = np.where(mels < _LOG_FROM / _LINEAR, mels * _LINEAR, _LOG_FROM * np.exp(high * _LOG_STEP))
    return hertz


@lru_cache(maxsize=8)
def mel_filters(rate: int, fft: int, bands: int) -> Float[Array, "bands bins"]:
    """Triangles that overlap by half, each of the area of one in Hz, from 0 to half the rate."""
    top = mel_of(np.array([rate / 2]))[0]
    edges = hertz_of(np.linspace(0.0, top, bands + 2))
    bins = np.linspace(0.0, rate / 2, fft // 2 + 1)
    away = edges[:, None] - bins
    widths = np.diff(edges)
    rising, falling = -away[:-2] / widths[:-1, None], away[2:] / widths[1:, None]
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    filters: Array = triangles * (2 / (edges[2:] - edges[:-2]))[:, None]
    return filters
