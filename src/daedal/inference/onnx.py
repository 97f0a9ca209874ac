"""A GPT in ONNX Runtime: what generates on a CPU. Three to five times as fast as PyTorch, one operator at a time, for one row.

The cache is PyTorch's memory: the session reads and writes it in place.
"""

from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch
from jaxtyping import Float, Int
from torch import Tensor

from daedal.errors import DaedalError
from daedal.inference.onnx_graph import Bits, Graph, graph_of, outside
from daedal.models.gpt import GPT
from daedal.nn.cache import KVCache

_MANY = 8
"""Rows from which on the way to multiply for many is the faster one."""


class OnnxNetwork:
    """A GPT as one session; for models in float32 on the CPU.

    Args:
        bits: of a weight: 32 as they are; 8 or 4 for fewer bytes to read, at a small loss of quality.
        threads: PyTorch's number unless given.

    Raises:
        DaedalError: its architecture cannot be expressed.
    """

    def __init__(self, model: GPT, bits: Bits = 32, threads: int | None = None) -> None:
        self.model, self.bits = model, bits
        self.vocab, self.context = model.config.vocab_size, model.config.context
        self._session = _Session(*graph_of(model, bits), threads)
        # In eight bits another way to multiply is up to three times as fast with many tokens, for a byte for each weight more
        self._wide = _Session(*graph_of(model, bits, wide=True), threads) if bits == 8 else self._session

    @property
    def device(self) -> torch.device:
        return torch.device("cpu")

    def new_cache(self, rows: int, capacity: int) -> KVCache:
        return self.model.new_cache(rows, capacity)

    def __call__(
        self, ids: Int[Tensor, "rows time"], cache: KVCache, every: bool = False
    ) -> Float[Tensor, "rows _ vocab"]:
        rows, time = ids.shape
        if time > 1 and rows > 1:
            # ONNX Runtime reads several tokens of one row at a time
            logits = torch.empty(rows, time if every else 1, self.vocab)
            for row in range(rows):
                logits[row : row + 1] = self._run(ids[row : row + 1], cache.rows(row, row + 1), every)
        else:
            logits = self._run(ids, cache, every)
        cache.advance(time)
        return logits

    def _run(self, ids: Tensor, cache: KVCache, every: bool) -> Tensor:
        rows, time = ids.shape
        # What is checked after a guess must be what would have been written without one: the same way to multiply
        session = self._wide if (time > 1 and not every) or rows >= _MANY else self._session
        return session.run(ids.numpy(), every, cache)


def open_session(made: onnx.ModelProto, graph: Graph, options: ort.SessionOptions) -> ort.InferenceSession:
    """A session that was handed the weights of its graph."""
    options.log_severity_level = 3
    options.enable_mem_pattern = False  # shapes change from pass to pass
    weights = outside(graph.weights)
    held = {name: ort.OrtValue.ortvalue_from_numpy(tensor.numpy()) for name, tensor in weights.items()}
    options.add_external_initializers(list(held), list(held.values()))
    return ort.InferenceSession(made.SerializeToString(), options, providers=["CPUExecutionProvider"])


class _Session:
    """A session, and where it reads and writes: told anew only when the places or shapes have changed."""

    def __init__(self, made: onnx.ModelProto, graph: Graph, threads: int | None) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads or torch.get_num_threads()
        self._session = open_session(made, graph, options)
        self._binding, self._tables = self._session.io_binding(), graph.tables
        for name, table in graph.tables.items():
            self._binding.bind_input(name, "cpu", 0, np.float32, tuple(table.shape), table.data_ptr())
        self._vocab = made.graph.output[0].type.tensor_type.shape.dim[-1].dim_value
        self._given = {value.name for value in made.graph.input}
        self._inputs: dict[str, np.ndarray[Any, Any]] = {}
        self._logits = torch.empty(0)
        self._shape: tuple[int, int, bool] | None = None
        self._bound: tuple[object, ...] = ()

    def run(self, ids: "np.ndarray[Any, Any]", every: bool, cache: KVCache) -> Tensor:
        """Logits, which the next pass writes over."""
        rows, time = ids.shape
        total = cache.length + time
        if total > cache.capacity:
            raise DaedalError(f"{total} tokens do not fit a cache of {cache.capacity}", "Make the cache larger")
        lengths = np.array(cache.lengths, dtype=np.int64)
        if (rows, time, every) != self._shape:
            self._prepare(rows, time, every)
        inputs = self._inputs
        inputs["ids"][:] = ids
        inputs["last"][:] = lengths + (time - 1)
        inputs["total"][...] = total
        if "places" in inputs:
            inputs["places"][:] = lengths[:, None] + np.arange(time)
        self._bind(cache)
        self._session.run_with_iobinding(self._binding)
        return self._logits

    def _prepare(self, rows: int, time: int, every: bool) -> None:
        inputs: dict[str, np.ndarray[Any, Any]] = {
            "ids": np.empty((rows, time), dtype=np.int64),
            "last": np.empty(rows, dtype=np.int32),
            "total": np.empty((), dtype=np.int32),
            "from": np.array([0 if every else -1]),
            "places": np.empty((rows, time), dtype=np.int64),
        }
        self._inputs = {name: values for name, values in inputs.items() if name in self._given}
        for name, values in self._inputs.items():
            self._binding.bind_input(name, "cpu", 0, values.dtype, values.shape, values.ctypes.data)
        self._logits = torch.empty(rows, time if every else 1, self._vocab)
        shape = tuple(self._logits.shape)
        self._binding.bind_output("logits", "cpu", 0, np.float32, shape, self._logits.data_ptr())
        self._shape = rows, time, every

    def _bind(self, cache: KVCache) -> None:
        shape = tuple(cache.keys[0].shape)
        places = shape, *(tensor.data_ptr() for tensor in (*cache.keys, *cache.values))
        if places == self._bound:
            return
        for side, stored in (("keys", cache.keys), ("values", cache.values)):
            for layer, tensor in enumerate(stored):
                where = ("cpu", 0, np.float32, shape, tensor.data_ptr())
                self._binding.bind_input(f"{side}{layer}", *where)
                self._binding.bind_output(f"new_{side}{layer}", *where)
        self._bound = places
