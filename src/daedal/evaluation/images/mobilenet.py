"""MobileNetV2 (Sandler et al. 2018, arXiv:1801.04381) from weights of eight bits: two files, the numbers (`.npz`) and their
scales (`.json`), as they lay in the quantized ImageNet model of PyTorch's mobile demonstration. Computed in floating
point."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from daedal.errors import DaedalError
from daedal.files import read_json

SIZE, FEATURES = 224, 1280
SPECIFICATION, NUMBERS = "mobilenet_v2_int8.json", "mobilenet_v2_int8.npz"


class MobileNet:
    """The network, ready to read pictures."""

    def __init__(self, folder: Path, device: torch.device | None = None) -> None:
        self.device = device or torch.device("cpu")
        values = read_json(folder / SPECIFICATION)
        try:
            with np.load(folder / NUMBERS, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            self._mean, self._deviation = (
                torch.tensor(values["input"][name], device=self.device).view(1, 3, 1, 1) for name in ("mean", "std")
            )
            convs = {spec["name"]: _Conv(spec, arrays, self.device) for spec in values["convs"]}
            blocks = [
                ([convs.pop(name) for name in each["convs"]], bool(each["residual"])) for each in values["blocks"]
            ]
            first, last = convs.values()
            self._blocks: list[tuple[list[_Conv], bool]] = [([first], False), *blocks, ([last], False)]
            classes = values["classifier"]
            weight, bias = _dequantised(classes, arrays)
            self._classes, self._bias = weight.to(self.device), bias.to(self.device)
        except (OSError, KeyError, ValueError, TypeError) as error:
            raise DaedalError(
                f"{folder} does not hold the weights of MobileNet ({str(error)[:80]})",
                f"Give a folder with {SPECIFICATION} and {NUMBERS}",
            ) from None

    @torch.inference_mode()
    def __call__(
        self, x: Float[Tensor, "batch 3 224 224"]
    ) -> tuple[Float[Tensor, "batch 1280"], Float[Tensor, "batch 1000"]]:
        """Pooled features and the logits of ImageNet's classes.

        Args:
            x: pictures of `SIZE` pixels, values from 0 to 1.
        """
        x = ((x.to(self.device) - self._mean) / self._deviation).contiguous(memory_format=torch.channels_last)
        for convs, residual in self._blocks:
            y = x
            for conv in convs:
                y = conv(y)
            x = x + y if residual else y
        features = x.mean(dim=(2, 3))
        return features, F.linear(features, self._classes, self._bias)


class _Conv:
    """A convolution that batch norm is folded into, with a ReLU where it has one."""

    def __init__(self, spec: Mapping[str, Any], arrays: Mapping[str, np.ndarray], device: torch.device) -> None:
        weight, bias = _dequantised(spec, arrays)
        self.weight = weight.to(device).contiguous(memory_format=torch.channels_last)
        self.bias = bias.to(device)
        self.stride, self.padding, self.groups = int(spec["stride"]), int(spec["padding"]), int(spec["groups"])
        self.relu = bool(spec["relu"])

    def __call__(self, x: Float[Tensor, "batch inputs h w"]) -> Float[Tensor, "batch outputs h2 w2"]:
        out = F.conv2d(x, self.weight, self.bias, self.stride, self.padding, groups=self.groups)
        return out.relu_() if self.relu else out


def _dequantised(spec: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> tuple[Tensor, Tensor]:
    weight = torch.from_numpy(arrays[f"{spec['name']}.weight_int8"]).float()
    weight = (weight - float(spec["weight_zero_point"])) * float(spec["weight_scale"])
    return weight, torch.from_numpy(arrays[f"{spec['name']}.bias"]).float()
