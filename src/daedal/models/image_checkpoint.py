"""Checkpoints of image models: `config.json` and `model.safetensors`, laid out as Hugging Face lays them out.

`model_type` is `daedal-` and the family's name; no other program knows these networks. `class_names` names the labels. A model
that learned the codes of another holds that other in the folder `codec/`, so that the run folder is enough to draw from.
"""

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from daedal.errors import DaedalError
from daedal.files import atomic_path, make_folder, read_json, write_json
from daedal.models.image import ImageModel
from daedal.models.image_families import image_families, image_family
from daedal.models.weights import check_header, require_numbers, require_to_load, write_tensors

_PREFIX = "daedal-"
WEIGHTS = "model.safetensors"
_KINDS = ("F32", "F16", "BF16", "I64", "BOOL")


def is_image_config(values: Any) -> bool:
    """Whether a `config.json` describes one of the families of image models."""
    return isinstance(values, dict) and str(values.get("model_type", "")).startswith(_PREFIX)


def save_image_model(model: ImageModel, folder: Path, classes: tuple[str, ...] = ()) -> None:
    """Write a model.

    Raises:
        DaedalError: the disk is full or the folder cannot be written.
    """
    folder = make_folder(folder)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    with atomic_path(folder / WEIGHTS) as temporary:
        write_tensors(tensors, temporary)
    described = {"model_type": f"{_PREFIX}{model.family}", "class_names": list(classes)}
    write_json(folder / "config.json", described | model.config.model_dump(mode="json"))


def load_image_model(folder: Path, device: torch.device | str | None = None) -> ImageModel:
    """The model in a folder, without a codec that it may have.

    Raises:
        DaedalError: a file is missing, damaged, hostile, or of a family that is not known.
    """
    path = folder / "config.json"
    values = dict(read_json(path))
    family = str(values.pop("model_type")).removeprefix(_PREFIX)
    values.pop("class_names", None)
    if family not in image_families():
        raise DaedalError(
            f"{path}: there is no family {family!r}",
            f"It is of another version; this one knows {', '.join(image_families())}",
        )
    known = image_family(family)
    with torch.device("meta"):
        model = known.model(known.config.parse(values, str(path)))
    weights = folder / WEIGHTS
    if not weights.is_file():
        raise DaedalError(f"{weights} is missing", "Check the path, or train the model again")
    check_header(weights, _KINDS)
    try:
        with safe_open(weights, framework="pt", device=str(device or "cpu")) as file:
            found = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
            _check(found, {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}, folder)
            require_to_load(folder, weights.stat().st_size, device)
            tensors = {name: file.get_tensor(name) for name in found}
    except (SafetensorError, OSError, ValueError) as error:
        raise DaedalError(
            f"{weights} is damaged ({error})", "Restore it from a copy, or train the model again"
        ) from None
    for name, tensor in tensors.items():
        require_numbers(name, tensor, folder)
    model.load_state_dict(tensors, assign=True)
    return model.eval()


def _check(found: dict[str, tuple[int, ...]], wanted: dict[str, tuple[int, ...]], folder: Path) -> None:
    """Every tensor is there, with the shape that the configuration gives it, and none besides."""
    for name in sorted(found.keys() ^ wanted.keys()):
        what = "is missing" if name in wanted else "belongs to no part of this model"
        raise DaedalError(f"{folder}: the weight {name} {what}", "Restore the files from a copy")
    for name, shape in wanted.items():
        if found[name] != shape:
            raise DaedalError(
                f"{folder}: {name} has shape {list(found[name])} and config.json says {list(shape)}",
                "Restore the files from a copy",
            )
