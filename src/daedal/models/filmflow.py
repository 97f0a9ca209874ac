"""A flow over the codes of clips: all frames at once, out of noise (latent diffusion of video: Ho et al. 2022,
arXiv:2204.03458; Blattmann et al. 2023, arXiv:2304.08818).

- the codes are those of a tokenizer with fixed levels (FSQ), a tall picture: the groups of frames one below the other. So it
  stands beside a GPT over the same tokens, and what it draws is rounded to the nearest code before frames are made of it
- the network is a diffusion transformer whose positions are places of a frame; the moments of a place are its channels. What
  stands still or moves on is then found from the first layer on, as by the GPT's tables of the group before
- it tells how likely each level is; their mean is where the flow leads (score interpolation: Dieleman et al. 2022,
  arXiv:2211.15089). Cross-entropy teaches more of values that are whole numbers than their squared error does
- groups that are known are seen as they are, with a channel that says so: the first ones, and the tokens of the last frame as
  a picture, which are one more moment
- `LatentFilm` joins it with the tokenizer
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import ClassVar, Literal, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from pydantic import Field, model_validator
from torch import Tensor, nn

from daedal.errors import DaedalError
from daedal.models.film_model import FilmModel, Ids
from daedal.models.film_sampling import FilmSampling
from daedal.models.flow import Flow, FlowConfig, FlowShape, grid_patch
from daedal.models.flow_solver import Course, way
from daedal.models.image import ImageBatch, ImageSampling, Labels, Sketch, Sketches
from daedal.models.layout import TokenLayout
from daedal.models.model import Loss
from daedal.models.vqvae3d import VQVAE3D
from daedal.nn.causal_video import Video
from daedal.nn.dit import DiT
from daedal.nn.noise import Noise
from daedal.nn.quantizer import FSQ, levels_of

Codes = Float[Tensor, "batch channels rows columns"]
"""Codes of groups, one below the other; of a clip, or of one and its last frame."""
_PLACE = 8
"""Learned numbers that say where in a clip a code is."""
_BEGUN, _ONE = 0.4, 0.5
"""Share of clips whose beginning is known in training; of these, share of those of which that is one frame."""
_LATEST = 1e-3
"""What is left of the way, at least, when it is told where the flow leads."""


class FilmFlowShape(FlowShape):
    """The network, and how its times are drawn."""

    network: Literal["dit"] = Field("dit", description="a transformer")
    features: int = Field(192, ge=8, le=4096, description="channels of the transformer")
    blocks: int = Field(4, ge=1, le=64, description="blocks of the transformer")
    heads: int = Field(6, ge=1, le=256, description="heads of attention")
    patch: int | None = Field(None, ge=1, le=32, description="codes a side of a position; by size")


class FilmFlowConfig(FilmFlowShape, FlowConfig):
    """A flow over the codes of certain clips; `height` is the rows of all groups.

    Attributes:
        groups: of frames that a clip has.
        code_levels: levels of each channel of the codes.
    """

    values: Literal[0] = 0
    height: int = Field(ge=1, le=65_536)
    width: int = Field(ge=1, le=1024)
    groups: int = Field(ge=1)
    code_levels: tuple[int, ...]

    @model_validator(mode="after")
    def _whole(self) -> "FilmFlowConfig":
        if self.height % self.groups or self.channels != len(self.code_levels):
            raise ValueError("the rows of a clip's codes are those of whole groups, and each channel has levels")
        return self

    @property
    def group(self) -> int:
        """Rows of a group."""
        return self.height // self.groups


class Given(NamedTuple):
    """What is known of clips, and of their last frames, in the rows below theirs."""

    codes: Codes
    known: Bool[Tensor, "batch 1 rows columns"]

    def repeated(self, count: int) -> "Given":
        """That of so many clips, of which all these are asked for again."""
        times = count // len(self.codes)
        return Given(*(each.repeat(times, 1, 1, 1) for each in self))


class FilmFlow(Flow):
    """Carries noise to the codes of clips."""

    family = "filmflow"
    capabilities = frozenset({"film", "prompt", "class"})
    config: FilmFlowConfig

    def _assemble(self, config: FlowConfig) -> None:
        assert isinstance(config, FilmFlowConfig)
        told = config.features
        words = self._assemble_told(config, told)
        self.places = nn.Parameter(torch.empty(_PLACE, config.group, config.width))
        patch = config.patch or grid_patch(min(config.group, config.width))
        seen = (config.groups + 1) * (config.channels + 1) + _PLACE  # a last frame is one more moment
        said = config.groups * sum(config.code_levels)
        self.network = DiT(seen, said, config.features, config.blocks, config.heads, patch, told, words)

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        super().initialise(generator)
        self.places.copy_(torch.randn(self.places.shape, generator=generator))

    def loss(self, batch: ImageBatch, player: str = "model") -> Loss:
        """Nats of the levels of a code that is not known, a mean over all of a clip's codes."""
        noise, levels = batch.noise, self.config.code_levels
        codes = batch.images[:, :, : self.config.height]
        given = Given(batch.images, self._known(noise, batch.images))
        time = self._draw_times(noise)
        x = torch.lerp(noise.normal("noise", *codes.shape[1:]), codes, time[:, None, None, None])
        logits = self._logits(x, time, self._read(batch.unlabelled(self.config.label_dropout)), given)
        truth = levels_of(codes, levels).unbind(1)
        each = [F.cross_entropy(said, level, reduction="none") for said, level in zip(logits, truth, strict=True)]
        nats = torch.stack(each).sum(0)
        return Loss((nats * ~given.known[:, 0, : self.config.height]).mean((1, 2)).sum() / batch.moment.count)

    def _known(self, noise: Noise, codes: Codes) -> Bool[Tensor, "batch 1 rows columns"]:
        """What is known of clips in training: the first group of some, several of others; a last frame, where one is told."""
        config = self.config
        one = noise.uniform("one") < _ONE
        several = noise.integers("known", max(1, config.groups - 1)) + 1
        first = torch.where(one, 1, several) * (noise.uniform("begun") < _BEGUN) * (config.groups > 1)
        group = torch.arange(codes.shape[2], device=codes.device) // config.group
        known = (group < first[:, None]) | (group >= config.groups)
        return known[:, None, :, None].expand(-1, -1, -1, codes.shape[3])

    def _logits(
        self, x: Codes, time: Tensor, read: Tensor, given: Given
    ) -> list[Float[Tensor, "batch levels rows columns"]]:
        """Of the levels of each channel. What a code's own noisy value says of its levels, whose noise is normal, is known in
        closed form; the network says what the others and the words do."""
        config, (told, words) = self.config, self._tell(time, read)
        _, _, scale = self._precondition(time)
        # a last frame that is not told is hidden
        codes, known = (F.pad(each, (0, 0, 0, config.height + config.group - each.shape[2])) for each in given)
        # what is known is as it is at the end of the way
        seen = torch.where(known, codes / config.deviation, F.pad(scale * x, (0, 0, 0, config.group)))
        seen = torch.cat((seen, known.to(x.dtype)), 1)
        # of each place all moments, as channels
        moments = seen.reshape(*seen.shape[:2], -1, config.group, config.width).transpose(1, 2).flatten(1, 2)
        places = self.places.expand(len(x), -1, -1, -1)
        out: Tensor = self.network(torch.cat((moments, places), 1), told, words)
        out = out.float().reshape(len(x), config.groups, -1, config.group, config.width).transpose(1, 2).flatten(2, 3)
        time = time[:, None, None, None]
        found = []
        for place, said in enumerate(torch.split(out, list(config.code_levels), 1)):
            ahead = time * _values(config.code_levels[place], x)
            own = (ahead * x[:, place : place + 1] - ahead.square() / 2) / (1 - time).clamp_min(_LATEST).square()
            found.append(said + own)
        return found

    def _toward(self, x: Codes, time: Tensor, read: Tensor, given: Given) -> Codes:
        """The velocity: towards the mean of the codes that are possible."""
        given = given.repeated(len(x))
        means = []
        for logits, count in zip(self._logits(x, time, read, given), self.config.code_levels, strict=True):
            means.append((logits.softmax(1) * _values(count, x)).sum(1))
        codes, known = (each[:, :, : self.config.height] for each in given)
        codes = torch.where(known, codes, torch.stack(means, 1))
        return (codes - x) / (1 - time).clamp_min(_LATEST)[:, None, None, None]

    @torch.no_grad()
    def filming(self, noise: Noise, labels: Labels, how: ImageSampling, given: Given | None = None) -> Sketches:
        """Codes of new clips, step by step.

        Args:
            given: what is known, which comes back about as it is.
        """
        x = how.scaled(self.prior(noise))
        if given is None:
            given = Given(x, torch.zeros_like(x[:, :1], dtype=torch.bool))
        velocity, told = partial(self._toward, given=given), self._told(noise.count, labels, how)
        # what is asked for strongly may lie beyond all levels: the last step is as learned
        told = told._replace(guidance=replace(told.guidance, high=min(told.guidance.high, way(how)[-1][0])))
        return Course(partial(self._abreast, velocity), told, x, noise, how)


def _values(count: int, like: Tensor) -> Float[Tensor, "levels 1 1"]:
    """The codes of a channel's levels."""
    return ((torch.arange(count, device=like.device) - count // 2) / (count // 2))[:, None, None]


class LatentFilm(FilmModel):
    """A flow over the codes of clips, and the tokenizer that makes frames of them."""

    options: ClassVar[frozenset[str]] = Flow.options
    prompted: ClassVar[FilmSampling] = FilmSampling(guidance=2.0, steps=16, solver="euler", churn=2.0)
    config: FilmFlowConfig

    def __init__(self, inner: FilmFlow, codec: VQVAE3D) -> None:
        config, quantizer = inner.config, codec.quantizer
        mine = (config.shape[1:], config.groups, config.code_levels)
        theirs = (codec.grid, codec.config.groups, quantizer.levels if isinstance(quantizer, FSQ) else ())
        if mine != theirs:
            raise DaedalError(
                f"The model draws grids of {mine[0]} in {mine[1]} groups, of levels {mine[2]}, and its tokenizer has "
                f"{theirs[0]} in {theirs[1]}, of {theirs[2]}",
                "Restore the folder from a copy",
            )
        places = config.height * config.width
        said = {"classes": config.classes, "words": config.words, "window": config.window}
        super().__init__(inner, codec, TokenLayout(codec.vocab_size, places, **said))

    @torch.no_grad()
    def write(
        self,
        noise: Noise,
        labels: Int[Tensor, "batch *window"],
        how: FilmSampling,
        known: Video | None = None,
        last: Video | None = None,
    ) -> Iterator[Sketch[Ids]]:
        """All frames at once, ever clearer."""
        config, quantizer = self.config, self.codec.quantizer
        rows = config.height + (0 if last is None else config.group)
        ids = torch.full((noise.count, rows, config.width), -1, device=noise.device)
        if known is not None:
            begun = self.encode_ids(known)
            ids[:, : begun.shape[1]] = begun
        if last is not None:
            ids[:, config.height :] = self.encode_ids(last)
        given = Given(quantizer.codes(ids.clamp_min(0)), (ids >= 0)[:, None])
        for sketch in self.inner.filming(noise, labels, how, given):
            yield Sketch(sketch.done, partial(self._rounded, sketch, ids[:, : config.height]))

    def _rounded(self, sketch: Sketch[Tensor], given: Ids) -> Ids:
        assert isinstance(self.codec.quantizer, FSQ)
        return torch.where(given >= 0, given, self.codec.quantizer.nearest(sketch.show()))
