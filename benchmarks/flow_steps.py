"""How a flow learns, and how few steps it needs: the figures of docs/flow.md.

    python benchmarks/flow_steps.py RUN DATA --out docs/images [--samples 1000]

Draws the same noise with every solver and number of steps, and measures the Frechet distance to the data's training pictures
in the features that `daedal evaluate` would take. What a solver costs is evaluations of the network: 1, 2 or 4 a step.
Writes `flow-steps.svg`, `flow-loss.svg`, `flow-grid.png`, `flow-edit.png` and the numbers, `flow-steps.json`.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from PIL import Image

from curves import PAPER, chart, lines
from daedal.data.images import ImageDataset
from daedal.evaluation.images.extractors import default_extractor, open_extractor
from daedal.evaluation.images.features import Request, extract
from daedal.evaluation.images.frechet import frechet_distance
from daedal.inference.generator import Generator

EVALUATIONS = {"euler": 1, "heun": 2, "rk4": 4}
PLAN = (("euler", (5, 10, 20, 40)), ("heun", (3, 5, 10, 100)), ("rk4", (2, 3, 5)))


def pixels(pictures: list) -> np.ndarray:
    drawn = np.stack([np.asarray(picture.image) for picture in pictures])
    return drawn if drawn.ndim == 4 else drawn[..., None]


def steps(run: Path, data: ImageDataset, samples: int, name: str) -> dict[str, list[list[float]]]:
    """For each solver: steps, evaluations, distance."""
    extractor = open_extractor(name, Request(dataset=data))
    real = extract(extractor, np.asarray(data.split("train").images[:10000])).values
    generator = Generator.open(run)
    found: dict[str, list[list[float]]] = {}
    for solver, counts in PLAN:
        for count in counts:
            drawn = pixels(generator.generate(samples, seed=0, steps=count, solver=solver))
            distance = frechet_distance(extract(extractor, drawn).values, real)
            found.setdefault(solver, []).append([count, count * EVALUATIONS[solver], distance])
            print(f"{solver:6} {count:4} steps {count * EVALUATIONS[solver]:4} evaluations {distance:9.3f}", flush=True)
    return found


def sheet(rows: list[list[Image.Image]], enlarged: int) -> Image.Image:
    """Pictures in rows, each pixel enlarged."""
    side = rows[0][0].width * enlarged + 2
    whole = Image.new("RGB", (side * max(map(len, rows)), side * len(rows)), PAPER)
    for down, row in enumerate(rows):
        for across, picture in enumerate(row):
            large = picture.convert("RGB").resize((side - 2, side - 2), Image.Resampling.NEAREST)
            whole.paste(large, (across * side, down * side))
    return whole


def edits(run: Path, data: ImageDataset, count: int = 4) -> Image.Image:
    """For each of some test pictures: itself, its right half anew three times, all of it anew at three strengths."""
    generator, split = Generator.open(run), data.split("test")
    rows = []
    for number in range(count):
        picture = split.picture(number)
        mask = Image.new("L", picture.size, 0)
        mask.paste(255, (picture.width // 2, 0, picture.width, picture.height))
        filled = generator.edit(picture, mask, 3, seed=number)
        redrawn = [generator.edit(picture, None, 1, seed=number, strength=share)[0] for share in (0.4, 0.6, 0.8)]
        rows.append([picture, *(found.image for found in (*filled, *redrawn))])
    return sheet(rows, 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--extractor", help="as of daedal evaluate; its default unless given")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    data = ImageDataset.open(options.data)
    (options.out / "flow-loss.svg").write_text(chart(lines(options.run, "", "loss"), "seconds", "loss", False))
    generator = Generator.open(options.run)
    drawn = [picture.image for picture in generator.generate(64, seed=1)]
    sheet([drawn[row : row + 16] for row in range(0, 64, 16)], 2).save(options.out / "flow-grid.png", optimize=True)
    edits(options.run, data).save(options.out / "flow-edit.png", optimize=True)
    found = steps(options.run, data, options.samples, options.extractor or default_extractor(data))
    (options.out / "flow-steps.json").write_text(json.dumps(found, indent=1) + "\n")
    costs = [(solver, [(point[1], point[2]) for point in points]) for solver, points in found.items()]
    (options.out / "flow-steps.svg").write_text(chart(costs, "evaluations of the network", "Fréchet distance", True))


if __name__ == "__main__":
    main()
