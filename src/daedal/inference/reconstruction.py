"""What a model makes of a given picture: how it comes back, and how likely it is."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daedal.codecs.sheet import grid, pairs
from daedal.config import Config
from daedal.files import make_folder
from daedal.inference.input_picture import Given
from daedal.inference.picture import Picture, save_image
from daedal.inference.sheet import write_index


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

    def save(self, path: Path | str) -> Path:
        """Write the two side by side."""
        return save_image(grid([self.original.image, self.picture.image], 2), path, self.record())

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


def save_pairs(found: Sequence[Reconstruction], path: Path | str) -> Path:
    """Write a sheet on which each picture stands above its reconstruction."""
    sheet = pairs([one.original.image for one in found], [one.picture.image for one in found])
    return save_image(sheet, path, {"reconstructions": [one.record() for one in found]})


def save_each_pair(found: Sequence[Reconstruction], folder: Path | str) -> list[Path]:
    """Write each picture beside its reconstruction as a PNG of its own, and an index of JSON Lines that holds the errors."""
    folder = make_folder(Path(folder))
    names = [f"{i:05}-{Path(one.original.name).stem}.png" for i, one in enumerate(found)]
    write_index(folder, [{"file": name, **one.record()} for name, one in zip(names, found, strict=True)])
    return [one.save(folder / name) for name, one in zip(names, found, strict=True)]
