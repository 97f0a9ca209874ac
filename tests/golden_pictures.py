"""Made sources of pictures for test_golden.py, one of every kind that builds read: whole numbers decide every pixel, and no
format is used that loses any."""

import gzip
import io
import json
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image, PngImagePlugin
from pyarrow import parquet

from golden_texts import Made, of, tarred, write, zipped

Array = np.ndarray
SIDES = ("left", "right")
COLOURS = {"red": (220, 30, 30), "green": (20, 170, 40), "blue": (30, 40, 210), "yellow": (230, 210, 40)}


def blocks(seed: int, height: int = 12, width: int = 12, channels: int = 3, edge: int = 4) -> Array:
    """A picture of square blocks, another for each seed."""
    down, across, channel = np.meshgrid(
        np.arange(height) // edge, np.arange(width) // edge, np.arange(channels), indexing="ij"
    )
    mixed = seed * 7919 + down * 104729 + across * 1299709 + channel * 15485863 + 1
    for factor in (2654435761, 2246822519):
        mixed = (mixed ^ mixed >> 15) * factor % 2**32
    return (mixed >> 13 & 255).astype(np.uint8)


def png(pixels: Array, form: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(buffer, form, **options)
    return buffer.getvalue()


def box(number: int, size: int = 8) -> tuple[Array, str, str]:
    """A picture of a coloured box on another colour, where it stands, and the two in words."""
    names = list(COLOURS)
    one, other = names[number % 4], names[(number + 1 + number // 4 % 3) % 4]
    side, down = SIDES[number // 12 % 2], number // 24 % (size // 2)
    pixels = np.empty((size, size, 3), np.uint8)
    pixels[:] = COLOURS[other]
    start = 1 if side == "left" else size // 2
    pixels[down : down + size // 2, start : start + size // 2 - 1] = COLOURS[one]
    pixels[-1, :, 2] = (number * 37 + np.arange(size) * 11) % 256  # so that no two are equal
    return pixels, side, f"a {one} box on the {side} of a {other} wall"


def boxes(folder: Path, count: int, first: int = 0) -> Path:
    """Pictures to learn: folders are classes, a table has captions."""
    lines = ["file,caption\n"]
    for number in range(first, first + count):
        pixels, side, said = box(number)
        write(folder / side / f"{number:03}.png", png(pixels))
        lines.append(f"{side}/{number:03}.png,{said}\n")
    write(folder / "captions.csv", "".join(lines))
    return folder


def plain(folder: Path, seeds: Sequence[int] = range(30), **shape: int) -> Path:
    for seed in seeds:
        write(folder / f"{seed:03}.png", png(blocks(seed, **shape)))
    return folder


def classes(folder: Path, count: int = 15, first: int = 0) -> Path:
    for place, name in enumerate(("cat", "dog")):
        plain(folder / name, range(first + 500 * place, first + 500 * place + count))
    return folder


def splits(folder: Path) -> Path:
    classes(folder / "train", 15)
    classes(folder / "test", 4, first=100)
    write(folder / "test/dog/also.png", png(blocks(3)))  # train has it, too
    return folder


def files(count: int = 20) -> dict[str, bytes]:
    return {f"set/{('sun', 'rain')[seed % 2]}/{seed}.png": png(blocks(seed)) for seed in range(count)}


def idx(folder: Path) -> Path:
    """As MNIST comes, packed and not."""
    for name, seeds in (("train", range(30)), ("t10k", range(30, 40))):
        images = np.stack([blocks(seed, 8, 8, 1)[:, :, 0] for seed in seeds])
        labels = np.array([seed % 10 for seed in seeds], np.uint8)
        for what, array in (("images-idx3", images), ("labels-idx1", labels)):
            data = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()
            packed = name == "train"
            path = folder / f"{name}-{what}-ubyte{'.gz' if packed else ''}"
            write(path, gzip.compress(data, mtime=0) if packed else data)
    return folder


def columns(path: Path) -> Path:
    """A Parquet file as the hub has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    images = [{"bytes": png(blocks(seed)), "path": f"{seed}.png"} for seed in range(24)]
    labels, said = [seed % 3 for seed in range(24)], [f"picture number {seed}" for seed in range(24)]
    parquet.write_table(pa.table({"image": images, "label": labels, "caption": said}), path)
    return path


def told(folder: Path, name: str = "captions.csv") -> Path:
    """Pictures and a table of what they show; one row names no picture, one picture has no row."""
    plain(folder / "some", range(24))
    kept = [{"file_name": f"some/{n:03}.png", "caption": f"thing {n}, seen", "tone": str(n % 2)} for n in range(23)]
    kept.append({"file_name": "some/999.png", "caption": "nothing", "tone": "0"})
    if name.endswith(".jsonl"):
        write(folder / name, "".join(json.dumps(row) + "\n" for row in kept))
    else:
        lines = ["file_name;caption;tone", *(";".join(row.values()) for row in kept)]
        write(folder / name, "\n".join(lines) + "\n")
    return folder


def table(**options: Any) -> Callable[[Path], Made]:
    """The pictures, and a table that lies elsewhere."""

    def make(folder: Path) -> Made:
        source = told(folder / "source")
        said = (source / "captions.csv").rename(folder / "said.csv")
        named = {name: str(said) if value == "TABLE" else value for name, value in options.items()}
        return [source], named

    return make


def coco(folder: Path) -> Made:
    """Captions and categories as COCO has them."""
    plain(folder / "source", range(16))
    listed = {
        "images": [{"id": 100 + seed, "file_name": f"{seed:03}.png"} for seed in range(16)],
        "annotations": [
            {"image_id": 100 + seed, "caption": f"scene {seed}", "category_id": seed % 2} for seed in range(16)
        ],
        "categories": [{"id": 0, "name": "thing"}, {"id": 1, "name": "being"}],
    }
    said = write(folder / "coco.json", json.dumps(listed))
    return [folder / "source"], {"captions": str(said), "labels": str(said)}


def packed(path: Path) -> Path:
    """An archive with a table in it."""
    lines = "".join(f"{seed}.png,{'ab'[seed % 2]},pic {seed}\n" for seed in range(20))
    return write(path, zipped(files() | {"set/captions.csv": f"name,style,caption\n{lines}".encode()}))


def beside(folder: Path, ending: str) -> Path:
    plain(folder, range(20))
    for seed in range(18):
        write(folder / f"{seed:03}.{ending}", f" A thing called {seed}.\n")
    return folder


def inside(folder: Path) -> Path:
    """Captions in the pictures themselves."""
    for seed in range(20):
        said = PngImagePlugin.PngInfo()
        said.add_text("Description" if seed % 2 else "Title", f"inside {seed}")
        write(folder / f"{seed}.png", png(blocks(seed), pnginfo=said))
    return folder


def forms(folder: Path) -> Path:
    """Formats and modes; broken, empty and foreign files; copies and near copies."""
    for form, ending in (("BMP", "bmp"), ("TIFF", "tif"), ("PPM", "ppm"), ("PNG", "png")):
        for seed in range(6):
            number = seed + 10 * len(ending) + ord(form[0])
            write(folder / f"{ending}-{seed}.{ending}", png(blocks(number), form))
    Image.fromarray(blocks(200)).quantize(16).save(folder / "palette.png")
    Image.fromarray(blocks(201)[:, :, 0].astype(np.uint16) * 257).save(folder / "deep.png")
    Image.fromarray(blocks(202)[:, :, 0]).convert("1", dither=Image.Dither.NONE).save(folder / "black-and-white.png")
    Image.fromarray(blocks(203, channels=4)).save(folder / "clear.png")
    frames = [Image.fromarray(blocks(seed)) for seed in (204, 205)]
    frames[0].save(folder / "pages.tif", save_all=True, append_images=frames[1:])
    write(folder / "copy.bmp", png(blocks(200 - 100, 12, 12), "BMP"))
    write(folder / "copy.png", png(blocks(200 - 100, 12, 12)))
    near = blocks(100).astype(int)
    write(folder / "near.png", png((near + np.where(near < 128, 2, -2)).astype(np.uint8)))
    write(folder / "cut.png", png(blocks(210))[:-40])
    write(folder / "empty.png", b"")
    write(folder / "readme.txt", "No picture.")
    return folder


def wide(folder: Path) -> Path:
    """Pictures of other sizes and aspects, some clear in part."""
    for seed in range(20):
        channels = 4 if seed % 2 else 3
        write(folder / f"{seed}.png", png(blocks(seed, 20 + seed % 3 * 8, 30 - seed % 5, channels)))
    return folder


def drawings(folder: Path) -> Path:
    for number, name in enumerate(("astronaut", "horse", "red-apple", "owl", "sun", "tree", "key", "bat")):
        pixels = np.zeros((20, 20, 4), np.uint8)
        pixels[2:18, 2:18] = (number * 30, 200 - number * 20, number * 67 % 256, 255)
        write(folder / f"{name}.png", png(pixels))
    return folder


def scenes_of_drawings(folder: Path) -> Made:
    source = f"emoji-scenes:30,pairs=trained,relations=above+left-of,from={drawings(folder / 'drawings')}"
    return [source], {"size": 32, "near_duplicates": "off"}


def named(source: str, **options: Any) -> Callable[[Path], Made]:
    """A source that comes with the package."""
    return lambda folder: ([source], options)


def held_out(folder: Path) -> Made:
    later = write(folder / "later/a.png", png(blocks(300))).parent
    write(later / "b.png", png(blocks(4)))  # it is also elsewhere
    return [plain(folder / "source")], {"validation": (str(later),), "split": (90.0, 0.0, 10.0)}


PICTURES: dict[str, Callable[[Path], Made]] = {
    "a folder": of(plain, seed=2),
    "folders that are classes": of(classes),
    "folders that are no classes": of(classes, labels="none"),
    "folders that are splits": of(splits),
    "splits drawn anew": of(splits, split=(80.0, 10.0, 10.0)),
    "a zip": of(lambda path: write(path, zipped(files())), "a.zip"),
    "a tar.gz": of(lambda path: write(path, tarred(files())), "a.tar.gz"),
    "IDX": of(idx),
    "Parquet": of(columns, "a.parquet"),
    "a table in the source": of(told),
    "a table of JSON Lines": of(lambda folder: told(folder, "metadata.jsonl")),
    "a table elsewhere": table(captions="TABLE", labels="TABLE", label_column="tone"),
    "COCO": coco,
    "a table in an archive": of(packed, "a.zip", labels="captions.csv", label_column="style"),
    "a template and a condition": table(captions="TABLE", caption_template="{caption} in {tone}", where=("tone=1",)),
    "captions beside": of(lambda folder: beside(folder, "caption")),
    "captions beside, asked for": of(lambda folder: beside(folder, "txt"), captions="sidecar"),
    "captions inside": of(inside, captions="metadata"),
    "formats, copies and what is broken": of(forms),
    "copies kept together": of(forms, near_duplicates="keep", exact_duplicates=False),
    "sizes": of(wide),
    "cut out of the middle, clear": of(wide, size=12, channels="4"),
    "filled up": of(wide, size=12, fit="pad", background="#204080"),
    "stretched, grey": of(wide, size=12, fit="stretch", channels="1"),
    "pictures that are held out": held_out,
    "digits": named("digits", near_duplicates="off"),
    "scenes": named("scenes:40", size=32),
    "scenes that are chosen": named(
        "scenes:30,first=7,objects=2,ground=plain,pairs=trained,without=red-circle", size=40
    ),
    "scenes of drawings": scenes_of_drawings,
}
"""What is built, by what it shows."""
