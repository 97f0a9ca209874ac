"""Pictures to learn from: in a new order each epoch, mirrored and moved where asked, as pixels or as another model's codes.

The picture at any place of the stream is a pure function of the seed and the place, so that there is nothing to remember.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from daedal.codecs.image import PixelCodec
from daedal.data.images.dataset import ImageSplit
from daedal.data.windows import visit
from daedal.errors import DaedalError
from daedal.models.image import ImageBatch
from daedal.nn.noise import Noise

Coder = Callable[[Float[Tensor, "batch channels height width"]], Tensor]
_TOGETHER = 64


class PictureStream:
    """The pictures of a split.

    Args:
        coder: makes codes of pictures; each picture's are kept, unless pictures are changed as they are learned.
        labels: the class or the caption's ids of each picture; -1 for every picture unless given.
        flip: mirror half of the pictures that are learned.
        shift: move pictures by up to so many pixels; what comes in at the edge repeats it.
    """

    def __init__(
        self,
        split: ImageSplit,
        codec: PixelCodec,
        seed: int = 0,
        coder: Coder | None = None,
        labels: Int[Tensor, "pictures *window"] | None = None,
        flip: bool = False,
        shift: int = 0,
    ) -> None:
        if split.count < 2:
            raise DaedalError(
                f"The {split.name} split has {split.count} picture{'s' * (split.count != 1)}", "Give more pictures"
            )
        self.split, self.codec, self.seed = split, codec, seed
        self._coder, self._labels, self._flip, self._shift = coder, labels, flip, shift
        self._kept: dict[int, Tensor] = {}

    def batch(self, first: int, count: int) -> ImageBatch:
        """Places `first` to `first + count` of the endless stream."""
        indexes, _ = visit(first, count, self.split.count, self.seed)
        return self._batch(indexes.astype(np.int64), Noise(self.seed, first, count), learned=True)

    def in_order(self, limit: int | None = None) -> Iterator[ImageBatch]:
        """Every picture once, unchanged, or the first `limit` of them."""
        count = min(self.split.count, limit or self.split.count)
        for first in range(0, count, _TOGETHER):
            yield self.some(first, min(first + _TOGETHER, count))

    def some(self, first: int, last: int) -> ImageBatch:
        """Pictures `first` to `last` of the split, unchanged."""
        return self._batch(np.arange(first, last), Noise(self.seed, first, last - first), learned=False)

    def _batch(self, indexes: Int[np.ndarray, " count"], noise: Noise, learned: bool) -> ImageBatch:
        labels = torch.full((len(indexes),), -1) if self._labels is None else self._labels[torch.from_numpy(indexes)]
        changed = learned and (self._flip or self._shift > 0)
        if self._coder is None or changed:
            images = self.codec.encode_batch(self.split.images[indexes])
            if changed:
                images = self._change(images, noise)
            return ImageBatch(images if self._coder is None else self._coder(images), labels, noise)
        missing = [int(index) for index in indexes if int(index) not in self._kept]
        if missing:
            codes = self._coder(self.codec.encode_batch(self.split.images[missing]))
            self._kept.update(zip(missing, codes, strict=True))
        return ImageBatch(torch.stack([self._kept[int(index)] for index in indexes]), labels, noise)

    def _change(self, images: Float[Tensor, "batch channels height width"], noise: Noise) -> Tensor:
        if self._flip:
            mirrored = noise.uniform("flip") < 0.5
            images = torch.where(mirrored[:, None, None, None], images.flip(-1), images)
        if self._shift:
            moves = noise.integers("shift", 2 * self._shift + 1, 2)
            wide = torch.nn.functional.pad(images, (self._shift,) * 4, mode="replicate")
            height, width = images.shape[-2:]
            images = torch.stack(
                [
                    picture[:, y : y + height, x : x + width]
                    for picture, (y, x) in zip(wide, moves.tolist(), strict=True)
                ]
            )
        return images
