"""Short sounds for the families that learn pictures: their log-mel frames as pictures of one channel
(`daedal.codecs.mel_pictures`). The families need no change."""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64, UInt8
from PIL import Image

from daedal.codecs.mel_pictures import MEL_PICTURES, MelPictures
from daedal.codecs.sound import SoundCodec, write_one_by_one
from daedal.data.examples import ExampleDataset, ExampleSplit
from daedal.models.checkpoint import save_own
from daedal.models.identity import Identity
from daedal.training.learner import Request
from daedal.training.listening import COLUMN
from daedal.training.picture_plan import PicturePlan
from daedal.training.pictures import PictureLearner, PictureTask
from daedal.training.plan import Plan
from daedal.training.planning import Choice

Array = np.ndarray
_COVERED, _MULTIPLE, _LONGEST = 0.99, 8, 128  # of the recordings, and frames of a picture


class SoundSplit:
    """The sounds of a split, as pictures are."""

    def __init__(self, split: ExampleSplit, sounds: SoundCodec, codec: MelPictures, classes: bool) -> None:
        self.name, self.fingerprint, self.count = split.name, split.fingerprint, len(split)
        self._rows, self._sounds, self._codec = split.ragged(COLUMN), sounds, codec
        self.labels = split.classes("label") if classes else np.full(len(split), -1, dtype=np.int64)

    @property
    def images(self) -> "SoundSplit":
        return self

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: slice | Int64[Array, " pictures"]) -> UInt8[Array, "pictures height width 1"]:
        places = np.arange(self.count)[index]
        return np.stack([self._codec.picture(self._sounds.samples(self._rows[int(at)])) for at in places])


class SoundPictures:
    """A folder of sounds, as one of pictures is."""

    def __init__(self, dataset: ExampleDataset) -> None:
        self.dataset, self.folder = dataset, dataset.folder
        self.sounds: SoundCodec = dataset.codec(COLUMN).codec  # type: ignore[attr-defined]
        borders = dataset.split("train").ragged(COLUMN).borders
        longest = float(
            np.quantile(1 + np.diff(borders) // MelPictures.of_sounds(self.sounds.rate, 8).mel.hop, _COVERED)
        )
        frames = min(_LONGEST, -(-int(longest) // _MULTIPLE) * _MULTIPLE)
        self.codec = MelPictures.of_sounds(self.sounds.rate, frames)
        self.classes: tuple[str, ...] = dataset.classes("label") if dataset.has("label") else ()

    def split(self, name: str) -> SoundSplit:
        return SoundSplit(self.dataset.split(name), self.sounds, self.codec, bool(self.classes))


class SoundPictureTask(PictureTask):
    """Trains a model of pictures on those of sounds."""

    dataset: Any

    def __init__(self, model: Any, dataset: SoundPictures, plan: PicturePlan) -> None:
        super().__init__(model, dataset, plan, None)  # type: ignore[arg-type]
        columns: dict[str, str | None] = {COLUMN: MEL_PICTURES} | ({"label": None} if self.classes else {})
        self.identity = Identity.of(model.family, "sounds", columns, model.learned_capabilities)

    def save(self, folder: Path) -> None:
        save_own(self.model, folder, self.classes)
        self.dataset.codec.save(folder)

    def _save(self, sheet: Image.Image, path: Path) -> str:
        """The sheet, and beside it the sound of all, one after the other."""
        told = super()._save(sheet, path)
        codec: MelPictures = self.dataset.codec
        grey = np.asarray(sheet.convert("L"))
        rows, columns = (side // size for side, size in zip(grey.shape, (codec.height, codec.width), strict=True))
        shown = grey[: rows * codec.height, : columns * codec.width].reshape(rows, codec.height, columns, codec.width)
        sounds = [codec.sound(each[..., None]) for row in shown.swapaxes(1, 2) for each in row]
        write_one_by_one(path, sounds, codec.rate)
        return told


class SoundPictureLearner(PictureLearner):
    """A model of pictures and the short sounds that it is to learn."""

    dataset: Any
    passes = "every sound is heard {} times"

    def __init__(self, asked: Request, dataset: ExampleDataset) -> None:
        super().__init__(asked, SoundPictures(dataset))  # type: ignore[arg-type]

    def guard(self, choose: Choice, draft: Plan) -> dict[str, str]:
        """Nothing: a sound is not what it is backwards."""
        return {}

    def task(self, plan: Plan) -> SoundPictureTask:
        assert isinstance(plan, PicturePlan)
        return SoundPictureTask(self.initial or self.begun(plan), self.dataset, plan)
