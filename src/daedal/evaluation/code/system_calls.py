"""What a program in the sandbox may ask of the Linux kernel: a seccomp filter, and what else a process gives up for good.

It runs inside of the sandbox (`server.py`), so it needs the standard library alone. The filter names what is refused: the
network, other programs, other processes' memory and limits, mounts and namespaces, keys, BPF, io_uring, shared memory that no
limit counts, and every call that is newer than this list. A refused call fails (EPERM), so that a program may tell of it; a
call of another architecture ends the process.
"""

import ctypes
import errno
import functools
import os
import platform
import resource
import struct
from typing import NamedTuple

_libc = ctypes.CDLL(None, use_errno=True)
_SET_DEATH_SIGNAL, _SET_DUMPABLE, _SET_SECCOMP, _DROP_BOUNDING, _SET_SUBREAPER, _NO_NEW_PRIVILEGES = (
    1,
    4,
    22,
    24,
    36,
    38,
)
_NEWEST = 448  # of the calls that this list knows: later ones do not exist here

# name: number on x86-64, number on aarch64 (-1: it has none)
_REFUSED = {
    "socket": (41, 198), "connect": (42, 203), "bind": (49, 200), "listen": (50, 201), "accept": (43, 202),
    "accept4": (288, 242),
    "execve": (59, 221), "execveat": (322, 281), "ptrace": (101, 117), "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271), "process_madvise": (440, 440), "kcmp": (312, 272), "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438), "pidfd_send_signal": (424, 424),
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "unshare": (272, 97),
    "setns": (308, 268), "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430), "fsconfig": (431, 431),
    "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442), "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265), "mknod": (133, -1), "mknodat": (259, 33), "quotactl": (179, 60),
    "quotactl_fd": (443, 443), "swapon": (167, 224), "swapoff": (168, 225), "acct": (163, 89),
    "memfd_create": (319, 279), "memfd_secret": (447, 447), "shmget": (29, 194), "shmat": (30, 196),
    "semget": (64, 190), "msgget": (68, 186), "mq_open": (240, 180),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219), "bpf": (321, 280),
    "perf_event_open": (298, 241), "userfaultfd": (323, 282), "io_uring_setup": (425, 425), "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427), "fanotify_init": (300, 262), "mbind": (237, 235), "migrate_pages": (256, 238),
    "move_pages": (279, 239), "personality": (135, 92), "modify_ldt": (154, -1), "iopl": (172, -1), "ioperm": (173, -1),
    "syslog": (103, 116), "reboot": (169, 142), "kexec_load": (246, 104), "kexec_file_load": (320, 294),
    "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106), "sethostname": (170, 161),
    "setdomainname": (171, 162), "settimeofday": (164, 170), "clock_settime": (227, 112), "adjtimex": (159, 171),
    "clock_adjtime": (305, 266), "setpriority": (141, 140), "sched_setattr": (314, 274),
    "sched_setscheduler": (144, 119), "sched_setparam": (142, 118), "sched_setaffinity": (203, 122), "ioprio_set": (251, 30),
    "lookup_dcookie": (212, 18), "vhangup": (153, 58),
}  # fmt: skip
_SIGNALS = {"tkill": (200, 130), "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240)}


class _Machine(NamedTuple):
    column: int
    audit: int
    clone: int
    kill: int
    tgkill: int
    prlimit: int


_MACHINES = {
    "x86_64": _Machine(0, 0xC000003E, 56, 62, 234, 302),
    "aarch64": _Machine(1, 0xC00000B7, 220, 129, 131, 261),
}
_MACHINE = platform.machine()
_CLONE3 = 435
_NAMESPACES = 0x7E020080  # what a clone may not ask for
_ALLOW, _FAIL, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_LOAD, _EQUAL, _ABOVE, _ANY_BIT, _RETURN = 0x20, 0x15, 0x25, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST = 0, 4, 16  # where in the call's record they stand


def has_filter() -> bool:
    """Whether there is a filter for this machine."""
    return platform.system() == "Linux" and _MACHINE in _MACHINES


@functools.cache
def call_filter(machine: str, alone: int | None = None) -> bytes:
    """The filter, as instructions of the kernel's packet filter.

    Args:
        machine: as `platform.machine()` says.
        alone: the only process that signals may go to, where no namespace hides the others.
    """
    kind = _MACHINES[machine]
    code = [
        (_LOAD, 0, 0, _ARCHITECTURE), (_EQUAL, 1, 0, kind.audit), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, _NUMBER),
        # the numbers of the x32 calls too are above; of clone3 the flags are out of sight, and without it libraries ask clone
        (_ABOVE, 0, 1, _NEWEST), (_RETURN, 0, 0, _FAIL | errno.ENOSYS),
        (_EQUAL, 0, 1, _CLONE3), (_RETURN, 0, 0, _FAIL | errno.ENOSYS),
    ]  # fmt: skip
    refused = {**_REFUSED, **_SIGNALS} if alone is not None else _REFUSED
    for numbers in refused.values():
        if numbers[kind.column] >= 0:
            code += [(_EQUAL, 0, 1, numbers[kind.column]), (_RETURN, 0, 0, _FAIL | errno.EPERM)]
    code += [(_EQUAL, 0, 3, kind.clone), (_LOAD, 0, 0, _FIRST), (_ANY_BIT, 0, 1, _NAMESPACES)]
    code += [(_RETURN, 0, 0, _FAIL | errno.EPERM), (_LOAD, 0, 0, _NUMBER)]
    # a process may lower its own limits only, not those of the one that it is judged by
    code += [(_EQUAL, 0, 4, kind.prlimit), (_LOAD, 0, 0, _FIRST), (_EQUAL, 1, 0, 0)]
    code += [(_RETURN, 0, 0, _FAIL | errno.EPERM), (_LOAD, 0, 0, _NUMBER)]
    if alone is not None:
        for number in (kind.kill, kind.tgkill):
            code += [(_EQUAL, 0, 4, number), (_LOAD, 0, 0, _FIRST), (_EQUAL, 1, 0, alone)]
            code += [(_RETURN, 0, 0, _FAIL | errno.EPERM), (_LOAD, 0, 0, _NUMBER)]
    code.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("=HBBI", *each) for each in code)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))


def refuse_calls(alone: bool) -> None:
    """Put the filter on this process and all that it starts.

    Args:
        alone: signals may go to this very process only.

    Raises:
        OSError: the kernel has no filters.
    """
    code = call_filter(_MACHINE, os.getpid() if alone else None)
    program = _Program(len(code) // 8, code)
    _prctl(_NO_NEW_PRIVILEGES, 1)
    _prctl(_SET_SECCOMP, 2, ctypes.addressof(program))


def bound_privileges() -> None:
    """Let no process gain privileges by a program that it starts."""
    number = 0
    while _libc.prctl(_DROP_BOUNDING, number, 0, 0, 0) == 0:
        number += 1
    _prctl(_NO_NEW_PRIVILEGES, 1)


def give_up_privileges(user: int | None) -> None:
    """Become a user of no power, for good.

    Args:
        user: whose number to take, where this process may choose.
    """
    if user is not None:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    head = ctypes.create_string_buffer(struct.pack("=Ii", 0x20080522, 0))
    if _libc.capset(head, ctypes.create_string_buffer(24)) != 0:
        raise OSError(ctypes.get_errno(), "capabilities cannot be dropped")


def die_with_parent() -> None:
    """Be killed when the process that started this one ends."""
    _prctl(_SET_DEATH_SIGNAL, 9)


def adopt_orphans() -> None:
    """Become the parent of all that this process' children leave behind."""
    _prctl(_SET_SUBREAPER, 1)


def limit(seconds: float, memory: int, processes: int, files: int, file_bytes: int) -> None:
    """The limits that the kernel holds for each process on its own; `processes` for all of them together."""
    wanted = {
        "RLIMIT_CPU": int(seconds) + 1, "RLIMIT_AS": memory, "RLIMIT_FSIZE": file_bytes, "RLIMIT_NOFILE": files,
        "RLIMIT_NPROC": processes, "RLIMIT_CORE": 0, "RLIMIT_MEMLOCK": 0, "RLIMIT_MSGQUEUE": 0,
    }  # fmt: skip
    for name, most in wanted.items():
        number = getattr(resource, name, None)
        if number is None:
            continue
        hard = resource.getrlimit(number)[1]
        value = most if hard == resource.RLIM_INFINITY else min(most, hard)
        try:
            resource.setrlimit(number, (value, value))
        except (OSError, ValueError):  # of memory, on macOS
            if platform.system() == "Linux":
                raise


def _prctl(option: int, value: int, pointer: int = 0) -> None:
    arguments = (ctypes.c_ulong(value), ctypes.c_ulong(pointer), ctypes.c_ulong(0), ctypes.c_ulong(0))
    if _libc.prctl(option, *arguments) != 0:
        raise OSError(ctypes.get_errno(), f"prctl {option} failed")
