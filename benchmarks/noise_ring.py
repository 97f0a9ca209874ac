"""The ring in a flow's initial noise: whether it is found again, and what it costs in variety.

    python benchmarks/noise_ring.py RUN [--count 200]

Draws pictures from noise with the ring and from the same noise without it, rounds them to bytes, does something to them,
follows them back with several solvers, and compares what comes out with the key. Detected means a p-value of at most 1e-4.
Variety is the mean squared difference of two pictures of the same key, beside that of two without.
"""

import argparse
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageFilter

import daedal
from daedal.models.flow import Flow
from daedal.models.image import ImageSampling
from daedal.nn.noise import Noise
from daedal.safety.noise_ring import RingedNoise, find_noise_ring
from daedal.safety.watermark_keys import WatermarkKey

KEY = WatermarkKey(bytes(range(32)))
BACK = {
    "euler, 20 steps": ImageSampling(steps=20, solver="euler"),
    "heun, 10 steps": ImageSampling(steps=10, solver="heun"),
    "rk4, 20 steps": ImageSampling(steps=20, solver="rk4"),
}


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer)


def noisy(image: Image.Image) -> Image.Image:
    values = np.asarray(image) + np.random.default_rng(1).normal(0, 5, np.asarray(image).shape)
    return Image.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8))


ATTACKS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "as it is": lambda image: image,
    "JPEG 90": lambda image: jpeg(image, 90),
    "JPEG 50": lambda image: jpeg(image, 50),
    "noise of 5": noisy,
    "blur of 0.7": lambda image: image.filter(ImageFilter.GaussianBlur(0.7)),
    "moved by one pixel": lambda image: Image.fromarray(np.roll(np.asarray(image), 1, axis=1)),
}


def variety(pictures: torch.Tensor) -> float:
    flat = pictures.flatten(1).double()
    return float(2 * flat.var(0).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--count", type=int, default=200)
    given = parser.parse_args()
    generator = daedal.load(given.run)
    model, codec = generator.model, generator.codec
    assert isinstance(model, Flow)
    drawn = {
        name: codec.decode_batch(model.sample(noise))
        for name, noise in (("ring", RingedNoise(7, 0, given.count, key=KEY)), ("plain", Noise(7, 0, given.count)))
    }
    print(f"{given.count} pictures of {drawn['ring'].shape[1:]}")
    values = {name: variety(torch.from_numpy(pictures).float()) for name, pictures in drawn.items()}
    print(f"variety with the ring {values['ring'] / values['plain']:.3f} of that without")
    for back, how in BACK.items():
        for attack, change in ATTACKS.items():
            cells = []
            for pictures in drawn.values():
                changed = np.stack([np.asarray(change(Image.fromarray(each.squeeze()))) for each in pictures])
                noise = model.encode(codec.encode_batch(changed.reshape(pictures.shape)), how=how)
                found = np.array([finding.p_value for finding in find_noise_ring(noise, [KEY])])
                cells.append(f"{100 * np.mean(found <= 1e-4):.0f} % (median p {np.median(found):.0e})")
            print(f"| {back} | {attack} | {cells[0]} | without: {cells[1]} |", flush=True)


if __name__ == "__main__":
    main()
