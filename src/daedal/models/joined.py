"""A LoRA joined with its base: where the base lies, and whether it is still what the LoRA was put beside."""

import os
from pathlib import Path

import torch

from daedal.errors import DaedalError
from daedal.models.adapter import CONFIG, Adapter, digest, is_adapter, places_of
from daedal.models.checkpoint import load_model, resolve, weight_files
from daedal.models.identity import IDENTITY, Base, identify
from daedal.models.model import Model


def load_joined(folder: Path, dtype: torch.dtype | None = None, device: torch.device | str | None = None) -> Model:
    """The model that the LoRA in a folder and its base are together; see `daedal.models.checkpoint.load_model`."""
    adapter = Adapter.open(folder, base_of(folder))
    model = load_model(base_folder(adapter.base, folder), dtype, device)
    adapter.join(model)
    return model


def base_of(folder: Path) -> Base | None:
    """What the LoRA in a folder was put beside, as far as Daedal wrote it down."""
    return identify(folder).base if os.path.lexists(folder / IDENTITY) else None


def base_folder(base: Base, folder: Path) -> Path:
    """Where the base of the LoRA in a folder lies.

    Raises:
        DaedalError: it is gone, or its weights are not those that the LoRA was put beside.
    """
    found = [place for place in places_of(base, folder) if (place / "config.json").is_file()]
    if not found and (Path(base.name).is_absolute() or Path(base.name).exists() or base.name.startswith(".")):
        raise DaedalError(
            f"{folder} holds a LoRA, and its base is not at {base.name} any more",
            f"Put the base back, or write where it lies into base_model_name_or_path of {folder / CONFIG} "
            f"and into {IDENTITY}",
        )
    for place in found or (resolve(base.name),):
        if is_adapter(place):
            raise DaedalError(f"The base of {folder} is itself a LoRA: {place}", "Merge that one by daedal merge")
        if base.weights is None or digest(weight_files(place)) == base.weights:
            return place
    raise DaedalError(
        f"The weights in {found[0] if found else base.name} are not those that {folder} was trained beside",
        "Put the base back as it was, or train again",
    )
