"""The Inception network of FID: Inception v3 as Google trained it in 2015 for 1008 outputs, whose pool3 features FID is
defined on.

- not torchvision's: three average pools leave padding out, one block has a maximum in place of an average, the labels are
  1008 (Heusel et al. 2017, arXiv:1706.08500; the weights were converted by pytorch-fid, and torch-fidelity publishes the
  same file)
- for reading only, so batch norm is folded into the convolutions, convolutions that read the same input are one, and
  channels lie innermost in memory, which spares a CPU from turning every picture round: twice the speed of the plain
  network
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

SIZE, FEATURES, LOGITS = 299, 2048, 1008
_EPS = 1e-3


@dataclass(frozen=True)
class Conv:
    """A convolution without bias, then batch norm and ReLU."""

    inputs: int
    outputs: int
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1
    padding: tuple[int, int] = (0, 0)


def _around(inputs: int, outputs: int, height: int, width: int) -> Conv:
    """One that keeps the size."""
    return Conv(inputs, outputs, (height, width), padding=(height // 2, width // 2))


def _block_a(name: str, inputs: int, pool: int) -> dict[str, Conv]:
    return _named(name, {
        "branch1x1": Conv(inputs, 64),
        "branch5x5_1": Conv(inputs, 48), "branch5x5_2": _around(48, 64, 5, 5),
        "branch3x3dbl_1": Conv(inputs, 64), "branch3x3dbl_2": _around(64, 96, 3, 3), "branch3x3dbl_3": _around(96, 96, 3, 3),
        "branch_pool": Conv(inputs, pool),
    })  # fmt: skip


def _block_c(name: str, inner: int) -> dict[str, Conv]:
    return _named(name, {
        "branch1x1": Conv(768, 192),
        "branch7x7_1": Conv(768, inner), "branch7x7_2": _around(inner, inner, 1, 7), "branch7x7_3": _around(inner, 192, 7, 1),
        "branch7x7dbl_1": Conv(768, inner), "branch7x7dbl_2": _around(inner, inner, 7, 1),
        "branch7x7dbl_3": _around(inner, inner, 1, 7), "branch7x7dbl_4": _around(inner, inner, 7, 1),
        "branch7x7dbl_5": _around(inner, 192, 1, 7),
        "branch_pool": Conv(768, 192),
    })  # fmt: skip


def _block_e(name: str, inputs: int) -> dict[str, Conv]:
    return _named(name, {
        "branch1x1": Conv(inputs, 320),
        "branch3x3_1": Conv(inputs, 384), "branch3x3_2a": _around(384, 384, 1, 3), "branch3x3_2b": _around(384, 384, 3, 1),
        "branch3x3dbl_1": Conv(inputs, 448), "branch3x3dbl_2": _around(448, 384, 3, 3),
        "branch3x3dbl_3a": _around(384, 384, 1, 3), "branch3x3dbl_3b": _around(384, 384, 3, 1),
        "branch_pool": Conv(inputs, 192),
    })  # fmt: skip


def _named(block: str, convs: Mapping[str, Conv]) -> dict[str, Conv]:
    return {f"{block}.{name}": conv for name, conv in convs.items()}


CONVS: dict[str, Conv] = {
    "Conv2d_1a_3x3": Conv(3, 32, (3, 3), stride=2),
    "Conv2d_2a_3x3": Conv(32, 32, (3, 3)),
    "Conv2d_2b_3x3": _around(32, 64, 3, 3),
    "Conv2d_3b_1x1": Conv(64, 80),
    "Conv2d_4a_3x3": Conv(80, 192, (3, 3)),
    **_block_a("Mixed_5b", 192, 32), **_block_a("Mixed_5c", 256, 64), **_block_a("Mixed_5d", 288, 64),
    "Mixed_6a.branch3x3": Conv(288, 384, (3, 3), stride=2),
    "Mixed_6a.branch3x3dbl_1": Conv(288, 64),
    "Mixed_6a.branch3x3dbl_2": _around(64, 96, 3, 3),
    "Mixed_6a.branch3x3dbl_3": Conv(96, 96, (3, 3), stride=2),
    **_block_c("Mixed_6b", 128), **_block_c("Mixed_6c", 160), **_block_c("Mixed_6d", 160), **_block_c("Mixed_6e", 192),
    "Mixed_7a.branch3x3_1": Conv(768, 192),
    "Mixed_7a.branch3x3_2": Conv(192, 320, (3, 3), stride=2),
    "Mixed_7a.branch7x7x3_1": Conv(768, 192),
    "Mixed_7a.branch7x7x3_2": _around(192, 192, 1, 7),
    "Mixed_7a.branch7x7x3_3": _around(192, 192, 7, 1),
    "Mixed_7a.branch7x7x3_4": Conv(192, 192, (3, 3), stride=2),
    **_block_e("Mixed_7b", 1280), **_block_e("Mixed_7c", 2048),
}  # fmt: skip
"""All convolutions, under the names that they have in the published weight files."""

SIDE_BY_SIDE = {
    **dict.fromkeys(("Mixed_5b", "Mixed_5c", "Mixed_5d"), ("branch1x1", "branch5x5_1", "branch3x3dbl_1")),
    **{f"Mixed_6{letter}": ("branch1x1", "branch7x7_1", "branch7x7dbl_1") for letter in "bcde"},
    "Mixed_7a": ("branch3x3_1", "branch7x7x3_1"),
    **dict.fromkeys(("Mixed_7b", "Mixed_7c"), ("branch1x1", "branch3x3_1", "branch3x3dbl_1")),
}


def shapes() -> dict[str, tuple[int, ...]]:
    """What a file of weights holds, but for batch norm's counters."""
    found: dict[str, tuple[int, ...]] = {}
    for name, conv in CONVS.items():
        found[f"{name}.conv.weight"] = (conv.outputs, conv.inputs, *conv.kernel)
        for part in ("weight", "bias", "running_mean", "running_var"):
            found[f"{name}.bn.{part}"] = (conv.outputs,)
    return {**found, "fc.weight": (LOGITS, FEATURES), "fc.bias": (LOGITS,)}


class Inception:
    """The network, ready to read pictures; it is not trained further.

    Args:
        weights: the tensors of a published file, see `shapes`.
    """

    def __init__(self, weights: Mapping[str, Tensor], device: torch.device | None = None) -> None:
        self.device = device or torch.device("cpu")
        folded = {name: _fold(name, weights) for name in CONVS}
        for block, names in SIDE_BY_SIDE.items():
            parts = [folded[f"{block}.{name}"] for name in names]
            folded[block] = (torch.cat([weight for weight, _ in parts]), torch.cat([bias for _, bias in parts]))
        self._folded = {
            name: (weight.to(self.device).contiguous(memory_format=torch.channels_last), bias.to(self.device))
            for name, (weight, bias) in folded.items()
        }
        self._classes = weights["fc.weight"].float().to(self.device)

    @torch.inference_mode()
    def __call__(
        self, x: Float[Tensor, "batch 3 299 299"]
    ) -> tuple[Float[Tensor, "batch 2048"], Float[Tensor, "batch 1008"]]:
        """Pool3 features, and the logits without their bias, which the published Inception Score leaves out.

        Args:
            x: pictures of `SIZE` pixels, values from -1 to 1.
        """
        x = self._arranged(x.to(self.device))
        x = self._run(x, "Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3")
        x = F.max_pool2d(x, 3, 2)
        x = self._run(x, "Conv2d_3b_1x1", "Conv2d_4a_3x3")
        x = F.max_pool2d(x, 3, 2)
        for block in ("Mixed_5b", "Mixed_5c", "Mixed_5d"):
            x = self._a(x, block)
        x = self._b(x)
        for block in ("Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"):
            x = self._c(x, block)
        x = self._d(x)
        x = self._e(x, "Mixed_7b", _average(x))
        # A slip of the original that everyone keeps
        x = self._e(x, "Mixed_7c", F.max_pool2d(x, 3, 1, 1))
        features = x.mean(dim=(2, 3))
        return features, features @ self._classes.T

    def _arranged(self, x: Tensor) -> Tensor:
        return x.contiguous(memory_format=torch.channels_last)

    def _a(self, x: Tensor, block: str) -> Tensor:
        one, five, three = self._split(x, block)
        five = self._run(five, f"{block}.branch5x5_2")
        three = self._run(three, f"{block}.branch3x3dbl_2", f"{block}.branch3x3dbl_3")
        return torch.cat([one, five, three, self._run(_average(x), f"{block}.branch_pool")], 1)

    def _b(self, x: Tensor) -> Tensor:
        name = "Mixed_6a.branch3x3"
        double = self._run(x, f"{name}dbl_1", f"{name}dbl_2", f"{name}dbl_3")
        return torch.cat([self._run(x, name), double, F.max_pool2d(x, 3, 2)], 1)

    def _c(self, x: Tensor, block: str) -> Tensor:
        one, seven, double = self._split(x, block)
        seven = self._run(seven, f"{block}.branch7x7_2", f"{block}.branch7x7_3")
        double = self._run(double, *(f"{block}.branch7x7dbl_{part}" for part in range(2, 6)))
        return torch.cat([one, seven, double, self._run(_average(x), f"{block}.branch_pool")], 1)

    def _d(self, x: Tensor) -> Tensor:
        three, seven = self._split(x, "Mixed_7a")
        seven = self._run(seven, *(f"Mixed_7a.branch7x7x3_{part}" for part in range(2, 5)))
        return torch.cat([self._run(three, "Mixed_7a.branch3x3_2"), seven, F.max_pool2d(x, 3, 2)], 1)

    def _e(self, x: Tensor, block: str, pooled: Tensor) -> Tensor:
        one, three, double = self._split(x, block)
        double = self._run(double, f"{block}.branch3x3dbl_2")
        wide = [self._run(three, f"{block}.branch3x3_2{side}") for side in "ab"]
        wide += [self._run(double, f"{block}.branch3x3dbl_3{side}") for side in "ab"]
        return torch.cat([one, *wide, self._run(pooled, f"{block}.branch_pool")], 1)

    def _split(self, x: Tensor, block: str) -> tuple[Tensor, ...]:
        """The convolutions of a block that read the same input, as one."""
        sizes = [CONVS[f"{block}.{name}"].outputs for name in SIDE_BY_SIDE[block]]
        return torch.split(self._convolve(x, block, 1, (0, 0)), sizes, 1)

    def _run(self, x: Tensor, *names: str) -> Tensor:
        for name in names:
            x = self._convolve(x, name, CONVS[name].stride, CONVS[name].padding)
        return x

    def _convolve(self, x: Tensor, name: str, stride: int, padding: tuple[int, int]) -> Tensor:
        weight, bias = self._folded[name]
        return F.conv2d(x, weight, bias, stride, padding).relu_()


def _average(x: Tensor) -> Tensor:
    """As TensorFlow's: the zeros around the picture are not counted."""
    return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


def _fold(name: str, weights: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """A convolution with its batch norm, in double precision."""
    gain, shift, mean, variance = (
        weights[f"{name}.bn.{part}"].double() for part in ("weight", "bias", "running_mean", "running_var")
    )
    scale = gain / (variance + _EPS).sqrt()
    weight = weights[f"{name}.conv.weight"].double() * scale.view(-1, 1, 1, 1)
    return weight.float(), (shift - mean * scale).float()
