"""A painter that is aligned with the exact judge of scenes, beside one that went on learning for the same time.

    python benchmarks/aligned_pictures.py SCENES PAINTER [--seconds 600] [--seeds 0] [--per-task 40] [--out DIR]

SCENES was built of `scenes:N,pairs=trained,relation-pairs=trained`, PAINTER is a run of `daedal train text-to-image` on
it. From there one model learns by GRPO what the judge finds right (`rule:scenes:graded`), and one goes on with the
pictures and their captions (`daedal train gpt --init`), each for `--seconds` with nothing else set. Then all three draw
the same prompts of the main tasks, of pairs of colour and shape that were seen and that were not, at their default
guidance: shares that show what was asked.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

import daedal
from daedal.evaluation.worlds.composition import Composition, composition
from daedal.evaluation.worlds.prompts import MAIN_TASKS

PARTS = ("seen", "held-out pairs")


def scored(run: Path, side: int, per_task: int) -> Composition:
    model = daedal.load(run)

    def draw(prompts: Any, seed: int) -> list[Any]:
        return [np.asarray(each.image) for each in model.generate(len(prompts), prompt=list(prompts), seed=seed)]

    return composition(draw, side, per_task, seed=0, tasks=MAIN_TASKS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenes", type=Path)
    parser.add_argument("painter", type=Path)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--per-task", type=int, default=40)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("runs") / "aligned-pictures")
    options = parser.parse_args()
    out = options.out
    out.mkdir(parents=True, exist_ok=True)
    side = daedal.load(options.painter).model.config.height
    runs = {"before": options.painter}
    for seed in options.seeds:
        how: dict[str, Any] = {"budget": options.seconds, "seed": seed, "threads": options.threads}
        for name in ("grpo", "more"):
            run = runs[f"{name}, seed {seed}"] = out / f"{name}-{options.seconds:.0f}s-{seed}"
            if (run / "config.json").exists():
                continue
            if name == "grpo":
                rewards = {"reward": "rule:scenes:graded", "gold": "rule:scenes"}
                daedal.train("grpo", data=options.scenes, init=str(options.painter), out=run, **rewards, **how)
            else:
                codec = options.painter / "codec"
                daedal.train(
                    "gpt", data=options.scenes, init=str(options.painter), codec=codec, out=run, condition="caption", **how
                )  # fmt: skip
    print(f"| | {' | '.join(PARTS)} |\n| --- |{' --- |' * len(PARTS)}")
    for name, run in runs.items():
        found = scored(run, side, options.per_task)
        cells = []
        for part in PARTS:
            each = found.score("overall", part)  # type: ignore[arg-type]
            low, high = each.interval or (each.value, each.value)
            cells.append(f"{each.value:.1%} [{low:.1%}, {high:.1%}]")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
