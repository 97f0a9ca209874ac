"""The sandbox from inside: goes into its confinement once, and then runs one program after another, each in new processes.

It is started by `sandbox.py` with the standard library alone, and is the first process of its namespaces. For each program it
forks a judge, which reads the tests from a pipe that this process never reads, and then the program, which therefore never
had them in its memory. Both give up all privileges, get the limits and the filter of calls. When the verdict is there, or the
time is over, every other process of the namespace is killed and the scratch folder is made anew.

    in    a line of JSON: the program and its limits; the tests by another pipe, their length before them
    out   a line of JSON: the outcome
"""

import contextlib
import gc
import importlib
import io
import json
import os
import select
import shutil
import signal
import struct
import sys
import tempfile
import time
from typing import Any, NoReturn

from daedal.evaluation.code import NAMESPACES, NONE, confinement, system_calls
from daedal.evaluation.code.judge import judge, run_program
from daedal.evaluation.code.values import Line

_OFTEN = (
    "bisect", "cmath", "collections", "copy", "datetime", "decimal", "fractions", "functools", "heapq", "itertools", "math",
    "operator", "random", "re", "statistics", "string", "typing",
)  # fmt: skip
"""What programs import most: each finds it there."""
_TESTS = 3  # the pipe that the tests come by
_CHANNEL, _VERDICT = 4, 6
_SPARE = 3  # processes that are not the program's: this one, the judge, and the program's first
_VERDICT_BYTES = 2**16
_JUDGE_MEMORY = 2**30
_DONE = b"r"


def main(confined: str, tests: int) -> None:
    """Serve until nobody asks any more.

    Args:
        confined: how.
        tests: the pipe that the tests come by.
    """
    user = None
    signal.signal(
        signal.SIGCHLD, signal.SIG_DFL
    )  # whoever started this may ignore it, and then nothing can be waited for
    for name in _OFTEN:
        importlib.import_module(name)
    if tests != _TESTS:
        os.dup2(tests, _TESTS)
        os.close(tests)
    try:
        if confined == NAMESPACES:
            user = confinement.enter()
        if confined != NONE:
            _try_confinement()
    except OSError as error:
        _answer({"refused": error.strerror or str(error)})
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.environ.clear()
    os.environ["LANG"] = "C.UTF-8"
    sys.path[:] = [path for path in sys.path if "python" in os.path.basename(path) or path.endswith("lib-dynload")]
    sys.dont_write_bytecode = True
    server = _Server(confined, user)
    gc.collect()
    gc.freeze()  # what is shared with all children is not touched by their collections
    _answer({"ready": confined})
    for line in sys.stdin.buffer:
        _answer(server.run(json.loads(line)))


def _try_confinement() -> None:
    """Make sure that it holds.

    Raises:
        OSError: there is no filter of calls.
    """
    if not system_calls.has_filter():
        raise OSError(1, "there is no filter of system calls for this machine")
    child = os.fork()
    if not child:
        code = 1
        with contextlib.suppress(OSError):
            system_calls.refuse_calls(alone=False)
            code = 0
        os._exit(code)
    if os.waitpid(child, 0)[1]:
        raise OSError(1, "the kernel has no seccomp filters")


def _answer(what: dict[str, Any]) -> None:
    data = json.dumps(what).encode() + b"\n"
    while data:
        data = data[os.write(1, data) :]


class _Server:
    def __init__(self, confined: str, user: int | None) -> None:
        self._confined, self._user = confined, user
        self._scratch = confinement.SCRATCH
        if confined == NONE:
            self._scratch = tempfile.mkdtemp(prefix="daedal-sandbox-")
            if system_calls.has_filter():
                system_calls.adopt_orphans()
        self._empty(2**20)

    def run(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Run a program against its tests."""
        began = time.monotonic()
        self._empty(asked["scratch_bytes"])
        output = _unnamed(self._scratch)
        to_program, from_judge = os.pipe()
        to_judge, from_program = os.pipe()
        verdict, tell = os.pipe()
        children = [os.fork()]
        if not children[0]:
            self._judge(asked, to_judge, from_judge, tell)
        found = self._wait(verdict, began + asked["seconds"], len(_DONE))
        has_tests = found == _DONE  # or else the judge ended before, and what it did not read is in the pipe
        if has_tests:
            children.append(os.fork())
            if not children[1]:
                self._program(asked, to_program, from_program, output)
        for each in (to_program, from_judge, to_judge, from_program, tell):
            os.close(each)
        found = self._wait(verdict, began + asked["seconds"], _VERDICT_BYTES) if has_tests else b""
        os.close(verdict)
        seconds = time.monotonic() - began
        self._end(children)
        said = os.pread(output, asked["output_bytes"] + 1, 0)
        os.close(output)
        answer = {"seconds": seconds, "output": said.decode("utf-8", "replace")}
        if not has_tests:
            return {**answer, "outcome": "ended", "passed": 0, "message": "the tests could not be read", "broken": True}
        if found is None:
            return {**answer, "outcome": "timeout", "passed": 0, "message": ""}
        try:
            outcome, passed, message = json.loads(found or b'["ended", 0, "the judge ended"]')
        except (ValueError, TypeError, RecursionError):  # it is not the judge alone that can write there: the tests can
            outcome, passed, message = "ended", 0, "the tests gave no verdict"
        return {**answer, "outcome": outcome, "passed": passed, "message": message}

    def _wait(self, pipe: int, deadline: float, most: int) -> bytes | None:
        """What comes by a pipe until its end or so many bytes; None where it takes too long."""
        found = b""
        while len(found) < most:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([pipe], [], [], left)[0]:
                return None
            part = os.read(pipe, most - len(found))
            if not part:
                break
            found += part
        return found

    def _judge(self, asked: dict[str, Any], reads: int, writes: int, verdict: int) -> NoReturn:
        try:
            (length,) = struct.unpack("=I", _exactly(_TESTS, 4))
            tests = json.loads(_exactly(_TESTS, length))
            _set_descriptors(
                {0: _null(), 1: _null(), 2: _null(), _CHANNEL: reads, _CHANNEL + 1: writes, _VERDICT: verdict}
            )
            self._give_up({**asked, "memory": _JUDGE_MEMORY})
            os.write(_VERDICT, _DONE)
            found = judge(tests, Line(_CHANNEL, _CHANNEL + 1))
            os.write(_VERDICT, json.dumps(found).encode())
        finally:
            os._exit(0)

    def _program(self, asked: dict[str, Any], reads: int, writes: int, output: int) -> NoReturn:
        try:
            _set_descriptors({0: _null(), 1: output, 2: output, _CHANNEL: reads, _CHANNEL + 1: writes})
            self._give_up(asked)
            run_program(asked["source"], Line(_CHANNEL, _CHANNEL + 1))
        finally:
            with contextlib.suppress(BaseException):
                sys.stdout.flush()
            os._exit(0)

    def _give_up(self, asked: dict[str, Any]) -> None:
        os.setsid()
        os.chdir(self._scratch)
        os.environ["HOME"] = os.environ["TMPDIR"] = self._scratch
        for stream in (sys.stdin, sys.stdout, sys.stderr):
            assert isinstance(stream, io.TextIOWrapper)
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
        processes = asked["processes"] + _SPARE if self._confined != NONE else _processes_now() + asked["processes"]
        system_calls.limit(asked["seconds"], asked["memory"], processes, asked["files"], asked["file_bytes"])
        if self._confined == NONE and not system_calls.has_filter():
            return
        if self._confined == NAMESPACES:
            system_calls.give_up_privileges(self._user)
        if self._confined == NONE:
            system_calls.die_with_parent()  # in a namespace all die with its first process
        system_calls.refuse_calls(alone=self._confined == NONE)

    def _end(self, children: list[int]) -> None:
        """Kill all that a program has started, and what that has started."""
        while True:
            if self._confined == NONE:
                _kill_below(children)
            else:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(-1, signal.SIGKILL)  # all of this namespace but its first process, which this one is
            try:
                os.waitpid(-1, 0)
            except ChildProcessError:
                return

    def _empty(self, size: int) -> None:
        """A scratch folder with nothing in it."""
        if self._confined == NAMESPACES:
            os.chdir("/")
            confinement.unmount_scratch()
            confinement.mount_scratch(size)
            return
        with os.scandir(self._scratch) as entries:
            for each in entries:
                if each.is_dir(follow_symlinks=False):
                    shutil.rmtree(each.path, ignore_errors=True)
                else:
                    os.unlink(each.path)


def _unnamed(folder: str) -> int:
    """A file without a name."""
    if hasattr(os, "O_TMPFILE"):
        with contextlib.suppress(OSError):  # not every file system has it
            return os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_APPEND, 0o600)
    descriptor, path = tempfile.mkstemp(dir=folder)
    os.unlink(path)
    return descriptor


def _null() -> int:
    return os.open(os.devnull, os.O_RDWR)


def _exactly(pipe: int, count: int) -> bytes:
    found = b""
    while len(found) < count:
        part = os.read(pipe, count - len(found))
        if not part:
            raise EOFError
        found += part
    return found


def _set_descriptors(wanted: dict[int, int]) -> None:
    """Have these descriptors by these numbers, and no other."""
    high = {number: os.dup(descriptor) for number, descriptor in wanted.items()}
    moved = {}
    for number, descriptor in high.items():
        while descriptor <= max(wanted):
            descriptor = os.dup(descriptor)
        moved[number] = descriptor
    for number, descriptor in moved.items():
        os.dup2(descriptor, number)
    for number in range(max(wanted)):
        if number not in wanted:
            with contextlib.suppress(OSError):
                os.close(number)
    os.closerange(max(wanted) + 1, 256)


def _processes_now() -> int:
    """Of all users, where there is no namespace that counts this one's alone."""
    try:
        return sum(name.isdecimal() for name in os.listdir("/proc"))
    except OSError:
        return 2**12


def _kill_below(children: list[int]) -> None:
    """Kill groups of processes, and whatever else has become this one's child."""
    for child in children:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(child, signal.SIGKILL)
    with contextlib.suppress(OSError), open(f"/proc/self/task/{os.getpid()}/children") as below:
        for child in map(int, below.read().split()):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(child, signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
