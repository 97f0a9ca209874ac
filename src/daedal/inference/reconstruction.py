"""What a model makes of a given picture: how it comes back, and how likely it is."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from daedal.config import Config
from daedal.inference.given import Given
from daedal.inference.picture import Picture, save_image
from daedal.inference.sheet import grid


@dataclass(frozen=True)
class Reconstruction:
    """A picture and what comes back of it through a model's latents.

    Attributes:
        mse: mean squared error, of values from 0 to 1.
    """

    original: Given
    picture: Picture
    mse: float

    @property
    def psnr(self) -> float:
        """Peak signal-to-noise ratio in decibels; infinite where the two are equal."""
        return math.inf if self.mse == 0 else -10 * math.log10(self.mse)

    def pair(self) -> list[Image.Image]:
        """The picture as the model saw it, and as it came back."""
        return [self.original.image, self.picture.image]

    def save(self, path: Path | str) -> Path:
        """Write the two side by side."""
        return save_image(grid(self.pair(), 2), path, self.record())

    def record(self) -> dict[str, Any]:
        """What is known of it, as JSON can say it."""
        psnr = self.psnr if math.isfinite(self.psnr) else None
        provenance = self.picture.provenance.model_dump(mode="json")
        return {"picture": self.original.name, "mse": self.mse, "psnr": psnr, **provenance}


class PictureScore(Config):
    """How likely a model finds a picture: exactly, or at least.

    Attributes:
        log_likelihood: in nats.
        bits_per_dimension: does not depend on the size of pictures.
    """

    log_likelihood: float
    bits_per_dimension: float
