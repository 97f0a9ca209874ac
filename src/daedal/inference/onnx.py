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
        self._places = model.positions is not None
        self._session = _Session(*graph_of(model, bits), threads)
        # In eight bits another way to multiply reads prompts two to three times as fast, and costs a byte for each weight
        self._reading = _Session(*graph_of(model, bits, wide=True), threads) if bits == 8 else self._session

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
            parts = [self._one(ids[row : row + 1], cache, row, every) for row in range(rows)]
            cache.advance(time)
            return torch.cat(parts)
        logits = self._run(ids, cache, cache.lengths, every)
        cache.advance(time)
        return logits

    def _one(self, ids: Int[Tensor, "1 time"], cache: KVCache, row: int, every: bool) -> Float[Tensor, "1 _ vocab"]:
        part = cache.rows(row, row + 1)
        return self._run(ids, part, part.lengths, every)

    def _run(self, ids: Tensor, cache: KVCache, lengths: list[int], every: bool) -> Tensor:
        rows, time = ids.shape
        last = np.array(lengths, dtype=np.int32) + (time - 1)
        total = np.array(last.max() + 1, dtype=np.int32)
        if total > cache.capacity:
            raise DaedalError(f"{total} tokens do not fit a cache of {cache.capacity}", "Make the cache larger")
        given: dict[str, np.ndarray[Any, Any]] = {
            "ids": ids.numpy(),
            "last": last,
            "total": total,
            "from": np.array([0 if every else -1]),
        }
        if self._places:
            given["places"] = np.array(lengths, dtype=np.int64)[:, None] + np.arange(time)
        logits = torch.empty(rows, time if every else 1, self.vocab)
        # What is checked after a guess must be what would have been written without one: the same way to multiply
        session = self._reading if time > 1 and not every else self._session
        session.run(given, cache, logits)
        return logits


class _Session:
    """A session, and where it reads and writes. The cache's places are told anew only when they have changed."""

    def __init__(self, made: onnx.ModelProto, graph: Graph, threads: int | None) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads or torch.get_num_threads()
        options.log_severity_level = 3
        options.enable_mem_pattern = False  # shapes change from pass to pass
        weights = outside(graph.weights)
        held = {name: ort.OrtValue.ortvalue_from_numpy(tensor.numpy()) for name, tensor in weights.items()}
        options.add_external_initializers(list(held), list(held.values()))
        self._session = ort.InferenceSession(made.SerializeToString(), options, providers=["CPUExecutionProvider"])
        self._binding, self._tables = self._session.io_binding(), graph.tables
        for name, table in graph.tables.items():
            self._binding.bind_input(name, "cpu", 0, np.float32, tuple(table.shape), table.data_ptr())
        self._bound: tuple[object, ...] = ()

    def run(self, given: dict[str, "np.ndarray[Any, Any]"], cache: KVCache, logits: Tensor) -> None:
        binding, shape = self._binding, tuple(cache.keys[0].shape)
        places = shape, *(tensor.data_ptr() for tensor in (*cache.keys, *cache.values))
        if places != self._bound:
            for side, stored in (("keys", cache.keys), ("values", cache.values)):
                for layer, tensor in enumerate(stored):
                    where = ("cpu", 0, np.float32, shape, tensor.data_ptr())
                    binding.bind_input(f"{side}{layer}", *where)
                    binding.bind_output(f"new_{side}{layer}", *where)
            self._bound = places
        for name, values in given.items():
            binding.bind_cpu_input(name, values)
        binding.bind_output("logits", "cpu", 0, np.float32, tuple(logits.shape), logits.data_ptr())
        self._session.run_with_iobinding(binding)
