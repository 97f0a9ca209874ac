"""Text to image beside DALL-E 1 as the DALLE-pytorch project builds it, for the same seconds: docs/text-to-image.md's table.

    python benchmarks/dalle_race.py DATA [--seconds 900] [--per-task 50] [--only dalle] [--out runs/dalle-race] [--quick]

DATA was built of `scenes:N,pairs=trained,relation-pairs=trained`, so that held-out pairs were never trained. Both draw the same
prompts, each in the same ways, and the exact judge of scenes scores them (`evaluation/worlds/composition.py`); what each one's
own tokens keep of true pictures is told too. The rules of time are in `picture_race.py`; two fifths go to the tokenizers of
both. What the folder has already is not run again.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

WAYS: dict[str, dict[str, float]] = {
    "as it comes": {},
    "guidance 2, temperature 0.7": {"guidance": 2.0, "temperature": 0.7},
    "guidance 3": {"guidance": 3.0},
}
"""How to draw: guidance is the peer's `cond_scale`. As it comes, each has its own defaults."""

Draw = Callable[[Sequence[str], int, dict[str, float]], Sequence[np.ndarray]]
Through = Callable[[Sequence[np.ndarray]], Sequence[np.ndarray]]
Entrant = Callable[[argparse.Namespace], tuple[dict[str, Any], Draw, Through]]


def dalle(options: argparse.Namespace) -> tuple[dict[str, Any], Draw, Through]:
    import dalle_peer
    from daedal.data.images import ImageDataset

    train = ImageDataset.open(options.data).split("train")
    peer = dalle_peer.train(np.asarray(train.images), train.captions, options.seconds, options.seed)
    return peer.facts, lambda prompts, seed, how: peer.draw(prompts, seed, **how), peer.through


def ours(options: argparse.Namespace) -> tuple[dict[str, Any], Draw, Through]:
    import daedal
    from composition import through
    from daedal.inference.generator import Generator

    run = options.out / f"ours-{options.seconds:.0f}s-{options.seed}"
    shutil.rmtree(run, ignore_errors=True)
    start, wall = time.process_time(), time.perf_counter()
    result = daedal.train(
        "text-to-image", data=options.data, out=run, budget=options.seconds, seed=options.seed, threads=1
    )
    facts = {
        "steps": result.steps,
        "cpu_seconds": time.process_time() - start,
        "clock_seconds": time.perf_counter() - wall,
    }
    generator = Generator.open(run)
    facts["parameters"] = sum(each.numel() for each in generator.model.parameters())

    def draw(prompts: Sequence[str], seed: int, how: dict[str, float]) -> Sequence[np.ndarray]:
        drawn = generator.generate(len(prompts), prompt=prompts, seed=seed, **how)
        return [np.asarray(picture.image) for picture in drawn]

    return facts, draw, through(generator)


ENTRANTS: dict[str, Entrant] = {"ours": ours, "dalle": dalle}


def run_one(name: str, options: argparse.Namespace) -> None:
    """Train an entrant, score all its ways, write its record and a picture of what it draws."""
    import torch

    from daedal.data.images import ImageDataset
    from daedal.evaluation.worlds.composition import ceiling, composition
    from daedal.evaluation.worlds.prompts import MAIN_TASKS, prompts
    from picture_race import grid

    torch.set_num_threads(1)
    facts, draw, through = ENTRANTS[name](options)
    print(f"  {json.dumps(facts)}", flush=True)
    side = ImageDataset.open(options.data).manifest.raster.height
    asked = {"side": side, "per_task": options.per_task, "seed": 1, "tasks": MAIN_TASKS}
    scores = {"true pictures through its tokens": ceiling(**asked, through=through)}
    for way, how in WAYS.items():
        start = time.process_time()
        scores[way] = composition(lambda texts, seed, how=how: draw(texts, seed, how), **asked)
        overall = scores[way].score("overall").value
        print(f"  {way}: {overall:.1%}, {time.process_time() - start:.0f} CPU seconds", flush=True)
    texts = [prompt.text for task in MAIN_TASKS for prompt in prompts(task, "seen", 8, 1)]
    sheet = np.stack(list(draw(texts, 1, WAYS["guidance 2, temperature 0.7"])))
    grid(sheet, 8, 3).save(record_of(name, options).with_suffix(".png"))
    record = {**facts, "scores": {way: found.model_dump(mode="json") for way, found in scores.items()}}
    record_of(name, options).write_text(json.dumps(record, indent=1))


def record_of(name: str, options: argparse.Namespace) -> Path:
    return options.out / f"{name}-{options.seconds:.0f}s-{options.seed}.json"


def tell(options: argparse.Namespace) -> None:
    """One table for each way: a row for each task and part, a column for each entrant, and their ratio."""
    records = {name: json.loads(path.read_text()) for name in ENTRANTS if (path := record_of(name, options)).exists()}
    for name, record in records.items():
        print(f"{name}: {', '.join(f'{key} {value:,.5g}' for key, value in record.items() if key != 'scores')}")
    for way in next(iter(records.values()))["scores"]:
        print(
            f"\n{way}\n\n| task | part | {' | '.join(records)} | ratio |\n| --- | --- |{' ---: |' * (len(records) + 1)}"
        )
        scores = [record["scores"][way]["scores"] for record in records.values()]
        for task, parts in scores[0].items():
            for part in parts:
                found = [each[task][part] for each in scores]
                cells = [
                    f"{each['value']:.1%} [{each['interval'][0]:.1%}, {each['interval'][1]:.1%}]" for each in found
                ]
                ratio = ratio_of(*found) if len(found) == 2 else "-"
                print(f"| {task} | {part} | {' | '.join(cells)} | {ratio} |")


def ratio_of(ours: dict[str, Any], theirs: dict[str, Any]) -> str:
    """How many times as good ours is; where theirs is nothing, by the upper end of its interval."""
    if theirs["value"]:
        return f"{ours['value'] / theirs['value']:.1f}"
    return f"over {ours['value'] / theirs['interval'][1]:.1f}" if ours["value"] else "-"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="a data folder of scenes")
    parser.add_argument("--seconds", type=float, default=900, help="for the training of each, both parts together")
    parser.add_argument("--per-task", type=int, default=50, help="prompts for each task and part")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help=f"some of {', '.join(ENTRANTS)}, with commas between")
    parser.add_argument("--out", type=Path, default=Path("runs") / "dalle-race", help="where records are kept")
    parser.add_argument("--again", action="store_true", help="run entrants anew that the folder has already")
    parser.add_argument("--quick", action="store_true", help="a minute each at most: only to see that it runs")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.quick:
        options.seconds, options.per_task = min(options.seconds, 40.0), 4
    if options.one:
        run_one(options.one, options)
        return
    names = options.only.split(",") if options.only else list(ENTRANTS)
    if unknown := [name for name in names if name not in ENTRANTS]:
        parser.error(f"no entrant {unknown[0]!r}; there are {', '.join(ENTRANTS)}")
    options.out.mkdir(parents=True, exist_ok=True)
    for name in names:
        if options.again or not record_of(name, options).exists():
            print(f"{name}:", flush=True)
            alone = [sys.executable, __file__, *sys.argv[1:], "--one", name]
            subprocess.run(alone, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=True)
    tell(options)


if __name__ == "__main__":
    main()
