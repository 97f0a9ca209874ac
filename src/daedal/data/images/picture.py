"""A picture on its way into a data folder, with what is known of it."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from daedal.data.images.origin import Origin


@dataclass(frozen=True)
class Picture:
    """A picture as a source gives it: as pixels, or as the bytes of a file.

    Attributes:
        origin: where it is from.
        array: its pixels; 1 channel is grey, 3 are RGB, 4 RGB and opacity.
        encoded: a PNG, JPEG or the like, where there is no array.
        label: its class.
        caption: what it shows, in words.
        truth: what it shows exactly, as JSON.
        split: the split that its source puts it in: train, validation or test.
    """

    origin: Origin
    array: UInt8[np.ndarray, "height width channels"] | None = None
    encoded: bytes = b""
    label: str | None = None
    caption: str | None = None
    truth: str | None = None
    split: str | None = None

    @property
    def name(self) -> str:
        """Where it is from, as shown to people; members of archives follow after `!`, rows after `#`."""
        return str(self.origin)
