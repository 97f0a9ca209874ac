"""How pictures come back through a model's latents, and how far off they are."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from daedal.codecs.sheet import grid, pairs
from daedal.files import make_folder
from daedal.inference.conditions import Labels
from daedal.inference.input_picture import AnyPicture, InputPicture
from daedal.inference.picture import Picture, save_image, write_index
from daedal.inference.skills.pictures import PictureSkill, Progress
from daedal.models.image import ImageSampling
from daedal.safety.marking import Marking


@dataclass(frozen=True)
class Reconstruction:
    """A picture and what comes back of it through a model's latents.

    Attributes:
        mse: mean squared error, of values from 0 to 1.
    """

    original: InputPicture
    picture: Picture
    mse: float

    @property
    def psnr(self) -> float:
        """Peak signal-to-noise ratio in decibels; infinite where the two are equal."""
        return math.inf if self.mse == 0 else -10 * math.log10(self.mse)

    def save(self, path: Path | str, marking: Marking | None = None) -> Path:
        """Write the two side by side."""
        return save_image(grid([self.original.image, self.picture.image], 2), path, self.record(), marking)

    def record(self) -> dict[str, Any]:
        """What is known of it, as JSON can say it."""
        psnr = self.psnr if math.isfinite(self.psnr) else None
        provenance = self.picture.provenance.model_dump(mode="json")
        return {"picture": self.original.name, "mse": self.mse, "psnr": psnr, **provenance}


class Reconstruct(PictureSkill):
    """Pictures as they come through a model's latents."""

    name = "reconstruct"
    needs = ("reconstruct",)
    verb = "reconstruct"

    def reconstruct(
        self, pictures: Sequence[AnyPicture], *, label: Labels = None, progress: Progress | None = None
    ) -> list[Reconstruction]:
        """Each picture as it comes through the model's latents, and how far off it is."""
        given, images = self._of_each(
            pictures, lambda images, _, chosen: self._model.reconstruct(images, chosen), label, progress
        )
        drawn, sources = self._codec.decode_batch(images), [one.fingerprint for one in given]
        labels = self._asked(label, self._noise(0, 0, len(given)))
        back = self._pictures(drawn, "reconstruct", None, 0, labels, ImageSampling(), sources)
        errors = [
            np.square((one.pixels.astype(np.float64) - pixels) / 255).mean()
            for one, pixels in zip(given, drawn, strict=True)
        ]
        return [Reconstruction(*entry) for entry in zip(given, back, map(float, errors), strict=True)]


def save_pairs(found: Sequence[Reconstruction], path: Path | str, marking: Marking | None = None) -> Path:
    """Write a sheet on which each picture stands above its reconstruction."""
    sheet = pairs([one.original.image for one in found], [one.picture.image for one in found])
    made = found[0].picture.provenance if found else None
    facts = {} if made is None else made.model_dump(mode="json", include={"model", "fingerprint", "version", "task"})
    return save_image(sheet, path, {**facts, "reconstructions": [one.record() for one in found]}, marking)


def save_each_pair(found: Sequence[Reconstruction], folder: Path | str, marking: Marking | None = None) -> list[Path]:
    """Write each picture beside its reconstruction as a PNG of its own, and an index of JSON Lines that holds the errors."""
    folder = make_folder(Path(folder))
    names = [f"{i:05}-{Path(one.original.name).stem}.png" for i, one in enumerate(found)]
    write_index(folder, [{"file": name, **one.record()} for name, one in zip(names, found, strict=True)])
    return [one.save(folder / name, marking) for name, one in zip(names, found, strict=True)]
