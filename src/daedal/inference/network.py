"""Models as they are run: a GPT in ONNX Runtime on a CPU, in PyTorch elsewhere and where that cannot; others in PyTorch."""

from typing import TypeVar

import torch
from torch import Tensor, nn

from daedal.errors import DaedalError
from daedal.inference.sampling import Quantize
from daedal.models.autoregression import Network, TorchNetwork
from daedal.models.gpt import GPT

M = TypeVar("M", bound=nn.Module)


def networks(model: GPT, quantize: Quantize | None = None) -> tuple[Network, Network | None]:
    """The form of a model that generates fastest here, and one that guesses ahead for it, if that is wanted.

    Raises:
        DaedalError: the model cannot be quantized, or writes the tokens of pictures.
    """
    if model.config.grid is not None:
        raise DaedalError("This model writes the tokens of pictures", "Generate with it as a model of pictures")
    weight = model.embedding.weight
    if _fits(weight):
        from daedal.inference.onnx import OnnxNetwork

        try:
            match quantize:
                case "int8":
                    return OnnxNetwork(model, 8), None
                case "int4":
                    return OnnxNetwork(model, 4), None
                case "draft":
                    return OnnxNetwork(model), OnnxNetwork(model, 8)
                case None:
                    return OnnxNetwork(model), None
        except DaedalError:
            if quantize is not None:
                raise
    if quantize is not None:
        raise _misfit(weight)
    return TorchNetwork(model), None


def prepared(model: M, quantize: Quantize | None = None) -> M:
    """A translator, or a model that reads both ways, as its skills run it: in PyTorch, or in eight bits.

    Raises:
        DaedalError: it cannot be quantized so.
    """
    if quantize is None:
        return model
    if quantize != "int8":
        raise DaedalError(f"A {type(model).__name__} has no {quantize} form", "Choose int8, or leave quantize out")
    weight = next(model.parameters())
    if not _fits(weight):
        raise _misfit(weight)
    from daedal.inference.parts import in_eight_bits

    return in_eight_bits(model)


def _fits(weight: Tensor) -> bool:
    """Whether ONNX Runtime may have it."""
    return weight.device.type == "cpu" and weight.dtype == torch.float32


def _misfit(weight: Tensor) -> DaedalError:
    return DaedalError(
        f"Quantized weights are for float32 models on the CPU, and this one is {weight.dtype} on {weight.device}",
        'Load it with dtype="float32" on the CPU, or leave quantize out',
    )
