"""A GPT as the engine runs it: in ONNX Runtime on a CPU, in PyTorch elsewhere and where ONNX Runtime cannot."""

import torch

from daedal.errors import DaedalError
from daedal.inference.sampling import Quantize
from daedal.models.autoregression import Network, TorchNetwork
from daedal.models.gpt import GPT


def networks(model: GPT, quantize: Quantize | None = None) -> tuple[Network, Network | None]:
    """The form of a model that generates fastest here, and one that guesses ahead for it, if that is wanted.

    Raises:
        DaedalError: the model cannot be quantized, or writes the tokens of pictures.
    """
    if model.config.grid is not None:
        raise DaedalError("This model writes the tokens of pictures", "Generate with it as a model of pictures")
    weight = model.embedding.weight
    if weight.device.type == "cpu" and weight.dtype == torch.float32:
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
        raise DaedalError(
            f"Quantized weights are for float32 models on the CPU, and this one is {weight.dtype} on {weight.device}",
            'Load it with dtype="float32" on the CPU, or leave quantize out',
        )
    return TorchNetwork(model), None
