"""Speech: a flow over the log-mel frames of recordings, as over pictures of one channel, told what is said and by whom.

- what is said is the prompt, as a caption is of a picture: a class, or the characters of a transcript, and who speaks
- no aligner: how the words lie in time is the flow's own affair, as in F5 (Chen et al. 2024), and so is how long they last:
  behind the end is silence
- a passage is said anew by the mask with which parts of pictures are drawn anew
"""

import torch
from jaxtyping import Float, Int
from pydantic import Field, model_validator
from torch import Tensor

from daedal.codecs.mel import LEAST_SPREAD, MelCodec
from daedal.models.flow import Flow, FlowConfig
from daedal.models.image import Images, ImageSampling
from daedal.models.sayable import Sayable
from daedal.models.vocoder import Vocoder
from daedal.nn.noise import Noise

_SPREAD = 0.5
"""Of the frames as the network has them, which is about that of pictures."""
_LOUD = 1.0  # above silence, on average over the bands: single bands of silence come out louder


class SpeechConfig(Sayable, FlowConfig):
    """The whole configuration; `height` is the bands of a frame, `width` the frames of a window.

    Attributes:
        rate, fft, hop, floor: of the frames; see `daedal.codecs.mel`.
        mean, spread: of log-mel values in the training recordings.
    """

    rate: int = Field(ge=1000)
    fft: int = Field(ge=16)
    hop: int = Field(ge=4)
    floor: float = Field(default=1e-4, gt=0)
    mean: float = Field(default=0.0, ge=-100, le=100)
    spread: float = Field(default=1.0, ge=LEAST_SPREAD, le=100)

    @model_validator(mode="after")
    def _is_of_frames(self) -> "SpeechConfig":
        if self.channels != 1:
            raise ValueError("frames have one channel")
        _ = self.mel
        return self

    @property
    def mel(self) -> MelCodec:
        """What makes its frames."""
        return MelCodec.described(self, self.height)

    def picture(self, frames: Float[Tensor, "*batch frames bands"]) -> Float[Tensor, "*batch 1 bands window"]:
        """Frames as the network has them, silence behind the end; what does not fit is cut off."""
        mel = self.mel
        window = frames.new_full((*frames.shape[:-2], self.width, self.height), mel.silence)
        count = min(self.width, frames.shape[-2])
        window[..., :count, :] = frames[..., :count, :]
        return ((window - self.mean) * (_SPREAD / self.spread)).mT.unsqueeze(-3)

    def frames(self, picture: Float[Tensor, "*batch 1 bands window"]) -> Float[Tensor, "*batch window bands"]:
        """The frames of what the network made, none below silence."""
        found = picture.squeeze(-3).mT * (self.spread / _SPREAD) + self.mean
        return found.clamp_min(self.mel.silence)


class Speech(Flow):
    """A flow that speaks."""

    family = "speech"
    capabilities = frozenset({"speak"})
    prompted = ImageSampling(guidance=2.0, steps=12, solver="euler", churn=4.0)
    config: SpeechConfig

    def __init__(self, config: SpeechConfig) -> None:
        super().__init__(config)
        self.vocoder: Vocoder | None = None

    def speak(
        self, noise: Noise, labels: Int[Tensor, "batch window"], how: ImageSampling | None = None
    ) -> list[Float[Tensor, " samples"]]:
        """Sounds that say what labels say."""
        return self.sounds(self.sample(noise, labels, how))

    @torch.no_grad()
    def sounds(self, pictures: Images) -> list[Float[Tensor, " samples"]]:
        """The samples of what was drawn, each without the silence behind it."""
        mel, made = self.config.mel, []
        for frames in self.config.frames(pictures.float().cpu()):
            loud = torch.nonzero(frames.mean(1) > mel.silence + _LOUD)
            count = min(len(frames), int(loud[-1]) + 3) if len(loud) else 2
            made.append(self.sound(frames[: max(2, count)]))
        return made

    def sound(self, frames: Float[Tensor, "frames bands"]) -> Float[Tensor, " samples"]:
        """The samples of frames: by its vocoder where it has one, else by Griffin-Lim."""
        return self.config.mel.decode(frames) if self.vocoder is None else self.vocoder.sounds([frames])[0]

    @property
    def longest(self) -> int:
        """Samples of the longest sound that is made at once."""
        return self.config.width * self.config.hop

    @property
    def way(self) -> str:
        """What makes sound of its frames."""
        return "Griffin-Lim" if self.vocoder is None else self.vocoder.way

    @torch.no_grad()
    def copy(self, samples: Float[Tensor, " samples"]) -> Float[Tensor, " copied"]:
        """A recording as it comes back from its frames: no better can it speak."""
        mel = self.config.mel
        return self.sound(mel.encode(mel.lengthened(samples)))[: len(samples)]
