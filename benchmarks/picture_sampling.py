"""How fast models draw, and how few steps a flow needs.

    python benchmarks/picture_sampling.py [RUN...] [--samples 2000] [--threads 1] [--extractor mobilenet@PATH] [--quick]

A RUN is a folder of any image family that was trained on a data folder still in its place. Without one, each family that draws
is timed as it is by default, at 32 pixels and with random weights, which are as fast as trained ones.

- pictures a second with the family's own defaults, at 64 at a time and at one at a time; the first batch is not counted
- for a flow: the Frechet distance of drawn pictures to the test split for several numbers of steps and solvers, from the same
  noise each time, so that what differs is the steps alone; the features are the data's own classifier's where it has classes
"""

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from daedal.codecs.image import PixelCodec
from daedal.data.images import ImageDataset
from daedal.evaluation.images.extractors import default_extractor, open_extractor
from daedal.evaluation.images.features import Request, extract
from daedal.evaluation.images.frechet import frechet_distance
from daedal.inference.generator import Generator
from daedal.models.image import ImageSampling
from daedal.models.image_families import image_families, image_family
from daedal.nn.noise import Noise

STEPS = (5, 10, 20, 50, 100)
SOLVERS = ("euler", "heun", "rk4")
EVALUATIONS = {"euler": 1, "heun": 2, "rk4": 4}
"""Passes through the network in a step."""


def defaults(size: int = 32) -> Iterator[tuple[str, Generator]]:
    """Every family that draws, as large as it is by default."""
    for name in image_families():
        family = image_family(name)
        if "sample" in family.model.capabilities:
            model = family.model(family.config.parse({"channels": 3, "height": size, "width": size}, name))
            model.initialise(torch.Generator().manual_seed(1))
            yield name, Generator(model, PixelCodec(3, size, size), name)


def pictures_a_second(generator: Generator, batch: int, seconds: float, **how: int) -> float:
    """The median over batches for so many seconds of the clock, everything from noise to picture and provenance included."""
    label = list(range(len(generator.classes))) or None
    rates, number, start = [], 0, time.perf_counter()
    while len(rates) < 2 or time.perf_counter() - start < seconds:
        began = time.perf_counter()
        generator.generate(batch, seed=1, first=number, label=label, **how)
        rates.append(batch / (time.perf_counter() - began))
        number += batch
    return float(np.median(rates[1:]))


@torch.no_grad()
def draw(generator: Generator, first: int, count: int, how: ImageSampling) -> np.ndarray:
    """Pictures `first` to `first + count` of seed 1, uint8 [n h w c]; classes in turn where the model has them."""
    labels = None
    if generator.classes:
        labels = torch.arange(first, first + count) % len(generator.classes)
    return generator.codec.decode_batch(generator.model.sample(Noise(1, first, count), labels, how))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="*", type=Path)
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--extractor", help="NAME or NAME@PATH; by default what `daedal evaluate` takes")
    parser.add_argument("--out", type=Path, help="a JSON file of all numbers")
    parser.add_argument("--quick", action="store_true", help="only to see that it runs")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    samples, seconds = (64, 0.1) if options.quick else (options.samples, 5.0)
    found = {}
    opened = ((str(run), Generator.open(run)) for run in options.runs) if options.runs else defaults()
    for name, generator in opened:
        model = generator.model
        numbers: dict[str, Any] = {"family": model.family, "parameters": model.parameter_count}
        for batch in (64, 1):
            numbers[f"a second, {batch} at a time"] = pictures_a_second(generator, batch, seconds)
        if "steps" in model.options:
            for steps in (10, 100):
                numbers[f"a second, {steps} steps"] = pictures_a_second(generator, 64, seconds, steps=steps)
        print(f"{name}: {json.dumps(numbers)}", flush=True)
        if "steps" in model.options and options.runs:
            numbers["steps"] = fewer_steps(generator, Path(name), options.extractor, samples, options.quick)
        found[name] = numbers
    if options.out:
        options.out.write_text(json.dumps(found, indent=1))


def fewer_steps(generator: Generator, run: Path, extractor: str | None, samples: int, quick: bool) -> list[dict]:
    """The distance for each solver and number of steps, up to 100 passes through the network."""
    dataset = ImageDataset.open(json.loads((run / "training" / "plan.json").read_text())["data"])
    network = open_extractor(extractor or default_extractor(dataset), Request(dataset=dataset))
    reference = extract(network, np.asarray(dataset.split("test").images)).values
    rows = []
    for solver in SOLVERS:
        for steps in STEPS[:2] if quick else STEPS:
            if steps * EVALUATIONS[solver] > STEPS[-1]:
                continue
            how = ImageSampling(steps=steps, solver=solver)
            start = time.perf_counter()
            drawn = [draw(generator, first, min(64, samples - first), how) for first in range(0, samples, 64)]
            rate = samples / (time.perf_counter() - start)
            distance = frechet_distance(extract(network, np.concatenate(drawn)).values, reference)
            rows.append({"solver": solver, "steps": steps, "distance": distance, "pictures a second": rate})
            print(f"  {solver:5} {steps:3} steps: distance {distance:.4f}, {rate:.1f} pictures a second", flush=True)
    return rows


if __name__ == "__main__":
    main()
