"""A translator, or a model that reads both ways, in eight bits: products of matrices are ONNX Runtime's, all else is PyTorch's.

- so every architecture has it, and rows stay packed
- by `Graph`'s way for many tokens: each token by its own scale, each output by its own, so that what stands in a row does not
  change the others
- in float32 this brings a tenth or two for a single short text and nothing for many, which is not worth the weights twice
"""

import copy
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

import numpy as np
import onnxruntime as ort
import torch
from jaxtyping import Float
from onnx import TensorProto, helper
from torch import Tensor, nn

from daedal.inference.onnx import open_session
from daedal.inference.onnx_graph import Graph, assembled, mlp
from daedal.models.decoding import OutputLayer
from daedal.models.translator import Translator
from daedal.nn.mlp import GatedMLP, PlainMLP
from daedal.nn.transformer import Transformer

M = TypeVar("M", bound=nn.Module)
_SHARE = 64
"""Tokens that are worth a thread."""


def in_eight_bits(model: M) -> M:
    """A model that does about the same, by the matrices of its blocks in eight bits, and of the layer that a translator writes
    by. All else it shares with the one that is given, which is of float32 on the CPU."""
    made = _copied(model, inside=False)
    if isinstance(made, Translator):
        made.output = Part(OutputLayer(made))
    return made


def _copied(module: M, inside: bool) -> M:
    inside = inside or isinstance(module, Transformer)
    made = copy.copy(module)
    made._modules = dict(module._modules)
    for name, child in module.named_children():
        matrices = inside and isinstance(child, nn.Linear | PlainMLP | GatedMLP)
        made._modules[name] = Part(child) if matrices else _copied(child, inside)
    return made


class Part(nn.Module):
    """A matrix, or the two or three of an MLP, as a session."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        graph = Graph(8, wide=True)
        made, inputs, self.outputs = _expressed(graph, module)
        graph.add("Identity", [made], "y")
        x, y = (
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["tokens", size])
            for name, size in (("x", inputs), ("y", self.outputs))
        )
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1  # a pool of threads for each part would be hundreds of them
        self._session = open_session(assembled(graph, "part", [x], [y]), graph, options)

    def forward(self, x: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch outputs"]:
        flat = x.reshape(-1, x.shape[-1]).contiguous()
        out, threads = torch.empty(len(flat), self.outputs), torch.get_num_threads()
        shares = max(1, min(threads, len(flat) // _SHARE))
        own, *others = zip(flat.chunk(shares), out.chunk(shares), strict=True)
        waiting = [_helpers(threads - 1).submit(self._run, *other) for other in others]
        self._run(*own)
        for each in waiting:
            each.result()
        return out.view(*x.shape[:-1], self.outputs)

    def _run(self, x: Float[Tensor, "tokens inputs"], out: Float[Tensor, "tokens outputs"]) -> None:
        binding = self._session.io_binding()
        binding.bind_input("x", "cpu", 0, np.float32, tuple(x.shape), x.data_ptr())
        binding.bind_output("y", "cpu", 0, np.float32, tuple(out.shape), out.data_ptr())
        self._session.run_with_iobinding(binding)


@cache
def _helpers(count: int) -> ThreadPoolExecutor:
    """Threads that do a share of the tokens, beside the one that asks."""
    return ThreadPoolExecutor(count, "daedal-part")


def _expressed(graph: Graph, module: nn.Module) -> tuple[str, int, int]:
    """What gives `module(x)`, and how many numbers of each token it reads and gives."""
    match module:
        case nn.Linear():
            return graph.matrix("x", "matrix", module.weight, module.bias), module.in_features, module.out_features
        case OutputLayer():
            inputs, outputs = module.weight.shape
            return graph.matrix("x", "matrix", module.weight.t(), module.bias), inputs, outputs
        case PlainMLP():
            inputs = module.up.in_features
        case GatedMLP():
            inputs = module.gate_up.in_features
        case _:
            raise TypeError(f"{type(module).__name__} has no part")
    return mlp(graph, "x", module, "mlp"), inputs, module.down.out_features
