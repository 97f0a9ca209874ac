"""Checkpoints in Hugging Face's layout: `config.json`, `generation_config.json` and `model.safetensors` or its shards.

- only safetensors; nothing is ever unpickled
- every name and shape is checked against the configuration before memory is taken
- weights are read straight into place: no initialisation first
"""

import os
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from daedal.codecs.text import TextCodec
from daedal.config import Config
from daedal.errors import DaedalError
from daedal.families import line, part, table
from daedal.files import atomic_folder, atomic_path, make_folder, read_json, write_json
from daedal.models.adapter import Adapter, is_adapter
from daedal.models.base_folder import base_folder, base_of
from daedal.models.coded import needs_codec, with_codec
from daedal.models.folders import resolve as resolve
from daedal.models.folders import weight_files as weight_files
from daedal.models.formats import Format, TensorName, family_of, format_of
from daedal.models.habits import Habits
from daedal.models.identity import CODEC, IDENTITY, OWN, identify
from daedal.models.model import Model
from daedal.models.rotary_rows import apart, together
from daedal.models.weights import check_header, require_kind, require_numbers, require_to_load, write_tensors

_DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
_OWN_DTYPES = {**_DTYPES, "I64": torch.int64, "BOOL": torch.bool}  # counts that our own networks keep
_DTYPE_NAMES = {torch.float32: "float32", torch.float16: "float16", torch.bfloat16: "bfloat16"}


def save_model(
    model: Model,
    folder: Path | str,
    dtype: torch.dtype | None = None,
    max_shard_bytes: int = 5 * 10**9,
    codec: TextCodec | None = None,
    notes: Mapping[str, Any] | None = None,
    habits: Habits | None = None,
) -> None:
    """Write a model where Transformers finds it, and for a GPT vLLM and llama.cpp's converter.

    Args:
        dtype: of the weights in the file; the model's own unless given.
        max_shard_bytes: larger weights are split over several files.
        codec: written beside the weights, and its special ids into the configuration.
        notes: what else `config.json` is to say, such as the names of classes.
        habits: how its texts end and conversations are written, where that comes from another checkpoint.

    Raises:
        DaedalError: the disk is full or the folder cannot be written.
    """
    folder, form = make_folder(Path(folder)), _format(model.family)
    dtype = dtype or next(model.parameters()).dtype
    if dtype not in _DTYPE_NAMES:
        raise DaedalError(f"Weights cannot be saved as {dtype}", "Choose float32, float16 or bfloat16")
    shards = _shards(model, form, dtype, max_shard_bytes)
    names = [f"model-{i + 1:05}-of-{len(shards):05}.safetensors" for i in range(len(shards))]
    if len(shards) == 1:
        names = ["model.safetensors"]
    parameters = model.state_dict()
    weight_map: dict[str, str] = {}
    total = 0
    for name, shard in zip(names, shards, strict=True):
        tensors = {entry.file: _extract(parameters, entry, dtype) for entry in shard}
        total += sum(tensor.nbytes for tensor in tensors.values())
        weight_map |= dict.fromkeys(tensors, name)
        with atomic_path(folder / name) as temporary:
            write_tensors(tensors, temporary)
    index = folder / "model.safetensors.index.json"
    if len(shards) > 1:
        write_json(index, {"metadata": {"total_size": total}, "weight_map": weight_map})
    else:
        index.unlink(missing_ok=True)
    for stale in set(folder.glob("model*.safetensors")) - {folder / name for name in names}:
        stale.unlink()  # of an earlier save with other shards
    describe(model, folder, dtype, codec, notes, habits)


def describe(
    model: Model,
    folder: Path,
    dtype: torch.dtype,
    codec: TextCodec | None = None,
    notes: Mapping[str, Any] | None = None,
    habits: Habits | None = None,
) -> None:
    """Write all of a checkpoint but its weights; see `save_model`."""
    form = _format(model.family)
    special = {
        "bos_token_id": None if codec is None else codec.bos_id,
        "eos_token_id": None if codec is None else codec.eos_id,
        "pad_token_id": None if codec is None else codec.pad_id,
    }
    ends = {} if codec is None else {"cls_token_id": codec.cls_id, "sep_token_id": codec.sep_id}
    around = {
        name: id for name, id in ends.items() if id is not None
    }  # ModernBERT's defaults are beyond a small vocabulary
    kind = _DTYPE_NAMES[dtype]  # Transformers 5 reads dtype; Transformers 4, vLLM and llama.cpp torch_dtype
    write_json(
        folder / "config.json",
        {**special, **around, **form.write_config(model.config), **(notes or {}), "dtype": kind, "torch_dtype": kind},
    )
    habit = form.generation(model.config)
    if habit is not None:
        generation = {**special, **habit}
        write_json(folder / "generation_config.json", generation if habits is None else habits.generation(generation))
    if codec is not None:
        codec.save(folder, form.tokenizer_settings(model.config))
    if habits is not None:
        habits.save(folder)


def save_own(model: Model, folder: Path, classes: tuple[str, ...] = ()) -> None:
    """Write a network of Daedal's own, which no other program knows: `model_type` is `daedal-` and the family's name, and
    `class_names` names the labels.

    Raises:
        DaedalError: the disk is full or the folder cannot be written.
    """
    folder = make_folder(folder)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    with atomic_path(folder / "model.safetensors") as temporary:
        write_tensors(tensors, temporary)
    described = {"model_type": f"{OWN}{model.family}", "class_names": list(classes)}
    write_json(folder / "config.json", described | model.config.model_dump(mode="json"))


class Saved(Protocol):
    """What makes ids or codes of examples, and is kept beside the model of these."""

    def save(self, folder: Path, /) -> object: ...


def save_codecs(folder: Path, own: Saved, coder: Model | None = None, *others: Saved | None) -> None:
    """What makes examples of what a model makes, beside the model.

    Args:
        own: of the data.
        coder: the model whose codes it learned, which is kept with `own` in a folder of its own.
        others: of captions, say.
    """
    for each in (own, *others):
        if each is not None:
            each.save(folder)
    if coder is not None and not (folder / CODEC).is_dir():
        with atomic_folder(folder / CODEC) as temporary:
            save_own(coder, temporary)
            own.save(temporary)


def load_model(
    folder_or_hub_id: Path | str, dtype: torch.dtype | None = None, device: torch.device | str | None = None
) -> Model:
    """The model in a folder, or of a Hugging Face id such as `Qwen/Qwen3-0.6B`; together with the model whose codes it
    learned, where it learned any.

    Args:
        dtype: of the weights in memory; as stored unless given.

    Raises:
        DaedalError: a file is missing, damaged, hostile, or of a kind that is not supported.
    """
    folder = resolve(folder_or_hub_id)
    if is_adapter(folder):
        adapter = Adapter.open(folder, base_of(folder))
        joined = load_model(base_folder(adapter.base, folder), dtype, device)
        adapter.join(joined)
        return joined
    if (folder / CODEC).is_dir():
        return with_codec(_load_one(folder, dtype, device), _load_one(folder / CODEC, dtype, device))
    model = _load_one(folder, dtype, device)
    if needs_codec(model) or (os.path.lexists(folder / IDENTITY) and identify(folder).codec is not None):
        raise DaedalError(f"{folder / CODEC} is missing, which a {model.family} works with", "Restore it from a copy")
    return model


def _load_one(folder: Path, dtype: torch.dtype | None, device: torch.device | str | None) -> Model:
    """The model in a folder, whatever codec it has."""
    path = folder / "config.json"
    values = read_json(path)
    with ExitStack() as stack:
        own = isinstance(values, dict) and str(values.get("model_type", "")).startswith(OWN)
        dtypes = _OWN_DTYPES if own else _DTYPES
        if own:
            model, spare = _outlined(values, path), tuple[str, ...]()
            tensors = _open_tensors(folder, stack, dtypes, spare)
            entries = [TensorName(name, name) for name in model.state_dict()]
        else:
            form = _format(family_of(values, str(path)))
            config = form.read_config(values, str(path))
            tensors = _open_tensors(folder, stack, dtypes, tuple(form.spare(config)))
            config = form.settle(config, tensors)
            _require_layers(config, tensors, folder)
            with torch.device("meta"):
                model, spare = form.outline(config), tuple(form.spare(config))
            entries = list(form.tensor_names(config))
        shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
        _check(entries, shapes, tensors, spare, folder)
        for entry in entries:  # a spare one may be of any kind until it is needed
            require_kind(folder, entry.file, tensors[entry.file].get_dtype(), dtypes)
        stored = {entry.parameter: dtypes[tensors[entry.file].get_dtype()] for entry in entries}
        if not own:  # all as the first, or as asked for
            first = stored[entries[0].parameter]
            stored = dict.fromkeys(stored, dtype or (first if first != torch.float64 else torch.float32))
        require_to_load(folder, sum(shape.numel() * stored[name].itemsize for name, shape in shapes.items()), device)
        loaded = {
            name: torch.empty(shape, dtype=stored[name], device=device or "cpu") for name, shape in shapes.items()
        }
        for entry in entries:
            source = tensors[entry.file][...]
            source = source.T if entry.transposed else source
            source = together(source, entry)
            target = loaded[entry.parameter]
            (target if entry.rows is None else target[slice(*entry.rows)]).copy_(source)
        for name, tensor in loaded.items():
            require_numbers(name, tensor, folder)
    model.load_state_dict(loaded, assign=True)
    return model.eval()


def _format(family: str) -> Format:
    form = format_of(family)
    if form is None:
        raise DaedalError(f"A {family} opens in Daedal only", "Save it as one of Daedal's own")
    return form


def _outlined(values: dict[str, Any], path: Path) -> Model:
    """The network of Daedal's own that a `config.json` describes, without memory."""
    family = str(values["model_type"]).removeprefix(OWN)
    if family not in table():
        raise DaedalError(
            f"{path}: there is no family {family!r}", f"It is of another version; this one knows {', '.join(table())}"
        )
    shape = {name: value for name, value in values.items() if name not in ("model_type", "class_names")}
    with torch.device("meta"):
        model: Model = part(line(family).model)(config_of(family).parse(shape, str(path)))
    return model


def config_of(family: str) -> type[Config]:
    """The configuration of a family's model; only the family's own file is imported."""
    found: type[Config] = part(line(family).model, "Config")
    return found


def _shards(model: Model, form: Format, dtype: torch.dtype, max_shard_bytes: int) -> list[list[TensorName]]:
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    shards: list[list[TensorName]] = [[]]
    size = 0
    for entry in form.tensor_names(model.config):
        nbytes = _shape(entry, shapes).numel() * dtype.itemsize
        if shards[-1] and size + nbytes > max_shard_bytes:
            shards.append([])
            size = 0
        shards[-1].append(entry)
        size += nbytes
    return shards


def _extract(parameters: Mapping[str, Tensor], entry: TensorName, dtype: torch.dtype) -> Tensor:
    tensor = parameters[entry.parameter].detach()
    tensor = tensor if entry.rows is None else tensor[slice(*entry.rows)]
    tensor = tensor.T if entry.transposed else tensor
    tensor = apart(tensor, entry).to("cpu", dtype)
    return tensor.clone(memory_format=torch.contiguous_format)  # safetensors refuses views of one storage


def _shape(entry: TensorName, shapes: dict[str, torch.Size]) -> torch.Size:
    shape = shapes[entry.parameter]
    if entry.rows is not None:
        shape = torch.Size((entry.rows[1] - entry.rows[0], *shape[1:]))
    return torch.Size(reversed(shape)) if entry.transposed else shape


def _open_tensors(
    folder: Path, stack: ExitStack, dtypes: Mapping[str, torch.dtype], spare: tuple[str, ...]
) -> dict[str, Any]:
    """A lazy slice for each tensor in the folder's weight files."""
    tensors: dict[str, Any] = {}
    for path in weight_files(folder):
        check_header(path, tuple(dtypes), spare)
        try:
            file = stack.enter_context(safe_open(path, framework="pt"))
            tensors |= {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError, ValueError) as error:
            raise DaedalError(f"{path} is damaged ({error})", "Restore it from a copy, or download it again") from None
    return tensors


def _require_layers(config: Any, tensors: Mapping[str, Any], folder: Path) -> None:
    """No layers are made that cannot be there: thousands take minutes.

    Raises:
        DaedalError: there are fewer tensors than layers.
    """
    layers = getattr(config, "depth", 0) + getattr(config, "decoder_depth", 0)
    if layers > len(tensors):
        raise DaedalError(
            f"{folder} holds {len(tensors):,} weights, and config.json says that there are {layers:,} layers",
            "Restore the files from a copy",
        )


def _check(
    entries: list[TensorName],
    shapes: dict[str, torch.Size],
    tensors: dict[str, Any],
    spare: tuple[str, ...],
    folder: Path,
) -> None:
    """Every tensor is there, with the shape that the configuration gives it, and none besides."""
    for entry in entries:
        if entry.file not in tensors:
            raise DaedalError(f"{folder}: the weight {entry.file} is missing", "Restore the files from a copy")
        found, wanted = tuple(tensors[entry.file].get_shape()), tuple(_shape(entry, shapes))
        if found != wanted:
            raise DaedalError(
                f"{folder}: {entry.file} has shape {list(found)} and config.json says {list(wanted)}",
                "Restore the files from a copy",
            )
    for name in sorted(tensors.keys() - {entry.file for entry in entries}):
        if not name.endswith(spare):
            raise DaedalError(
                f"{folder}: the weight {name} belongs to no part of this architecture",
                "Load it with the program that wrote it",
            )
