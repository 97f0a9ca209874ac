"""How much the watermark of a picture outlives, beside invisible-watermark on the same pictures; how often it errs; how small
a picture may be.

    python benchmarks/picture_marks.py PICTURES                # a folder of photographs of 300 pixels a side and more
    python benchmarks/picture_marks.py PICTURES --null 500     # unmarked crops, 20 keys for each
    python benchmarks/picture_marks.py PICTURES --sizes        # the curve over the side, 32 to 512
    python benchmarks/picture_marks.py --speed

Detected means at a false-positive rate of 1e-4: by ours where its p-value is at most that; by the others where 27 of 32 bits
are right (the binomial tail of bits that are drawn at random is 5.7e-5 there, and 2.7e-4 for 26).

The peer: `pip install --no-deps invisible-watermark PyWavelets opencv-python-headless`; RivaGAN's weights lie in its wheel and
run by onnxruntime. Without it our own columns alone are printed. Begin it with OMP_NUM_THREADS=1 for one thread.
"""

import argparse
import io
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

from daedal.safety.periodic_mark import find
from daedal.safety.picture_mark import find_picture_mark, mark_picture
from daedal.safety.picture_tiles import views
from daedal.safety.watermark_keys import WatermarkKey

KEY = WatermarkKey(bytes(range(32)))
RATE = 1e-4
BITS_OF_OTHERS = 27
Attack = Callable[[Image.Image], Image.Image]


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def resized(image: Image.Image, factor: float) -> Image.Image:
    return image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.BICUBIC)


def cropped(image: Image.Image, share: float) -> Image.Image:
    width, height = round(image.width * share), round(image.height * share)
    left, top = round((image.width - width) * 0.37), round((image.height - height) * 0.71)
    return image.crop((left, top, left + width, top + height))


def noisy(image: Image.Image, deviation: float) -> Image.Image:
    values = np.asarray(image) + np.random.default_rng(1).normal(0, deviation, (image.height, image.width, 3))
    return Image.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8))


def brighter(image: Image.Image, factor: float) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance(factor)


ATTACKS: dict[str, Attack] = {
    "as it is": lambda image: image,
    "JPEG 90": lambda image: jpeg(image, 90),
    "JPEG 70": lambda image: jpeg(image, 70),
    "JPEG 50": lambda image: jpeg(image, 50),
    "resized to 0.5": lambda image: resized(image, 0.5),
    "resized to 0.75": lambda image: resized(image, 0.75),
    "resized to 1.5": lambda image: resized(image, 1.5),
    "resized to 2": lambda image: resized(image, 2),
    "90 % of each side": lambda image: cropped(image, 0.9),
    "70 % of each side": lambda image: cropped(image, 0.7),
    "50 % of each side": lambda image: cropped(image, 0.5),
    "noise of 10": lambda image: noisy(image, 10),
    "noise of 20": lambda image: noisy(image, 20),
    "blur of 1": lambda image: image.filter(ImageFilter.GaussianBlur(1)),
    "blur of 2": lambda image: image.filter(ImageFilter.GaussianBlur(2)),
    "brightness x 0.7": lambda image: brighter(image, 0.7),
    "brightness x 1.3": lambda image: brighter(image, 1.3),
    "screenshot": lambda image: jpeg(brighter(resized(image, 0.8), 1.1), 75),
}
"""A screenshot is one of 80 % of the size, a tenth brighter, as a JPEG of 75."""

Mark = Callable[[Image.Image, int], Image.Image | None]
Find = Callable[[Image.Image, int], tuple[bool, int]]
"""From a picture and the payload that it should have: whether it is detected, and how many of 32 bits are right."""


def right(found: int, payload: int) -> int:
    return 32 - (found ^ payload).bit_count()


def find_ours(image: Image.Image, payload: int) -> tuple[bool, int]:
    finding = find_picture_mark(image, [KEY])
    assert finding is not None
    detected = finding.p_value is not None and finding.p_value <= RATE
    return detected, 16 if finding.payload is None else right(finding.payload, payload)


def methods() -> dict[str, tuple[Mark, Find]]:
    ours: dict[str, tuple[Mark, Find]] = {
        "daedal": (lambda image, payload: mark_picture(image, KEY, payload), find_ours)
    }
    try:
        from imwatermark import WatermarkDecoder, WatermarkEncoder
    except ImportError:
        print("invisible-watermark is not installed: it is left out")
        return ours
    WatermarkEncoder.loadModel()

    def other(method: str) -> tuple[Mark, Find]:
        def mark(image: Image.Image, payload: int) -> Image.Image:
            encoder = WatermarkEncoder()
            encoder.set_by_bits([payload >> place & 1 for place in range(31, -1, -1)])
            made = encoder.encode(np.ascontiguousarray(np.asarray(image)[..., ::-1]), method)
            return Image.fromarray(np.ascontiguousarray(made[..., ::-1]))

        def find(image: Image.Image, payload: int) -> tuple[bool, int]:
            try:
                values = np.ascontiguousarray(np.asarray(image.convert("RGB"))[..., ::-1])
                bits = WatermarkDecoder("bits", 32).decode(values, method)
                count = right(int("".join(str(int(bit)) for bit in bits), 2), payload)
            except RuntimeError:  # under 256 x 256 pixels it does not look
                count = 16
            return count >= BITS_OF_OTHERS, count

        return mark, find

    return ours | {name: other(method) for name, method in (("DWT-DCT", "dwtDct"), ("RivaGAN", "rivaGan"))}


def pictures(folder: Path, side: int) -> Iterator[Image.Image]:
    """Squares of each photograph: as many as fit, from its middle; of a smaller one, or for a smaller side, it is resized."""
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in (".png", ".jpg", ".jpeg"):
            continue
        image = Image.open(path).convert("RGB")
        factor = side / min(image.size)
        if factor > 1 or side < 256:
            image = image.resize((max(side, round(image.width * factor)), max(side, round(image.height * factor))))
        columns, rows = image.width // side, image.height // side
        left, top = (image.width - columns * side) // 2, (image.height - rows * side) // 2
        for row in range(rows):
            for column in range(columns):
                x, y = left + column * side, top + row * side
                yield image.crop((x, y, x + side, y + side))


def decibels(one: Image.Image, other: Image.Image) -> float:
    difference = np.asarray(one, dtype=float) - np.asarray(other, dtype=float)
    return float(10 * np.log10(255**2 / max(float(np.mean(np.square(difference))), 1e-9)))


def payload_of(number: int) -> int:
    return (number * 2654435761 + 0x9E3779B9) % 2**32


def robustness(shown: Sequence[Image.Image], several: dict[str, tuple[Mark, Find]]) -> None:
    """A table for each method, as soon as it is done: RivaGAN takes seconds a picture."""
    for name, (mark, look) in several.items():
        rows: dict[str, list[tuple[bool, int]]] = {attack: [] for attack in ATTACKS}
        levels, times = [], []
        for number, image in enumerate(shown):
            payload = payload_of(number)
            began = time.thread_time()
            made = mark(image, payload)
            times.append(time.thread_time() - began)
            if made is None:
                continue
            levels.append(decibels(made, image))
            for attack, change in ATTACKS.items():
                rows[attack].append(look(change(made), payload))
        print(
            f"{name}: {len(levels)} of {len(shown)} pictures marked, PSNR {np.mean(levels):.1f} dB on average, "
            f"{np.min(levels):.1f} at least; {1000 * float(np.median(times)):.0f} ms each"
        )
        print("| | detected | bits right | all bits |")
        for attack, found in rows.items():
            detected, bits = np.array([each[0] for each in found]), np.array([each[1] for each in found])
            said = f"{100 * detected.mean():.0f} % | {100 * bits.mean() / 32:.0f} % | {100 * (bits == 32).mean():.0f} %"
            print(f"| {attack} | {said} |", flush=True)


def null(folder: Path, count: int) -> None:
    """P-values of crops of random size and place, each with 20 keys that did not mark it."""
    generator = np.random.default_rng(0)
    sources = [Image.open(path).convert("RGB") for path in sorted(folder.iterdir()) if path.suffix in (".png", ".jpg")]
    values, read = [], 0
    for number in range(count):
        image = sources[number % len(sources)]
        side = int(np.exp(generator.uniform(np.log(40), np.log(min(256, *image.size)))))
        x, y = (int(generator.integers(0, size - side + 1)) for size in image.size)
        looked = views([np.asarray(image.crop((x, y, x + side, y + side)))])
        for key in range(20):
            finding = find(looked, [WatermarkKey((20 * number + key + 1).to_bytes(32, "big"))])
            values.append(1.0 if finding.p_value is None else finding.p_value)
            read += finding.payload is not None
    found = np.array(values)
    print(f"{len(found):,} unmarked: payloads read {read}, smallest p-value {found.min():.1e}")
    for level in (0.1, 1e-2, 1e-3, 1e-4):
        print(
            f"  p <= {level:g}: {100 * np.mean(found <= level):.4f} % ({np.mean(found <= level) / level:.2f} of nominal)"
        )


def sizes(folder: Path) -> None:
    kept = {name: ATTACKS[name] for name in ("as it is", "JPEG 90", "JPEG 50", "resized to 0.5", "70 % of each side")}
    for side in (32, 48, 64, 96, 128, 192, 256, 384, 512):
        shown = [image for number, image in enumerate(pictures(folder, side)) if number < 24]
        made = [(mark_picture(image, KEY, payload_of(number)), number) for number, image in enumerate(shown)]
        cells = []
        for change in kept.values():
            found = [find_ours(change(image), payload_of(number)) for image, number in made if image is not None]
            detected, whole = sum(each[0] for each in found), sum(each[1] == 32 for each in found)
            cells.append(f"{100 * detected / len(shown):.0f} / {100 * whole / len(shown):.0f} %")
        levels = [decibels(image, shown[number]) for image, number in made if image is not None]
        print(
            f"| {side} | {len(levels)} of {len(shown)} | {np.mean(levels or [0]):.1f} | " + " | ".join(cells) + " |",
            flush=True,
        )


def speed() -> None:
    generator = np.random.default_rng(0)
    for side in (64, 256, 512, 1024):
        coarse = Image.fromarray(generator.integers(0, 256, (side // 8, side // 8, 3), dtype=np.uint8))
        image = coarse.resize((side, side), Image.Resampling.BICUBIC)
        made = mark_picture(image, KEY, 1)
        assert made is not None
        marking = fastest(lambda image=image: mark_picture(image, KEY, 1))
        finding = fastest(lambda made=made: find_picture_mark(made, [KEY]))
        print(f"{side}: mark {1000 * marking:.1f} ms, find {1000 * finding:.1f} ms")


def fastest(run: Callable[[], object]) -> float:
    times = []
    for _ in range(7):
        began = time.thread_time()
        run()
        times.append(time.thread_time() - began)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path, nargs="?")
    parser.add_argument("--null", type=int, default=0)
    parser.add_argument("--sizes", action="store_true")
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--every", type=int, default=1, help="of the pictures, for a slow method")
    parser.add_argument("--methods", nargs="*", help="daedal, DWT-DCT, RivaGAN")
    given = parser.parse_args()
    if given.speed:
        speed()
    elif given.null:
        null(given.pictures, given.null)
    elif given.sizes:
        sizes(given.pictures)
    else:
        several = methods()
        chosen = {name: several[name] for name in given.methods or several}
        robustness(list(pictures(given.pictures, given.side))[:: given.every], chosen)


if __name__ == "__main__":
    main()
