"""What a build of clips leaves besides that of other examples: a contact sheet, a row of frames for each of some clips."""

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from daedal.codecs.raster import to_image
from daedal.codecs.sheet import grid
from daedal.data.card import Block, Own
from daedal.data.example_build import ExampleBuild
from daedal.data.example_card import of_examples
from daedal.data.examples import ExampleDataset
from daedal.data.images.sheet import SHEET
from daedal.data.manifest import DataManifest
from daedal.files import atomic_path

_CLIPS, _FRAMES = 12, 16  # that are shown


class ClipBuild(ExampleBuild):
    """The stages of a build of clips."""

    def write(self, folder: Path) -> DataManifest:
        written = super().write(folder)
        some = (example["clip"].values for _, example in self.examples(self.assignment.splits == 0))
        _write_sheet(folder / SHEET, list(islice(some, _CLIPS)))
        return written


def _write_sheet(path: Path, clips: list[Any]) -> None:
    shown = []
    for frames in clips:
        some = np.linspace(0, len(frames) - 1, min(len(frames), _FRAMES)).round().astype(int)
        shown += [to_image(frames[each]) for each in some]
    if shown:
        with atomic_path(path) as temporary:
            grid(shown, len(shown) // len(clips)).save(temporary, format="PNG")


def of_clips(dataset: ExampleDataset) -> Own:
    """The facts and blocks of a data folder of clips."""
    own, sheet = of_examples(dataset), dataset.folder / SHEET
    if not sheet.exists():
        return own
    return Own((*own.facts, ("contact sheet", str(sheet))), (Block(picture=sheet), *own.blocks))
