"""A GPT as the engine runs it: the module itself, in the form that is fastest for the rows at hand."""

from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from daedal.errors import DaedalError
from daedal.inference.weights import pack
from daedal.models.gpt import GPT
from daedal.nn.cache import KVCache

_PACKED_FROM = 4
"""Rows from which packed weights are faster; they cost as much memory as the model, and nothing before they are used."""


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
        several = len(ids) >= _PACKED_FROM or (every and ids.numel() >= _PACKED_FROM)
        model = self._packed if several else self.model
        hidden = model.hidden(ids, cache)
        return model.head(hidden if every else hidden[:, -1:])

    @cached_property
    def _packed(self) -> GPT:
        return pack(self.model)
