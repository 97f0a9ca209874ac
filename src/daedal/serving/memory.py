"""How much memory processes hold."""

import os
from pathlib import Path


def resident(pid: int) -> int:
    """Bytes of memory that a process holds; 0 where it is gone, or the system does not tell."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0
