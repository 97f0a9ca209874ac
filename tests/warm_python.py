"""Python processes in tests as children of one that has imported what they need: three seconds less for each of hundreds.

`Warm` starts that process and makes a folder with a `daedal` and a `python` in it, to be put at the front of the path.
They hand their arguments, folder, environment and open files over a socket, pass signals on, and end as the child does. Whoever
is killed leaves the child behind: what is tested by kills is started as it is. `python` is the one of this process, and
`started_warm` puts it where `sys.executable` is looked up: by servers, torchrun and builds.
"""

import atexit
import functools
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NoReturn, Self
from unittest.mock import patch

_CLIENT = """#!{python} -IS
import array, json, os, signal, socket, sys
mine = socket.socket(socket.AF_UNIX)
mine.connect({address!r})
what = json.dumps([{name!r}, sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
mine.sendmsg([len(what).to_bytes(8, "little")], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2]))])
mine.sendall(what)
child = int.from_bytes(mine.recv(4), "little")
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda number, frame: os.kill(child, number))
for number in range(3):
    os.close(number)
sys.exit(int.from_bytes(mine.recv(1) or b"\\1", "little"))
"""


class Warm:
    """The process; ends with the block.

    Attributes:
        folder: where `daedal` and `python` are.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        address = str(folder / "socket")
        for name in ("daedal", "python"):
            client = folder / name
            client.write_text(_CLIENT.format(python=sys.executable, address=address, name=name))
            client.chmod(0o755)
        pipe = subprocess.PIPE
        self._process = subprocess.Popen([sys.executable, __file__, address], stdin=pipe, stdout=pipe)

    def __enter__(self) -> Self:
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n"
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()


@functools.cache
def python() -> str:
    """The `python` of a process that ends with this one, started when it is first asked for."""
    stack = ExitStack()
    atexit.register(stack.close)
    folder = stack.enter_context(tempfile.TemporaryDirectory())
    return str(stack.enter_context(Warm(Path(folder))).folder / "python")


@contextmanager
def started_warm() -> Iterator[None]:
    """Processes of `sys.executable` that are started in this block are warm."""
    with patch.object(sys, "executable", python()):
        yield


def main(address: str) -> None:
    """Serve, one child a command, until the standard input ends: who started this is gone."""
    import importlib
    import pkgutil
    import select
    import signal

    import pandas  # noqa: F401
    import torch._dynamo  # the first optimizer imports it
    import torch.utils.tensorboard  # noqa: F401

    import daedal
    import daedal.families
    import daedal.kinds

    own = ("daedal.cli.", "daedal.__main__")  # commands ask at once which families there are
    for module in pkgutil.walk_packages(daedal.__path__, "daedal."):
        if not module.name.startswith(own):
            importlib.import_module(module.name)
    daedal.families.table.cache_clear()  # each child may have others
    daedal.kinds.table.cache_clear()

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(16)
        print("ready", flush=True)
        while sys.stdin not in select.select([listener, sys.stdin], [], [])[0]:
            client, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                sys.executable = str(Path(address).with_name("python"))
                _serve(client)
            client.close()


def _serve(client: socket.socket) -> None:
    """Do one command in this process, which then ends."""
    import json

    client.sendall(os.getpid().to_bytes(4, "little"))
    length, files, _, _ = socket.recv_fds(client, 8, 3)
    wanted, said = int.from_bytes(length, "little"), b""
    while len(said) < wanted:
        said += client.recv(wanted - len(said))
    name, arguments, folder, environment = json.loads(said)
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    end = os._exit

    def leave(code: int) -> NoReturn:
        """What ends at once is told of, too."""
        client.sendall(bytes([code & 255]))
        end(code)

    os._exit = leave
    code = 1
    try:
        code = _run(name, arguments)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        leave(code)


def _run(name: str, arguments: list[str]) -> int:
    import runpy

    sys.stdin, sys.stdout, sys.stderr = (os.fdopen(number, mode) for number, mode in enumerate("rww"))
    sys.path[:0] = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    if name == "daedal":
        from daedal.cli.main import main as command

        sys.argv = ["daedal", *arguments]
        command()
        return 0
    while arguments[:1] in (["-P"], ["-u"]):
        del arguments[0]
    if arguments[:1] == ["-m"]:
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        return 0
    sys.path.insert(0, "")
    code = arguments[1] if arguments[:1] == ["-c"] else sys.stdin.read()
    sys.argv = ["-c", *arguments[2:]]
    exec(compile(code, "<page>", "exec"), {"__name__": "__main__"})
    return 0


if __name__ == "__main__":
    main(sys.argv[1])
