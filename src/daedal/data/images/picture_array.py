"""All pictures of a build as one memory-mapped array, with the hashes by which copies are found.

It is gathered from the spool once their size and channels are known. Next stage: `duplicates`.
"""

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64, UInt8, UInt64
from numpy.lib.format import open_memmap

from daedal.codecs.raster import Raster
from daedal.data.images.batch import load_batch
from daedal.data.images.example_table import Seen
from daedal.data.images.hashing import describe
from daedal.data.images.resize import OWN, USUAL, Treatment, finish
from daedal.errors import DaedalError

Array = np.ndarray
_SMALLEST = 4
_CUT = 0.5  # of a side that cropping leaves: pictures of 2 to 1 and wider are told of
_VALUES = 2**21  # of pixels described at once
_UNWANTED = "not what --where asks for"


@dataclass(frozen=True)
class Gallery:
    """The pictures that could be read, in order.

    Attributes:
        places: the number of each among all that were seen.
        pixels: memory-mapped.
        hashes: BLAKE2b-128 of the pixels, as two words.
        perceptual: 64-bit perceptual hashes: see `hashing`.
        outlines: what near duplicates are looked for by: see `hashing`.
        sizes: width and height of the originals.
    """

    raster: Raster
    places: Int64[Array, " pictures"]
    pixels: UInt8[Array, "pictures height width channels"]
    hashes: UInt64[Array, "pictures 2"]
    perceptual: UInt64[Array, " pictures"]
    outlines: Float32[Array, "pictures features"]
    sizes: Int64[Array, "pictures 2"]
    formats: Counter[str]
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.places)


def gather(
    seen: Seen,
    batches: int,
    spool: Path,
    treatment: Treatment,
    keep: list[bool],
    scratch: Path,
    progress: Callable[[int], None],
) -> Gallery:
    """Bring all pictures that were treated to one size and number of channels.

    Args:
        seen: what is known of them; what could not be read is counted in its tally.
        batches: how many batches there are in `spool`.
        treatment: what was done with them.
        keep: which pictures are wanted.
        scratch: a file for the pixels.
        progress: called with how many pictures were looked at.

    Raises:
        DaedalError: there is none.
    """
    keeps, sizes, shapes, several = _facts(seen, batches, spool, keep)
    places = np.flatnonzero(keeps)
    if not len(places):
        raise _nothing_left(seen)
    sizes = sizes[places]
    raster, notes = choose_raster(sizes, shapes[places], treatment)
    if animated := int(several[places].sum()):
        notes.append(f"{animated:,} files are animated or have several pages: the first picture of each is taken")
    pixels = open_memmap(
        scratch, mode="w+", dtype=np.uint8, shape=(len(places), raster.height, raster.width, raster.channels)
    )
    formats: Counter[str] = Counter()
    hashes = np.zeros((len(places), 2), dtype=np.uint64)
    perceptual = np.zeros(len(places), dtype=np.uint64)
    outlines: list[Array] = []
    place = start = 0
    at_once = max(1, _VALUES // int(np.prod(pixels.shape[1:])))
    for number in range(batches):
        done = load_batch(spool, number)
        wanted = keeps[start : start + len(done.read)][done.read]
        formats.update(format_ for format_, kept in zip(done.formats, wanted.tolist(), strict=True) if kept)
        first = place
        for offset, array in enumerate(done.each()):
            if array is None or not keeps[start + offset]:
                continue
            pixels[place] = finish(array, raster)
            digest = hashlib.blake2b(pixels[place].tobytes(), digest_size=16).digest()
            hashes[place] = np.frombuffer(digest, dtype="<u8")
            place += 1
        start += len(done.read)
        progress(start)
        for begin in range(first, place, at_once):
            end = min(place, begin + at_once)
            perceptual[begin:end], some = describe(np.asarray(pixels[begin:end]))
            outlines.append(some)
    pixels.flush()
    return Gallery(raster, places, pixels, hashes, perceptual, np.concatenate(outlines), sizes, formats, tuple(notes))


def _nothing_left(seen: Seen) -> DaedalError:
    """Why there is no picture."""
    dropped = sorted(seen.tally.dropped.items(), key=lambda item: -item[1][0])
    reasons = "; ".join(
        f"{reason}, {count:,} of them" + (f" ({examples[0]})" if examples else "")
        for reason, (count, _, examples) in dropped
    )
    fix = "Loosen --where" if _UNWANTED in seen.tally.dropped else "Give files that an image viewer opens"
    return DaedalError(f"No picture is left: {reasons}", fix)


def choose_raster(
    sizes: Int64[Array, "pictures 2"], shapes: Int64[Array, "pictures 3"], treatment: Treatment
) -> tuple[Raster, list[str]]:
    """The size and channels for all pictures, and what to tell of the choice."""
    notes = []
    if treatment.size is not None:
        height = width = treatment.size
    else:
        width, height = sizes[0].tolist()
        agree = bool((sizes == sizes[0]).all())
        if not agree or max(width, height) > OWN or min(width, height) < _SMALLEST:
            why = "are of several sizes" if not agree else f"are of {width} x {height}"
            notes.append(f"the pictures {why}: brought to {USUAL} x {USUAL} (--size chooses another)")
            height = width = USUAL
    channels = treatment.channels or (3 if (shapes[:, 2] > 1).any() else 1)
    small = int((np.minimum(sizes[:, 0] / width, sizes[:, 1] / height) < 1).sum())
    if treatment.fit == "crop":
        shares = (sizes[:, 0] / width) / (sizes[:, 1] / height)
        shares = np.minimum(shares, 1 / shares)  # of each picture's longer side that stays
        if cut := int((shares < _CUT).sum()):
            least = int(shares.argmin())
            notes.append(
                f"{cut:,} pictures lose more than half of their longer side, the most {1 - shares[least]:.0%} (one of"
                f" {sizes[least, 0]} x {sizes[least, 1]}): the middle is kept (--fit pad keeps all)"
            )
    if small:
        notes.append(f"{small:,} pictures are smaller than {width} x {height} and were enlarged")
    return treatment.raster(channels, height, width), notes


def _facts(seen: Seen, batches: int, spool: Path, keep: list[bool]) -> tuple[Array, Array, Array, Array]:
    """Which pictures stay, the sizes and shapes of all that were seen, and which files hold several."""
    keeps, sizes, shapes, several = [], [], [], []
    start = 0
    for number in range(batches):
        done = load_batch(spool, number)
        for offset, fault in enumerate(done.faults):
            if fault is not None:
                name = str(seen.origins[start + offset])
                seen.tally.drop(fault.reason, 0, f"{name}: {fault.detail}")
                seen.tally.count("broken", name)
        wanted = np.array(keep[start : start + len(done.read)], dtype=bool)
        if left := int((done.read & ~wanted).sum()):
            seen.tally.dropped.setdefault(_UNWANTED, [0, 0, []])[0] += left
        keeps.append(done.read & wanted)
        sizes.append(done.sizes)
        shapes.append(done.shapes)
        several.append(done.several)
        start += len(done.read)
    empty = np.zeros(0, dtype=np.int64)
    return (
        np.concatenate([*keeps, empty.astype(bool)]),
        np.concatenate([*sizes, empty.reshape(0, 2)]),
        np.concatenate([*shapes, empty.reshape(0, 3)]),
        np.concatenate([*several, empty.astype(bool)]),
    )
