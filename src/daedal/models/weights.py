"""Files of weights: safetensors, checked before they are parsed."""

import json
import struct
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from daedal.errors import DaedalError
from daedal.files import regular_size
from daedal.memory import require_memory

_MAX_HEADER = 100 * 2**20


def write_tensors(tensors: dict[str, Tensor], path: Path) -> None:
    """Write tensors to a safetensors file.

    Raises:
        OSError: the disk is full or cannot be written.
    """
    try:
        save_file(tensors, path, metadata={"format": "pt"})
    except SafetensorError as error:  # it wraps what the operating system said
        raise OSError(28 if "No space" in str(error) else 5, str(error)) from None


def check_header(path: Path, kinds: Collection[str], ignored: tuple[str, ...] = ()) -> None:
    """Refuse a safetensors file whose header cannot be what it says, before anything parses it.

    Args:
        kinds: of numbers that may be in it, as safetensors calls them.
        ignored: ends of names whose kind does not matter.

    Raises:
        DaedalError: the length or the JSON of the header are wrong, or there are numbers of another kind.
    """
    damaged = DaedalError(f"{path} is truncated or not a safetensors file", "Restore it from a copy")
    try:
        size = regular_size(path)
        with path.open("rb") as file:
            first = file.read(8)
            if len(first) < 8:
                raise damaged
            (length,) = struct.unpack("<Q", first)
            if length > min(size - 8, _MAX_HEADER):
                raise damaged
            header = json.loads(file.read(length))
    except OSError as error:
        raise DaedalError(f"{path} cannot be read ({error.strerror})", "Check its permissions") from None
    except (ValueError, RecursionError):
        raise damaged from None
    if not isinstance(header, dict):
        raise damaged
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        kind = entry.get("dtype") if isinstance(entry, dict) else None
        if not name.endswith(ignored):
            require_kind(path, name, kind, kinds)


def require_kind(path: Path, name: str, kind: Any, kinds: Collection[str]) -> None:
    """
    Raises:
        DaedalError: a tensor holds numbers of another kind.
    """
    if kind not in kinds:
        raise DaedalError(
            f"{path}: {name} holds {kind}, and only {', '.join(kinds)} can be read",
            "Convert it with the program that wrote it",
        )


def require_to_load(folder: Path, needed: int, device: torch.device | str | None) -> None:
    """
    Raises:
        DaedalError: the weights of a model, of so many bytes, do not fit the memory of the device.
    """
    fix = "Close other programs, or use a smaller model or a machine with more memory"
    require_memory(f"The model in {folder}", needed, fix, str(device or "cpu"))


def require_numbers(name: str, tensor: Tensor, folder: Path) -> None:
    """
    Raises:
        DaedalError: a weight is infinite or not a number.
    """
    if not tensor.is_floating_point() or bool(torch.isfinite(tensor.sum(dtype=torch.float32))):
        return  # a sum over weights that are numbers is one, or has overflowed
    if not bool(torch.isfinite(tensor).all()):
        raise DaedalError(
            f"{folder}: {name} holds weights that are not finite numbers",
            "Its training diverged or the file is damaged: use an earlier checkpoint, or restore it from a copy",
        )
