"""How soon things answer: `daedal --help`, `import daedal`, and a run folder read into a generator.

    python benchmarks/startup.py RUN [--times 9]

Whole processes, the median of so many after one that warms the disk's cache. Reading the run folder is timed inside a process
that has imported PyTorch and read a model before: what is left is ours.
"""

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

LOAD = """
import sys, time
import torch
import daedal
daedal.load(sys.argv[1])
start = time.perf_counter()
daedal.load(sys.argv[1])
print(time.perf_counter() - start)
"""


def median(times: int, command: list[str], inside: bool = False) -> float:
    found = []
    for _ in range(times + 1):
        start = time.perf_counter()
        out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        found.append(float(out) if inside else time.perf_counter() - start)
    return statistics.median(found[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--times", type=int, default=9)
    options = parser.parse_args()
    python = sys.executable
    bare = median(options.times, [python, "-c", ""])
    print(f"python -c '' {bare:.3f} s")
    print(f"import daedal {median(options.times, [python, '-c', 'import daedal']) - bare:.3f} s more")
    print(f"daedal --help {median(options.times, [str(Path(python).parent / 'daedal'), '--help']):.3f} s")
    size = sum(path.stat().st_size for path in options.run.glob("*.safetensors")) / 1e6
    print(
        f"load {options.run.name} ({size:.1f} MB): {median(3, [python, '-c', LOAD, str(options.run)], inside=True):.3f} s"
    )


if __name__ == "__main__":
    main()
