"""Flow matching: a velocity that carries noise to pictures (Lipman et al. 2022; Esser et al. 2024).

- the straight path `x_t = (1 - t) noise + t picture`; the network learns the mean of `picture - noise` given `x_t`
- preconditioned as by Karras et al. (2022): what a Gaussian of the data's variance says in closed form is not learned
- the network is a U-Net or a diffusion transformer; class condition with label dropout, for guidance
- a caption is read by a Transformer of its own: the mean of its words is told like a class, and the network's attention reads
  each word (Nichol et al. 2022), which binds a colour to its shape
- samples, inversions and likelihoods follow one ordinary differential equation; a mask is what is known of a picture
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from daedal.config import Config
from daedal.models.flow_solver import SOLVER, Course, EditCourse, Told, fine_times, slopes, times, way
from daedal.models.image import (
    ImageBatch,
    ImageConfig,
    ImageModel,
    Images,
    ImageSampling,
    Labels,
    Masks,
    Sketch,
    Sketches,
)
from daedal.models.model import Loss, assembling
from daedal.nn.dit import DiT
from daedal.nn.film import GROUP, FilmNorm
from daedal.nn.guidance import Interval
from daedal.nn.mlp import GatedMLP
from daedal.nn.noise import Noise
from daedal.nn.norm import QueryKeyNorm
from daedal.nn.ode import SOLVERS, advance, answer, integrate
from daedal.nn.ode import Field as Slope
from daedal.nn.position import places
from daedal.nn.text_encoder import TextEncoder, filled
from daedal.nn.transformer import AdaptiveBlock, Block
from daedal.nn.unet import GridAttention, ResidualBlock, UNet

_TIME_WIDTH = 64
_TEXT_HEAD = 32
_PLACE = 2  # channels that say where a pixel is
_COARSE = 2  # times as many channels as on the finest grid
_GUIDED = (0.1, 0.9)  # the part of the way on which guidance acts
_LIKELIHOOD_STEPS = 50


class FlowShape(Config):
    """The network of a flow and how its times are drawn."""

    network: Literal["unet", "dit"] = Field("unet", description="convolutions, which learn fast, or a transformer")
    features: int = Field(64, ge=8, le=4096, description="channels of the finest grid (unet), or of all (dit)")
    levels: int = Field(2, ge=1, le=6, description="grids of the unet, each half of the one before")
    blocks: int = Field(
        2, ge=1, le=64, description="residual blocks of a coarse grid, each way (unet), or in all (dit)"
    )
    patch: int | None = Field(None, ge=1, le=32, description="pixels a side of a position of the finest grid; by size")
    heads: int = Field(2, ge=1, le=256, description="heads of attention; the finest grid of the unet has none")
    text_width: int = Field(128, ge=32, le=4096, multiple_of=32, description="features of a word of a caption")
    text_depth: int = Field(2, ge=1, le=64, description="Transformer blocks that read a caption")
    label_dropout: float = Field(
        0.1, ge=0, le=1, description="share of labels or captions hidden in training, for guidance"
    )
    time_mean: float = Field(0.0, ge=-4, le=4, description="centre of the logit-normal times; more learns detail more")
    time_spread: float = Field(1.0, gt=0, le=4, description="spread of the logit-normal times")
    deviation: float = Field(0.5, gt=0, le=100, description="standard deviation of what is learned")


class FlowConfig(FlowShape, ImageConfig):
    """A flow for pictures or codes of one shape."""

    values: int = Field(256, ge=0, description="levels of a picture's values; 0 for codes, which have none")


class Flow(ImageModel):
    """Carries noise (time 0) to pictures (time 1). `Flow(config)` under `torch.device("meta")` allocates nothing."""

    family = "flow"
    capabilities = frozenset({"sample", "class", "interpolate", "reconstruct", "edit", "score", "prompt"})
    options = frozenset({"steps", "solver", "churn", "temperature", "guidance"})
    inverted = ImageSampling(steps=20, solver="rk4")

    def __init__(self, config: FlowConfig) -> None:
        super().__init__()
        self.config: FlowConfig = config
        with assembling(self):
            self._assemble(config)

    def _assemble(self, config: FlowConfig) -> None:
        told = config.features * (1 if config.network == "dit" else 4)
        words = self._assemble_told(config, told)
        patch = config.patch or grid_patch(min(config.height, config.width))
        seen = 2 * config.channels + (_PLACE if words else 0)
        self.direct = nn.Conv2d(config.channels, config.channels, 3, padding=1)
        self.direct_gain = nn.Linear(told, config.channels)
        self.network: nn.Module
        if config.network == "dit":
            self.network = DiT(seen, config.channels, config.features, config.blocks, config.heads, patch, told, words)
        else:
            widths = [
                _round(config.features * (_COARSE if level else 1), config.heads) for level in range(config.levels)
            ]
            self.network = UNet(seen, config.channels, widths, config.blocks, patch, told, config.heads, words)

    def _assemble_told(self, config: FlowConfig, told: int) -> int:
        """What tells the network of time, class and caption, in a vector of so many numbers; gives those of a word."""
        self.time = nn.Sequential(nn.Linear(_TIME_WIDTH, told), nn.SiLU(), nn.Linear(told, told))
        self.label = nn.Embedding(config.classes, told, _weight=torch.empty(config.classes, told))
        words = config.text_width if config.words else 0
        self.text: TextEncoder | None = None
        if words:
            self.text = TextEncoder(config.words, config.window, words, config.text_depth, words // _TEXT_HEAD)
            self.gist = nn.Linear(words, told)
        return words

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Draw all weights anew. Drawn on the CPU, so that a seed means the same model on every device."""
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Conv2d):
                weight = torch.randn(module.weight.shape, generator=generator)
                module.weight.copy_(weight * weight[0].numel() ** -0.5)
                if module.bias is not None:
                    module.bias.zero_()
            elif isinstance(module, nn.Embedding):
                module.weight.copy_(torch.randn(module.weight.shape, generator=generator))
            elif isinstance(module, FilmNorm):
                module.affine.zero_()
            elif isinstance(module, QueryKeyNorm):
                for gain in module.parameters():
                    gain.fill_(1.0)
        for module in self.modules():
            # Residual branches and the network's word start at nothing: the first prediction is a Gaussian's
            for last in _last(module):
                last.weight.zero_()

    # -- learning ------------------------------------------------------------------------------------------------------

    def velocity(self, x: Images, time: Float[Tensor, " batch"], labels: Labels) -> Images:
        """The mean of `picture - noise` at `x` and `time`; label -1 is any class, a caption of -1 says nothing."""
        return self._velocity(x, time, self._read(labels))

    def _velocity(self, x: Tensor, time: Tensor, read: Tensor) -> Tensor:
        keep, said, scale = self._precondition(time)
        return keep * x + said * self._network(x, scale, time, read)

    def _read(self, labels: Labels) -> Tensor:
        """What the network is told of labels, the same on the whole way: classes as they are, captions as vectors of words."""
        return labels if self.text is None else filled(self.text(labels), labels)

    def _network(self, x: Tensor, scale: Tensor, time: Tensor, read: Tensor) -> Tensor:
        """The network's own word on the picture and on its finest detail, which it sees at the size of the noise: late on the
        way that is most of what there is to say, and far below the picture in size. A word on it is said directly, too."""
        detail = x - F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
        detail = 2 * torch.tanh(detail / (2 * (1 - time[:, None, None, None]) + 0.04))
        told, words = self._tell(time, read)
        seen = [scale * x, detail]
        if words is not None:
            seen.append(places(x.shape[2], x.shape[3], x.device).expand(len(x), -1, -1, -1))
        gain = (self.direct_gain(told) + time[:, None])[:, :, None, None]
        out: Tensor = self.network(torch.cat(seen, 1), told, words) + gain * self.direct(detail)
        return out

    def _tell(
        self, time: Float[Tensor, " batch"], read: Tensor
    ) -> tuple[Float[Tensor, "batch told"], Float[Tensor, "batch window words"] | None]:
        """What every layer is told of time and labels, and the words that attention reads."""
        rates = torch.logspace(0, math.log10(200), _TIME_WIDTH // 2, device=time.device)
        angles = time[:, None] * (2 * rates)
        told = self.time(math.sqrt(2) * torch.cat((angles.sin(), angles.cos()), 1))
        if self.config.classes:
            told = told + self.label(read.clamp_min(0)) * (read >= 0)[:, None]
        words = None if self.text is None else read
        if words is not None:
            told = told + self.gist(words.mean(1))
        return F.silu(told), words

    def _precondition(self, time: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What of `x` is kept, what the network's word and its input are multiplied by.

        For data of variance d^2 and mean 0, the best linear guess of the velocity is `(t d^2 - (1 - t)) / v x`, where
        `v = t^2 d^2 + (1 - t)^2` is the variance of `x`; what it leaves unexplained has variance `d^2 / v`.
        """
        time = time[:, None, None, None]
        square = self.config.deviation**2
        variance = time**2 * square + (1 - time) ** 2
        return (time * square - (1 - time)) / variance, (square / variance).sqrt(), variance.rsqrt()

    def loss(self, batch: ImageBatch, player: str = "model") -> Loss:
        """Squared error of the network's own word, a mean over pixels, summed over pictures and divided by the step's count."""
        noise = batch.noise
        images = self._smooth(batch.images, noise)
        start = noise.normal("noise", *images.shape[1:])
        time = self._draw_times(noise)
        labels = batch.unlabelled(self.config.label_dropout)
        keep, said, scale = self._precondition(time)
        x = torch.lerp(start, images, time[:, None, None, None])
        target = (images - start - keep * x) / said
        error = F.mse_loss(self._network(x, scale, time, self._read(labels)).float(), target, reduction="none")
        return Loss(error.mean((1, 2, 3)).sum() / batch.moment.count)

    def _draw_times(self, noise: Noise) -> Float[Tensor, " batch"]:
        """Logit-normal times (Esser et al. 2024). Neighbouring examples' are spread evenly by the golden ratio (as Kingma et
        al. 2021 spread a batch's), which makes the loss of a batch less a matter of luck."""
        number = torch.arange(noise.first, noise.first + noise.count, dtype=torch.float64)
        share = (number * ((math.sqrt(5) - 1) / 2)).frac().clamp(1e-4, 1 - 1e-4)
        normal = torch.special.ndtri(share).float().to(noise.device)
        return torch.sigmoid(self.config.time_mean + self.config.time_spread * normal)

    def _smooth(self, images: Tensor, noise: Noise, stream: str = "smooth") -> Tensor:
        """Pictures have whole values; spread over the width of a value they have a density (Theis et al. 2016)."""
        if not self.config.values:
            return images
        return images + (noise.uniform(stream, *images.shape[1:]) - 0.5) * (2 / (self.config.values - 1))

    # -- following the flow --------------------------------------------------------------------------------------------

    def prior(self, noise: Noise) -> Images:
        return noise.normal("prior", *self.config.shape)

    @torch.no_grad()
    def decode(self, latents: Images, labels: Labels | None = None, how: ImageSampling | None = None) -> Images:
        how = how or ImageSampling()
        field, x = self._field(len(latents), labels, how), how.scaled(latents)
        for now, after, solver in way(how):
            x = advance(solver(x, now, after), field)
        return x

    @torch.no_grad()
    def drawing(self, noise: Noise, labels: Labels | None = None, how: ImageSampling | None = None) -> Sketches:
        """New pictures; the temperature scales all noise, what churn draws on the way as well."""
        how = how or ImageSampling()
        return Course(self.abreast, self._told(noise.count, labels, how), how.scaled(self.prior(noise)), noise, how)

    def abreast(self, drawings: Sequence[Sketches]) -> list[Sketch[Tensor]]:
        """One step of each, wherever on its way and however it goes: the network sees them as one batch."""
        return self._abreast(self._velocity, drawings)

    @torch.no_grad()
    def _abreast(
        self, velocity: Callable[[Tensor, Tensor, Tensor], Tensor], drawings: Sequence[Sketches]
    ) -> list[Sketch[Tensor]]:
        courses = [drawing for drawing in drawings if isinstance(drawing, Course)]
        told = [course.told for course in courses]
        return answer([course.step() for course in courses], lambda asked: slopes(velocity, told, asked))

    @torch.no_grad()
    def encode(self, images: Images, labels: Labels | None = None, how: ImageSampling | None = None) -> Images:
        """The noise from which the flow leads to each picture: the same path, backwards."""
        how = how or self.inverted
        field, back = self._field(len(images), labels, how), times(how)[::-1]
        return integrate(field, images, back, SOLVERS[how.solver or SOLVER])

    @torch.no_grad()
    def editing(
        self, images: Images, known: Masks, noise: Noise, labels: Labels | None = None, how: ImageSampling | None = None
    ) -> Sketches:
        """What is known with 1 comes back as it is. A number between is for how much of the way a pixel is held to the picture
        before it is free: 0.6 everywhere keeps the layout and draws the rest anew (Meng et al. 2021; by pixel, Levin & Fried
        2023). Each step is taken several times, so that both parts fit each other (Lugmayr et al. 2022). The way begins at the
        least that is known, so a picture depends on what is in its batch unless all have the same least.
        """
        how = how or ImageSampling()
        told, x = self._told(len(images), labels, how), how.scaled(self.prior(noise))
        return EditCourse(self.abreast, told, x, noise, how, images, known)

    def log_likelihood(self, batch: ImageBatch, samples: int = 1) -> Float[Tensor, " batch"]:
        """Log-probability of each picture's values in nats (of a code: its density), a mean over `samples` estimates.

        The change of variables along the flow (Chen et al. 2018) with a random estimate of the divergence (Grathwohl et al.
        2019), for pictures spread over the width of a value: on average a lower bound.
        """
        volume = math.log(2 / (self.config.values - 1)) * batch.images[0].numel() if self.config.values else 0.0
        estimates = [self._log_density(batch, sample) for sample in range(samples)]
        return torch.stack(estimates).mean(0) + volume

    def _log_density(self, batch: ImageBatch, sample: int) -> Float[Tensor, " batch"]:
        probe = batch.noise.integers(f"probe {sample}", 2, *self.config.shape).float() * 2 - 1
        velocity = self._field(len(batch.images), batch.labels, ImageSampling())

        def field(state: Tensor, time: float) -> Tensor:
            with torch.enable_grad():
                x = state[:, 1:].reshape(-1, *self.config.shape).detach().requires_grad_()
                slope = velocity(x, time)
                (product,) = torch.autograd.grad(slope, x, probe)
            divergence = (product * probe).flatten(1).sum(1, keepdim=True)
            return torch.cat((divergence, slope.detach().flatten(1)), 1)

        images = self._smooth(batch.images, batch.noise, f"likelihood {sample}")
        state = F.pad(images.flatten(1), (1, 0))
        state = integrate(field, state, fine_times(_LIKELIHOOD_STEPS)[::-1], SOLVERS["heun"])
        start = state[:, 1:].double()
        # the state went backwards: its first number is minus the divergence over the path
        return (state[:, 0].double() - 0.5 * (start**2 + math.log(2 * math.pi)).sum(1)).float()

    def _field(self, count: int, labels: Tensor | None, how: ImageSampling) -> Slope:
        told = self._told(count, labels, how)
        return lambda x, time: slopes(self._velocity, [told], {0: (x, time)})[0]

    def _told(self, count: int, labels: Tensor | None, how: ImageSampling) -> Told:
        labels, nothing, scale = self.condition(count, labels, how)
        return Told(self._read(labels), self._read(nothing), Interval(scale, *_GUIDED))


def _last(module: nn.Module) -> Iterator[nn.Linear | nn.Conv2d]:
    """The layers of a part that start at nothing."""
    match module:
        case ResidualBlock():
            yield module.second
        case GridAttention():
            yield module.out
        case FilmNorm(film=nn.Linear() as film):
            yield film
        case AdaptiveBlock(modulation=nn.Linear() as modulation):
            yield modulation
        case Block(mlp=GatedMLP() as mlp):
            yield from (module.attention.out, mlp.down)
        case UNet():
            yield module.head
        case DiT():
            yield from (module.head, module.modulation)
        case Flow(direct=nn.Conv2d() as direct, direct_gain=nn.Linear() as gain):
            yield from (direct, gain)


def grid_patch(side: int) -> int:
    """Pixels a side of a position, so that the finest grid has 14 to 27 positions a side: 1 up to 27 pixels, 2 up to 55, ..."""
    return 1 << max(0, int(math.log2(side / 14)))


def _round(width: float, heads: int) -> int:
    """The next width that the groups of a norm and the heads divide."""
    unit = math.lcm(GROUP, heads)
    return max(1, round(width / unit)) * unit
