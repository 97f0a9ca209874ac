"""What little data comes to: held-out loss at the end of a run and at its best, with the plan's guards against overfitting and
without.

    python benchmarks/small_data.py MNIST_FOLDER PATH/TO/noto-emoji-72x72.zip TEXT [--out runs/small-data] [--only text]
        [--scale 0.5]

- pictures: a VAE on 900 of MNIST's digits
- emoji: a GPT over the tokens of 1,800 drawings with captions, after a tokenizer that both arms share
- text: a GPT on 300 documents, paragraphs of more than 300 characters of a text such as WikiText's valid.txt
- steps: what an idle machine of two cores does in a budget of 3 minutes, as a number, so that a busy one changes nothing; one
  thread. `--scale` makes all runs longer or shorter
- loss: of validation, at the end, at its best, and of the weights that are saved: the last where nothing is guarded

The folder given by `--out` keeps all; what it has already is not run again.
"""

import argparse
import csv
import gzip
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import daedal
from daedal.files import make_folder, read_json, write_json
from daedal.training.gpt_plan import GPTPlan
from daedal.training.learner import open_learner
from daedal.training.machine import Machine
from daedal.training.overfitting import choose_guards
from daedal.training.planning import Choice
from daedal.training.processes import processes
from daedal.training.run import RunFolder
from daedal.training.trainer import Trainer

MACHINE = Machine(
    device="cpu",
    name="two idle cores",
    cores=2,
    threads=1,
    memory=2**33,
    gflops=100.0,
    precision="fp32",
    compiler=False,
)
STEPS = {"pictures": 5000, "emoji": 1600, "text": 2300}
"""What an idle machine of two cores of 100 GFLOP/s does in three minutes, by the operations of a step."""
VALIDATIONS = 25


def digits(source: Path, folder: Path) -> None:
    with gzip.open(source / "train-images-idx3-ubyte.gz") as file:
        pixels = np.frombuffer(file.read(16 + 900 * 784), np.uint8)[16:].reshape(900, 28, 28)
    for index, picture in enumerate(pixels):
        Image.fromarray(picture).save(folder / f"{index:03d}.png")


def emoji(source: Path, folder: Path) -> None:
    with zipfile.ZipFile(source) as archive, (folder / "captions.csv").open("w", newline="") as file:
        rows = csv.DictReader(io.StringIO(archive.read("captions.csv").decode()))
        chosen = [row for row in rows if row["caption"] and row["skin_tone"] == "0"][:1800]
        table = csv.writer(file)
        table.writerow(["file", "caption"])
        for row in chosen:
            (folder / row["file"]).write_bytes(archive.read(f"png/{row['file']}"))
            table.writerow([row["file"], row["caption"]])


def text(source: Path, folder: Path) -> None:
    paragraphs = [line.strip() for line in source.read_text(encoding="utf-8").splitlines() if len(line) > 300]
    for index, paragraph in enumerate(paragraphs[:300]):
        (folder / f"{index:03d}.txt").write_text(paragraph, encoding="utf-8")


SOURCES: dict[str, tuple[str, Any, dict[str, Any]]] = {
    "pictures": ("vae", digits, {"size": 28}),
    "emoji": ("gpt", emoji, {"size": 32, "captions": "captions.csv"}),
    "text": ("gpt", text, {}),
}


def build(name: str, source: Path, folder: Path) -> Path:
    data = folder / "data"
    if not data.exists():
        make_folder(folder / "source")
        SOURCES[name][1](source, folder / "source")
        daedal.build_data([folder / "source"], data, **SOURCES[name][2])
    return data


def train(
    family: str, data: Path, out: Path, steps: int, codec: str | None, guarded: bool, **given: Any
) -> dict[str, Any]:
    """One run by the plan, with or without what `choose_guards` would settle if so many steps fitted into the budget."""
    if (out / "result.json").exists():
        kept: dict[str, Any] = read_json(out / "result.json")
        return kept
    opened = open_learner(family, data, None, codec)
    given = {"threads": 1, "sample_every": 10**9, "checkpoint_every": 10**9, **given}
    plan = opened.make_plan(None, MACHINE, {"steps": steps, **given})
    why: dict[str, str] = {}
    if guarded:
        choose = Choice({}, {})
        train_split: Any = opened.dataset.split("train")  # type: ignore[attr-defined]
        if isinstance(plan, GPTPlan) and codec is None:
            kind, seen = "text", plan.seen_per_step / train_split.tokens
        else:
            kind, seen = family if codec is None else "tokens", plan.batch / train_split.count
        why = choose_guards(choose, kind, seen, steps, 2)
        steps = min(steps, choose.values.pop("most_steps", 0) or steps)
        given |= choose.values
    every = max(1, steps // VALIDATIONS)
    plan = opened.make_plan(None, MACHINE, {"steps": steps, **given, "evaluate_every": every})
    run = RunFolder.create(out)
    run.write_plan(plan)
    task = opened.task(plan)
    torch.manual_seed(plan.seed)
    with processes("cpu") as group:
        Trainer(task, plan, run, group).train()
    found = [(r["step"], r["validation_loss"]) for r in run.records("metrics.jsonl") if "validation_loss" in r]
    best = min(found, key=lambda point: point[1]) if found else (steps, float("nan"))
    last = found[-1] if found else best
    result = {
        "steps": steps, "best": best, "last": last, "saved": best[1] if plan.keep == "best" else last[1], "why": why,
    }  # fmt: skip
    write_json(out / "result.json", result)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in STEPS:
        parser.add_argument(name, type=Path)
    parser.add_argument("--out", type=Path, default=Path("runs/small-data"))
    parser.add_argument("--only", choices=STEPS)
    parser.add_argument("--scale", type=float, default=1.0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print("| data | guards | steps | best (step) | end | saved |\n| --- | --- | ---: | ---: | ---: | ---: |")
    for name, full in STEPS.items():
        if arguments.only not in (None, name):
            continue
        folder, family, steps = arguments.out / name, SOURCES[name][0], max(1, int(arguments.scale * full))
        data = build(name, getattr(arguments, name), folder)
        codec, given = None, {}
        if name == "emoji":
            train("vqvae", data, folder / "tokens", max(1, int(arguments.scale * 1000)), None, False)
            codec, given = str(folder / "tokens"), {"condition": "caption"}
        for guarded in (False, True):
            out = folder / ("guarded" if guarded else "plain")
            found = train(family, data, out, steps, codec, guarded, **given)
            best, last = found["best"], found["last"]
            print(
                f"| {name} | {'yes' if guarded else 'no'} | {found['steps']} | {best[1]:.4f} ({best[0]}) | {last[1]:.4f} | "
                f"{found['saved']:.4f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
