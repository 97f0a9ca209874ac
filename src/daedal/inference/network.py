"""A GPT as the engine runs it: in ONNX Runtime on a CPU, in PyTorch elsewhere and where ONNX Runtime cannot."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from daedal.errors import DaedalError
from daedal.inference.engine import Network
from daedal.inference.sampling import Quantize
from daedal.models.gpt import GPT
from daedal.nn.cache import KVCache


class TorchNetwork:
    """A GPT in PyTorch: the reference, and what runs on a GPU."""

    def __init__(self, model: GPT) -> None:
        if model.config.grid is not None:
            raise DaedalError("This model writes the tokens of pictures", "Generate with it as a model of pictures")
        self.model = model
        self.vocab, self.context = model.config.vocab_size, model.config.context

    @property
    def device(self) -> torch.device:
        return self.model.embedding.weight.device

    def new_cache(self, rows: int, capacity: int) -> KVCache:
        return self.model.new_cache(rows, capacity)

    def __call__(
        self, ids: Int[Tensor, "rows time"], cache: KVCache, every: bool = False
    ) -> Float[Tensor, "rows _ vocab"]:
        hidden = self.model.hidden(ids, cache)
        return self.model.head(hidden if every else hidden[:, -1:])


def networks(model: GPT, quantize: Quantize | None = None) -> tuple[Network, Network | None]:
    """The form of a model that generates fastest here, and one that guesses ahead for it, if that is wanted.

    Raises:
        DaedalError: the model cannot be quantized.
    """
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
