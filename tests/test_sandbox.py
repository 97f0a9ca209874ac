"""Programs in the sandbox: hostile ones do no harm, and none can claim that it passed."""

import errno
import os
import signal
import struct
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daedal.errors import DaedalError
from daedal.evaluation.code import BUBBLEWRAP, NAMESPACES, NONE, system_calls
from daedal.evaluation.code import sandbox as outside
from daedal.evaluation.code.program import Limits, Outcome, Program, Tests
from daedal.evaluation.code.sandbox import Sandbox
from daedal.evaluation.code.values import decode, encode

LIMITS = Limits(seconds=1.0, memory=2**28)
SEVEN = Tests.of(["assert f() == 7"])
SECRET = "hush-4711"
TRY, OR_NOT = "try:", "except OSError: pass"
CLAIM = '["passed", 1, ""]'


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    try:
        opened = Sandbox(LIMITS, workers=1)
    except DaedalError as error:
        pytest.skip(str(error))
    with opened:
        yield opened


def run(sandbox: Sandbox, source: str, tests: Tests = SEVEN) -> Outcome:
    return sandbox.one(Program(source, tests))


def descendants(process: int) -> set[int]:
    """Processes below one."""
    parents = {}
    for each in filter(str.isdecimal, os.listdir("/proc")):
        try:
            parents[int(each)] = int(Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found, new = set[int](), {process}
    while new:
        found |= new
        new = {each for each, parent in parents.items() if parent in found} - found
    return found - {process}


# -- hostile programs ------------------------------------------------------------------------------------------------------

HOSTILE = {
    "fork bomb": "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
    "10 GB at once": "x = bytearray(10 * 2**30)",
    "10 GB bit by bit": "x = []\nwhile True: x.append(bytearray(2**20))",
    "threads": "import threading\nwhile True: threading.Thread(target=threading.Event().wait, daemon=True).start()",
    "endless loop": "while True: pass",
    "endless output": "while True: print('x' * 10000)",
    "sleepers": "import os, time\nfor _ in range(3):\n    if not os.fork(): os.setsid(); time.sleep(1000)\nos._exit(0)",
    "kill all": "import os\nos.kill(-1, 9)",
    "kill the first": "import os\nos.kill(1, 9); os.kill(1, 19); os.kill(1, 2); os.kill(1, 15)",
    "stop the judge": f"import os\nfor n in range(2, os.getpid()):\n    {TRY} os.kill(n, 19)\n    {OR_NOT}",
    "fill the disk": "n = 0\nwhile True:\n    n += 1; open(f'/scratch/{n}', 'wb').write(b'x' * 2**20)",
    "huge file": "with open('/scratch/x', 'wb') as f:\n    while True: f.write(b'x' * 2**20)",
    "many files": "n = 0\nwhile True:\n    n += 1; open(f'/scratch/{n}', 'wb').close()",
    "deep folders": "import os\nwhile True: os.mkdir('a'); os.chdir('a'); os.chmod('.', 0o700)",
    "remove the scratch folder": "import shutil\nshutil.rmtree('/scratch')",
    "memory without a limit": "import os\nx = os.memfd_create('x')",
    "crash": "import ctypes\nctypes.string_at(0)",
    "recursion": "def f(): return f()",
    "an endless value": "x = []; x.append(x)\ndef f(): return x",
    "a huge value": "def f(): return 'x' * 10**8",
    "starve the judge": "import resource\nfor n in range(1, 9): resource.prlimit(n, 0, (1, 1))\nprint('lowered')",
    "another program": "import os\nos.execv('/lib64/ld-linux-x86-64.so.2', ['x'])",
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_program_harms_nobody(sandbox: Sandbox, name: str) -> None:
    began = time.monotonic()
    outcome = run(sandbox, HOSTILE[name])
    assert outcome.ending != "passed"
    assert "lowered" not in outcome.output
    assert time.monotonic() - began < LIMITS.seconds + 5
    assert len(outcome.output) <= LIMITS.output_bytes + 10
    assert run(sandbox, "import os\nassert os.listdir('/scratch') == []\ndef f(): return 7").ending == "passed"
    server = sandbox._idle.get()
    assert server is not None
    sandbox._idle.put(server)
    assert len(descendants(server._process.pid)) <= 2  # what led into the namespaces, and their first process


def test_nothing_of_this_machine_can_be_read(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAEDAL_SECRET", SECRET)
    hidden = tmp_path / "secret.txt"
    hidden.write_text(SECRET)
    source = f"""
import os
print(os.environ)
os.symlink({str(hidden)!r}, "link")
for path in ("/etc/shadow", "/etc/passwd", "/proc/1/environ", "/proc/self/environ", "/proc/1/mem", "/old",
             "link", {str(hidden)!r}):
    try:
        print(open(path).read())
    except OSError as error:
        print(type(error).__name__)
for folder in ("/home", "/tmp", "/proc", "/sys", "/var", "/mnt", "/old", os.path.dirname({str(hidden)!r})):
    assert not os.path.exists(folder), folder
def f(): return 7
"""
    outcome = run(sandbox, source)
    assert outcome.ending == "passed", outcome
    assert SECRET not in outcome.output
    assert outcome.output.count("FileNotFoundError") == 8


def test_nothing_can_be_written_outside_of_the_scratch_folder(sandbox: Sandbox, tmp_path: Path) -> None:
    source = f"""
import os
for path in ("/x", "/usr/lib/x", "/lib/x", "/etc/x", "/dev/x", os.__file__, {str(tmp_path / "x")!r}, "/scratch/../x"):
    try:
        open(path, "w")
        print("written", path)
    except OSError:
        pass
open("/scratch/x", "w").write("here")
def f(): return 7
"""
    outcome = run(sandbox, source)
    assert (outcome.ending, outcome.output) == ("passed", "")
    assert list(tmp_path.iterdir()) == []


def test_there_is_no_network(sandbox: Sandbox) -> None:
    source = """
import socket
for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX, socket.AF_NETLINK):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW):
        try:
            socket.socket(family, kind)
            print("open", family, kind)
        except OSError:
            pass
one, other = socket.socketpair()
one.send(b"x")
def f(): return 7
"""
    outcome = run(sandbox, source)
    assert (outcome.ending, outcome.output) == ("passed", "")


def test_no_privilege_can_be_had(sandbox: Sandbox) -> None:
    source = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
for call in (
    lambda: libc.ptrace(16, os.getppid(), 0, 0), lambda: libc.ptrace(0, 0, 0, 0), lambda: libc.unshare(0x10000000),
    lambda: libc.mount(b"x", b"/scratch", b"tmpfs", 0, None), lambda: libc.umount2(b"/scratch", 2),
    lambda: libc.chroot(b"/scratch"), lambda: libc.setuid(0),
    lambda: libc.syscall(56, 0x10000000 | 17, 0, 0, 0, 0), lambda: libc.prctl(24, 0, 0, 0, 0) and -1,
):
    assert call() == -1
assert os.getuid() != 0
def f(): return 7
"""
    assert run(sandbox, source).ending == "passed"


# -- who says that it passed -----------------------------------------------------------------------------------------------

FORGED = {
    "leaving early": "import sys\nprint('ok'); sys.exit(0)",
    "leaving at once": "import os\nprint('passed'); os._exit(0)",
    "equal to all": "class E:\n    def __eq__(self, other): return True\n    __hash__ = None\ndef f(): return E()",
    "an equal number": "class E(int):\n    def __eq__(self, other): return True\ndef f(): return E(3)",
    "a changed assert": "import builtins\nbuiltins.AssertionError = type('A', (BaseException,), {})\ndef f(): return 3",
    "writing to all": f"import os\nfor n in range(3, 64):\n    {TRY} os.write(n, b'{CLAIM}')\n    {OR_NOT}\ndef f(): return 3",
    "a message": f"import os, struct\nm = b'{CLAIM}'\nos.write(5, struct.pack('=I', len(m)) + m)\ndef f(): return 3",
    "a hook": "import atexit, sys\natexit.register(print, 'passed'); sys.settrace(lambda *_: None)\ndef f(): return 3",
}  # fmt: skip


@pytest.mark.parametrize("name", FORGED)
def test_a_program_cannot_claim_that_it_passed(sandbox: Sandbox, name: str) -> None:
    assert run(sandbox, FORGED[name]).ending != "passed"


def test_what_tests_use_of_python_is_not_the_program_s(sandbox: Sandbox) -> None:
    tests = Tests.of(["assert set(f()) == set((7,))", "assert math.isclose(f()[0], 7)"])
    assert (tests.names, tests.modules) == (("f",), ("math",))
    forged = "class M:\n    isclose = lambda *_: True\nmath = M\ndef set(x): return 1\ndef f(): return [3]"
    assert run(sandbox, forged, tests).ending == "failed"
    assert run(sandbox, "def f(): return [7]", tests).ending == "passed"
    own = Tests.of(["assert sum(1, 2) == 4"], reference="def sum(a, b): return a + b + 1")
    assert run(sandbox, "def sum(a, b): return a + b + 1", own).ending == "passed"  # its reference defines it


def test_the_tests_are_not_in_the_program_s_memory(sandbox: Sandbox) -> None:
    source = """
import gc, sys
frame, found = sys._getframe(), []
while frame:
    found.append(repr(frame.f_locals)); frame = frame.f_back
found += [repr(each) for each in gc.get_objects() if isinstance(each, (dict, list, tuple))]
looked_for = "".join(["assert", " f() ", "== 7"])
print(any(looked_for in each for each in found))
def f(): return 7
"""
    outcome = run(sandbox, source)
    assert (outcome.ending, outcome.output) == ("passed", "False\n")


def test_hostile_tests_harm_nobody_either(sandbox: Sandbox) -> None:
    for said in (b"x", b"[1]", b'["won", 1, ""]', b'["passed", "x", []]', b"[" * 10_000):
        steps = [f"import os\nos.write(6, {said!r})\nos._exit(0)"]
        assert run(sandbox, "def f(): return 7", Tests.of(steps)).ending == "ended"
    assert run(sandbox, "def f(): return 7", Tests.of(["while True: pass"])).ending == "timeout"
    assert (
        run(sandbox, "x = 1", Tests.of(["assert not __import__('os').path.exists('/etc/passwd')"])).ending == "passed"
    )
    assert run(sandbox, "def f(): raise ValueError('\x1b[2J')").message.isprintable()


def test_objects_of_a_program_can_be_tested(sandbox: Sandbox) -> None:
    source = """
class Node:
    def __init__(self, value): self.value, self.next = value, None
def total(node):
    found = 0
    while node: found, node = found + node.value, node.next
    return found
def push(items): items.append(7)
def count():
    yield from range(3)
def twice(of): return lambda x: 2 * of(x)
def fail(): raise KeyError("gone")
"""
    steps = (
        "assert total(first) == 3", "push(items); assert items == [7]", "assert list(count()) == [0, 1, 2]",
        "assert twice(abs_of)(-2) == 4",
        "try:\n    fail()\n    assert False\nexcept KeyError as error:\n    assert 'gone' in str(error)",
    )  # fmt: skip
    setup = "first = Node(1); first.next = Node(2); items = []"
    tests = Tests.of(steps, setup, names=["abs_of"])
    outcome = run(sandbox, source + "\nabs_of = lambda x: abs(x)", tests)
    assert (outcome.ending, outcome.passed) == ("passed", 5), outcome


def test_an_outcome_tells_what_happened(sandbox: Sandbox) -> None:
    tests = Tests.of(["assert f(1) == 2", "assert f(2) == 3"])
    found = {
        source: run(sandbox, source, tests)
        for source in (
            "def f(x): return x + 1",
            "def f(x): return 2",
            "def f(x) return",
            "def f(x): return x + '1'",
            "x = 1",
        )
    }
    endings = [(each.ending, each.passed) for each in found.values()]
    assert endings == [("passed", 2), ("failed", 1), ("no Python", 0), ("raised", 0), ("raised", 0)]
    assert found["def f(x): return 2"].message == "assert f(2) == 3"
    assert "int" in found["def f(x): return x + '1'"].message
    assert run(sandbox, "print('\\ud800 hello')").output == "\\ud800 hello\n"
    assert run(sandbox, "\ud800").ending == "no Python"


def test_many_programs_run_at_once_and_keep_their_places(sandbox: Sandbox) -> None:
    programs = [Program(f"def f(): return {n}") if n % 2 else Program("def f(: 1") for n in range(12)]
    with Sandbox(LIMITS, workers=2) as both:
        found = dict(both.run(programs))
    assert Counter(each.ending for each in found.values()) == {"passed": 6, "no Python": 6}
    assert all((found[n].ending == "passed") == bool(n % 2) for n in range(12))


# -- other ways ------------------------------------------------------------------------------------------------------------


def test_where_programs_cannot_be_isolated_they_are_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outside.sys, "platform", "darwin")
    with pytest.raises(DaedalError, match=r"cannot be isolated here.*--unsafe-sandbox"):
        Sandbox(LIMITS)
    with Sandbox(LIMITS, workers=1, unsafe=True) as sandbox:
        assert sandbox.isolation == NONE
        assert "NOT isolated" in sandbox.says
        assert run(sandbox, "def f(): return 7").ending == "passed"
        assert run(sandbox, "while True: pass").ending == "timeout"
        assert run(sandbox, HOSTILE["10 GB at once"]).message == "MemoryError"
        sleepers = run(
            sandbox, "import os, time\nif not os.fork():\n    os.setsid(); time.sleep(1000)\ndef f(): return 7"
        )
        assert sleepers.ending == "passed"
        server = sandbox._idle.get()
        assert server is not None
        sandbox._idle.put(server)
        assert descendants(server._process.pid) == set()
        if sys.platform == "linux" or system_calls.has_filter():
            others = (
                "import os\ntry:\n    os.kill(os.getppid(), 0)\nexcept PermissionError: print('no')\ndef f(): return 7"
            )
            assert run(sandbox, others).output == "no\n"


def test_bubblewrap_isolates_as_well() -> None:
    if outside.shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is not installed")
    server = outside._Server(BUBBLEWRAP)
    try:
        if (why := server.refused()) is not None:
            pytest.skip(why)
        hidden = f"import os\nassert not os.path.exists({str(Path(__file__).parent)!r})\ndef f(): return 7"
        for source, ending in ((hidden, "passed"), (HOSTILE["kill the first"] + "\ndef f(): return 7", "passed")):
            assert server.run(Program(source, SEVEN), LIMITS)[0].ending == ending
    finally:
        server.end()


def test_whoever_ignores_the_ends_of_children_has_a_sandbox_too() -> None:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        with Sandbox(LIMITS, workers=1) as sandbox:
            assert run(sandbox, "def f(): return 7").ending == "passed"
    except DaedalError as error:
        if "does not start" in str(error):
            raise
        pytest.skip(str(error))
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_a_server_that_is_gone_is_replaced(sandbox: Sandbox) -> None:
    server = sandbox._idle.get()
    assert server is not None
    server._process.kill()
    server._process.wait()
    sandbox._idle.put(server)
    assert run(sandbox, "def f(): return 7").ending == "passed"
    assert sandbox.isolation == NAMESPACES or sandbox.isolation == BUBBLEWRAP


# -- parts -----------------------------------------------------------------------------------------------------------------


def decision(code: bytes, number: int, architecture: int, first: int = 0) -> int:
    """What the kernel would do with a call: its packet filter, in a few lines."""
    record = struct.pack("=iIQ6Q", number, architecture, 0, first, 0, 0, 0, 0, 0)
    steps = list(struct.iter_unpack("=HBBI", code))
    at, value = 0, 0
    while True:
        operation, yes, no, k = steps[at]
        at += 1
        match operation:
            case 0x20:
                (value,) = struct.unpack_from("=I", record, k)
            case 0x06:
                return int(k)
            case _:
                held = {0x15: value == k, 0x25: value > k, 0x45: bool(value & k)}[operation]
                at += yes if held else no


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_filter_refuses_what_it_names_and_nothing_else(machine: str) -> None:
    kind = system_calls._MACHINES[machine]
    code = system_calls.call_filter(machine)
    refused = {numbers[kind.column] for numbers in system_calls._REFUSED.values()}
    for number in range(449):
        if number in (435, kind.prlimit):
            continue
        wanted = 0x50000 | errno.EPERM if number in refused else 0x7FFF0000
        assert decision(code, number, kind.audit) == wanted, number
    for number in (435, 449, 1000, 0x40000000 + 41):
        assert decision(code, number, kind.audit) == 0x50000 | errno.ENOSYS
    assert decision(code, 0, 0x40000003) == 0x80000000
    assert decision(code, kind.clone, kind.audit, 0x10000011) == 0x50000 | errno.EPERM
    assert decision(code, kind.clone, kind.audit, 0x01200011) == 0x7FFF0000  # as fork asks
    assert decision(code, kind.prlimit, kind.audit, 5) == 0x50000 | errno.EPERM
    assert decision(code, kind.prlimit, kind.audit, 0) == 0x7FFF0000
    alone = system_calls.call_filter(machine, 77)
    for number in (kind.kill, kind.tgkill):
        assert decision(alone, number, kind.audit, 77) == 0x7FFF0000
        assert decision(alone, number, kind.audit, 0xFFFFFFFF) == 0x50000 | errno.EPERM
        assert decision(code, number, kind.audit, 0xFFFFFFFF) == 0x7FFF0000


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
    | st.decimals(allow_nan=False) | st.fractions() | st.complex_numbers(allow_nan=False) | st.datetimes() | st.dates()
    | st.timedeltas(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text() | st.integers(), inner)
    | st.sets(st.integers()) | st.frozensets(st.text()) | st.lists(inner).map(deque),
    max_leaves=8,
)  # fmt: skip


def unknown(value: object) -> list[object]:
    raise AssertionError(value)


@given(plain)
@settings(max_examples=150, deadline=None)
def test_a_plain_value_arrives_as_it_was(value: object) -> None:
    made = decode(encode(value, unknown), unknown)
    assert made == value
    assert type(made) is type(value)


def test_a_subclass_arrives_as_what_it_is_of() -> None:
    class Number(int):
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = int.__hash__

    made = decode(encode([Number(3), Counter("aab"), 2**2000, Fraction(1, 3), Decimal("0.10"), int], unknown), unknown)
    assert made == [3, {"a": 2, "b": 1}, 2**2000, Fraction(1, 3), Decimal("0.10"), int]
    assert type(made[0]) is int
    assert type(made[1]) is dict
