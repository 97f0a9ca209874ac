"""All that training needs to go on as if it had never stopped, in safetensors and JSON: nothing is ever unpickled."""

import errno
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from daedal.errors import DaedalError
from daedal.files import atomic_folder, read_json, regular_size, write_json


def save_state(path: Path, tensors: dict[str, dict[str, Tensor]], progress: dict[str, Any]) -> None:
    """Write groups of tensors (`weights`, `optimizer`, ...) and the progress record, all of it or nothing."""
    with atomic_folder(path) as folder:
        for group, named in tensors.items():
            contiguous = {name: tensor.detach().contiguous().cpu().clone() for name, tensor in named.items()}
            try:
                save_file(contiguous, folder / f"{group}.safetensors")
            except SafetensorError as error:  # it wraps what the operating system said
                raise OSError(errno.ENOSPC if "No space" in str(error) else errno.EIO, str(error)) from None
        write_json(folder / "progress.json", {**progress, "groups": sorted(tensors)})


def load_state(path: Path) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]]:
    """What `save_state` wrote.

    Raises:
        DaedalError: a file is missing or damaged.
    """
    progress = read_json(path / "progress.json")
    if not isinstance(progress, dict) or not isinstance(progress.get("groups"), list):
        raise DaedalError(f"{path / 'progress.json'} is damaged", "Restore it from a copy, or train again")
    tensors = {}
    for group in progress["groups"]:
        file = path / f"{group}.safetensors"
        try:
            regular_size(file)
            tensors[group] = load_file(file)
        except (OSError, SafetensorError, ValueError) as error:
            raise DaedalError(f"{file} is damaged ({error})", "Restore it from a copy, or train again") from None
    return tensors, progress


def random_state(device: torch.device) -> dict[str, Tensor]:
    """The states of the generators that dropout draws from."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def set_random_state(states: dict[str, Tensor], device: torch.device) -> None:
    torch.set_rng_state(states["cpu"])
    if device.type == "cuda" and "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"], device)
