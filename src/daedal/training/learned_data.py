"""The data that a run learns from: where it lies now, and whether it is still what the run was begun with."""

import os
from collections.abc import Iterator
from pathlib import Path

from daedal.data import open_data
from daedal.data.conversations import stream_of
from daedal.data.examples import ExampleDataset
from daedal.data.images.dataset import ImageDataset
from daedal.data.manifest import MANIFEST
from daedal.data.shards import Dataset
from daedal.errors import DaedalError
from daedal.training.picture_codes import fingerprint_of_pictures
from daedal.training.plan import Plan
from daedal.training.run import RunFolder

Data = Dataset | ImageDataset | ExampleDataset


def fingerprint_of(data: Data, plan: Plan) -> str:
    """SHA-256 of what a plan has a model learn: the training split, and its captions where they are learned."""
    if isinstance(data, ImageDataset):
        return fingerprint_of_pictures(data.split("train"), getattr(plan, "condition", None) == "caption")
    return data.split("train").fingerprint


def own_data(run: RunFolder) -> Data:
    """The data that a run was begun with: where it was then, or where it moved together with the run.

    Raises:
        DaedalError: it is not there any more, damaged, or changed.
    """
    plan, known = run.plan, run.fingerprint
    if (Path(plan.data) / MANIFEST).is_file():
        data = opened(Path(plan.data))
        if is_own(data, run):
            return data
        raise DaedalError(
            f"The data in {data.folder} is not what this run was trained on",
            "Build it again as it was, name other data by --data, or train anew",
        )
    for place in _moved(run.path, Path(plan.data)) if known else ():
        try:
            data = opened(place)
            if fingerprint_of(data, plan) == known:
                return data
        except DaedalError:
            continue  # another folder of that name
    raise DaedalError(
        f"The data that this run was trained on is not at {plan.data} any more", "Name its place by --data"
    )


def opened(folder: Path) -> Data:
    """A data folder as a model learns from it: conversations are a stream of text.

    Raises:
        DaedalError: it is none, or damaged, or no model learns from it yet.
    """
    data: Data = open_data(folder)
    return stream_of(data) if isinstance(data, ExampleDataset) and data.kind_name == "chat" else data


def is_own(data: Data, run: RunFolder) -> bool:
    """Whether data is what a run was begun with, wherever it lies; by its place where the run is too old to know more."""
    plan, known = run.plan, run.fingerprint
    if known is None:
        return data.folder.resolve() == Path(plan.data).resolve()
    return fingerprint_of(data, plan) == known


def _moved(run: Path, data: Path) -> Iterator[Path]:
    """Where data would lie that moved together with the run: the nearest place whose path ends most like the old one."""
    parts = data.parts[1:] if data.is_absolute() else data.parts
    parts = tuple(part for part in parts if part not in (os.curdir, os.pardir))
    for above in run.absolute().parents:
        for begin in range(len(parts)):
            place = above.joinpath(*parts[begin:])
            if (place / MANIFEST).is_file():
                yield place
