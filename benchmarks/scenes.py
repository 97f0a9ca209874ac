"""How much of what models draw are scenes, by the exact judge; and how right and fast the judge itself is.

    python benchmarks/scenes.py RUN... [--samples 1000] [--seed 1] [--temperature 0.7] [--steps 60] [--churn 6] [--quick]
        [--out FILE.json]
    python benchmarks/scenes.py --judge 10000        # the judge on so many rendered scenes of every kind
    python benchmarks/scenes.py --picture docs/images/scenes.png

A RUN is a folder that was trained on a data folder of `scenes` (opened by `daedal.load`). A model that draws is judged by what
it draws, with its own default options but for those that are given and that it has; one that only reconstructs (image tokens),
by how rendered scenes come out of it: that is the ceiling of any model over its tokens. The first rows are rendered scenes,
which say what a perfect model gets with as many samples: of 64 pairs some are missed by chance, and the divergence is not 0.
"""

import argparse
import json
import time
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import daedal
from daedal.data.images.builtin import read_builtin
from daedal.data.worlds.scene_generator import scene
from daedal.data.worlds.scene_options import SceneOptions
from daedal.data.worlds.scenes import Scene, draw, relations
from daedal.evaluation.measurement import Measurement
from daedal.evaluation.worlds.judge import read
from daedal.evaluation.worlds.scene_scores import scene_scores
from daedal.evaluation.worlds.validity import Validity

WORLDS = {"one to four shapes, any ground": "scenes", "one shape, any ground": "scenes:1,objects=1"}
JUDGED = {
    # The kinds of scenes that the judge is tried on, and how often each side in pixels comes.
    "anything": "scenes", "one": "scenes:1,objects=1", "four": "scenes:1,objects=4", "plain": "scenes:1,ground=plain",
    "textured": "scenes:1,ground=textured", "relations": "scenes:1,objects=2-4,about=relation",
    "inside": "scenes:1,objects=2-4,about=relation,relations=inside",
    "touching": "scenes:1,objects=2-4,about=relation,relations=touching", "counts": "scenes:1,objects=2-4,about=count",
    "small": "scenes:1,sizes=small",
}  # fmt: skip
SIDES = (32, 32, 32, 32, 40, 48, 64, 64, 96, 128)
_HELD_BACK = 10**6  # scenes from here on are in no training data of a reasonable size


def rendered(source: str, count: int, side: int, seed: int) -> list[np.ndarray]:
    options = SceneOptions.parse_source(source)
    return [draw(scene(_HELD_BACK + number, seed, options), side) for number in range(count)]


def row(name: str, kind: str, found: Validity, scores: tuple[Measurement, ...], **more: Any) -> dict[str, Any]:
    return {
        "name": name, "kind": kind, "samples": found.count, **more, "scores": [score.model_dump() for score in scores],
        "things": found.numbers, "problems": found.problems,
        "shapes": {shape: passed / seen if seen else None for shape, (seen, passed) in found.patches.items()},
    }  # fmt: skip


def judge_model(run: str, samples: int, seed: int, options: dict[str, Any]) -> dict[str, Any]:
    model = daedal.load(run)
    start = time.perf_counter()
    if "sample" in model.capabilities:
        how = {name: value for name, value in options.items() if value is not None and name in model.model.options}
        kind, drawn = "drawn", [np.asarray(picture.image) for picture in model.generate(samples, seed=seed, **how)]
    else:
        side = model.codec.shape[1]
        given = [Image.fromarray(picture) for picture in rendered("scenes", samples, side, seed)]
        kind, drawn = "reconstructed", [np.asarray(one.picture.image) for one in model.reconstruct(given)]
    seconds = time.perf_counter() - start
    found, scores = scene_scores(drawn, model_hash=model.fingerprint, seed=seed)
    parameters = sum(parameter.numel() for parameter in model.model.parameters())
    return row(run, kind, found, scores, seconds=seconds, parameters=parameters)


def table(rows: list[dict[str, Any]]) -> str:
    lines = [
        "| what | pictures | valid | shapes that pass | pairs of 64 | divergence, nats |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for found in rows:
        valid, strict, coverage, divergence = (Measurement.parse(score, "score") for score in found["scores"])
        low, high = valid.interval or (0.0, 1.0)
        lines.append(
            f"| {found['name']} ({found['kind']}) | {found['samples']} | {valid.value:.1%} [{low:.1%}, {high:.1%}] "
            f"| {strict.value:.1%} | {round(coverage.value * 64)} | {divergence.value:.3f} |"
        )
    for found in rows:
        shapes = ", ".join(f"{shape} {share:.0%}" for shape, share in found["shapes"].items() if share is not None)
        lines += [
            "",
            f"{found['name']}: {found['things']} things; of each shape pass {shapes}; problems: {found['problems'] or 'none'}",
        ]
    return "\n".join(lines)


def try_judge(count: int, seed: int) -> dict[str, Any]:
    """The judge on rendered scenes of every kind and size: wrong readings, overlaps and milliseconds."""
    options = {name: SceneOptions.parse_source(source) for name, source in JUDGED.items()}
    wrong: Counter[str] = Counter()
    overlaps: list[float] = []
    spent: dict[int, list[float]] = {side: [] for side in SIDES}
    for number in range(count):
        name = list(JUDGED)[number % len(JUDGED)]
        side = SIDES[number // len(JUDGED) % len(SIDES)]
        made = scene(number, seed, options[name])
        picture = draw(made, side)
        start = time.process_time()
        reading = read(picture)
        spent[side].append(time.process_time() - start)
        overlaps += reading.overlaps
        if not read_right(made, reading.things) or not reading.valid or reading.tint != made.ground.tint:
            wrong[name] += 1
            print(f"wrong: {name}, number {number}, side {side}: {reading.problems}\n  {made}", flush=True)
    return {
        "scenes": count, "wrong": sum(wrong.values()), "wrong of each kind": dict(wrong), "lowest overlap": min(overlaps),
        "ms": {side: 1000 * float(np.mean(times)) for side, times in spent.items() if times},
    }  # fmt: skip


def read_right(made: Scene, things: Any) -> bool:
    """Whether the same things were read: kind, colour, size, place within 2 % of the side, and the relation."""
    seen = []
    for thing in made.things:
        same = [other for other in things if (other.pair, other.size) == (thing.pair, thing.size)]
        near = [other for other in same if np.hypot(other.x - thing.x, other.y - thing.y) < 0.02]
        if len(near) != 1:
            return False
        seen += near
    return len(things) == len(seen) and (made.relation is None or made.relation in relations(seen[0], seen[1]))


def draw_picture(path: Path) -> None:
    """The grid that the documentation shows: six rows of ten scenes, at 96 pixels."""
    pictures = [picture.array for picture in islice(read_builtin("scenes:60", 96, 20), 60)]
    framed = [
        np.pad(picture, ((3, 3), (3, 3), (0, 0)), constant_values=255) for picture in pictures if picture is not None
    ]
    grid = np.concatenate([np.concatenate(framed[first : first + 10], axis=1) for first in range(0, 60, 10)])
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(grid).quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="*", metavar="RUN")
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--temperature", type=float, help="of models that have one")
    parser.add_argument("--steps", type=int, help="of flows")
    parser.add_argument("--churn", type=float, help="of flows")
    parser.add_argument("--judge", type=int, default=0, metavar="N", help="try the judge on N rendered scenes")
    parser.add_argument("--picture", type=Path, help="write the grid of the documentation here")
    parser.add_argument("--out", type=Path, help="write the numbers here as JSON")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    samples = 64 if options.quick else options.samples
    result: dict[str, Any] = {}
    if options.picture:
        draw_picture(options.picture)
    if options.judge:
        result["judge"] = try_judge(min(options.judge, 200) if options.quick else options.judge, options.seed)
        print(json.dumps(result["judge"], indent=1))
    if options.runs or not (options.judge or options.picture):
        rows = []
        for name, source in WORLDS.items():
            found, scores = scene_scores(rendered(source, samples, 32, options.seed))
            rows.append(row(name, "rendered", found, scores))
        how = {"temperature": options.temperature, "steps": options.steps, "churn": options.churn}
        rows += [judge_model(run, samples, options.seed, how) for run in options.runs]
        result["rows"] = rows
        print(table(rows))
    if options.out:
        options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
