"""A build that is stopped at any moment goes on from there, and ends with the same bytes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from daedal.data import BuildOptions, build
from daedal.data.example_build import ExampleBuild
from daedal.errors import DaedalError
from test_data_pipeline import digest, write_corpus

PROGRAM = """
import os, sys, time
import daedal.data.sources, daedal.data.ingest
daedal.data.sources.UNIT_BYTES = 8000
daedal.data.ingest.CHUNK_BYTES = 3000
from daedal.data import build, BuildOptions
source, out, stage, workers = sys.argv[1:]
seen = 0
def progress(name, done, total):
    global seen
    seen += name == stage
    if name == stage and seen > 2:
        print("here", flush=True)
        time.sleep(60)
build(source, out, workers=int(workers), progress=progress)
"""


OPTIONS = BuildOptions(vocab_size=300)


def small_units(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daedal.data.sources.UNIT_BYTES", 8000)
    monkeypatch.setattr("daedal.data.ingest.CHUNK_BYTES", 3000)


class Killed(BaseException):
    """Stands for Ctrl-C at a chosen moment."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build that nobody stopped, beside its source `in`."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        small_units(patch)
        write_corpus(folder / "in", documents=40)
        build(folder / "in", folder / "whole", OPTIONS)
    return folder / "whole"


@pytest.mark.parametrize("stage", ExampleBuild.stages)
@pytest.mark.parametrize("when", [1, 2])
def test_a_stopped_build_goes_on_to_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: Path, stage: str, when: int
) -> None:
    small_units(monkeypatch)
    source = whole.with_name("in")
    calls: list[str] = []

    def stop(name: str, done: int, total: int | None) -> None:
        calls.append(name)
        if calls.count(stage) == when:
            raise Killed

    try:
        build(source, tmp_path / "out", OPTIONS, progress=stop)
    except Killed:
        assert not (tmp_path / "out").exists() or stage == "write"
    build(source, tmp_path / "out", OPTIONS)
    assert digest(whole) == digest(tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize(("stage", "workers"), [("read", 1), ("encode", 2)])
def test_a_killed_build_goes_on_to_the_same_bytes(tmp_path: Path, stage: str, workers: int) -> None:
    write_corpus(tmp_path / "in", documents=40, words=60)
    whole = subprocess.run([sys.executable, "-c", PROGRAM, str(tmp_path / "in"), str(tmp_path / "whole"), "none", "1"])
    assert whole.returncode == 0
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "in"), str(tmp_path / "out")]
    with subprocess.Popen([*command, stage, str(workers)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"here\n"
        process.send_signal(signal.SIGKILL)
    assert not (tmp_path / "out").exists()
    done = sorted((tmp_path / ".out.build" / "spool").glob("*.npz"))
    assert done
    changed = [path.stat().st_mtime_ns for path in done]
    if workers > 1:
        time.sleep(0.5)  # the orphans notice that their parent is gone
    again = subprocess.run([*command, "write", "1"], stdout=subprocess.DEVNULL, timeout=60)
    assert again.returncode == 0
    assert changed  # what was read before was not read again: the work area is gone, so its outcome is what tells
    assert digest(tmp_path / "whole") == digest(tmp_path / "out")


def test_what_was_read_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_units(monkeypatch)
    write_corpus(tmp_path / "in", documents=80)

    def stop(name: str, done: int, total: int | None) -> None:
        if name == "encode":
            raise Killed

    with pytest.raises(Killed):
        build(tmp_path / "in", tmp_path / "out", progress=stop)

    def never(*_: Any) -> Any:
        raise AssertionError("read again")

    monkeypatch.setattr("daedal.data.kinds.text.read_item", never)
    assert build(tmp_path / "in", tmp_path / "out").split("train").documents


def test_an_unfinished_build_with_other_options_is_refused_or_replaced(tmp_path: Path) -> None:
    write_corpus(tmp_path / "in")

    def stop(name: str, done: int, total: int | None) -> None:
        if name == "encode":
            raise Killed

    with pytest.raises(Killed):
        build(tmp_path / "in", tmp_path / "out", progress=stop)
    with pytest.raises(DaedalError, match=r"unfinished build.*--replace"):
        build(tmp_path / "in", tmp_path / "out", BuildOptions(seed=2))
    assert build(tmp_path / "in", tmp_path / "out", BuildOptions(seed=2), replace=True).manifest.options.seed == 2


def test_two_builds_do_not_work_in_the_same_place(tmp_path: Path) -> None:
    write_corpus(tmp_path / "in")

    def again(name: str, done: int, total: int | None) -> None:
        if name != "encode":
            return
        with pytest.raises(DaedalError, match=f"is being built by process {os.getpid()}, since 20"):
            build(tmp_path / "in", tmp_path / "out")

    build(tmp_path / "in", tmp_path / "out", progress=again)


def test_a_full_disk_keeps_what_was_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_units(monkeypatch)
    write_corpus(tmp_path / "in", documents=80)
    build(tmp_path / "in", tmp_path / "whole")
    import numpy as np

    plain, written = np.savez, [0]

    def full(*args: Any, **more: Any) -> None:
        written[0] += 1
        if written[0] == 5:
            raise OSError(28, os.strerror(28))
        plain(*args, **more)

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(DaedalError, match="No space left on disk"):
        build(tmp_path / "in", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert len(list((tmp_path / ".out.build" / "spool").glob("*.npz"))) == 4
    build(tmp_path / "in", tmp_path / "out")
    assert digest(tmp_path / "whole") == digest(tmp_path / "out")
