"""Pictures on their way through a build, in batches: read by one process, treated by any, kept in the work area as one file.

A batch holds the same pictures whatever the number of workers. Its file is written whole, so a batch that has one is done,
and a build that was stopped only reads its sources again.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Int64, UInt8

from daedal.data.images.picture import Picture
from daedal.data.images.resize import OWN, Fault, Treatment, treat
from daedal.data.spool import each_document
from daedal.files import atomic_path

Array = np.ndarray
_PICTURES = 512
_BYTES = 8 * 2**20  # that go in
_PIXELS = 32 * 2**20  # bytes that come out


class Batch(NamedTuple):
    """Pictures that are treated together.

    Attributes:
        shapes: of each that comes as pixels; `None` where it comes as a file.
        payloads: the bytes of each.
    """

    number: int
    shapes: tuple[tuple[int, int, int] | None, ...]
    payloads: tuple[bytes, ...]

    def digest(self) -> str:
        """A hash of what goes in."""
        digest = blake2b(json.dumps(self.shapes).encode(), digest_size=16)
        for payload in self.payloads:
            digest.update(len(payload).to_bytes(8, "little") + payload)
        return digest.hexdigest()


@dataclass(frozen=True)
class Done:
    """A batch that was treated.

    Attributes:
        read: which pictures could be read.
        sizes: width and height of the originals; zero where they could not be read.
        several: which files hold several pictures.
        formats: of each file that could be read.
        faults: what was wrong with each, in order; `None` where nothing was.
    """

    read: Bool[Array, " pictures"]
    sizes: Int64[Array, "pictures 2"]
    several: Bool[Array, " pictures"]
    shapes: Int64[Array, "pictures 3"]
    pixels: UInt8[Array, " bytes"]
    formats: tuple[str, ...]
    faults: tuple[Fault | None, ...]

    def each(self) -> Iterator[UInt8[Array, "height width channels"] | None]:
        """The pixels of each picture, `None` where it could not be read."""
        end = 0
        for read, shape in zip(self.read.tolist(), self.shapes.tolist(), strict=True):
            begin, end = end, end + int(np.prod(shape))
            yield self.pixels[begin:end].reshape(shape) if read else None


class Batcher:
    """Collects pictures until they make a batch.

    Args:
        treatment: what will be done with them: large pictures come in small batches.
    """

    def __init__(self, treatment: Treatment) -> None:
        self.number = 0
        self._most = max(1, min(_PICTURES, _PIXELS // (4 * (treatment.size or OWN) ** 2)))
        self._clear()

    def _clear(self) -> None:
        self._shapes: list[tuple[int, int, int] | None] = []
        self._payloads: list[bytes] = []
        self._size = 0

    def add(self, picture: Picture) -> Batch | None:
        """Add a picture; gives the batch that is full with it."""
        if picture.array is not None:
            height, width, channels = picture.array.shape
            self._shapes.append((height, width, channels))
            self._payloads.append(picture.array.tobytes())
        else:
            self._shapes.append(None)
            self._payloads.append(picture.encoded)
        self._size += len(self._payloads[-1])
        return self.rest() if len(self._shapes) >= self._most or self._size >= _BYTES else None

    def rest(self) -> Batch | None:
        """The last batch, which is not full."""
        if not self._shapes:
            return None
        batch = Batch(self.number, tuple(self._shapes), tuple(self._payloads))
        self.number += 1
        self._clear()
        return batch


def treat_batch(batch: Batch, treatment: Treatment, folder: Path) -> None:
    """Treat a batch into its file; one that is there for the same pictures stays."""
    path, digest = batch_path(folder, batch.number), batch.digest()
    if path.exists() and _digest_of(path) == digest:
        return
    pixels, sizes, several, shapes, formats = [], [], [], [], []
    faults: list[Fault | None] = []
    for shape, payload in zip(batch.shapes, batch.payloads, strict=True):
        data = payload if shape is None else np.frombuffer(payload, dtype=np.uint8).reshape(shape)
        treated = treat(data, treatment)
        if isinstance(treated, Fault):
            faults.append(treated)
            sizes.append((0, 0))
            several.append(False)
            shapes.append((0, 0, 0))
            continue
        faults.append(None)
        sizes.append((treated.width, treated.height))
        several.append(treated.several)
        shapes.append(treated.pixels.shape)
        formats.append(treated.format)
        pixels.append(treated.pixels.reshape(-1))
    meta = json.dumps({"digest": digest, "formats": formats, "faults": faults})
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(
            file,
            allow_pickle=False,
            meta=np.frombuffer(meta.encode(), dtype=np.uint8),
            sizes=np.array(sizes, dtype=np.int64).reshape(-1, 2),
            several=np.array(several, dtype=bool),
            shapes=np.array(shapes, dtype=np.int64).reshape(-1, 3),
            pixels=np.concatenate([*pixels, np.zeros(0, dtype=np.uint8)]),
        )


class BatchWork:
    """What the processes of a build of pictures do: treat batches.

    Args:
        treatment: as JSON has it.
        folder: where batches go.
    """

    def __init__(self, treatment: dict[str, Any], folder: str) -> None:
        self._treatment, self._folder = Treatment.parse(treatment, "treatment"), Path(folder)

    def do(self, job: Batch, progress: Callable[[int], None]) -> None:
        """Treat a batch."""
        treat_batch(job, self._treatment, self._folder)

    def pack(self, job: Batch) -> tuple[Any, bytes]:
        """A batch as it goes to a process."""
        return [job.number, job.shapes, [len(payload) for payload in job.payloads]], b"".join(job.payloads)

    def unpack(self, head: Any, body: bytes) -> Batch:
        """The batch that `pack` gave."""
        number, shapes, sizes = head
        payloads = tuple(each_document(body, np.cumsum(sizes, dtype=np.int64)))
        return Batch(number, tuple(None if shape is None else tuple(shape) for shape in shapes), payloads)


def load_batch(folder: Path, number: int) -> Done:
    """A batch that was treated."""
    with np.load(batch_path(folder, number), allow_pickle=False) as file:
        meta = json.loads(file["meta"].tobytes())
        faults = tuple(None if fault is None else Fault(*fault) for fault in meta["faults"])
        return Done(
            read=np.array([fault is None for fault in faults], dtype=bool),
            sizes=file["sizes"],
            several=file["several"],
            shapes=file["shapes"],
            pixels=file["pixels"],
            formats=tuple(meta["formats"]),
            faults=faults,
        )


def batch_path(folder: Path, number: int) -> Path:
    """Where a batch lies."""
    return folder / f"{number:06d}.npz"


def _digest_of(path: Path) -> str:
    with np.load(path, allow_pickle=False) as file:
        return str(json.loads(file["meta"].tobytes())["digest"])
