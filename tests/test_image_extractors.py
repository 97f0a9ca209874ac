"""What sees pictures: the networks are those that were published, the resize rules those that they name, nothing is
unpickled."""

import importlib.util
import json
import os
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from daedal.data.images import ImageDataset, build
from daedal.errors import DaedalError
from daedal.evaluation.images import inception, weights
from daedal.evaluation.images.classifier import Classifier, ClassifierExtractor, accuracy, train_classifier
from daedal.evaluation.images.extractors import MAKERS, default_extractor, open_extractor
from daedal.evaluation.images.features import Features, Request, extract, in_colour
from daedal.evaluation.images.random_features import RandomExtractor
from daedal.evaluation.images.resize import RULES, resize
from daedal.evaluation.images.torch_file import read_tensors
from image_files import folder_of

HERE = Path(__file__).parent
GOLDEN = json.loads((HERE / "golden_image_metrics.json").read_text())["inception"]


@pytest.fixture(scope="session")
def bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location("image_metrics", HERE.parent / "benchmarks" / "image_metrics.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> ImageDataset:
    return build(["digits"], tmp_path_factory.mktemp("pictures") / "digits", workers=1)


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAEDAL_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("side", [32, 300])
def test_the_inception_network_gives_torch_fidelitys_features(bench: ModuleType, side: int) -> None:
    network = inception.Inception(bench.random_weights())
    shown = resize(torch.from_numpy(bench.pictures(2, side)).float(), inception.SIZE, "tf1-bilinear")
    features, logits = network((shown - 128) / 128)
    for name, found in (("features", features), ("logits", logits)):
        expected = torch.tensor(GOLDEN[f"{name} {side} values"])
        torch.testing.assert_close(found[:, :: found.shape[1] // 8][:, :8], expected.float(), rtol=1e-3, atol=2e-5)


def test_the_published_files_shapes_are_known() -> None:
    # 94 convolutions with batch norm, each with a counter that is not read, and the classes
    assert len(inception.CONVS) == 94
    assert len(inception.shapes()) + len(inception.CONVS) == 566


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_keeps_a_picture_of_one_colour(rule: str) -> None:
    shown = torch.full((2, 3, 17, 23), 101.0)
    torch.testing.assert_close(resize(shown, 40, rule), torch.full((2, 3, 40, 40), 101.0), rtol=1e-5, atol=1e-3)  # type: ignore[arg-type]


def test_tensorflows_rule_starts_at_the_corner_and_repeats_the_last_pixel() -> None:
    line = torch.tensor([0.0, 100.0]).expand(1, 1, 2, 2)
    assert resize(line, 4, "tf1-bilinear")[0, 0, 0].tolist() == [0, 50, 100, 100]
    assert resize(line, 4, "torch-bilinear")[0, 0, 0].tolist() == [0, 25, 75, 100]


def test_the_rules_differ_on_what_shrinks() -> None:
    checked = torch.zeros(1, 1, 32, 32)
    checked[..., ::2] = 255
    found = {rule: resize(checked, 8, rule) for rule in RULES}
    assert float(found["tf1-bilinear"].std()) == 0 != float(found["tf1-bilinear"].mean()) - 127.5
    assert abs(float(found["clean-bicubic"][..., 1:-1, 1:-1].mean()) - 127.5) < 5
    assert abs(float(found["torch-antialias"][..., 1:-1, 1:-1].mean()) - 127.5) < 5


def test_a_file_that_would_run_something_is_refused_and_runs_nothing(tmp_path: Path) -> None:
    path, proof = tmp_path / "weights.pth", tmp_path / "proof"
    for code in (f"cos\nsystem\n(S'touch {proof}'\ntR.".encode(), b"\x80\x02.", b"", b"no weights at all"):
        path.write_bytes(code)
        with pytest.raises(DaedalError, match="not a file of tensors alone"):
            read_tensors(path)

    class Harm:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, (f"touch {proof}",)

    for old in (True, False):
        torch.save({"a": torch.zeros(2), "b": Harm()}, path, _use_new_zipfile_serialization=not old)
        with pytest.raises(DaedalError, match="posix system"):
            read_tensors(path)
    assert not proof.exists()


@pytest.mark.parametrize("old", [True, False])
def test_the_tensors_of_both_layouts_of_pytorch_are_read(tmp_path: Path, old: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    whole = torch.randn(4, 6, generator=generator)
    network = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 3), torch.nn.BatchNorm2d(3))
    saved = {
        **network.state_dict(),
        "turned": whole.T,
        "part": whole[1:3, 2:],
        "half": whole.half(),
        "one": torch.tensor(5),
    }
    path = tmp_path / "weights.pth"
    for values in (saved, network.state_dict()):
        torch.save(values, path, _use_new_zipfile_serialization=not old)
        found = read_tensors(path)
        assert list(found) == list(values)
        assert all(torch.equal(found[name], values[name]) for name in values)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DaedalError, match="tensors alone"):
        read_tensors(path)


def test_safetensors_of_the_right_shapes_are_taken_and_others_not(tmp_path: Path, bench: ModuleType) -> None:
    path = tmp_path / "own.safetensors"
    save_file(bench.random_weights(), path)
    loaded, _ = weights.inception_weights(path)
    assert set(loaded) == set(inception.shapes())
    save_file({"fc.weight": torch.zeros(2, 2)}, path)
    with pytest.raises(DaedalError, match=r"Conv2d_1a_3x3\.conv\.weight"):
        weights.inception_weights(path)


def test_without_a_network_one_line_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "URLS", ("file:///nowhere/weights.pth",))
    with pytest.raises(DaedalError, match=r"cannot be fetched.*inception@PATH"):
        weights.inception_weights()


def test_a_file_that_comes_over_the_network_and_is_another_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other.pth"
    other.write_bytes(b"something else")
    monkeypatch.setattr(weights, "URLS", (other.as_uri(),))
    with pytest.raises(DaedalError, match="another file"):
        weights.inception_weights()
    assert not list((tmp_path / "cache").glob("*.pth"))


def test_an_unknown_extractor_names_those_that_there_are() -> None:
    with pytest.raises(DaedalError, match="classifier"):
        open_extractor("imagenet", Request())
    with pytest.raises(DaedalError, match="mobilenet@PATH"):
        open_extractor("mobilenet", Request())


def test_mobilenet_with_its_eight_bit_weights_is_the_network_of_its_specification(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    specs, arrays = [], {}
    sizes = [("features.0.0", 3, 4, 3, 2, 1, True), ("a.0", 4, 8, 1, 1, 1, True), ("a.1", 8, 8, 3, 1, 8, True),
             ("a.2", 8, 4, 1, 1, 1, False), ("features.18.0", 4, 6, 1, 1, 1, True)]  # fmt: skip
    for name, inputs, outputs, kernel, stride, groups, relu in sizes:
        shape = (outputs, inputs // groups, kernel, kernel)
        arrays[f"{name}.weight_int8"] = generator.integers(-99, 99, shape).astype(np.int8)
        arrays[f"{name}.bias"] = generator.standard_normal(outputs).astype(np.float32)
        specs.append({"name": name, "weight_scale": 0.01, "weight_zero_point": 0, "stride": stride,
                      "padding": kernel // 2, "groups": groups, "relu": relu})  # fmt: skip
    arrays["classifier.1.weight_int8"] = generator.integers(-99, 99, (5, 6)).astype(np.int8)
    arrays["classifier.1.bias"] = np.zeros(5, dtype=np.float32)
    values = {
        "input": {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}, "convs": specs,
        "blocks": [{"convs": ["a.0", "a.1", "a.2"], "residual": True}],
        "classifier": {"name": "classifier.1", "weight_scale": 0.01, "weight_zero_point": 0},
    }  # fmt: skip
    (tmp_path / "mobilenet_v2_int8.json").write_text(json.dumps(values))
    np.savez(tmp_path / "mobilenet_v2_int8.npz", **arrays)
    extractor = open_extractor(f"mobilenet@{tmp_path}", Request())
    pictures = generator.integers(0, 256, (2, 8, 8, 1)).astype(np.uint8)
    found = extractor(pictures)

    def layer(x: torch.Tensor, spec: tuple, relu: bool) -> torch.Tensor:  # type: ignore[type-arg]
        name, _, _, kernel, stride, groups, _ = spec
        weight = torch.from_numpy(arrays[f"{name}.weight_int8"]).float() * 0.01
        bias = torch.from_numpy(arrays[f"{name}.bias"])
        out = F.conv2d(x, weight, bias, stride, kernel // 2, groups=groups)
        return out.relu() if relu else out

    planes = torch.from_numpy(pictures.transpose(0, 3, 1, 2).copy()).float().expand(-1, 3, -1, -1)
    x = layer((resize(planes, 224, "torch-antialias") / 255 - 0.5) / 0.25, sizes[0], True)
    inside = layer(layer(layer(x, sizes[1], True), sizes[2], True), sizes[3], False)
    expected = layer(x + inside, sizes[4], True).mean((2, 3))
    torch.testing.assert_close(found.values, expected, rtol=1e-4, atol=1e-4)
    assert found.logits is not None
    assert found.logits.shape == (2, 5)


def test_grey_and_transparent_pictures_become_colour() -> None:
    grey = np.full((1, 2, 2, 1), 7, dtype=np.uint8)
    assert in_colour(grey).shape == (1, 2, 2, 3)
    clear = np.zeros((1, 2, 2, 4), dtype=np.uint8)
    assert in_colour(clear).tolist() == np.full((1, 2, 2, 3), 255).tolist()
    with pytest.raises(DaedalError, match="5 channels"):
        in_colour(np.zeros((1, 2, 2, 5), dtype=np.uint8))


def test_random_features_do_not_depend_on_the_batch_and_see_a_change_of_texture() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (9, 12, 12, 3)).astype(np.uint8)
    extractor = RandomExtractor()
    whole, one = extract(extractor, pictures), extract(extractor, pictures, batch=2)
    torch.testing.assert_close(whole.values, one.values)
    assert whole.values.shape == (9, 128)
    smooth = np.broadcast_to(pictures.mean((1, 2), keepdims=True), pictures.shape).astype(np.uint8)
    assert float((extractor(smooth).values - whole.values).abs().mean()) > 0.1


def test_the_classifier_learns_the_same_network_from_the_same_data_and_is_kept(digits: ImageDataset) -> None:
    first = open_extractor("classifier", Request(dataset=digits, views=10240))
    assert isinstance(first, ClassifierExtractor)
    assert ClassifierExtractor.is_ready(digits, 10240)
    again = ClassifierExtractor(train_classifier(digits, 10240), digits.classes, 10240)
    kept = open_extractor("classifier", Request(dataset=digits, views=10240))
    assert first.conditions == again.conditions == kept.conditions
    assert first.conditions["network"] == first.fingerprint[:8]
    split = digits.split("validation")
    right, of = accuracy(first, extract(first, split.images), split.labels)
    assert right / of > 0.8


def test_large_pictures_are_made_small_for_the_classifier() -> None:
    network = Classifier(3, 64, 70, 2)
    features, logits = network(torch.zeros(2, 3, 64, 70))
    assert features.shape == (2, 64)
    assert logits.shape == (2, 2)


def test_what_is_used_without_weights_depends_on_the_labels(digits: ImageDataset, tmp_path: Path) -> None:
    assert default_extractor(digits) == "classifier"
    folder_of(tmp_path / "in", 12)
    plain = build(tmp_path / "in", tmp_path / "out")
    assert default_extractor(plain) == default_extractor(None) == "random"
    with pytest.raises(DaedalError, match="has none"):
        open_extractor("classifier", Request(dataset=plain))


def test_another_extractor_can_be_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    class Mean:
        name, title, note = "mean", "mean", "The mean value."
        conditions: dict[str, str] = {}  # noqa: RUF012

        def __call__(self, pictures: np.ndarray) -> Features:
            return Features(torch.from_numpy(pictures.mean((1, 2))))

    monkeypatch.setitem(MAKERS, "mean", lambda request: Mean())
    assert open_extractor("mean", Request())(np.ones((4, 3, 3, 2), dtype=np.uint8)).values.shape == (4, 2)
