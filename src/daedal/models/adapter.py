"""A LoRA beside its base, in PEFT's format: `adapter_config.json` and `adapter_model.safetensors`.

The layers have the names that the base has in Transformers, so that PEFT opens what is written here, and what PEFT wrote opens
here. `adapt` puts one onto a model that is to be tuned; `load_model` joins a folder that holds one with its base.

    what the base has            here                        there
    queries, keys, values        one matrix, three pairs     q_proj, k_proj, v_proj; GPT-2: c_attn, one pair
    gate and up                  one matrix, two pairs       gate_proj, up_proj
    rotary channels              those of a pair together    B has the first of all pairs, then the second
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from daedal.errors import DaedalError
from daedal.files import atomic_path, read_json, write_json
from daedal.models.formats import TensorName, format_of
from daedal.models.identity import LONGEST_NAME, Base
from daedal.models.model import Model
from daedal.models.rotary_rows import apart, together
from daedal.models.weights import check_header, require_numbers, write_tensors
from daedal.nn.four_bit import FourBitLinear, quantized, restored
from daedal.nn.lora import LoRA, Part, freeze, quantize
from daedal.nn.transformer import Transformer

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_BEFORE = "base_model.model."
_DTYPES = ("F64", "F32", "F16", "BF16")
_PICKLES = ("adapter_model.bin", "adapter_model.pt", "adapter_model.pth")
_MOST_SCALE = 1e9  # of alpha and rank
# What PEFT's configuration may say with which the mathematics is ours
_ALLOWED: dict[str, tuple[Any, ...]] = {
    "peft_type": ("LORA",), "bias": ("none", None), "use_dora": (False, None), "modules_to_save": (None, []),
    "rank_pattern": ({}, None), "alpha_pattern": ({}, None), "layer_replication": (None,), "lora_bias": (False, None),
    "trainable_token_indices": (None,), "alora_invocation_tokens": (None,), "use_qalora": (False, None),
}  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """
    Attributes:
        rank: of each pair of thin matrices.
        alpha: what their product is multiplied by, times the rank.
        targets: names of layers, or the ends of these; all that there are in the blocks, unless given.
    """

    rank: int
    alpha: float
    targets: tuple[str, ...] = ()


def adapt(model: Model, settings: Settings, generator: torch.Generator, four_bit: bool = False) -> None:
    """Freeze a model, and put a LoRA beside linear layers of its blocks; what it does is as before.

    Args:
        generator: draws each A.
        four_bit: put the matrices of all linear layers of the blocks into four bits first (QLoRA).

    Raises:
        DaedalError: a target is no layer of the model, or its format names none.
    """
    chosen = _chosen(model, settings.targets)
    if four_bit:
        for transformer in (module for module in model.modules() if isinstance(module, Transformer)):
            quantize(transformer)
    freeze(model)
    for path, parts in chosen.items():
        parent, _, name = path.rpartition(".")
        lora = LoRA(model.get_submodule(path), parts, settings.rank, settings.alpha)  # type: ignore[arg-type]
        lora.initialise(generator)
        setattr(model.get_submodule(parent), name, lora)


def _layers(model: Model) -> dict[str, list[TensorName]]:
    """The linear layers of a model's blocks, with the tensors of a checkpoint that their matrices are made of, in order."""
    form = format_of(model.family)
    inside = tuple(f"{name}." if name else "" for name, each in model.named_modules() if isinstance(each, Transformer))
    linear = {
        name for name, each in model.named_modules()
        if isinstance(each, nn.Linear | FourBitLinear | LoRA) and name.startswith(inside) and inside
    }  # fmt: skip
    found: dict[str, list[TensorName]] = {}
    for entry in form.tensor_names(model.config) if form is not None else ():
        path, _, kind = entry.parameter.rpartition(".")
        if kind == "weight" and path in linear:
            found.setdefault(path, []).append(entry)
    for entries in found.values():
        entries.sort(key=lambda entry: entry.rows or (0, 0))
    return found


def _theirs(entry: TensorName) -> str:
    """What other programs call the layer of a tensor."""
    return entry.file.removesuffix(".weight")


def _leaf(entry: TensorName) -> str:
    return _theirs(entry).rpartition(".")[2]


def target_names(model: Model) -> tuple[str, ...]:
    """The names that linear layers of the blocks have, without their places."""
    return tuple(dict.fromkeys(_leaf(entry) for entries in _layers(model).values() for entry in entries))


def _chosen(model: Model, targets: Sequence[str]) -> dict[str, list[Part]]:
    """The layers that a target names, each with the parts of its rows."""
    layers, hit = _layers(model), set[str]()
    if not layers:
        raise DaedalError(f"A {model.family} has no linear layers that a LoRA could be put beside", "Tune all of it")
    found: dict[str, list[Part]] = {}
    for path, entries in layers.items():
        layer: Any = model.get_submodule(path)
        parts = []
        for entry in entries:
            theirs = _theirs(entry)
            named = {target for target in targets if theirs == target or theirs.endswith(f".{target}")}
            hit |= named
            size = int(layer.out_features if entry.rows is None else entry.rows[1] - entry.rows[0])
            parts.append(Part(_leaf(entry), size, bool(named) or not targets))
        if any(part.adapted for part in parts):
            found[path] = parts
    for target in targets:
        if target not in hit:
            raise DaedalError(
                f"The model has no linear layer {target!r} in its blocks", f"It has {', '.join(target_names(model))}"
            )
    return found


def loras(model: nn.Module) -> dict[str, LoRA]:
    """The layers of a model that have one."""
    return {name: module for name, module in model.named_modules() if isinstance(module, LoRA)}


# -- files -------------------------------------------------------------------------------------------------------------


def save_adapter(model: Model, settings: Settings, base: Base, folder: Path) -> None:
    """Write the LoRA of a model where PEFT finds it.

    Raises:
        DaedalError: the disk is full or the folder cannot be written.
    """
    layers, tensors, named = _layers(model), dict[str, Tensor](), dict[str, None]()
    transposed = False
    for path, lora in loras(model).items():
        for entry, part in zip(layers[path], lora.parts, strict=True):
            if part.adapted:
                a, b = lora.pair(part)
                name = f"{_BEFORE}{_theirs(entry)}"
                tensors[f"{name}.lora_A.weight"] = a.detach().cpu().contiguous()
                tensors[f"{name}.lora_B.weight"] = apart(b.detach(), entry).cpu().contiguous()
                named[_leaf(entry)] = None
                transposed |= entry.transposed
    with atomic_path(folder / WEIGHTS) as temporary:
        write_tensors(tensors, temporary)
    write_json(
        folder / CONFIG,
        {
            "peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": base.name, "r": settings.rank,
            "lora_alpha": settings.alpha, "lora_dropout": 0.0, "bias": "none", "target_modules": sorted(named),
            "fan_in_fan_out": transposed, "inference_mode": True, "init_lora_weights": True,
        },
    )  # fmt: skip


@dataclass(frozen=True)
class Adapter:
    """A LoRA in a folder.

    Attributes:
        base: what it was put beside, as the folder says.
        pairs: A and B of each layer, by the name that other programs have for it.
        scales: what the product of each is multiplied by.
    """

    folder: Path
    base: Base
    pairs: dict[str, tuple[Tensor, Tensor]]
    scales: dict[str, float]

    @classmethod
    def open(cls, folder: Path, base: Base | None) -> "Adapter":
        """
        Args:
            base: what the folder's `daedal.json` says of it; without one the name in `adapter_config.json` is trusted.

        Raises:
            DaedalError: a file is damaged, or says what only other programs can.
        """
        config = _config(folder)
        base = base or Base(name=str(config["base_model_name_or_path"]))
        pairs: dict[str, dict[str, Tensor]] = {}
        for name, tensor in _tensors(folder).items():
            layer, _, kind = name.removesuffix(".weight").removeprefix(_BEFORE).rpartition(".")
            if kind not in ("lora_A", "lora_B") or not layer or tensor.ndim != 2:
                raise DaedalError(
                    f"{folder / WEIGHTS} holds {name}, which is no part of a LoRA of linear layers",
                    "Merge it by the program that wrote it",
                )
            pairs.setdefault(layer, {})[kind] = tensor
        found, scales = {}, {}
        for layer, pair in pairs.items():
            if len(pair) < 2 or pair["lora_A"].shape[0] != pair["lora_B"].shape[1]:
                raise DaedalError(f"{folder / WEIGHTS}: A and B of {layer} do not fit", "Restore it from a copy")
            found[layer] = pair["lora_A"], pair["lora_B"]
            rank = pair["lora_A"].shape[0]
            if not rank or rank != config["r"]:
                raise DaedalError(
                    f"{folder / WEIGHTS}: {layer} has rank {rank}, and {CONFIG} says {config['r']}",
                    "Restore both from a copy",
                )
            scales[layer] = config["lora_alpha"] / (rank**0.5 if config.get("use_rslora") else rank)
        return cls(folder, base, found, scales)

    @torch.no_grad()
    def join(self, model: Model) -> None:
        """Add it to the weights of its base, computed in float32, in the type that they have.

        Raises:
            DaedalError: it is of another model.
        """
        layers = _layers(model)
        if self.base.bits == 4:  # it was learned beside matrices of four bits, and fits these
            for path in layers:
                weight = model.get_parameter(f"{path}.weight")
                codes, scales = quantized(weight.detach(), 4)
                weight.copy_(restored(codes, scales, weight.shape[1]))
        places = {_theirs(entry): (path, entry) for path, entries in layers.items() for entry in entries}
        for name, (a, b) in self.pairs.items():
            if name not in places:
                raise DaedalError(
                    f"The LoRA in {self.folder} is for a layer {name}, which its base has not",
                    f"It has {', '.join(target_names(model))} in its blocks: name the base that it was made for",
                )
            path, entry = places[name]
            weight = model.get_parameter(f"{path}.weight")
            rows = weight if entry.rows is None else weight[slice(*entry.rows)]
            if rows.shape != (b.shape[0], a.shape[1]):
                raise DaedalError(
                    f"The LoRA in {self.folder} is for {name} of {b.shape[0]} x {a.shape[1]}, and its base has "
                    f"{rows.shape[0]} x {rows.shape[1]}",
                    "Name the base that it was made for",
                )
            change = self.scales[name] * (together(b.float(), entry) @ a.float())
            rows.copy_(rows.float() + change.to(rows.device))
            require_numbers(f"{path}.weight with its LoRA", weight, self.folder)


def _config(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG
    config = read_json(path)
    if not isinstance(config, dict):
        raise DaedalError(f"{path} does not hold a JSON object", "Restore it from a copy")
    for name, values in _ALLOWED.items():
        if name in config and config[name] not in values:
            raise DaedalError(
                f"{path}: {name} = {config[name]!r:.50} is not supported", "Merge it by the program that wrote it"
            )
    base = config.get("base_model_name_or_path")
    if not isinstance(base, str) or not 0 < len(base) <= LONGEST_NAME:
        raise DaedalError(f"{path} does not say of which base it is", "Restore it from a copy")
    for name in ("r", "lora_alpha"):
        value = config.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _MOST_SCALE:
            said = "is missing" if value is None else "cannot be so large" if isinstance(value, int) else "is no number"
            raise DaedalError(f"{path}: {name} {said}", "Restore it from a copy")
    return config


def _tensors(folder: Path) -> dict[str, Tensor]:
    path = folder / WEIGHTS
    if not path.is_file():
        pickled = any((folder / name).is_file() for name in _PICKLES)
        more = ", only as a pickle, which can run code when it is read" if pickled else ""
        raise DaedalError(f"{path} is missing{more}", "Restore it from a copy, or train again")
    check_header(path, _DTYPES)
    with ExitStack() as stack:
        try:
            file = stack.enter_context(safe_open(path, framework="pt"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError, ValueError) as error:
            raise DaedalError(f"{path} is damaged ({error})", "Restore it from a copy") from None
    if not tensors:
        raise DaedalError(f"{path} holds no weights", "Restore it from a copy")
    for name, tensor in tensors.items():
        require_numbers(name, tensor, folder)
    return tensors


# -- the base ----------------------------------------------------------------------------------------------------------


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds a LoRA in place of all weights."""
    return os.path.lexists(folder / CONFIG) and not (folder / "model.safetensors").exists()


def digest(files: Sequence[Path]) -> str:
    """SHA-256 of weight files, one after the other."""
    found = hashlib.sha256()
    for path in files:
        try:
            with path.open("rb") as file:
                while block := file.read(2**24):
                    found.update(block)
        except OSError as error:
            raise DaedalError(f"{path} cannot be read ({error.strerror})", "Check its permissions") from None
    return found.hexdigest()


def places_of(base: Base, folder: Path) -> Iterator[Path]:
    """Where the base of the LoRA in a folder may lie: where it was, beside the folder, or where both were moved together."""
    named = Path(base.name)
    yield named
    if base.weights is None or not named.is_absolute():
        return
    for above in folder.absolute().parents:
        for begin in range(1, len(named.parts)):
            yield above.joinpath(*named.parts[begin:])
