"""How fast and how exactly images are measured: the Fréchet distance beside `scipy.linalg.sqrtm`, Inception features beside
the plain eager network, and parity with torch-fidelity on the same arrays.

    python benchmarks/image_metrics.py                       # speed
    python benchmarks/image_metrics.py --quick               # smaller, seconds
    python benchmarks/image_metrics.py --parity              # beside torch-fidelity, which must be installed
    python benchmarks/image_metrics.py --golden tests/golden_image_metrics.json    # write its values for the tests

One thread; times are processor seconds, the best of a few. torch-fidelity imports torchvision for its data sets alone; a
module that stands for it is enough (`pip install --no-deps torch-fidelity`).
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from daedal.evaluation.images import frechet, inception, inception_score, kernel, manifold
from daedal.evaluation.images.moments import Moments
from daedal.evaluation.images.resize import resize

SHAPES = ((1200, 1100, 64), (1100, 1150, 96), (1050, 1020, 1100))
"""Samples, reference pictures, features; the last with fewer pictures than features."""


def arrays(n: int, m: int, width: int) -> tuple[Tensor, Tensor]:
    """Two sets of features that are like a network's: rectified, with strong and weak directions."""
    generator = np.random.Generator(np.random.Philox(n + m + width))
    mixing = generator.standard_normal((width, width)) / width**0.5 * np.geomspace(2, 0.02, width)
    x = np.maximum(0, generator.standard_normal((n, width)) @ mixing + 0.3)
    y = np.maximum(0, 1.1 * generator.standard_normal((m, width)) @ mixing + 0.35)
    return torch.from_numpy(x), torch.from_numpy(y)


def random_weights(seed: int = 7) -> dict[str, Tensor]:
    """Weights of the Inception network that keep its activations alive."""
    generator = np.random.Generator(np.random.Philox(seed))
    found = {}
    for name, shape in inception.shapes().items():
        drawn = generator.standard_normal(shape, dtype=np.float32)
        if name.endswith("conv.weight"):
            drawn *= (2 / np.prod(shape[1:])) ** 0.5
        elif name.endswith(("running_var", "bn.weight")):
            drawn = 1 + 0.1 * np.tanh(drawn)
        else:
            drawn *= 0.05
        found[name] = torch.from_numpy(drawn.astype(np.float32))
    return found


def pictures(count: int, side: int, seed: int = 3) -> np.ndarray:
    """Smooth coloured noise as bytes, `[n channels height width]`."""
    generator = np.random.Generator(np.random.Philox(seed))
    coarse = torch.from_numpy(generator.standard_normal((count, 3, 5, 5), dtype=np.float32))
    smooth = F.interpolate(coarse, (side, side), mode="bicubic") * 50 + 128
    return smooth.round().clamp(0, 255).to(torch.uint8).numpy()


def ours(x: Tensor, y: Tensor) -> dict[str, float]:
    """Every number of two sets of features, by Daedal."""
    kid, score, found = kernel.kernel_distance(x, y), inception_score.inception_score(x), manifold.manifold(x, y)
    return {
        "fid": frechet.frechet_distance(x, y), "fid of moments": frechet.distance_of_moments(Moments.of(x), Moments.of(y)),
        "kid mean": kid.value, "kid std": kid.deviation, "isc mean": score.value, "isc std": score.deviation,
        "precision": found.precision, "recall": found.recall,
    }  # fmt: skip


def theirs(x: Tensor, y: Tensor) -> dict[str, float]:
    """The same by torch-fidelity."""
    without_torchvision()
    from torch_fidelity import metric_fid, metric_isc, metric_kid, metric_prc

    statistics = [metric_fid.fid_features_to_statistics(each) for each in (x, y)]
    fid = metric_fid.fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    kid = metric_kid.kid_features_to_metric(
        x, y, kid_subsets=100, kid_subset_size=1000, verbose=False, rng_seed=2020, kid_kernel="poly",
        kid_kernel_poly_degree=3, kid_kernel_poly_gamma=None, kid_kernel_poly_coef0=1,
    )  # fmt: skip
    score = metric_isc.isc_features_to_metric(x)
    near = metric_prc.prc_features_to_metric(
        x, y, prc_neighborhood=3, prc_batch_size=10000, save_cpu_ram=False, verbose=False
    )
    return {
        "fid": fid, "fid of moments": fid,
        "kid mean": kid["kernel_inception_distance_mean"], "kid std": kid["kernel_inception_distance_std"],
        "isc mean": score["inception_score_mean"], "isc std": score["inception_score_std"],
        "precision": near["precision"], "recall": near["recall"],
    }  # fmt: skip


def network_parity() -> dict[str, Any]:
    """Features and logits of the Inception network with random weights, by both, for pictures of 32 and 300 pixels."""
    without_torchvision()
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

    weights = random_weights()
    reference = their_network(FeatureExtractorInceptionV3, weights)
    network, found = inception.Inception(weights), {}
    for side in (32, 300):
        shown = torch.from_numpy(pictures(2, side))
        resized = resize(shown.float(), inception.SIZE, "tf1-bilinear")
        expected = interpolate_bilinear_2d_like_tensorflow1x(shown.float(), size=(299, 299), align_corners=False)
        found[f"resize {side}"] = float((resized - expected).abs().max())
        with torch.no_grad():
            features, logits = reference(shown)
        own = network((resized - 128) / 128)
        for name, one, other in (("features", features, own[0]), ("logits", logits, own[1])):
            found[f"{name} {side}"] = float((one - other).abs().max() / one.abs().max())
            found[f"{name} {side} values"] = one[:, :: one.shape[1] // 8][:, :8].double().tolist()
    return found


def their_network(kind: Any, weights: dict[str, Tensor]) -> Any:
    """torch-fidelity's network with our weights, without a file."""
    counters = {f"{name}.bn.num_batches_tracked": torch.tensor(0) for name in inception.CONVS}
    load, torch.load = torch.load, lambda *_, **__: {**weights, **counters}
    try:
        return kind("random", ["2048", "logits_unbiased"], feature_extractor_weights_path="here")
    finally:
        torch.load = load


def without_torchvision() -> None:
    """Let torch-fidelity import what it does not need."""
    import importlib.abc
    import importlib.machinery
    import types

    class Anything(types.ModuleType):
        __path__: ClassVar[list[str]] = []

        def __getattr__(self, name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(name)
            return type(name, (), {})

    class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
        def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
            if name.split(".")[0] != "torchvision":
                return None
            return importlib.machinery.ModuleSpec(name, self, is_package=True)

        def create_module(self, spec: Any) -> Any:
            return Anything(spec.name)

        def exec_module(self, module: Any) -> None: ...

    if not any(type(each).__name__ == "Finder" for each in sys.meta_path):
        sys.meta_path.insert(0, Finder())


def seconds(work: Callable[[], Any], tries: int = 2) -> tuple[float, Any]:
    """The least processor time of some tries, and what came of it."""
    best, value = float("inf"), None
    for _ in range(tries):
        started = time.process_time()
        value = work()
        best = min(best, time.process_time() - started)
    return best, value


def frechet_speed(width: int) -> None:
    import scipy.linalg

    n = 2 * width
    x, y = arrays(n, n + 100, width)
    one, other = Moments.of(x), Moments.of(y)
    a, b = one.covariance.numpy(), other.covariance.numpy()
    means = float(((one.mean - other.mean) ** 2).sum())

    def by_root() -> float:
        return means + float(np.trace(a) + np.trace(b) - 2 * np.trace(scipy.linalg.sqrtm(a @ b)).real)

    fast, value = seconds(lambda: frechet.distance_of_moments(one, other))
    slow, expected = seconds(by_root, 1)
    print(
        f"Fréchet distance, {width} features: {fast:.2f} s, scipy's sqrtm {slow:.2f} s: {slow / fast:.1f} times as fast"
    )
    print(f"  {value:.10g} and {expected:.10g}, {abs(value / expected - 1):.1e} apart")
    few, fewer = x[: width // 2], y[: width // 2]
    low, value = seconds(lambda: frechet.frechet_distance(few, fewer))
    print(f"  from {width // 2} pictures of either kind: {low:.2f} s")


class Plain(nn.Module):
    """A convolution with batch norm and ReLU as one writes them."""

    def __init__(self, conv: inception.Conv, weights: dict[str, Tensor], name: str) -> None:
        super().__init__()
        self.conv = nn.Conv2d(conv.inputs, conv.outputs, conv.kernel, conv.stride, conv.padding, bias=False)
        self.bn = nn.BatchNorm2d(conv.outputs, eps=1e-3)
        inside = {key.removeprefix(f"{name}."): value for key, value in weights.items() if key.startswith(f"{name}.")}
        self.load_state_dict({**inside, "bn.num_batches_tracked": torch.tensor(0)})

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)), inplace=True)


class PlainInception(inception.Inception):
    """The same network of plain layers, one convolution at a time, as pytorch-fid and torch-fidelity run it."""

    def __init__(self, weights: dict[str, Tensor]) -> None:
        super().__init__(weights)
        self._layers = {name: Plain(conv, weights, name).eval() for name, conv in inception.CONVS.items()}

    def _split(self, x: Tensor, block: str) -> tuple[Tensor, ...]:
        return tuple(self._layers[f"{block}.{name}"](x) for name in inception.SIDE_BY_SIDE[block])

    def _run(self, x: Tensor, *names: str) -> Tensor:
        for name in names:
            x = self._layers[name](x)
        return x

    def _arranged(self, x: Tensor) -> Tensor:
        return x


def inception_speed(batch: int) -> None:
    weights = random_weights()
    shown = resize(torch.from_numpy(pictures(batch, 32)).float(), inception.SIZE, "tf1-bilinear") / 127.5 - 1
    network, plain = inception.Inception(weights), PlainInception(weights)
    fast, (features, _) = seconds(lambda: network(shown), 3)
    slow, (expected, _) = seconds(lambda: plain(shown), 3)
    apart = float((features - expected).abs().max() / expected.abs().max())
    print(
        f"Inception features: {batch / fast:.1f} pictures/s, plain eager network {batch / slow:.1f}: {slow / fast:.2f} times "
        f"as fast, {apart:.1e} apart"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="smaller sizes")
    parser.add_argument("--parity", action="store_true", help="beside torch-fidelity")
    parser.add_argument("--golden", type=Path, help="write torch-fidelity's values here")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.parity or options.golden:
        golden: dict[str, Any] = {"arrays": {}, "inception": network_parity()}
        for shape in SHAPES[:2] if options.quick else SHAPES:
            x, y = arrays(*shape)
            mine, peer = ours(x, y), theirs(x, y)
            golden["arrays"]["x".join(map(str, shape))] = peer
            print(f"{shape[0]} and {shape[1]} pictures, {shape[2]} features")
            for name, value in peer.items():
                print(
                    f"  {name:16} {mine[name]:.12g}  torch-fidelity {value:.12g}  apart {abs(mine[name] - value):.1e}"
                )
        for name, value in golden["inception"].items():
            if not name.endswith("values"):
                print(f"  {name:16} apart {value:.1e}")
        if options.golden:
            options.golden.write_text(json.dumps(golden, indent=1) + "\n")
        return
    frechet_speed(512 if options.quick else 2048)
    inception_speed(4 if options.quick else 16)


if __name__ == "__main__":
    main()
