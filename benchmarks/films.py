"""Clips of what words say beside VideoGPT, for the same CPU seconds: one exact judge, the same prompts.

    python benchmarks/films.py [DATA | --clips 5000] [--seconds 1800] [--prompts 25] [--seed 0] [--only ours|peer]

DATA was built of `moving-scenes:N,pairs=trained`, so that held-out pairs of shape and motion were never trained; without it
such clips are made. Ours is `daedal train video` with nothing set but the budget, the seed and the threads: its seconds are the
clock's, with its measurement in them, so run it on an idle core; CPU seconds of both are told. The peer is VideoGPT by its own
recipe (`videogpt_peer.py`), of the size `--size`. Both film the same prompts in the same ways, and what each one's own tokens
keep of true clips is told beside. Records and sheets of clips are kept in `--out`; what is there is not run anew.
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

import daedal
from daedal.data.examples import ExampleDataset
from daedal.training.learned_data import opened

WAYS: dict[str, dict[str, float]] = {
    "guidance 2, temperature 0.7": {"guidance": 2.0, "temperature": 0.7},
    "guidance 1, temperature 1": {"guidance": 1.0, "temperature": 1.0},
}
"""How to film: as ours does unless told otherwise, and as VideoGPT does."""

Film = Callable[[Sequence[str], int, dict[str, float]], Sequence[np.ndarray]]
Through = Callable[[Sequence[np.ndarray]], Sequence[np.ndarray]]
Entrant = Callable[[argparse.Namespace, ExampleDataset], tuple[dict[str, Any], Film, Through]]


def peer(options: argparse.Namespace, data: ExampleDataset) -> tuple[dict[str, Any], Film, Through]:
    import videogpt_peer

    train = data.split("train")
    clips = np.stack([signal.values for signal in train.decoded("clip")])
    captions = [caption or "" for caption in train.values("caption")]
    found = videogpt_peer.train(clips, captions, options.seconds, options.seed, options.size)
    return found.facts, lambda prompts, seed, how: found.film(prompts, seed, **how), found.through


def ours(options: argparse.Namespace, data: ExampleDataset) -> tuple[dict[str, Any], Film, Through]:
    run = options.out / f"ours-{options.seconds:.0f}s-{options.seed}"
    shutil.rmtree(run, ignore_errors=True)
    start, wall = time.process_time(), time.perf_counter()
    result = daedal.train("video", data=data.folder, out=run, budget=options.seconds, seed=options.seed, threads=1)
    facts = {
        "steps": result.steps,
        "cpu_seconds": time.process_time() - start,
        "clock_seconds": time.perf_counter() - wall,
    }
    model = daedal.load(run)
    facts["parameters"] = sum(each.numel() for each in model.model.parameters())

    def film(prompts: Sequence[str], seed: int, how: dict[str, float]) -> list[np.ndarray]:
        made = model.generate(len(prompts), prompt=list(prompts), seed=seed, **how)
        return [np.stack([np.asarray(frame) for frame in clip.frames]) for clip in made]

    return facts, film, lambda clips: list(model.through_tokens(np.stack(list(clips))))


ENTRANTS: dict[str, Entrant] = {"ours": ours, "peer": peer}


def run_one(name: str, options: argparse.Namespace) -> None:
    """Train an entrant, judge all its ways, write its record and a sheet of what it films."""
    import torch

    from daedal.codecs.clip import ClipCodec
    from daedal.evaluation.clips.contact_sheet import contact_sheet
    from daedal.evaluation.worlds.clip_prompts import MOTION_TASKS
    from daedal.evaluation.worlds.motion_scores import motion_ceiling, motions

    torch.set_num_threads(1)
    data = opened(options.data)
    codec = ClipCodec.load(options.data)
    facts, film, through = ENTRANTS[name](options, data)
    print(f"  {json.dumps(facts)}", flush=True)
    asked = {"side": codec.height, "frames": codec.frames, "per_task": options.prompts, "seed": 1}
    scores = {"true clips through its tokens": motion_ceiling(**asked, through=through)}
    rows: list[tuple[str, np.ndarray, bool]] = []
    for way, how in WAYS.items():
        start, seen = time.process_time(), []
        scores[way] = motions(
            lambda texts, seed, how=how: film(texts, seed, how), **asked,
            told=lambda prompt, clip, verdict, seen=seen: seen.append((prompt.text, clip, verdict.holds)),
        )  # fmt: skip
        overall = scores[way]["overall", "seen"].value
        print(f"  {way}: {overall:.1%}, {time.process_time() - start:.0f} CPU seconds", flush=True)
        rows = rows or seen[: len(MOTION_TASKS) * options.prompts : options.prompts]
    texts, clips, holds = zip(*rows, strict=True)
    contact_sheet(clips, texts, holds).save(record_of(name, options).with_suffix(".png"))
    told = {
        way: {f"{task} | {part}": score.model_dump(mode="json") for (task, part), score in found.items()}
        for way, found in scores.items()
    }
    record_of(name, options).write_text(json.dumps({**facts, "scores": told}, indent=1))


def record_of(name: str, options: argparse.Namespace) -> Path:
    size = f"-{options.size}" if name == "peer" else ""
    return options.out / f"{name}{size}-{options.seconds:.0f}s-{options.prompts}-{options.seed}.json"


def tell(options: argparse.Namespace) -> None:
    """One table for each way: a row for each task and part, a column for each entrant, and their ratio."""
    records = {name: json.loads(path.read_text()) for name in ENTRANTS if (path := record_of(name, options)).exists()}
    for name, record in records.items():
        print(f"{name}: {', '.join(f'{key} {value:,.5g}' for key, value in record.items() if key != 'scores')}")
    for way in next(iter(records.values()))["scores"]:
        head = " | ".join(records)
        print(f"\n{way}\n\n| task | part | {head} | ratio |\n| --- | --- |{' ---: |' * (len(records) + 1)}")
        found = [record["scores"][way] for record in records.values()]
        for cell in found[0]:
            values = [each[cell] for each in found]
            cells = [f"{each['value']:.1%} [{each['interval'][0]:.1%}, {each['interval'][1]:.1%}]" for each in values]
            print(f"| {cell} | {' | '.join(cells)} | {ratio_of(*values) if len(values) == 2 else '-'} |")


def ratio_of(one: dict[str, Any], other: dict[str, Any]) -> str:
    """How many times as good the first is; where the other is nothing, by the upper end of its interval."""
    if other["value"]:
        return f"{one['value'] / other['value']:.1f}"
    return f"over {one['value'] / other['interval'][1]:.1f}" if one["value"] else "-"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="?", help="a data folder of moving scenes")
    parser.add_argument("--clips", type=int, default=5000, help="how many are made where no folder is named")
    parser.add_argument("--frames", type=int, default=16, help="of these")
    parser.add_argument("--seconds", type=float, default=1800, help="for the training of each, all parts together")
    parser.add_argument("--prompts", type=int, default=25, help="for each task and part")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--size", default="small", choices=("small", "middle"), help="of the peer")
    parser.add_argument("--only", choices=tuple(ENTRANTS), help="one of the two")
    parser.add_argument("--out", type=Path, default=Path("runs") / "films", help="where records are kept")
    parser.add_argument("--again", action="store_true", help="run entrants anew that the folder has already")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        run_one(options.one, options)
        return
    options.out.mkdir(parents=True, exist_ok=True)
    if options.data is None:
        options.data = options.out / f"clips-{options.clips}-{options.frames}"
        if not options.data.exists():
            daedal.build_data([f"moving-scenes:{options.clips},pairs=trained"], options.data, frames=options.frames)
    for name in (options.only,) if options.only else ENTRANTS:
        if options.again or not record_of(name, options).exists():
            print(f"{name}:", flush=True)
            given = [f"--{each}={getattr(options, each)}" for each in ("seconds", "prompts", "seed", "size", "out")]
            alone = [sys.executable, __file__, str(options.data), *given, "--one", name]
            subprocess.run(alone, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=True)
    tell(options)


if __name__ == "__main__":
    main()
