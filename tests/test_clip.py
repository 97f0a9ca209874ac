"""CLIP: what it learns, how it is trained and opened, what it chooses, and what is refused."""

import json
import re
from dataclasses import replace
from pathlib import Path
from textwrap import shorten
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import daedal
from command_line import daedal as command
from command_line import mistake
from daedal import api
from daedal.codecs.caption import CaptionCodec
from daedal.data.images.dataset import ImageDataset
from daedal.errors import DaedalError
from daedal.evaluation.images.retrieval import distinct, retrieval
from daedal.evaluation.report import Report
from daedal.inference.generator import Generator
from daedal.inference.picture import Picture
from daedal.inference.skills.draw import draw_best
from daedal.models.checkpoint import load_model, save_own
from daedal.models.clip import CLIP, CLIPConfig
from daedal.models.image import ImageBatch
from daedal.nn.noise import Noise
from daedal.training.trainer import Interrupted
from runs import logged, same, stop_at
from test_picture_training import trainer_for
from tiny_models import shaken

torch.set_num_threads(1)
CAPTIONS = CaptionCodec.train(["a red circle above a blue square", "two green stars", "a large pink moon"])
TINY = {"breadth": 8, "widest": 16, "features": 32, "text_width": 32, "text_depth": 1, "embedding": 16}
CONFIG = CLIPConfig(
    channels=3, height=8, width=8, words=CAPTIONS.vocab_size, window=CAPTIONS.window, **TINY  # type: ignore[arg-type]
)  # fmt: skip
ROWS = CAPTIONS.encode(["two green stars", "a red circle above a blue square", "a large pink moon"])


def _batch(labels: Tensor = ROWS) -> ImageBatch:
    noise = Noise(5, 0, len(labels))
    return ImageBatch(noise.uniform("picture", 3, 8, 8) * 2 - 1, labels, noise)


def _loss(model: CLIP, batch: ImageBatch) -> float:
    return float(model.loss(batch).total.detach())


# -- the loss ----------------------------------------------------------------------------------------------------------


def test_the_loss_is_the_contrast_of_the_paper_where_captions_differ() -> None:
    model, batch = shaken(CLIP(CONFIG)), _batch()
    logits = model.embed_pictures(batch.images) @ model.embed_texts(batch.labels).mT / model.temperature
    own = torch.arange(3)
    one, other = (torch.nn.functional.cross_entropy(side, own, reduction="sum") for side in (logits, logits.mT))
    torch.testing.assert_close(model.loss(batch).total, (one + other) / 2)


def test_equal_captions_are_no_negatives() -> None:
    model = shaken(CLIP(CONFIG))
    alike = _batch(ROWS[[0, 0, 0]])
    assert _loss(model, alike) == pytest.approx(0, abs=1e-5)
    some = _batch(ROWS[[0, 0, 1]])
    found = model.loss(some).total
    logits = (model.embed_pictures(some.images) @ model.embed_texts(some.labels).mT / model.temperature).double()
    texts, pictures = logits.softmax(1), logits.softmax(0)
    chance = torch.stack([
        texts[0, :2].sum(), texts[1, :2].sum(), texts[2, 2], pictures[:2, 0].sum(), pictures[:2, 1].sum(), pictures[2, 2],
    ])  # fmt: skip
    assert float(found.detach()) == pytest.approx(float(-chance.log().sum().detach() / 2), rel=1e-4)


def test_pictures_without_a_caption_are_passed_over() -> None:
    model, batch = shaken(CLIP(CONFIG)), _batch(CAPTIONS.encode(["two green stars", "", "a large pink moon"]))
    kept = replace(batch, images=batch.images[[0, 2]], labels=batch.labels[[0, 2]], noise=Noise(5, 0, 2))
    assert _loss(model, batch) == pytest.approx(_loss(model, kept))
    nothing = model.loss(_batch(torch.full_like(ROWS, -1)))
    assert float(nothing.total.detach()) == float(nothing.parts["matched"]) == 0
    nothing.total.backward()  # type: ignore[no-untyped-call]


def test_every_weight_learns() -> None:
    model = shaken(CLIP(CONFIG))
    model.loss(_batch()).total.backward()  # type: ignore[no-untyped-call]
    assert [name for name, value in model.named_parameters() if value.grad is None or not value.grad.any()] == []


# -- opening and use ---------------------------------------------------------------------------------------------------


def test_weights_come_back_from_a_folder(tmp_path: Path) -> None:
    model = shaken(CLIP(CONFIG)).eval()
    save_own(model, tmp_path)
    again = load_model(tmp_path)
    assert isinstance(again, CLIP)
    assert again.config == CONFIG
    assert torch.equal(again.embed_pictures(_batch().images), model.embed_pictures(_batch().images))
    assert torch.equal(again.embed_texts(ROWS), model.embed_texts(ROWS))


RUN: dict[str, Any] = {
    "breadth": 24, "widest": 48, "features": 64, "text_width": 64, "text_depth": 1, "embedding": 32, "steps": 60,
    "batch": 48, "micro_batch": 48, "learning_rate": 3e-3, "evaluate_every": 30, "sample_every": 30, "checkpoint_every": 30,
}  # fmt: skip


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clip") / "scenes"
    api.build_data(["scenes:600"], folder, size=32, workers=1, split=(80, 10, 10))
    return folder


@pytest.fixture(scope="module")
def run(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clip") / "judge"
    trainer_for("clip", scenes, folder, **RUN).train()
    api.evaluate(folder)
    return folder


@pytest.fixture(scope="module")
def judge(run: Path) -> Generator:
    opened = daedal.load(run)
    assert isinstance(opened, Generator)
    return opened


def test_matched_pairs_are_nearer_than_mismatched_ones(scenes: Path, judge: Generator, run: Path) -> None:
    held = ImageDataset.open(scenes).split("validation")
    texts, right = distinct(held.captions)
    near = judge.similarity(list(held.images), texts).cpu()
    assert float(near[right].mean()) > float(near[~right].mean()) + 0.1
    losses = logged(run, "validation_loss")
    assert losses[-1] < losses[0] < np.log(48)


def test_a_picture_and_a_text_are_embedded_alone_as_they_are_beside_others(scenes: Path, judge: Generator) -> None:
    held = ImageDataset.open(scenes).split("validation")
    pictures, texts = list(held.images[:5]), list(held.captions[:5])
    close = {"rtol": 0, "atol": 1e-5}
    for together, alone in ((judge.embed_pictures, pictures), (judge.embed_texts, texts)):
        many = together(alone)  # type: ignore[arg-type, operator]
        torch.testing.assert_close(many, torch.cat([together([one]) for one in alone]), **close)  # type: ignore[operator]
        torch.testing.assert_close(many.norm(dim=1), torch.ones(5), **close)


def test_classes_are_probabilities_and_ranks_are_by_similarity(scenes: Path, judge: Generator) -> None:
    pictures = list(ImageDataset.open(scenes).split("validation").images[:6])
    for named in judge.classify(pictures, ["circle", "square"], template="a red {}"):
        assert set(named) == {"circle", "square"}
        assert sum(named.values()) == pytest.approx(1)
        assert list(named.values()) == sorted(named.values(), reverse=True)
    ranked = judge.rank("a red circle", pictures)
    near = judge.similarity(pictures, ["a red circle"])[:, 0]
    assert [place for place, _ in ranked] == near.argsort(descending=True).tolist()
    assert judge.choose("a red circle", pictures) == int(near.argmax())


def test_of_several_drawings_the_nearest_is_kept_and_can_be_drawn_again(judge: Generator, painter: Path) -> None:
    artist = daedal.load(painter)
    assert isinstance(artist, Generator)
    prompts = ["a red circle", "two blue stars"]
    best = draw_best(artist.generate, judge, 3, best_of=4, prompt=prompts, seed=3)
    asked = [prompts[number % 2] for number in range(3)]
    for number, (picture, text) in enumerate(zip(best, asked, strict=True)):
        drawn = [artist.generate(1, prompt=text, seed=3, first=4 * number + each)[0] for each in range(4)]
        assert picture.provenance.label == text
        assert _alike(picture, drawn[judge.choose(text, drawn)])
        assert _alike(picture, artist.generate(1, prompt=text, seed=3, first=picture.provenance.number)[0])
    (second,) = draw_best(artist.generate, judge, 1, best_of=4, prompt=prompts, seed=3, first=1)
    assert second.provenance == best[1].provenance


def _alike(one: Picture, other: Picture) -> bool:
    return int(np.abs(np.asarray(one.image).astype(int) - np.asarray(other.image)).max()) <= 1


@pytest.fixture(scope="module")
def painter(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clip") / "painter"
    shape = {"features": 8, "levels": 2, "patch": 4, "text_width": 32, "text_depth": 1, "condition": "caption"}
    trainer_for("flow", scenes, folder, **shape).train()
    return folder


# -- training ----------------------------------------------------------------------------------------------------------


def test_a_run_that_was_stopped_goes_on_bit_for_bit(scenes: Path, tmp_path: Path) -> None:
    shape = {**RUN, "steps": 8, "batch": 16, "micro_batch": 16, "checkpoint_every": 3}
    trainer_for("clip", scenes, tmp_path / "whole", **shape).train()
    first = trainer_for("clip", scenes, tmp_path / "stopped", **shape)
    stop_at(first, 5)
    with pytest.raises(Interrupted):
        first.train()
    trainer_for("clip", scenes, tmp_path / "stopped", **shape).train()
    assert same(tmp_path / "whole", tmp_path / "stopped")


def test_the_command_trains_measures_and_goes_on_from_a_model(scenes: Path, tmp_path: Path) -> None:
    options = ("--threads", "1", "--precision", "fp32", "--steps", "2", "--data", scenes)
    shape = [part for name, value in TINY.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    done = command("train", "clip", "--out", tmp_path / "run", *options, *shape, "--batch", "8")
    assert done.code == 0, done.err
    assert "text of a picture, in the first 1" in done.out
    card = (tmp_path / "run" / "README.md").read_text()
    assert "zero-shot-image-classification" in card
    assert "model.classify(" in card
    further = command("train", "clip", "--out", tmp_path / "more", "--init", tmp_path / "run", *options)
    assert further.code == 0, further.err
    assert "captions of up to" in command("plan", "clip", "--data", scenes, "--steps", "2").out


def test_a_sample_tells_how_many_held_out_pictures_find_their_caption_and_what_others_find(
    run: Path, scenes: Path
) -> None:
    text = json.loads((run / "training" / "samples.jsonl").read_text().splitlines()[-1])["text"]
    found, pictures = map(int, re.findall(r"\d+", text)[:2])
    told = {shorten(each, 60, placeholder="...") for each in ImageDataset.open(scenes).split("validation").captions}
    others = re.findall(r'^"(.*)" for "(.*)",?$', text, re.MULTILINE)
    assert text.startswith(f"{found} of {pictures} pictures find their own caption; others find")
    assert len(others) == pictures - found == text.count("\n")
    assert all(other != own and {other, own} <= told for other, own in others)


# -- measuring ---------------------------------------------------------------------------------------------------------


def test_recall_and_chance_are_what_counting_says() -> None:
    texts, right = distinct(["A cat.", "a dog", "a cat", "a cow"])
    assert texts == ["a cat", "a dog", "a cow"]
    said = torch.eye(3)
    pictures = said[[0, 1, 1, 2]]  # the third, a cat, looks like a dog
    found, chance = retrieval(pictures, said, right, model_hash="", data_hash="")
    values = {each.quantity: each.value for each in found}
    assert values["text-recall-1/v1"] == 3 / 4
    assert values["picture-recall-1/v1"] == 2 / 3  # a dog is met by the wrong cat as near: a tie is no hit
    assert values["text-recall-5/v1"] == values["picture-recall-5/v1"] == 1
    lucky = {each.quantity: each.value for each in chance.measurements}
    assert lucky["text-recall-1/v1"] == pytest.approx(1 / 3)
    assert lucky["picture-recall-1/v1"] == pytest.approx((2 / 4 + 1 / 4 + 1 / 4) / 3)
    assert lucky["picture-recall-5/v1"] == 1


def test_a_model_of_one_direction_finds_nothing() -> None:
    texts, right = distinct([f"thing {number}" for number in range(20)])
    found, _ = retrieval(torch.ones(20, 1), torch.ones(20, 1), right, model_hash="", data_hash="")
    assert len(texts) == 20
    assert [each.value for each in found] == [0] * 6


def test_the_report_has_recall_both_ways_beside_chance(run: Path) -> None:
    report = Report.read(run)
    for quantity in ("text-recall", "picture-recall"):
        for first in (1, 5, 10):
            own = report.measured(f"{quantity}-{first}")
            assert own.interval is not None
            assert own.interval[0] <= own.value <= own.interval[1]
    assert report.measured("picture-recall-10").value > 2 * report.baselines[0].measurements[-1].value
    assert [baseline.name for baseline in report.baselines] == ["chance"]
    assert command("evaluate", run).code == 0


# -- the commands, and mistakes ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def files(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("clip-files")
    held = ImageDataset.open(scenes).split("validation")
    paths = [folder / f"{number}.png" for number in range(3)]
    for number, path in enumerate(paths):
        Image.fromarray(np.asarray(held.images[number])).save(path)
    return paths


def test_match_tells_texts_of_pictures_and_ranks_pictures_of_a_text(run: Path, files: list[Path]) -> None:
    done = command("match", run, *files, "--text", "a red circle", "--text", "a blue unicorn")
    assert done.code == 0, done.err
    assert "No caption that the model learned had unicorn" in done.err
    assert done.out.count("a red circle") == 3
    told = json.loads(command("match", run, files[0], "--text", "a", "--text", "two stars", "--json").out)
    assert sum(told[0]["probabilities"].values()) == pytest.approx(1)
    ranked = json.loads(command("match", run, *files, "--text", "a red circle", "--json").out)
    assert sorted(one["picture"] for one in ranked) == sorted(map(str, files))
    assert [one["similarity"] for one in ranked] == sorted((one["similarity"] for one in ranked), reverse=True)


def test_generate_keeps_the_best(run: Path, painter: Path, tmp_path: Path) -> None:
    drawn = ("generate", painter, "--prompt", "a red circle", "-n", "2", "--seed", "1", "--json")
    done = command(*drawn, "--out", tmp_path / "best.png", "--best-of", "3", "--judge", run)
    assert done.code == 0, done.err
    numbers = [one["number"] for one in json.loads(done.out)]
    assert [number // 3 for number in numbers] == [0, 1]


def test_mistakes_are_one_line(run: Path, painter: Path, files: list[Path], scenes: Path, tmp_path: Path) -> None:
    assert "says nothing" in mistake("match", run, files[0], "--text", " ")
    for again in ("a red circle", "A red circle."):
        said = mistake("match", run, files[0], "--text", "a red circle", "--text", again, "--text", "a star")
        assert f"The text {again!r} is given twice" in said
    assert "cannot match pictures and texts" in mistake("match", painter, files[0], "--text", "a")
    assert "A CLIP cannot write or draw: it can match" in mistake("generate", run, "--seed", "1")
    drawn = ("generate", painter, "--prompt", "a red circle", "--out", tmp_path / "out.png")
    assert "cannot tell what a picture shows" in mistake(*drawn, "--best-of", "2")
    assert "nothing to choose from" in mistake(*drawn, "--best-of", "1", "--judge", run)
    assert "nothing to judge by" in mistake("generate", painter, "--best-of", "2", "--judge", run)
    assert "cannot match" in mistake(*drawn, "--best-of", "2", "--judge", painter)
    trained = ("train", "clip", "--out", tmp_path / "none", "--steps", "2")
    assert "codes" in mistake(*trained, "--data", scenes, "--codec", painter)
    api.build_data(["digits"], tmp_path / "digits", workers=1)
    assert "has a caption" in mistake(*trained, "--data", tmp_path / "digits")
    assert not (tmp_path / "none").exists()


def test_empty_lists_and_templates_without_a_place_are_refused(judge: Generator, files: list[Path]) -> None:
    with pytest.raises(DaedalError, match="No text is given"):
        judge.classify(files, [])
    with pytest.raises(DaedalError, match="No picture is given"):
        judge.rank("a red circle", [])
    with pytest.raises(DaedalError, match="no place for a label"):
        judge.classify(files, ["a"], template="a picture")
    with pytest.raises(DaedalError, match="no two different captions"):
        distinct(["a cat", "A cat."])
