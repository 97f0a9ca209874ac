"""The report of a model of images: what it holds depends on what the model can do, and every number says what it is."""

import io
import json
import math
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console
from torch import Tensor

from blots import Blots, generator
from daedal.data.images import ImageDataset, build
from daedal.errors import DaedalError
from daedal.evaluation.blocks import Table
from daedal.evaluation.card import model_card
from daedal.evaluation.evaluate import allotted, evaluate, expected_seconds, write
from daedal.evaluation.images.baselines import gaussian_pictures
from daedal.evaluation.images.distances import Distances
from daedal.evaluation.images.likelihood import Likelihood
from daedal.evaluation.images.reconstruction import Reconstruction, errors
from daedal.evaluation.images.reference import of_data
from daedal.evaluation.images.speeds import Speeds
from daedal.evaluation.kinds.pictures import PictureOptions, PictureSubject
from daedal.evaluation.page import report_page
from daedal.evaluation.report import Curve, Report
from daedal.evaluation.terminal import render
from daedal.evaluation.worlds.composition import Composing
from daedal.models.image import ImageBatch, ImageConfig
from image_files import folder_of, png_with

CLASSES = tuple("0123456789")


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> ImageDataset:
    return build(["digits"], tmp_path_factory.mktemp("pictures") / "digits", workers=1)


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAEDAL_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(scope="session")
def report(digits: ImageDataset, tmp_path_factory: pytest.TempPathFactory) -> Report:
    model = generator(CLASSES, 1)
    return evaluate(model, digits, samples=120, extractor="random", seed=3)


def test_a_model_that_can_do_everything_is_measured_in_everything(report: Report) -> None:
    quantities = {each.quantity.split("/")[0] for each in report.measurements}
    assert quantities >= {
        "fid-random", "kid-random", "precision-random", "recall-random", "density-random", "coverage-random",
        "bits-per-dimension", "nats-per-picture", "reconstruction-psnr", "authenticity", "data-copying",
    }  # fmt: skip
    assert [each.name for each in report.baselines] == ["training pictures", "Gaussian over pixels"]
    assert any("at infinity" in line for line in report.missing)
    assert any("Inception Score" in line for line in report.missing)


def test_where_later_steps_overfit_is_told_wherever_the_report_is_read(report: Report) -> None:
    curve = Curve(name="loss", train=((8, 2.0), (24, 1.0)), validation=((8, 2.0), (16, 1.5), (24, 1.9)))
    told = report.but(plan={"keep": "best"}, curve=curve)
    line = "best at step 16 (1.500); later steps overfit (1.900 at step 24); those weights are saved"
    console = Console(width=200, file=io.StringIO())
    console.print(render(told))
    assert line in console.file.getvalue()  # type: ignore[attr-defined]
    assert all(line in written for written in (told.summary(), model_card(told), report_page(told)))
    assert report.overfitting is None


def test_training_pictures_are_nearer_to_the_reference_than_noise_is(report: Report) -> None:
    for own, (real, gaussian) in ((row, beside) for row, beside in report.rows() if row.quantity == "fid-random/v1"):
        assert real is not None
        assert gaussian is not None
        assert real.value < own.value
        assert real.value < gaussian.value


def test_every_number_names_its_extractor_sizes_and_hashes(report: Report) -> None:
    fid = report.measured("fid")
    assert fid.definition.startswith("fid-random/v1@seed=")
    assert "samples=120" in fid.definition
    assert "validation=" in fid.definition or "test=" in fid.definition
    assert fid.data_hash == report.data.hash
    assert fid.model_hash == report.model.hash
    assert fid.interval is not None
    assert fid.interval[0] <= fid.value <= fid.interval[1]
    assert "not Inception FID" in report.summary()


def test_bits_per_dimension_are_nats_in_other_units(report: Report) -> None:
    nats, bits = report.measured("nats-per-picture"), report.measured("bits-per-dimension")
    assert bits.value == pytest.approx(nats.value / (64 * math.log(2)))


def test_the_same_seed_gives_the_same_numbers(report: Report, digits: ImageDataset) -> None:
    again = evaluate(generator(CLASSES, 1), digits, samples=120, extractor="random", seed=3)
    drawn = [each for each in again.measurements if "nats" not in each.name and "bits" not in each.name]
    assert all(each in report.measurements for each in drawn if "reconstruction" not in each.definition)


def test_the_report_survives_the_disk_and_its_pages_hold_no_foreign_markup(report: Report, tmp_path: Path) -> None:
    nasty = report.model.but(name="<script>|x|")
    written = write(report.model_copy(update={"model": nasty}), tmp_path)
    assert {Path(name).name for name in written.written} == {
        "report.html", "README.md", "evaluation.json", "samples.png", "neighbours.png", "reconstructions.png",
    }  # fmt: skip
    read = Report.read(tmp_path)
    assert read.measurements == report.measurements
    page, card = (tmp_path / "report.html").read_text(), (tmp_path / "README.md").read_text()
    assert "<script" not in page
    assert "\\<script\\>" in card.split("---")[2]
    assert page.count("data:image/png;base64,") == 3
    assert "fid-random/v1" in card
    with Image.open(tmp_path / "samples.png") as sheet:
        sheet.verify()


def test_the_report_reads_in_a_terminal(report: Report) -> None:
    from rich.console import Console

    console = Console(width=200, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(render(report))
    text = console.export_text()
    assert "FID-random" in text
    assert "Gaussian over pixels" in text


def test_classes_are_told_by_the_classifier(digits: ImageDataset) -> None:
    found = evaluate(generator(CLASSES, 1), digits, samples=60, extractor="classifier", seconds=5)
    (table,) = (block for block in found.blocks if isinstance(block, Table))
    names, _, samples, _, asked = zip(*table.rows, strict=True)
    assert names == CLASSES
    assert sum(asked) == 60
    assert sum(samples) == pytest.approx(1)
    assert 0 <= found.measured("class-accuracy").value <= 1
    assert found.has("classifier-accuracy")
    assert found.has("inception-score")


def test_a_model_that_only_reconstructs_is_measured_in_that(digits: ImageDataset) -> None:
    class Tokens(Blots):
        capabilities = frozenset({"reconstruct"})

    found = evaluate(generator((), 1, model=Tokens), digits, extractor="random")
    assert {each.quantity.split("/")[0] for each in found.measurements} == {
        "reconstruction-psnr", "reconstruction-ssim", "reconstruction-mse",
    }  # fmt: skip
    assert found.summary()


def test_intervals_of_reconstructions_hold_nothing_impossible(digits: ImageDataset) -> None:
    class Nearly(Blots):
        def reconstruct(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
            last = torch.arange(len(images)) == len(images) - 1
            return torch.where(last[:, None, None, None], -images, images)

    nearly = generator((), 1, model=Nearly)
    subject = PictureSubject(nearly.model, of_data(digits, digits.codec, digits), PictureOptions(), nearly)
    subject.held = replace(
        subject.reference, pictures=np.asarray(digits.split("test").images[:12]), labels=np.full(12, -1)
    )
    found = Reconstruction().measure(subject, 1.0, lambda share, doing: None).measurements
    possible = {"PSNR": (0, 100), "SSIM": (-1, 1), "MSE": (0, 1)}
    for each in found:
        least, most = possible[each.name.split()[0]]
        assert each.interval is not None
        assert least <= each.interval[0] < each.value < each.interval[1] <= most
    assert any(each.interval is not None and each.interval[1] == 1 for each in found)


def test_a_likelihood_that_is_no_number_is_missing_not_measured(digits: ImageDataset) -> None:
    class Lost(Blots):
        capabilities = frozenset({"score", "reconstruct"})

        def log_likelihood(self, batch: ImageBatch, samples: int = 1) -> Tensor:
            return torch.full((len(batch.images),), torch.nan)

    found = evaluate(generator((), 1, model=Lost), digits, extractor="random", seconds=5)
    assert not found.has("nats-per-picture")
    assert any("likelihood of" in line and "NaN" in line for line in found.missing)


def test_a_folder_of_pictures_can_be_measured_against(tmp_path: Path) -> None:
    folder_of(tmp_path / "in", 54, height=8, width=8)
    (tmp_path / "in" / "workflow.png").write_bytes(png_with((b"zTXt", b"x\0\0" + zlib.compress(bytes(3_000_000)))))
    found = evaluate(generator(), tmp_path / "in", samples=50)
    assert found.data.pictures == 55
    assert found.measured("fid").value > 0
    assert any("training pictures are not at hand" in line for line in found.missing)


def test_what_cannot_be_measured_against_is_named(tmp_path: Path, digits: ImageDataset) -> None:
    folder_of(tmp_path / "few", 3)
    for against, wrong in ((tmp_path / "few", "holds 3 pictures"), (tmp_path / "none", "no folder"), (digits, "width")):
        with pytest.raises(DaedalError, match=wrong):
            evaluate(generator(), against)
    with pytest.raises(DaedalError, match="--against"):
        evaluate(generator())


def test_a_broken_picture_in_the_folder_is_named(tmp_path: Path) -> None:
    folder_of(tmp_path, 55, height=8, width=8)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(DaedalError, match=r"broken\.png"):
        evaluate(generator(), tmp_path)


def test_the_time_decides_the_sizes_and_the_sizes_keep_the_time(digits: ImageDataset) -> None:
    model = Blots(ImageConfig(channels=1, height=8, width=8, classes=10))
    subject = PictureSubject(model, of_data(digits, digits.codec, digits), PictureOptions(seconds=60.0))
    assert subject.opening_seconds > 1  # a classifier is trained
    chosen = [Distances(), Composing(), Reconstruction(), Likelihood()]
    for draws in (3.0, 30.0, 3000.0):
        subject.speeds = Speeds(draws=draws, scores=draws, reconstructs=draws)
        assert expected_seconds(subject) < (75 if draws > 3 else 130)
        left = subject.seconds_left(subject.opening_seconds)
        composed = sum(taken for _, taken in allotted(subject, chosen, left))
        assert composed + subject.opening_seconds < (75 if draws > 3 else 180)
    sizes = []
    for draws in (1000.0, 20.0):
        subject.speeds = Speeds(draws=draws)
        sizes.append(Distances().count(subject, 22.0))
    quick, slow = sizes
    assert quick > slow


def test_the_expected_time_is_told_before_training(digits: ImageDataset) -> None:
    model = Blots(ImageConfig(channels=1, height=8, width=8, classes=10))
    assert 1 < expected_seconds(PictureSubject.of(model, digits, 20)) < 30


def test_reconstructions_that_are_the_pictures_have_no_error() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (3, 12, 12, 3)).astype(np.uint8)
    same, other = errors(pictures, pictures), errors(pictures, 255 - pictures)
    assert same.mse.max() == 0
    assert same.ssim.min() == pytest.approx(1)
    assert same.psnr.min() == 100
    assert (other.ssim < 0).all()
    assert other.psnr == pytest.approx(-10 * np.log10(other.mse))


def test_the_gaussian_over_pixels_has_their_mean_and_spread() -> None:
    train = np.random.default_rng(0).normal(120, 20, (400, 4, 4, 1)).clip(0, 255).astype(np.uint8)
    drawn = gaussian_pictures(train, 400, seed=1)
    assert drawn.mean() == pytest.approx(train.mean(), abs=2)
    assert drawn.std() == pytest.approx(train.std(), rel=0.1)


def test_the_evaluation_is_json(report: Report) -> None:
    values = json.loads(json.dumps(report.model_dump(mode="json")))
    assert "pictures" not in values
    assert Report.parse(values, "test").measurements == report.measurements


def test_likeness_is_wangs_formula() -> None:
    generator = np.random.default_rng(1)
    one, other = (generator.integers(0, 256, (1, 11, 11, 1)).astype(np.uint8) for _ in range(2))
    x, y = one.reshape(11, 11) / 255, other.reshape(11, 11) / 255
    place = np.arange(11) - 5
    window = np.exp(-(place[:, None] ** 2 + place[None] ** 2) / (2 * 1.5**2))
    window /= window.sum()
    mean_x, mean_y = (window * x).sum(), (window * y).sum()
    spread_x, spread_y = (window * (x - mean_x) ** 2).sum(), (window * (y - mean_y) ** 2).sum()
    together = (window * (x - mean_x) * (y - mean_y)).sum()
    c1, c2 = 0.01**2, 0.03**2
    expected = (2 * mean_x * mean_y + c1) * (2 * together + c2)
    expected /= (mean_x**2 + mean_y**2 + c1) * (spread_x + spread_y + c2)
    assert errors(one, other).ssim[0] == pytest.approx(expected)


def test_options_for_images_are_refused_for_text(tmp_path: Path) -> None:
    from daedal.cli.evaluate import evaluate as command

    (tmp_path / "config.json").write_text(json.dumps({"architectures": ["GPT2LMHeadModel"]}))
    for options in ({"samples": 3}, {"extractor": "random"}, {"against": tmp_path}, {"seconds": 5.0}):
        with pytest.raises(DaedalError, match=f"--{next(iter(options))} is for models of images"):
            command(str(tmp_path), **options)  # type: ignore[arg-type]
