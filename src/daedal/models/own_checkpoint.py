"""Checkpoints of networks of Daedal's own: `config.json` and `model.safetensors`, laid out as Hugging Face lays them out.

`model_type` is `daedal-` and the family's name; no other program knows these networks. `class_names` names the labels. A model
that learned the codes of another holds that other in the folder `codec/`, so that the run folder is enough to draw from.
"""

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from daedal.config import Config
from daedal.errors import DaedalError
from daedal.families import line, part, table
from daedal.files import atomic_path, make_folder, read_json, write_json
from daedal.models.identity import OWN
from daedal.models.model import Model
from daedal.models.weights import check_header, require_numbers, require_to_load, write_tensors

WEIGHTS = "model.safetensors"
_KINDS = ("F32", "F16", "BF16", "I64", "BOOL")


def config_of(family: str) -> type[Config]:
    """The configuration of a family's model; only the family's own file is imported."""
    found: type[Config] = part(line(family).model, "Config")
    return found


def save_own(model: Model, folder: Path, classes: tuple[str, ...] = ()) -> None:
    """Write a model.

    Raises:
        DaedalError: the disk is full or the folder cannot be written.
    """
    folder = make_folder(folder)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    with atomic_path(folder / WEIGHTS) as temporary:
        write_tensors(tensors, temporary)
    described = {"model_type": f"{OWN}{model.family}", "class_names": list(classes)}
    write_json(folder / "config.json", described | model.config.model_dump(mode="json"))


def load_own(folder: Path, device: torch.device | str | None = None) -> Model:
    """The model in a folder, without a codec that it may have.

    Raises:
        DaedalError: a file is missing, damaged, hostile, or of a family that is not known.
    """
    path = folder / "config.json"
    values = dict(read_json(path))
    family = str(values.pop("model_type")).removeprefix(OWN)
    values.pop("class_names", None)
    if family not in table():
        raise DaedalError(
            f"{path}: there is no family {family!r}", f"It is of another version; this one knows {', '.join(table())}"
        )
    with torch.device("meta"):
        model: Model = part(line(family).model)(config_of(family).parse(values, str(path)))
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
