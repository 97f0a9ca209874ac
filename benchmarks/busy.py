"""What a training run within a time budget comes to while the machine does other work: time taken, threads, quality.

    daedal data build python-docs --out DATA
    python benchmarks/busy.py DATA [--budget 3m] [--loads 0 1 2 changing]

Each load is so many processes that compute without pause, from before the plan to after the measurement; `changing` is one of
them for the second third of the budget and two for the last. Run it on a machine that has nothing else to do.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from daedal.duration import parse_duration

_BUSY = [sys.executable, "-c", "while True: pass"]


@contextmanager
def load(name: str, budget: float) -> Iterator[None]:
    """Other work on the machine, while this is entered."""
    processes: list[subprocess.Popen[bytes]] = []
    over = threading.Event()

    def add(after: float) -> None:
        if not over.wait(after):
            processes.append(subprocess.Popen(_BUSY))

    delays = [budget / 3, 2 * budget / 3] if name == "changing" else [0.0] * int(name)
    waiting = [threading.Thread(target=add, args=(delay,)) for delay in delays]
    for thread in waiting:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in waiting:
            thread.join()
        for process in processes:
            process.kill()
            process.wait()


def trained(data: Path, budget: str, name: str) -> dict[str, object]:
    """One run under a load."""
    with tempfile.TemporaryDirectory() as folder, load(name, parse_duration(budget)):
        out = Path(folder) / "run"
        start = time.monotonic()
        command = [sys.executable, "-m", "daedal", "train", "gpt", "--data", str(data), "--budget", budget]
        subprocess.run([*command, "--out", str(out)], check=True, capture_output=True)
        seconds = time.monotonic() - start
        report = json.loads((out / "evaluation.json").read_text())
        plan = json.loads((out / "training" / "plan.json").read_text())
        metrics = [json.loads(line) for line in (out / "training" / "metrics.jsonl").read_text().splitlines()]
        decided = out / "training" / "threads.jsonl"
        threads = [json.loads(line) for line in decided.read_text().splitlines()] if decided.exists() else []
    bits = next(m["value"] for m in report["measurements"] if m["definition"].startswith("bits-per-byte"))
    ngram = next(b["bits_per_byte"]["value"] for b in report["baselines"] if b["name"] == "5-gram")
    return {
        "load": name,
        "of the budget": round(seconds / parse_duration(budget), 3),
        "model": f"{plan['depth']} x {plan['width']}",
        "steps": metrics[-1]["step"],
        "threads": [plan["threads"], *(record["threads"] for record in threads)],
        "bits per byte": round(bits, 3),
        "5-gram": round(ngram, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--budget", default="3m")
    parser.add_argument("--loads", nargs="+", default=["0", "1", "2", "changing"])
    options = parser.parse_args()
    for name in options.loads:
        print(json.dumps(trained(options.data, options.budget, name)), flush=True)


if __name__ == "__main__":
    main()
