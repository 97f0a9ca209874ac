"""Programs a second: the sandbox beside a plain subprocess, and beside the way of OpenAI's human-eval.

    taskset -c 1 python benchmarks/sandbox.py [mbpp.jsonl]

- a plain subprocess: `python -c` of the program and its tests, with nothing held back
- human-eval's way: a process forked by `multiprocessing`, `exec` of both together, functions of `os` and `shutil` taken away,
  and an alarm for the time (Chen et al. 2021; no isolation, as its README says)

With a file of MBPP, its own solutions are run too, and those that do not pass are named.
"""

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from daedal.evaluation.code.problems import code_task
from daedal.evaluation.code.program import Limits, Program, Tests
from daedal.evaluation.code.sandbox import Sandbox

SOURCE = "def add(a, b):\n    return a + b\n"
STEPS = ["assert add(1, 2) == 3", "assert add(0, 0) == 0", "assert add(-1, 1) == 0"]
WHOLE = SOURCE + "\n".join(STEPS)


def plain() -> bool:
    return subprocess.run([sys.executable, "-c", WHOLE], capture_output=True, timeout=5).returncode == 0


def guarded(told: "multiprocessing.SimpleQueue[bool]") -> None:
    for module, names in ((os, ("kill", "system", "fork", "remove", "unlink")), (shutil, ("rmtree", "move"))):
        for name in names:
            setattr(module, name, None)
    signal.setitimer(signal.ITIMER_REAL, 5)
    exec(WHOLE, {})
    told.put(True)


def human_eval() -> bool:
    context = multiprocessing.get_context("fork")
    told: multiprocessing.SimpleQueue[bool] = context.SimpleQueue()
    process = context.Process(target=guarded, args=(told,))
    process.start()
    process.join(6)
    return not told.empty() and told.get()


def rate(name: str, run: Callable[[], bool], count: int) -> None:
    assert run()
    began = time.monotonic()
    assert all(run() for _ in range(count))
    print(f"{name:20} {count / (time.monotonic() - began):6.1f} a second")


program = Program(SOURCE, Tests.of(STEPS))
with Sandbox(workers=1) as sandbox:
    print(sandbox.says)
    rate("the sandbox", lambda: sandbox.one(program).ending == "passed", 300)
rate("a plain subprocess", plain, 60)
rate("human-eval's way", human_eval, 200)
if len(sys.argv) > 1:
    rows = [json.loads(line) for line in Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()]
    # all of them, not the test set alone
    problems = code_task("mbpp", [{**row, "task_id": f"no {row['task_id']}"} for row in rows]).problems
    with Sandbox(Limits(seconds=10), workers=1) as sandbox:
        began = time.monotonic()
        outcomes = dict(sandbox.run([Program(each.reference, each.tests) for each in problems]))
        print(
            f"MBPP: {len(problems)} solutions in {time.monotonic() - began:.1f} s:",
            Counter(o.ending for o in outcomes.values()),
        )
        for place, outcome in sorted(outcomes.items()):
            if outcome.ending != "passed":
                print(problems[place].name, outcome.ending, outcome.message)
