"""A place of its own for the sandbox: new user, mount, process, network, IPC and host name namespaces (Linux).

The file system in it is a read-only view of the system's and Python's libraries and five devices, under a root that is in
memory; there is no /proc, no home, no /etc. `SCRATCH` is the one place to write to: a file system in memory, of limited size.
It runs inside (`server.py`), so it needs the standard library alone.

A plain user becomes the owner of a new user namespace and needs no right for it but that the kernel allows it. Root goes the
same way, but what runs there is another user (`NOBODY`), for the kernel holds root to no number of processes.
"""

import ctypes
import os
import sys
from collections.abc import Iterable

from daedal.evaluation.code.system_calls import bound_privileges, die_with_parent

SCRATCH = "/scratch"
NOBODY = 65534
_INSIDE_USER = 1  # NOBODY's number in the namespace
_NEW = (
    0x10000000 | 0x00020000 | 0x20000000 | 0x40000000 | 0x08000000 | 0x04000000
)  # user, mount, process, net, ipc, host name
_READ_ONLY, _NO_SETUID, _NO_DEVICES, _NO_EXEC, _REMOUNT, _BIND, _RECURSIVE, _PRIVATE = (
    1,
    2,
    4,
    8,
    32,
    4096,
    16384,
    1 << 18,
)
_DETACH = 2
_LOCKED = _READ_ONLY | _NO_SETUID | _NO_DEVICES | _NO_EXEC | 1024 | 2048  # flags of a mount that may not be taken off
_RELATIVE_TIMES, _HAS_RELATIVE_TIMES = 1 << 21, 4096
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_libc = ctypes.CDLL(None, use_errno=True)


def enter() -> int | None:
    """Go into new namespaces. It returns in a new process, their first; the ones that led there wait for it, and end with it.

    Returns:
        The user to become for what is not trusted; None where this one is as good.

    Raises:
        OSError: the kernel does not allow it, in the process that was called.
    """
    root = os.geteuid() == 0
    user, group = os.geteuid(), os.getegid()
    told, tell = os.pipe()
    go, let_go = os.pipe()
    child = os.fork()
    if child:
        os.close(tell)
        os.close(go)
        if os.read(told, 1):
            try:
                _map(child, root, user, group)
                os.write(let_go, b"g")
            except OSError:
                os.close(let_go)  # the child says that it failed
            os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & 0xFF)
        os.waitpid(child, 0)
        raise OSError(1, "the kernel allows this user no namespaces")
    os.close(told)
    os.close(let_go)
    die_with_parent()
    if _libc.unshare(_NEW) != 0:
        os._exit(1)
    os.write(tell, b"u")
    if not os.read(go, 1):
        raise OSError(1, "the user's number cannot be mapped into a namespace")
    os.close(tell)
    os.close(go)
    if root:
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
    first = os.fork()
    if first:
        _close_all()
        os._exit(os.waitstatus_to_exitcode(os.waitpid(first, 0)[1]) & 0xFF)
    die_with_parent()
    _libc.sethostname(b"sandbox", 7)
    _build_view(shown())
    bound_privileges()
    return _INSIDE_USER if root else None


def _map(child: int, root: bool, user: int, group: int) -> None:
    """Say which users the namespace of a child has."""
    users = f"0 0 1\n{_INSIDE_USER} {NOBODY} 1\n" if root else f"{user or 1000} {user} 1\n"
    groups = f"0 0 1\n{_INSIDE_USER} {NOBODY} 1\n" if root else f"{group or 1000} {group} 1\n"
    if not root:
        _write(f"/proc/{child}/setgroups", "deny")
    _write(f"/proc/{child}/gid_map", groups)
    _write(f"/proc/{child}/uid_map", users)


def _write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def _close_all() -> None:
    os.closerange(0, os.sysconf("SC_OPEN_MAX"))


def shown() -> list[str]:
    """What of this machine's files is to be seen: libraries and a few devices; no home, no settings, no programs."""
    import math

    libraries = os.path.join(sys.base_prefix, "lib")
    paths = ["/usr/lib", "/usr/lib64", "/lib", "/lib64", "/etc/ld.so.cache", "/usr/share/zoneinfo"]
    paths += ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"]
    paths += [libraries, os.path.dirname(os.__file__), os.path.dirname(getattr(math, "__file__", None) or os.__file__)]
    kept: list[str] = []
    for path in paths:
        if os.path.lexists(path) and not any(path == other or path.startswith(other + "/") for other in kept):
            kept.append(path)
    return kept


def _build_view(paths: Iterable[str]) -> None:
    """Make a root of its own in memory, with these paths read-only in it, and leave all else behind."""
    machine = os.uname().machine
    place = os.path.realpath("/tmp")
    _mount(None, "/", None, _RECURSIVE | _PRIVATE)
    _mount("tmpfs", place, "tmpfs", _NO_SETUID | _NO_DEVICES, "mode=755,size=1m")
    os.chdir(place)
    os.mkdir("old")
    if _libc.syscall(_PIVOT_ROOT[machine], b".", b"old") != 0:
        raise OSError(ctypes.get_errno(), "the root of the file system cannot be changed here")
    os.chdir("/")
    for path in paths:
        _show(path)
    os.mkdir(SCRATCH)
    if _libc.umount2(b"/old", _DETACH) != 0:
        raise OSError(ctypes.get_errno(), "the old file system cannot be left")
    os.rmdir("/old")
    _mount(None, "/", None, _REMOUNT | _BIND | _READ_ONLY | _NO_SETUID | _NO_DEVICES)
    mount_scratch(2**20)


def _show(path: str) -> None:
    source = "/old" + path
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if os.path.islink(source):
        target = os.readlink(source)
        if not os.path.lexists(path):
            os.symlink(target, path)
        real = os.path.normpath(os.path.join(os.path.dirname(path), target))
        if real != path and not os.path.lexists(real) and os.path.lexists("/old" + real):
            _show(real)
        return
    if os.path.isdir(source):
        os.makedirs(path, exist_ok=True)
    else:
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o444))
    _mount(source, path, None, _BIND | _RECURSIVE)
    # flags of the user's own file systems may not be taken off
    found = os.statvfs(path).f_flag
    flags = found & _LOCKED | (_RELATIVE_TIMES if found & _HAS_RELATIVE_TIMES else 0)
    _mount(None, path, None, _REMOUNT | _BIND | _READ_ONLY | _NO_SETUID | flags)


def mount_scratch(size: int) -> None:
    """An empty scratch folder of so many bytes."""
    _mount("tmpfs", SCRATCH, "tmpfs", _NO_SETUID | _NO_DEVICES | _NO_EXEC, f"mode=1777,size={size},nr_inodes=2000")


def unmount_scratch() -> None:
    """Take the scratch folder away, with all that is in it."""
    _libc.umount2(SCRATCH.encode(), _DETACH)


def _mount(source: str | None, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    def coded(text: str | None) -> bytes | None:
        return None if text is None else os.fsencode(text)

    if _libc.mount(coded(source), coded(target), coded(kind), ctypes.c_ulong(flags), coded(options)) != 0:
        raise OSError(ctypes.get_errno(), f"{target} cannot be mounted: {os.strerror(ctypes.get_errno())}")
