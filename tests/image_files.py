"""Little pictures and files of them, for the tests of image data."""

import gzip
import io
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

Array = np.ndarray


def noise(seed: int, height: int = 12, width: int = 12, channels: int = 3) -> Array:
    """A picture that no other seed has, in blocks of four pixels, so that compressing leaves it alone."""
    blocks = np.random.default_rng(seed).integers(0, 256, (-(-height // 4), -(-width // 4), channels), dtype=np.uint8)
    return blocks.repeat(4, axis=0).repeat(4, axis=1)[:height, :width]


def encoded(array: Array, form: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array).save(buffer, form, **options)
    return buffer.getvalue()


def write(path: Path, array: Array, form: str = "PNG") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(array, form))
    return path


def folder_of(path: Path, count: int, first: int = 0, **shape: int) -> Path:
    for number in range(first, first + count):
        write(path / f"{number:03d}.png", noise(number, **shape))
    return path


def classes_of(path: Path, count: int, names: tuple[str, ...] = ("cat", "dog")) -> Path:
    for place, name in enumerate(names):
        folder_of(path / name, count, first=1000 * place)
    return path


def write_idx(path: Path, array: Array) -> Path:
    head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    data = head + array.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def write_mnist(folder: Path, train: int = 40, test: int = 10, size: int = 8) -> tuple[Array, Array]:
    """An MNIST of that many pictures; gives the test pictures and labels."""
    folder.mkdir(parents=True, exist_ok=True)
    images = np.stack([noise(seed, size, size, 1)[:, :, 0] for seed in range(train + test)])
    labels = np.arange(train + test) % 10
    for name, part in (("train", slice(0, train)), ("t10k", slice(train, None))):
        write_idx(folder / f"{name}-images-idx3-ubyte.gz", images[part])
        write_idx(folder / f"{name}-labels-idx1-ubyte.gz", labels[part])
    return images[train:], labels[train:]


def write_zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def huge_png() -> bytes:
    """A PNG of a few bytes that says it has 60,000 x 60,000 pixels."""
    data = bytearray(encoded(noise(0)))
    data[16:24] = struct.pack(">II", 60_000, 60_000)
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    return bytes(data)


def png_with(*chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG with more chunks behind its header, each a kind and what it holds."""
    data = encoded(noise(0))
    made = b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
    return data[:33] + made + data[33:]
