"""The weights for use that were best on held-out data, watched while training goes on."""

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from daedal.training.overfitting import verdict

_LESS = ("bits_per_byte", "lost_gain", "loss")
_MORE = ("gold", "reward")  # is better; of several names the first is watched


class Best:
    """The best of the validations, and where `keeps` the weights that it was measured with. What is better when it is more is
    remembered with its sign turned.

    Attributes:
        weights: all that the model's state holds, buffers included; empty while there is nothing to keep.
    """

    def __init__(self, keeps: bool) -> None:
        self._keeps = keeps
        self._best, self._last = (0, math.inf), (0, math.inf)
        self._first: tuple[int, float] | None = None
        self._name = ""
        self.weights: dict[str, Tensor] = {}

    def offer(self, step: int, measured: Mapping[str, float], model: nn.Module) -> None:
        """Look at a validation of the weights that are in the model now."""
        name = next((name for name in (*_LESS, *_MORE) if f"validation_{name}" in measured), None)
        if name is None:
            return
        value = measured[f"validation_{name}"]
        self._name, self._last = name, (step, -value if name in _MORE else value)
        self._first = self._first or self._last
        if self._last[1] < self._best[1]:
            self._best = self._last
            if self._keeps:
                self.take(model)

    def take(self, model: nn.Module) -> None:
        """Keep what is in the model now."""
        self.weights = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}

    @contextmanager
    def in_place(self, model: nn.Module) -> Iterator[None]:
        """The kept weights in the model's place."""
        state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        model.load_state_dict(self.weights)
        try:
            yield
        finally:
            model.load_state_dict(state)

    @property
    def verdict(self) -> str | None:
        """What validation said of the run, in a line, where there is something to say."""
        (step, best), (end, _) = self._best, self._last
        if self._name in _MORE:
            said = f"validation {self._name} was best at step {step} ({-best:.3f}); those weights are saved"
            return said if self._keeps and step != end else None
        return verdict((self._best, self._last), self._name, self._keeps)

    @property
    def change(self) -> str:
        """What the first validation found and the last, in a line."""
        (_, before), (_, after) = self._first or self._last, self._best if self._keeps else self._last
        unit = "nats a token" if self._name == "loss" else self._name.replace("_", " ")
        return f"validation went from {before:.3f} to {after:.3f} {unit}"

    @property
    def record(self) -> dict[str, Any]:
        """What `load` needs beside the weights, as JSON; nothing before the first validation."""
        points = {"best": self._best, "last": self._last, "first": self._first}
        return {"name": self._name, **points} if self._name else {}

    def load(self, record: Mapping[str, Any], weights: Mapping[str, Tensor], device: torch.device) -> None:
        """Go on from a `record` and `weights` that were saved."""
        if not record:
            return
        self._name = str(record["name"])
        self._best, self._last = (_point(record[name]) for name in ("best", "last"))
        self._first = _point(record["first"]) if record.get("first") else None  # older versions have none
        self.weights = {name: tensor.to(device) for name, tensor in weights.items()}


def _point(pair: Iterable[float]) -> tuple[int, float]:
    step, value = pair
    return int(step), float(value)
