"""Running the command line in tests: in this process where that is enough, in one of its own where it is not."""

import contextlib
import io
import random
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from daedal.cli import main

TINY = (
    *("--width", "32", "--depth", "1", "--heads", "2", "--kv-heads", "1", "--context", "32"),
    *("--batch", "4", "--micro-batch", "4", "--threads", "1", "--precision", "fp32"),
)
"""A model that trains in a second."""


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


def daedal(*arguments: str | Path, stdin: str = "") -> Ended:
    """Run a command in this process."""
    out, err = io.StringIO(), io.StringIO()
    before = sys.stdin
    sys.stdin = io.StringIO(stdin)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main.run([str(argument) for argument in arguments])
    finally:
        sys.stdin = before
    return Ended(code, out.getvalue(), err.getvalue())


def start(*arguments: str | Path) -> subprocess.Popen[str]:
    """Start a command in a process of its own."""
    command = [sys.executable, "-m", "daedal", *(str(argument) for argument in arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def mistake(*arguments: str | Path) -> str:
    """The one line that a command says on stderr when it ends with exit code 2 and nothing on stdout."""
    ended = daedal(*arguments)
    assert ended.code == 2, ended
    assert ended.out == ""
    lines = [line for line in ended.err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, ended.err
    assert ended.err.endswith(lines[0] + "\n"), ended.err
    assert "Traceback" not in ended.err
    return lines[0]


def story(seed: int, sentences: int = 12) -> str:
    """A little text with something in it to learn, the same for the same seed."""
    draw = random.Random(seed)
    who = ["the king", "a queen", "my brother", "the old fox", "a sailor", "the moon", "our neighbour", "a wizard"]
    did = ["saw", "followed", "forgot", "painted", "sold", "feared", "called", "carried", "dreamed of"]
    when = ["at noon", "in winter", "by the sea", "without a word", "twice", "before dawn", "in the garden", "for gold"]
    lines = [
        f"{draw.choice(who).capitalize()} {draw.choice(did)} {draw.choice(who)} {draw.choice(when)}, "
        f"and number {draw.randrange(1000)} {draw.choice(did)} {draw.choice(who)}."
        for _ in range(sentences)
    ]
    return " ".join(lines) + "\n"


def stories(folder: Path, count: int = 60) -> Path:
    """A folder of stories, one a file."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(count):
        (folder / f"story-{seed:03}.txt").write_text(story(seed), encoding="utf-8")
    return folder
