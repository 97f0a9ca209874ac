"""The tensors in a file of `torch.save`, read without running it.

Such a file says in pickle's opcodes how its dictionary is made. `pickletools` lists the opcodes and runs none; what stands
here follows those few that a dictionary of tensors needs, knows three names by what they mean, and refuses every other.
Both of PyTorch's layouts are
read: the one of before 2020, in which the published Inception weights are, and the zip of today.
"""

import io
import math
import pickletools
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from daedal.errors import DaedalError

_TYPES: dict[str, np.dtype[Any]] = {
    "FloatStorage": np.dtype("<f4"), "DoubleStorage": np.dtype("<f8"), "HalfStorage": np.dtype("<f2"),
    "LongStorage": np.dtype("<i8"), "IntStorage": np.dtype("<i4"),
}  # fmt: skip
_REBUILD, _DICTIONARY = "torch._utils _rebuild_tensor_v2", "collections OrderedDict"
_KNOWN = {_REBUILD, _DICTIONARY, *(f"torch {name}" for name in _TYPES)}
_VALUES = {
    "BINUNICODE", "SHORT_BINUNICODE", "BINSTRING", "SHORT_BINSTRING", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT",
}  # fmt: skip
_MAGIC = 0x1950A86A20F9469CFC6C
_MOST_BYTES = 2**30


@dataclass(frozen=True)
class _Name:
    """What the file calls by name; never looked up."""

    text: str


@dataclass(frozen=True)
class _Storage:
    kind: np.dtype[Any]
    key: str


@dataclass(frozen=True)
class _View:
    """A tensor as a view of a storage."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a saved dictionary, by name.

    Raises:
        DaedalError: the file holds anything but a dictionary of tensors.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError("it is larger than any weights that are read here")
        with path.open("rb") as file:
            return _zipped(path) if zipfile.is_zipfile(file) else _plain(path)
    except (
        OSError,
        ValueError,
        RuntimeError,
        KeyError,
        IndexError,
        TypeError,
        AttributeError,
        zipfile.BadZipFile,
    ) as error:
        raise DaedalError(
            f"{path} is not a file of tensors alone ({str(error)[:80]})", "Give the published file, or safetensors"
        ) from None


def _plain(path: Path) -> dict[str, Tensor]:
    """Magic number, version, machine, the dictionary, the keys of its storages, then each storage with its length before
    it."""
    with path.open("rb") as file:
        if _followed(file) != _MAGIC:
            raise ValueError("it does not begin as such files do")
        _followed(file)
        _followed(file)
        views, keys = _followed(file), _followed(file)
        kinds = {view.storage.key: view.storage.kind for view in views.values() if isinstance(view, _View)}
        storages = {}
        for key in keys:
            count = int.from_bytes(file.read(8), "little")
            storages[key] = np.frombuffer(file.read(count * kinds[key].itemsize), kinds[key], count)
        return _tensors(views, storages.__getitem__)


def _zipped(path: Path) -> dict[str, Tensor]:
    with zipfile.ZipFile(path) as archive:
        name = next(name for name in archive.namelist() if name.endswith("/data.pkl"))
        folder = name.removesuffix("data.pkl")
        views = _followed(io.BytesIO(archive.read(name)))
        kinds = {view.storage.key: view.storage.kind for view in views.values() if isinstance(view, _View)}
        return _tensors(views, lambda key: np.frombuffer(archive.read(f"{folder}data/{key}"), kinds[key]))


def _tensors(views: dict[str, Any], storage: Callable[[str], np.ndarray]) -> dict[str, Tensor]:
    found = {}
    for name, view in views.items():
        if not isinstance(name, str) or not isinstance(view, _View):
            raise ValueError("it holds more than tensors")
        flat = torch.from_numpy(storage(view.storage.key).copy())
        if math.prod(view.shape) > len(flat):
            raise ValueError(f"{name} is larger than what it lies in")
        found[name] = flat.as_strided(view.shape, view.stride, view.offset).clone()
    return found


def _followed(file: BinaryIO) -> Any:
    """What the opcodes up to the next stop describe; the file is left behind them."""
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[Any, Any] = {}

    def since_mark() -> list[Any]:
        start = marks.pop()
        taken = stack[start:]
        del stack[start:]
        return taken

    for opcode, argument, _ in pickletools.genops(file):
        name = opcode.name
        if name in ("PROTO", "FRAME"):
            continue
        if name == "STOP":
            return stack.pop()
        if name == "MARK":
            marks.append(len(stack))
        elif name in _VALUES:
            stack.append(argument)
        elif name in ("NONE", "NEWTRUE", "NEWFALSE"):
            stack.append({"NONE": None, "NEWTRUE": True, "NEWFALSE": False}[name])
        elif name in ("EMPTY_DICT", "EMPTY_LIST", "EMPTY_TUPLE"):
            stack.append({"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}[name]())
        elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
            taken = stack[-int(name[-1]) :]
            del stack[-int(name[-1]) :]
            stack.append(tuple(taken))
        elif name == "TUPLE":
            stack.append(tuple(since_mark()))
        elif name in ("APPEND", "APPENDS"):
            values = since_mark() if name == "APPENDS" else [stack.pop()]
            stack[-1].extend(values)
        elif name in ("SETITEM", "SETITEMS"):
            values = since_mark() if name == "SETITEMS" else [stack.pop(-2), stack.pop()]
            stack[-1].update(zip(values[::2], values[1::2], strict=True))
        elif name in ("BINPUT", "LONG_BINPUT"):
            memo[argument] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(memo[argument])
        elif name == "GLOBAL":
            if argument not in _KNOWN:
                raise ValueError(f"it names {argument}")
            stack.append(_Name(argument))
        elif name == "BINPERSID":
            _, kind, key, *_ = stack.pop()
            stack.append(_Storage(_TYPES[kind.text.removeprefix("torch ")], key))
        elif name == "REDUCE":
            arguments = stack.pop()
            stack.append(_made(stack.pop(), arguments))
        elif name == "BUILD":
            stack.pop()  # versions of modules, which no tensor needs
        else:
            raise ValueError(f"it has the opcode {name}")
    raise ValueError("it ends too early")


def _made(what: Any, arguments: tuple[Any, ...]) -> Any:
    if what == _Name(_DICTIONARY) and arguments == ():
        return {}
    if what == _Name(_REBUILD):
        storage, offset, shape, stride, *_ = arguments
        if not isinstance(storage, _Storage):
            raise ValueError("a tensor lies in no storage")
        return _View(storage, int(offset), tuple(map(int, shape)), tuple(map(int, stride)))
    raise ValueError("it calls what no tensor needs")
