"""A listener: it tells what is said in a recording, what it is and who speaks, as far as the data say so.

- log-mel frames, a convolution over pitch and time, then blocks over time
- what is said is learned by connectionist temporal classification (Graves et al. 2006) over characters: no alignment is needed
- classes and speakers are told by the mean and the maximum over time of what the blocks give
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from pydantic import Field, model_validator
from torch import Tensor, nn

from daedal.codecs.mel import MelCodec
from daedal.config import Config
from daedal.models.model import Loss, Model, assembling
from daedal.models.sequences import Batch
from daedal.nn.temporal import TemporalBlock, draw_layers

_HALVINGS = 3  # of the bands; the first two stages see all frames, then each sees two
_SPEAKERS = 0.3
"""Weight of the speakers' loss beside that of the classes."""


class ListenerShape(Config):
    """What a person may choose of a listener."""

    width: int = Field(128, ge=8, le=4096, description="features of a frame")
    depth: int = Field(4, ge=1, le=64, description="blocks over time")
    channels: int = Field(24, ge=4, le=512, description="channels of the convolution over pitch and time")
    dropout: float = Field(0.1, ge=0, lt=1, description="share of features dropped in training")


class ListenerConfig(ListenerShape):
    """The whole configuration.

    Attributes:
        rate, fft, hop, bands, floor: of the frames; see `daedal.codecs.mel`.
        labels, speakers: what a recording may be, and who may speak in it; none where the data do not say.
        characters: of which transcripts are; none where there are none.
    """

    rate: int = Field(ge=1000)
    fft: int = Field(ge=16)
    hop: int = Field(ge=4)
    bands: int = Field(ge=8)
    floor: float = Field(default=1e-4, gt=0)
    labels: tuple[str, ...] = Field(default=(), max_length=2**16)
    speakers: tuple[str, ...] = Field(default=(), max_length=2**16)
    characters: tuple[str, ...] = Field(default=(), max_length=2**16)

    @model_validator(mode="after")
    def _there_is_something_to_tell(self) -> "ListenerConfig":
        for names in (self.labels, self.speakers, self.characters):
            if len(set(names)) < len(names):
                raise ValueError("two labels, speakers or characters have one name")
        if not self.characters and len(self.labels) < 2 and len(self.speakers) < 2:
            raise ValueError("there is nothing to tell apart")
        _ = self.mel
        return self

    @property
    def mel(self) -> MelCodec:
        """What makes its frames."""
        return MelCodec.described(self, self.bands)


@dataclass(frozen=True)
class ListenBatch(Batch):
    """Recordings, and what is known of them.

    Attributes:
        frames: log-mel.
        counts: frames of each; what stands behind is nothing.
        labels, speakers: the number of each; -1 for none.
        characters: of all transcripts, one after the other.
        lengths: of each; 0 for none.
    """

    frames: Float[Tensor, "batch frames bands"]
    counts: Int[Tensor, " batch"]
    labels: Int[Tensor, " batch"]
    speakers: Int[Tensor, " batch"]
    characters: Int[Tensor, " all"]
    lengths: Int[Tensor, " batch"]

    @property
    def count(self) -> int:
        return len(self.counts)


@dataclass(frozen=True)
class Heard:
    """What a listener makes of recordings: logits.

    Attributes:
        characters: of each moment of two frames; the last stands for none.
        moments: of each recording.
    """

    characters: Float[Tensor, "batch moments characters"] | None
    moments: Int[Tensor, " batch"]
    labels: Float[Tensor, "batch labels"] | None
    speakers: Float[Tensor, "batch speakers"] | None


class Listener(Model):
    """A recogniser of speech and a classifier of sounds on one body."""

    family = "listener"
    capabilities = frozenset({"transcribe"})
    config: ListenerConfig

    def __init__(self, config: ListenerConfig) -> None:
        super().__init__()
        self.config = config
        with assembling(self):
            self._assemble(config)

    def _assemble(self, config: ListenerConfig) -> None:
        width, channels, bands = config.width, config.channels, config.bands
        stages = ((1, (1, 2)), (channels, (2, 2)), (channels, (1, 2)))
        self.stem = nn.ModuleList(nn.Conv2d(into, channels, 3, stride, padding=1) for into, stride in stages)
        for _ in range(_HALVINGS):
            bands = (bands + 1) // 2
        self.enter = nn.Linear(channels * bands, width)
        self.blocks = nn.ModuleList(TemporalBlock(width, dropout=config.dropout) for _ in range(config.depth))
        self.norm = nn.LayerNorm(width)
        self.characters = nn.Linear(width, len(config.characters) + 1) if config.characters else None
        self.labels = nn.Linear(2 * width, len(config.labels)) if len(config.labels) > 1 else None
        self.speakers = nn.Linear(2 * width, len(config.speakers)) if len(config.speakers) > 1 else None

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        draw_layers(self, generator)
        for head in (self.characters, self.labels, self.speakers):
            if head is not None:
                head.weight.mul_(0.1)

    def states(
        self, frames: Float[Tensor, "batch frames bands"], counts: Int[Tensor, " batch"]
    ) -> tuple[Float[Tensor, "batch moments width"], Int[Tensor, " batch"]]:
        """What the body makes of recordings, a state for each two frames; and how many each has. Their loudness is nothing to
        it: of each the mean over all of its frames and bands is taken off."""
        there = _there(frames.shape[1], counts)
        mean = (frames * there).sum((1, 2)) / (counts * frames.shape[2])
        x = ((frames - mean[:, None, None]) / 2 * there)[:, None]
        for conv in self.stem:
            x = F.gelu(conv(x))
            assert isinstance(conv, nn.Conv2d)
            if conv.stride[0] == 2:
                counts = (counts + 1) // 2
            x = x * _there(x.shape[2], counts)[:, None]
        there = _there(x.shape[2], counts)
        x = self.enter(x.permute(0, 2, 1, 3).flatten(2))
        for block in self.blocks:
            x = block(x, there)
        return self.norm(x), counts

    def embed(
        self, frames: Float[Tensor, "batch frames bands"], counts: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch features"]:
        """A vector of each recording: the mean and the maximum over time, by which classes and speakers are told."""
        return _pooled(*self.states(frames, counts))

    def forward(self, frames: Float[Tensor, "batch frames bands"], counts: Int[Tensor, " batch"]) -> Heard:
        states, moments = self.states(frames, counts)
        pooled = _pooled(states, moments)

        def say(head: Any, given: Tensor) -> Any:
            return None if head is None else head(given).float()

        return Heard(say(self.characters, states), moments, say(self.labels, pooled), say(self.speakers, pooled))

    def loss(self, batch: ListenBatch, player: str = "model") -> Loss:
        """Nats of class and speaker, and of transcripts nats a character, summed over the recordings."""
        return self.loss_of(self(batch.frames, batch.counts), batch)

    def loss_of(self, heard: Heard, batch: ListenBatch) -> Loss:
        """The same of what was heard already."""
        parts: dict[str, Tensor] = {}
        for name, logits, known in (
            ("label", heard.labels, batch.labels),
            ("speaker", heard.speakers, batch.speakers),
        ):
            if logits is not None:
                parts[name] = F.cross_entropy(logits, known, reduction="sum", ignore_index=-1)
        if heard.characters is not None:
            parts["transcript"] = self._transcripts(heard, batch)
        weights = {"speaker": _SPEAKERS}
        total = torch.stack([weights.get(name, 1.0) * part for name, part in parts.items()]).sum()
        return Loss(total / batch.moment.count, {name: part / batch.moment.count for name, part in parts.items()})

    def _transcripts(self, heard: Heard, batch: ListenBatch) -> Tensor:
        """Nats a character; nothing of recordings without a transcript, and of those that are too short to say it."""
        assert heard.characters is not None
        nats = F.ctc_loss(  # on the CPU, where its gradient is the same each time
            heard.characters.log_softmax(-1).transpose(0, 1).cpu(), batch.characters.cpu(), heard.moments.cpu(),
            batch.lengths.cpu(), blank=len(self.config.characters), reduction="none", zero_infinity=True,
        )  # fmt: skip
        lengths = batch.lengths.cpu()
        return torch.where(lengths > 0, nats / lengths.clamp_min(1), 0.0).sum().to(heard.characters.device)


def collapsed(read: Sequence[int], characters: Sequence[str]) -> str:
    """The text of the likeliest symbol of each moment: repeats are one, and what stands for none is left out."""
    kept = (each for before, each in zip([-1, *read], read, strict=False) if each != before)
    return " ".join("".join(characters[each] for each in kept if each < len(characters)).split())


def _there(length: int, counts: Int[Tensor, " batch"]) -> Float[Tensor, "batch length 1"]:
    places = torch.arange(length, device=counts.device)
    return (places < counts[:, None]).float()[..., None]


def _pooled(
    states: Float[Tensor, "batch moments width"], moments: Int[Tensor, " batch"]
) -> Float[Tensor, "batch features"]:
    there = _there(states.shape[1], moments)
    mean = (states * there).sum(1) / moments[:, None]
    most = states.masked_fill(there == 0, -torch.inf).amax(1)
    return torch.cat([mean, most], dim=1)
