"""Features of pictures, which most numbers about samples are computed from: what an extractor is, and all pictures through one.

They are finite: a NaN would pass through most formulas as a number that looks like any other, since it is never less than
anything, and a score skips it.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from daedal.errors import DaedalError

if TYPE_CHECKING:
    from daedal.data.images.dataset import ImageDataset

Pictures = UInt8[np.ndarray, "n height width channels"]


@dataclass(frozen=True)
class Features:
    """What an extractor sees in pictures.

    Attributes:
        logits: of the classes that it tells apart, if it does.
    """

    values: Float[Tensor, "n features"]
    logits: Float[Tensor, "n classes"] | None = None

    def __len__(self) -> int:
        return len(self.values)

    @classmethod
    def joined(cls, parts: Iterable["Features"]) -> "Features":
        found = list(parts)
        logits = [part.logits for part in found if part.logits is not None]
        return cls(torch.cat([part.values for part in found]), torch.cat(logits) if logits else None)

    def __getitem__(self, part: slice) -> "Features":
        return Features(self.values[part], None if self.logits is None else self.logits[part])


class Extractor(Protocol):
    """Turns pictures into features.

    Attributes:
        name: in quantities, such as `inception`: numbers of two names are never compared.
        title: as a person says it, such as `Inception`.
        conditions: what else a definition must say of it, such as its weights and how it resizes.
        note: a sentence for the report.
    """

    name: str
    title: str
    conditions: dict[str, str]
    note: str

    def __call__(self, pictures: Pictures) -> Features: ...


@dataclass(frozen=True)
class Request:
    """What an extractor may be built from.

    Attributes:
        path: where its weights are, as the person said.
        dataset: whose labels it may learn from.
        resize: a rule of `resize.py`, where the person chose one.
        views: pictures that a classifier is shown while it is trained.
        progress: told what share of its making is done.
    """

    path: Path | None = None
    dataset: "ImageDataset | None" = None
    resize: str | None = None
    views: int | None = None
    device: torch.device | None = None
    progress: Callable[[float], None] | None = None


def extract(
    extractor: Extractor, pictures: Pictures | Iterable[Pictures], batch: int = 64,
    progress: Callable[[int], None] | None = None,
) -> Features:  # fmt: skip
    """The features of all pictures, a batch at a time.

    Raises:
        DaedalError: there is no picture, or a feature or logit is NaN or infinite.
    """
    parts, done = [], 0
    for some in _batches(pictures, batch):
        parts.append(extractor(some))
        done += len(some)
        if progress is not None:
            progress(done)
    if not parts:
        raise DaedalError("There are no pictures to measure", "Give some")
    features = Features.joined(parts)
    for values in (features.values, features.logits):
        if values is not None:
            finite(values, f"A number by the extractor {extractor.name}")
    return features


def in_colour(pictures: Pictures) -> Pictures:
    """Pictures of three channels: grey is repeated, transparency laid on white.

    Raises:
        DaedalError: they have some other number of channels.
    """
    channels = pictures.shape[-1]
    if channels not in (1, 2, 3, 4):
        raise DaedalError(
            f"Pictures of {channels} channels have no colours that this network knows", "Use the extractor 'random'"
        )
    if channels in (2, 4):
        alpha = pictures[..., -1:].astype(np.float32) / 255
        solid = np.rint(pictures[..., :-1] * alpha + 255 * (1 - alpha)).astype(np.uint8)
        return in_colour(solid)
    return np.repeat(pictures, 3, axis=-1) if channels == 1 else pictures


def as_planes(pictures: Pictures) -> Float[Tensor, "n channels height width"]:
    """The bytes as numbers from 0 to 255, a plane for each channel."""
    return torch.from_numpy(np.array(pictures.transpose(0, 3, 1, 2), order="C")).float()


def _batches(pictures: Pictures | Iterable[Pictures], batch: int) -> Iterator[Pictures]:
    if not isinstance(pictures, np.ndarray):
        yield from pictures
        return
    for start in range(0, len(pictures), batch):
        yield np.asarray(pictures[start : start + batch])


def finite(features: Float[Tensor, "n features"], metric: str, pieces: str = "pictures") -> Float[Tensor, "n features"]:
    """The same in float64.

    Args:
        metric: what is to be measured, as a sentence begins: "A Fréchet distance".
        pieces: what a row is of.

    Raises:
        DaedalError: some are NaN or infinite.
    """
    values = features.double()
    if bad := int((~torch.isfinite(values)).any(1).sum()):
        raise DaedalError(
            f"{metric} needs finite features, and those of {bad:,} of {len(values):,} {pieces} are NaN or infinite",
            "The network that sees them is damaged or overflows: restore its weights, or use another",
        )
    return values
