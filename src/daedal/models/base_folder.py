"""The base of a LoRA: where it lies, and whether it is still what the LoRA was put beside."""

import os
from pathlib import Path

from daedal.errors import DaedalError
from daedal.models.adapter import CONFIG, digest, is_adapter, places_of
from daedal.models.folders import resolve, weight_files
from daedal.models.identity import IDENTITY, Base, identify


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
