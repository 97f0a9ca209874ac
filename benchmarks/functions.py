"""pass@1 and pass@10 over minutes of training: a GPT on one core, from nothing, on `python-functions`.

    taskset -c 1 python benchmarks/functions.py [FOLDER] [1 2 5 10]

Problems are held out (`daedal.data.worlds.functions`): of families that training shows, and of families it does not.
"""

import subprocess
import sys
import time
from pathlib import Path

import torch

from daedal import api
from daedal.evaluation.report import Report

folder = Path(sys.argv[1] if len(sys.argv) > 1 else "functions-benchmark")
minutes = [float(each) for each in sys.argv[2:]] or [1, 2, 5, 10]
SHOWN = (
    "pass@1",
    "pass@10",
    "pass@1, seen families",
    "pass@10, seen families",
    "pass@1, new families",
    "pass@10, new families",
)


def daedal(*arguments: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "daedal", *arguments], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def row(name: str, report: Report, seconds: float) -> None:
    numbers = {each.name.removeprefix("functions "): each for each in report.measurements}
    cells = (numbers[each].shown().strip() for each in SHOWN)
    parses = numbers["programs that parse"].value
    print(f"| {name} | {' | '.join(cells)} | {parses:.3f} | {seconds:.0f} |", flush=True)


torch.set_num_threads(1)
if not (folder / "data").exists():
    daedal("data", "build", "python-functions", "--out", str(folder / "data"))
print(f"| minutes | {' | '.join(SHOWN)} | parse | seconds to measure |")
print(f"|{'---|' * (len(SHOWN) + 3)}")
for each in minutes:
    run = folder / f"gpt-{each:g}m"
    if not run.exists():
        daedal(
            "train", "gpt", "--data", str(folder / "data"), "--budget", f"{each:g}m", "--out", str(run), "--seed", "0"
        )
    began = time.monotonic()
    row(f"{each:g}", api.evaluate_tasks(run, "functions", samples=10), time.monotonic() - began)
