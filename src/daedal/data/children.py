"""Child processes that share work: how they are started and ended, what they answer, and how they tell what failed.

They are started as `python -m MODULE`, not forked: so there is nothing to inherit, a script needs no
`if __name__ == "__main__"`, and a child whose parent is killed notices and ends.
"""

import contextlib
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import daedal
from daedal.data.stop import StoppedError, resumable
from daedal.errors import DaedalError

Child = subprocess.Popen[bytes]


def start(module: str, **environment: str) -> Child:
    """A child that runs the program `module`, and listens and answers by its standard streams."""
    home = str(Path(daedal.__file__).parent.parent)
    path = os.pathsep.join(filter(None, (home, os.environ.get("PYTHONPATH"))))
    return subprocess.Popen(
        [sys.executable, "-P", "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path, **environment},
    )


def end(children: Sequence[Child]) -> None:
    """Kill children, whatever they are at."""
    for child in children:
        child.kill()  # what it was writing is under a temporary name
    for child in children:
        child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


def ended() -> StoppedError:
    """The error where a child is gone."""
    return StoppedError(
        "A worker process ended before its work was done", "Run the command again: it goes on from there"
    )


def failure(said: Mapping[str, Any]) -> Exception | None:
    """The error that a child's answer tells of, if it does."""
    if "what" in said:
        return (StoppedError if said["resumable"] else DaedalError)(said["what"], said["fix"])
    return RuntimeError(said["failure"]) if "failure" in said else None


def answers() -> TextIO:
    """In a child: where its answers go, a line each. What a library prints goes elsewhere, and Ctrl-C is the parent's."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stream = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    return stream


def told(error: Exception) -> dict[str, object]:
    """In a child: the answer that tells of an error."""
    if isinstance(error, DaedalError):
        return {"what": error.what, "fix": error.fix, "resumable": resumable(error)}
    return {"failure": "".join(traceback.format_exception(error))}
