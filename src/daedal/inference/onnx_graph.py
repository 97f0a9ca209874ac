"""A GPT as an ONNX graph for ONNX Runtime on a CPU: one pass over some tokens of each row, the cache written in place.

- attention, rotary positions and the cache are one operator (GroupQueryAttention), which takes rows of unequal length
- matrices are fp32; or blocks of 8 or 4 bits with a scale for each block (MatMulNBits), which reads fast; or 8 bits with a
  scale for each output (MatMulIntegerToFloat), which is up to three times as fast for many tokens at once
- activations are rounded to 8 bits token by token, so what stands in a row does not change the others. Their number does, in
  MatMulNBits: two rows are summed in another order than one, which may round an activation the other way. fp32 and
  MatMulIntegerToFloat give the same bits whatever the number
- weights are not in the graph: they are handed to the session as they lie in memory. It copies matrices into the order in
  which it reads them; tables, of which it reads a row for each token, are inputs, which it does not copy
"""

from collections.abc import Callable
from typing import Any, Literal

import onnx
import torch
from jaxtyping import Float, Int8
from onnx import TensorProto, helper
from torch import Tensor, nn

from daedal.errors import DaedalError
from daedal.inference.prompt_lookup import AHEAD
from daedal.models.gpt import GPT
from daedal.nn.attention import CausalAttention, ValueEmbedding
from daedal.nn.four_bit import block_length, quantized
from daedal.nn.mlp import GatedMLP, PlainMLP
from daedal.nn.norm import LayerNorm, QueryKeyNorm, RMSNorm
from daedal.nn.position import Rotary
from daedal.nn.transformer import Block, OriginBlock

Bits = Literal[32, 8, 4]

_OURS = "com.microsoft"
_SPARE = AHEAD + 1
"""Positions beyond the context: guesses of the last tokens are read, and thrown away."""


class Graph:
    """A graph that is being put together.

    Args:
        wide: for passes over many tokens.

    Attributes:
        weights: what is handed to the session when it is made, by name.
        tables: what is handed to it for every pass.
    """

    def __init__(self, bits: Bits, wide: bool = False) -> None:
        self.bits, self.wide = bits, wide
        self.nodes = list[onnx.NodeProto]()
        self.weights, self.tables = dict[str, Tensor](), dict[str, Tensor]()

    def add(self, operator: str, inputs: list[str], name: str, domain: str = "", **attributes: Any) -> str:
        """A node with one output, which is called like the node."""
        self.nodes.append(helper.make_node(operator, inputs, [name], name=name, domain=domain, **attributes))
        return name

    def weight(self, name: str, value: Tensor) -> str:
        self.weights[name] = value.detach().contiguous()
        return name

    def look_up(self, ids: str, name: str, table: Float[Tensor, "rows width"], out: str) -> str:
        """Some rows of a table."""
        self.tables[name] = table.detach().contiguous()
        return self.add("Gather", [name, ids], out)

    def matrix(
        self, x: str, name: str, weight: Float[Tensor, "outputs inputs"], bias: Float[Tensor, " outputs"] | None
    ) -> str:
        """`x @ weight.T + bias`."""
        outputs, inputs = weight.shape
        if self.wide:
            out = self._integer(x, name, weight.detach())
        elif self.bits == 32:
            # The weight as it lies in memory: a transposed copy would double what loading needs
            stored = self.weight(f"{name}.weight", weight)
            out = self.add("FusedMatMul", [x, stored], f"{name}.product", _OURS, transB=1)
        else:
            codes, scales = quantized(weight.detach(), self.bits)
            names = [self.weight(f"{name}.codes", codes), self.weight(f"{name}.scales", scales)]
            # Level 4: activations are rounded to 8 bits, block by block, and products are whole numbers
            how: dict[str, Any] = {
                "K": inputs,
                "N": outputs,
                "bits": self.bits,
                "block_size": block_length(inputs, self.bits),
                "accuracy_level": 4,
            }
            out = self.add("MatMulNBits", [x, *names], f"{name}.product", _OURS, **how)
        if bias is None:
            return out
        return self.add("Add", [out, self.weight(f"{name}.bias", bias)], f"{name}.sum")

    def _integer(self, x: str, name: str, weight: Float[Tensor, "outputs inputs"]) -> str:
        """`x @ weight.T` in whole numbers: each token by its own scale, each output by its own (Dettmers et al. 2022)."""
        codes, scales = by_output(weight)
        one, middle = self.weight("one", torch.ones(())), self.weight("middle", torch.tensor(128, dtype=torch.uint8))
        self.weight("across", torch.tensor([-1]))
        largest = self.add(
            "ReduceMax", [self.add("Abs", [x], f"{name}.sizes"), "across"], f"{name}.largest", keepdims=1
        )
        step = self.add("Mul", [largest, self.weight("range", torch.tensor([1 / 127]))], f"{name}.step")
        step = self.add("Max", [step, self.weight("tiny", torch.tensor([1e-30]))], f"{name}.least")
        whole = self.add("QuantizeLinear", [self.add("Div", [x, step], f"{name}.scaled"), one, middle], f"{name}.whole")
        names = [self.weight(f"{name}.integers", codes.T), one, self.weight(f"{name}.outputs", scales), middle]
        product = self.add("MatMulIntegerToFloat", [whole, *names], f"{name}.integer", _OURS)
        return self.add("Mul", [product, step], f"{name}.product")

    def norm(self, x: str, name: str, module: nn.Module, width: int) -> str:
        if isinstance(module, LayerNorm):
            parts = {"weight": module.weight, "bias": module.bias}
            names = [self.weight(f"{name}.{part}", tensor) for part, tensor in parts.items() if tensor is not None]
            return self.add("LayerNormalization", [x, *names], name, axis=-1, epsilon=module.eps)
        if isinstance(module, RMSNorm):
            return self.rms_norm(x, name, module.weight, module.eps, width)
        raise DaedalError(f"There is no ONNX for {type(module).__name__}", "Leave quantize out")

    def rms_norm(self, x: str, name: str, gain: Tensor | None, eps: float, width: int) -> str:
        gain = torch.ones(width) if gain is None else gain
        return self.add(
            "SimplifiedLayerNormalization", [x, self.weight(f"{name}.gain", gain)], name, axis=-1, epsilon=eps
        )


def by_output(
    weight: Float[Tensor, "outputs inputs"],
) -> tuple[Int8[Tensor, "outputs inputs"], Float[Tensor, " outputs"]]:
    """Each row as whole numbers, and what to multiply them by."""
    # Without VNNI pairs of products are added up in 16 bits, which seven-bit weights do not overflow
    largest = 127 if torch.cpu._is_vnni_supported() else 63
    scales = (weight.abs().amax(1) / largest).clamp_min_(torch.finfo(torch.float32).tiny)
    return (weight / scales[:, None]).round_().to(torch.int8), scales


def graph_of(model: GPT, bits: Bits, wide: bool = False) -> tuple[onnx.ModelProto, Graph]:
    """The graph of a model, and what holds its weights.

    Inputs: `ids` [rows, time], `places` [rows, time] (positions), `last` [rows] (the place of each row's last token), `total`
    (the largest length after the pass), `from` (of which tokens on logits are wanted; -1 for the last), the tables, and the
    keys and values of each layer [rows, kv_heads, capacity, head_width], which are written in place. Output: `logits`.

    Args:
        wide: 8 bits, for passes over many tokens.

    Raises:
        DaedalError: the architecture cannot be expressed.
    """
    config = model.config
    if config.grid is not None:
        raise DaedalError("Models of the tokens of pictures have no ONNX graph", "Leave quantize out")
    if config.rope_scaling is not None and config.rope_scaling.kind == "dynamic":
        raise DaedalError("Rotary positions that change with the length have no ONNX graph", "Leave quantize out")
    if model.rotary is not None and config.head_width % 16:
        raise DaedalError("ONNX Runtime turns heads of a multiple of 16 channels only", "Leave quantize out")
    graph = Graph(bits, wide)
    x = graph.look_up("ids", "embedding", model.embedding.weight, "tokens")
    if model.positions is not None:
        spare = nn.functional.pad(model.positions.weight.detach(), (0, 0, 0, _SPARE))
        x = graph.add("Add", [x, graph.look_up("places", "positions", spare, "where")], "input")
    if model.embedding_norm is not None:
        x = graph.norm(x, "embedding_norm", model.embedding_norm, config.width)
    if model.rotary is not None:
        _turns(graph, model.rotary, config.context)
    origin = x
    for layer, block in enumerate(model.transformer.blocks):
        assert isinstance(block, Block)
        x = _block(graph, x, origin, block, layer, config.width)
    x = graph.norm(x, "norm", model.transformer.norm, config.width)
    graph.weight("end", torch.tensor([2**31 - 1]))
    graph.weight("axis", torch.tensor([1]))
    x = graph.add("Slice", [x, "from", "end", "axis"], "wanted")
    head = graph.matrix(x, "head", model.head_weight, None)
    graph.add("Identity", [head], "logits")
    return _model(graph, model), graph


def _turns(graph: Graph, rotary: Rotary, context: int) -> None:
    table = rotary.turns(torch.arange(context + _SPARE), context + _SPARE)[:, 0]
    graph.weight("cosine", table.real)
    graph.weight("sine", table.imag)


def _block(graph: Graph, x: str, origin: str, block: Block, layer: int, width: int) -> str:
    name = f"layer{layer}"
    if isinstance(block, OriginBlock):
        mix = block.mix.detach()
        own = graph.add("Mul", [x, graph.weight(f"{name}.own", mix[:1])], f"{name}.mine")
        other = graph.add("Mul", [origin, graph.weight(f"{name}.other", mix[1:])], f"{name}.first")
        x = graph.add("Add", [own, other], f"{name}.mixed")
    normed = graph.norm(x, f"{name}.attention_norm", block.attention_norm, width)
    assert isinstance(block.attention, CausalAttention)
    x = graph.add("Add", [x, _attention(graph, normed, block.attention, layer)], f"{name}.attended")
    normed = graph.norm(x, f"{name}.mlp_norm", block.mlp_norm, width)
    return graph.add("Add", [x, mlp(graph, normed, block.mlp, f"{name}.mlp")], f"{name}.out")


def _attention(graph: Graph, x: str, attention: CausalAttention, layer: int) -> str:
    name, turned = f"layer{layer}.attention", "cosine" in graph.weights
    sides = [graph.matrix(x, f"{name}.qkv", attention.qkv.weight, attention.qkv.bias), "", ""]
    if attention.norm is not None or attention.values is not None:
        sides = _split(graph, sides[0], attention, name)
    caches = [f"keys{layer}", f"values{layer}"]
    positions = ["cosine", "sine"] if turned else []
    how: dict[str, Any] = {
        "num_heads": attention.heads,
        "kv_num_heads": attention.kv_heads,
        "do_rotary": int(turned),
        "rotary_interleaved": int(turned),
    }
    if attention.window is not None:
        how["local_window_size"] = attention.window
    outputs = [name, f"new_keys{layer}", f"new_values{layer}"]
    inputs = [*sides, *caches, "last", "total", *positions]
    graph.nodes.append(helper.make_node("GroupQueryAttention", inputs, outputs, name=name, domain=_OURS, **how))
    return graph.matrix(name, f"{name}.out", attention.out.weight, attention.out.bias)


def _split(graph: Graph, both: str, attention: CausalAttention, name: str) -> list[str]:
    """Queries, keys and values, the first two brought to unit size where the model does that."""
    parts = [f"{name}.{part}" for part in ("query", "key", "value")]
    sizes = graph.weight(f"{name}.sizes", torch.tensor(attention.rows))
    graph.nodes.append(helper.make_node("Split", [both, sizes], parts, name=f"{name}.split", axis=-1))
    if isinstance(attention.norm, QueryKeyNorm):
        graph.weight("by_head", torch.tensor([0, 0, -1, attention.head_width]))
        graph.weight("flat", torch.tensor([0, 0, -1]))
        for place, own in enumerate((attention.norm.query, attention.norm.key)):
            heads = graph.add("Reshape", [parts[place], "by_head"], f"{parts[place]}.heads")
            normed = graph.rms_norm(heads, f"{parts[place]}.norm", own, attention.norm.eps, attention.head_width)
            parts[place] = graph.add("Reshape", [normed, "flat"], f"{parts[place]}.normed")
    if isinstance(attention.values, ValueEmbedding):
        more = graph.look_up("ids", f"{name}.more", attention.values.embedding.weight, f"{name}.found")
        gain = graph.weight(f"{name}.gain", attention.values.gain.repeat_interleave(attention.head_width))
        more = graph.add("Mul", [more, gain], f"{name}.own_values")
        parts[2] = graph.add("Add", [parts[2], more], f"{name}.values")
    return parts


def mlp(graph: Graph, x: str, module: nn.Module, name: str) -> str:
    """`module(x)`.

    Raises:
        DaedalError: it cannot be expressed.
    """
    if isinstance(module, PlainMLP):
        up = graph.matrix(x, f"{name}.up", module.up.weight, module.up.bias)
        inner = _activation(graph, up, f"{name}.active", module.activation)
    elif isinstance(module, GatedMLP):
        both = graph.matrix(x, f"{name}.gate_up", module.gate_up.weight, module.gate_up.bias)
        parts = [f"{name}.gate", f"{name}.side"]
        graph.nodes.append(helper.make_node("Split", [both], parts, name=f"{name}.split", axis=-1, num_outputs=2))
        inner = graph.add(
            "Mul", [_activation(graph, parts[0], f"{name}.active", module.activation), parts[1]], f"{name}.gated"
        )
    else:
        raise DaedalError(f"There is no ONNX for {type(module).__name__}", "Leave quantize out")
    return graph.matrix(inner, f"{name}.down", module.down.weight, module.down.bias)


def _activation(graph: Graph, x: str, name: str, activation: Callable[[Tensor], Tensor]) -> str:
    match activation.__name__:
        case "gelu":
            return graph.add("Gelu", [x], name, _OURS)
        case "gelu_tanh":
            return graph.add("FastGelu", [x], name, _OURS)
        case "silu":
            return graph.add("QuickGelu", [x], name, _OURS, alpha=1.0)
        case "relu":
            return graph.add("Relu", [x], name)
        case "relu_squared":
            positive = graph.add("Relu", [x], f"{name}.positive")
            return graph.add("Mul", [positive, positive], name)
        case other:
            raise DaedalError(f"There is no ONNX for {other}", "Leave quantize out")


def _model(graph: Graph, model: GPT) -> onnx.ModelProto:
    config = model.config
    whole, floats = TensorProto.INT64, TensorProto.FLOAT
    cache: list[str | int | None] = ["rows", config.kv_heads, "capacity", config.head_width]
    inputs = [
        helper.make_tensor_value_info("ids", whole, ["rows", "time"]),
        helper.make_tensor_value_info("last", TensorProto.INT32, ["rows"]),
        helper.make_tensor_value_info("total", TensorProto.INT32, []),
        helper.make_tensor_value_info("from", whole, [1]),
    ]
    if model.positions is not None:
        inputs.append(helper.make_tensor_value_info("places", whole, ["rows", "time"]))
    tables = graph.tables.items()
    inputs += [helper.make_tensor_value_info(name, floats, list(table.shape)) for name, table in tables]
    outputs = [helper.make_tensor_value_info("logits", floats, ["rows", "wanted", config.vocab_size])]
    for layer in range(config.depth):
        inputs += [helper.make_tensor_value_info(f"{side}{layer}", floats, cache) for side in ("keys", "values")]
        outputs += [helper.make_tensor_value_info(f"new_{side}{layer}", floats, cache) for side in ("keys", "values")]
    return assembled(graph, "gpt", inputs, outputs)


def assembled(
    graph: Graph, name: str, inputs: list[onnx.ValueInfoProto], outputs: list[onnx.ValueInfoProto]
) -> onnx.ModelProto:
    """A graph that is complete."""
    stored = [_declared(weight, tensor) for weight, tensor in graph.weights.items()]
    made = helper.make_graph(graph.nodes, name, inputs, outputs, stored)
    versions = [helper.make_opsetid("", 21), helper.make_opsetid(_OURS, 1)]
    return helper.make_model(made, opset_imports=versions, ir_version=10)


_KINDS = {
    torch.float32: TensorProto.FLOAT,
    torch.uint8: TensorProto.UINT8,
    torch.int8: TensorProto.INT8,
    torch.int64: TensorProto.INT64,
}
_SMALL = 1024
"""Values up to which a weight stands in the graph itself."""


def _declared(name: str, tensor: Tensor) -> TensorProto:
    """A weight as the graph names it."""
    kind = _KINDS[tensor.dtype]
    if tensor.numel() <= _SMALL:
        return helper.make_tensor(name, kind, list(tensor.shape), tensor.numpy().tobytes(), raw=True)
    declared = TensorProto(name=name, data_type=kind, dims=list(tensor.shape), data_location=TensorProto.EXTERNAL)
    declared.external_data.add(key="location", value="memory")
    return declared


def outside(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Those of the weights that do not stand in the graph itself."""
    return {name: tensor for name, tensor in weights.items() if tensor.numel() > _SMALL}
