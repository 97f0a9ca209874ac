"""How a GAN learns scenes of one shape, judged as it goes: the curves and the grid of docs/gan.md.

    python benchmarks/gan_scenes.py train --out curve.json --seconds 300 --set game=non-saturating penalty=0
    python benchmarks/gan_scenes.py draw curve.json other.json --out docs/images/gan-curves.svg

One thread. The clock is the process's own processor time, and the judge's work is not counted. Schedules follow that clock.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from daedal.data.images.builtin import read_builtin
from daedal.evaluation.worlds.judge import read
from daedal.models.gan import GAN, GANConfig
from daedal.models.image import ImageBatch
from daedal.models.model import Moment
from daedal.nn.noise import Noise

SIDE, JUDGED = 32, 512


def pictures(gan: GAN, count: int) -> np.ndarray:
    with torch.no_grad():
        drawn = torch.cat([gan.sample(Noise(10**6, first, 64)) for first in range(0, count, 64)])[:count]
    return ((drawn.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()


def measure(gan: GAN, count: int) -> dict[str, float]:
    readings = [read(picture) for picture in pictures(gan, count)]
    pairs = {thing.pair for reading in readings if reading.valid for thing in reading.things}
    overlaps = [overlap for reading in readings for overlap in reading.overlaps]
    return {
        "valid": float(np.mean([reading.valid for reading in readings])),
        "pairs": len(pairs),
        "overlap": float(np.mean(overlaps)) if overlaps else 0.0,
    }


def train(options: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    scenes = list(read_builtin(f"scenes:{options.scenes},objects=1,ground=plain", SIDE, 0))
    names = sorted({str(scene.label) for scene in scenes})
    images = torch.from_numpy(np.stack([np.asarray(scene.array) for scene in scenes])).permute(0, 3, 1, 2).contiguous()
    labels = torch.tensor([names.index(str(scene.label)) if options.condition else -1 for scene in scenes])
    changes = dict(pair.split("=", 1) for pair in options.set)
    shape = {"channels": 3, "height": SIDE, "width": SIDE, "classes": len(names) if options.condition else 0, **changes}
    gan = GAN(GANConfig.parse(shape, "--set"))
    gan.initialise(torch.Generator().manual_seed(options.seed))
    average = GAN(gan.config)
    average.load_state_dict(gan.state_dict())
    curve, spent, step, looks = [], 0.0, 0, list(np.linspace(1 / options.looks, 1, options.looks))
    optimizers = {
        player: torch.optim.AdamW(weights, options.rate, betas=(0.0, options.beta2), weight_decay=0.0, fused=True)
        for player, weights in gan.players.items()
    }
    generator = torch.Generator().manual_seed(options.seed)
    while looks:
        start = time.process_time()
        fraction = min(1.0, spent / options.seconds)
        rows = torch.randint(len(images), (options.batch,), generator=generator)
        noise = Noise(options.seed, step * options.batch, options.batch)
        batch = ImageBatch(images[rows] / 127.5 - 1, labels[rows], noise, Moment(options.batch, fraction, step))
        turn(gan, optimizers, batch, options.rate * min(1.0, fraction / 0.02, (1 - fraction) / options.cooldown))
        gan.after_step(lambda tensor: tensor, batch.moment)
        step += 1
        decay = min(options.ema, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(list(average.parameters()), list(gan.parameters()), 1 - decay)
        spent += time.process_time() - start
        if spent >= looks[0] * options.seconds:
            average.seen.copy_(gan.seen)
            last = len(looks) == 1
            point = {"seconds": spent, "step": step, **gan.health(), **measure(average, (4 if last else 1) * JUDGED)}
            print(json.dumps(point), gan.warning() or "", flush=True)
            curve.append(point)
            looks.pop(0)
    record = {"options": {k: v for k, v in vars(options).items() if k not in ("run", "out")}, "curve": curve}
    options.out.write_text(json.dumps(record))
    grid = pictures(average, 64).reshape(4, 16, SIDE, SIDE, 3).swapaxes(1, 2).reshape(4 * SIDE, 16 * SIDE, 3)
    Image.fromarray(grid).resize((16 * SIDE * 2, 4 * SIDE * 2), Image.Resampling.NEAREST).save(
        options.out.with_suffix(".png")
    )


def turn(gan: GAN, optimizers: dict[str, torch.optim.Optimizer], batch: ImageBatch, rate: float) -> None:
    for player, optimizer in optimizers.items():
        for other, weights in gan.players.items():
            for weight in weights:
                weight.requires_grad_(other == player)
        total: Tensor = gan.loss(batch, player).total
        total.backward()
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        optimizer.zero_grad()


COLOURS = ("#2a6fdb", "#d1495b", "#3a9d5d", "#8d5bb5", "#c98a1b")


def draw(options: argparse.Namespace) -> None:
    """The share of valid pictures over processor seconds."""
    left, top, width, height = 48, 16, 520, 240
    runs = [(path.stem, json.loads(path.read_text())["curve"]) for path in options.curves]
    longest = max(point["seconds"] for _, curve in runs for point in curve)
    parts = [
        f'<path d="M{left} {top + height * (1 - share)}h{width}" stroke="#9994"/>'
        f'<text x="{left - 6}" y="{top + height * (1 - share) + 4}" text-anchor="end">{share:.0%}</text>'
        for share in (0, 0.25, 0.5, 0.75, 1)
    ]
    for (name, curve), colour in zip(runs, COLOURS, strict=False):
        points = [(left + width * p["seconds"] / longest, top + height * (1 - p["valid"])) for p in curve]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in [(left, top + height), *points])
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(f'<text x="{points[-1][0] + 6:.1f}" y="{points[-1][1] + 4:.1f}" fill="{colour}">{name}</text>')
    parts.append(f'<text x="{left + width}" y="{top + height + 18}" text-anchor="end">{longest:.0f} s</text>')
    options.out.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + width + 150} {top + height + 28}" '
        f'font-family="sans-serif" font-size="12" fill="#777">{"".join(parts)}</svg>\n'
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    training = commands.add_parser("train")
    arguments: dict[str, Any] = {
        "--seconds": 300.0, "--batch": 32, "--rate": 2e-3, "--beta2": 0.99, "--ema": 0.998, "--cooldown": 0.5,
        "--seed": 0, "--scenes": 12000, "--looks": 8,
    }  # fmt: skip
    for name, value in arguments.items():
        training.add_argument(name, type=type(value), default=value)
    training.add_argument("--condition", action="store_true", help="learn the pair of colour and shape as a class")
    training.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="values of the GAN's shape")
    training.add_argument("--out", type=Path, required=True)
    training.set_defaults(run=train)
    drawing = commands.add_parser("draw")
    drawing.add_argument("curves", type=Path, nargs="+")
    drawing.add_argument("--out", type=Path, required=True)
    drawing.set_defaults(run=draw)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
