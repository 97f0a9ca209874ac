"""In-context learning that can be seen: accuracy over shots on held-out functions, of a GPT that learned games.

    python benchmarks/in_context.py OUT [--budget 15m] [--documents 100000] [--seed 0]

Builds the source `in-context`, trains on one thread and asks the tasks `in-context/*` with 0, 1, 2, 4 and 8 shots; the curves
with their intervals are in OUT/report/tasks.html.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import daedal
from daedal.api import evaluate_tasks

SHOTS = (0, 1, 2, 4, 8)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--budget", default="15m")
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    data, run = asked.out / "data", asked.out / "run"
    if not data.exists():
        daedal.build_data([f"in-context:{asked.documents}"], data, vocab_size=512)
    if not run.exists():
        shape = ["--width", "128", "--depth", "4", "--heads", "4", "--context", "192", "--threads", "1"]
        given = ["--budget", asked.budget, "--seed", str(asked.seed), *shape]
        subprocess.run(
            [sys.executable, "-m", "daedal", "train", "gpt", "--data", data, "--out", run, *given], check=True
        )
    report = evaluate_tasks(run, "in-context", shots=SHOTS, out=asked.out / "report")
    for each in report.measurements:
        print(f"{each.name:42} {each.shown()}")


if __name__ == "__main__":
    main()
