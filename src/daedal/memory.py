"""Memory that this process can still have: what the machine has free, and what the limits of its container leave."""

import os
import sys
from pathlib import Path

from daedal.errors import DaedalError

_PROC, _GROUPS = Path("/proc"), Path("/sys/fs/cgroup")
_UNLIMITED = 2**60  # a larger limit is how version 1 of cgroups says that there is none


def free_memory(device: str = "cpu") -> int:
    """Bytes that can be had on a device without anything being killed or swapped out for them."""
    kind = device.split(":")[0]
    if kind == "cuda":
        import torch

        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    if kind == "mps":
        import torch

        return torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory()
    return min([_of_machine(), *_of_groups()])


def require_memory(what: str, needed: int, fix: str, device: str = "cpu") -> None:
    """
    Args:
        what: needs so many bytes.
        fix: what to do where they are not there.

    Raises:
        DaedalError: they are not.
    """
    free = free_memory(device)
    if needed > free:
        place = "" if device == "cpu" else f" on {device}"
        raise DaedalError(f"{what} needs about {size(needed)} of memory, and {size(free)} is free{place}", fix)


def size(count: int) -> str:
    """Bytes as a person reads them: `1.5 GB`, in powers of 1000."""
    for unit, of in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6)):
        if count >= of:
            return f"{count / of:,.1f} {unit}"
    return f"{count:,} bytes"


def _of_machine() -> int:
    if sys.platform == "linux":
        lines = (line.partition(":") for line in _text(_PROC / "meminfo").splitlines())
        sizes = {name: _number(rest.removesuffix("kB")) for name, _, rest in lines}
        if (available := sizes.get("MemAvailable")) is not None:
            return available * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else _UNLIMITED


def _of_groups() -> list[int]:
    """What each cgroup that this process is in leaves; the page cache counts as free, also what was read more than once."""
    left = []
    for line in _text(_PROC / "self" / "cgroup").splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        second = not controllers
        if not second and "memory" not in controllers.split(","):
            continue
        limit, used = ("memory.max", "memory.current") if second else ("memory.limit_in_bytes", "memory.usage_in_bytes")
        root = _GROUPS if second else _GROUPS / "memory"
        # inside a container the root is the group itself, and the path is that of the host
        for group in {root, *(root / part for part in _above(path.strip("/")))}:
            most = _number(_text(group / limit))
            if most is not None and most < _UNLIMITED:
                left.append(max(0, min(most, most - (_number(_text(group / used)) or 0) + _cached(group))))
    return left


def _cached(group: Path) -> int:
    """Bytes of the page cache in a cgroup and those below it."""
    lines = (line.partition(" ") for line in _text(group / "memory.stat").splitlines())
    sizes = {name: _number(rest) or 0 for name, _, rest in lines}
    # in version 1 only the totals are of the groups below too, as what is used is
    return sum(sizes.get(f"total_{name}", sizes.get(name, 0)) for name in ("inactive_file", "active_file"))


def _number(text: str) -> int | None:
    """A number in a file of the system; None for words, such as "max"."""
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() else None


def _above(path: str) -> list[str]:
    parts = path.split("/") if path else []
    return ["/".join(parts[: end + 1]) for end in range(len(parts)) if ".." not in parts]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
