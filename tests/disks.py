"""Small and read-only disks for tests, as any user: a tmpfs in a mount namespace of the command's own."""

import functools
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest


class Ended(NamedTuple):
    """How a command ended, and the names that it left on the disk."""

    code: int
    out: str
    err: str
    left: list[str]


@functools.cache
def _allowed() -> bool:
    try:
        probe = subprocess.run(["unshare", "-Urm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True)
    except OSError:
        return False
    return probe.returncode == 0


def run_on_disk(command: Sequence[str], disk: Path, options: str) -> Ended:
    """Run `command` while a fresh tmpfs with mount `options` (`size=64k`, `ro`) lies at the folder `disk`."""
    if not _allowed():
        pytest.skip("this system lets no test mount a disk")
    where = shlex.quote(str(disk))
    script = (
        f"mount -t tmpfs -o {options} tmpfs {where}; {shlex.join(command)}; code=$?; echo; find {where}; exit $code"
    )
    result = subprocess.run(["unshare", "-Urm", "sh", "-c", script], capture_output=True, text=True)
    out, _, listing = result.stdout.rpartition(f"\n{disk}\n")
    return Ended(result.returncode, out, result.stderr, [Path(line).name for line in listing.splitlines()])
