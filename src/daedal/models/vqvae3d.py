"""A VQ-VAE over space and time: clips as small grids of whole numbers (VideoGPT, Yan et al. 2021, arXiv:2104.10157; causal in
time as MAGVIT-v2, Yu et al. 2023, arXiv:2310.05737).

- what differs from the VQ-VAE of pictures are the networks (`nn/causal_video.py`): the first frame is a grid alone, so that a
  still picture is the beginning of a clip; then each grid is a few frames
- a clip is a picture with a channel for each colour of each frame, and its tokens are one tall grid: the rows of the first
  group, those of the second, and so on. Fewer frames than a whole clip are fewer rows
- the price of tokens is that of what the group before does not tell
"""

from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from daedal.models.vqvae import VQVAE, VQVAEConfig, VQVAEShape
from daedal.nn.causal_video import CausalBlock, VideoDecoder, VideoEncoder, groups_of
from daedal.nn.rate import Rate

COLOURS = 3
"""Channels of a frame."""


def colours_of() -> Any:
    """The field of the colours of all frames."""
    return Field(ge=COLOURS, le=10_000 * COLOURS, multiple_of=COLOURS)


class VQVAE3DShape(VQVAEShape):
    """What a person may choose."""

    stride: int = Field(4, ge=1, le=64, description="frames of a group, which share a grid of tokens")


class VQVAE3DConfig(VQVAE3DShape, VQVAEConfig):
    """A tokenizer of certain clips.

    Attributes:
        channels: of all frames of a clip.
    """

    channels: int = colours_of()

    @property
    def frames(self) -> int:
        """Of a clip."""
        return self.channels // COLOURS

    @property
    def groups(self) -> int:
        return groups_of(self.frames, self.stride)

    @property
    def group(self) -> tuple[int, int]:
        """Rows and columns of the tokens of a group."""
        return super().tokens

    @property
    def tokens(self) -> tuple[int, int]:
        """Rows of all groups, and columns."""
        rows, columns = self.group
        return self.groups * rows, columns


class VQVAE3D(VQVAE):
    """See the file."""

    family = "vqvae3d"
    config: VQVAE3DConfig

    def _networks(self) -> tuple[nn.Module, nn.Module]:
        config = self.config
        trunk = (COLOURS, config.filters, config.depth, config.halvings, config.stride)
        return VideoEncoder(*trunk), VideoDecoder(*trunk, rows=config.group[0])

    def _pricing(self) -> Rate:
        return Rate(self.config.levels, rows=self.config.group[0])

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        super().initialise(generator)
        for module in self.modules():
            if isinstance(module, CausalBlock):
                nn.init.zeros_(module.conv2.weight)

    def _pictures(self, codes: Tensor) -> Tensor:
        return super()._pictures(codes)[:, : self.config.channels]
