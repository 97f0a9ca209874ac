"""Which labels of a classifier stand for which category of moderation, and what is said when the server starts."""

from pathlib import Path
from typing import Any

import pytest

from command_line import daedal
from daedal.errors import DaedalError
from daedal.models.checkpoint import save_model
from daedal.models.classifier import Classifier
from daedal.safety.moderation.categories import CATEGORIES, ModerationCategories, labels_of
from daedal.serving.settings import Settings
from tiny_models import tiny_codec, tiny_encoder, tiny_gpt

CODEC = tiny_codec(["the cat sat on the mat " * 20])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs")
    for name, labels in (("toxic", ("fine", "Toxic", "self_harm")), ("mood", ("sad", "glad"))):
        save_model(tiny_encoder(Classifier, CODEC, labels=labels), path / name, codec=CODEC)
    save_model(tiny_encoder(Classifier, CODEC, labels=("stars",), problem="number"), path / "stars", codec=CODEC)
    save_model(tiny_gpt(CODEC), path / "gpt", codec=CODEC)
    return path


@pytest.mark.parametrize("category", CATEGORIES)
def test_a_label_that_is_called_like_a_category_is_for_it(category: str) -> None:
    for name in (category, category.upper(), category.replace("/", "_").replace("-", " ")):
        labels = ModerationCategories.of(["other", name], "one", {}).labels
        assert labels == {each: (1,) if each == category else () for each in CATEGORIES}


def test_labels_that_exclude_each_other_are_summed_and_of_others_the_likeliest_counts() -> None:
    names, meant = ["fine", "toxic", "insult", "threat"], {"fine": "sexual"}
    one, several = (ModerationCategories.of(names, problem, meant) for problem in ("one", "several"))
    assert one.labels["harassment"] == (1, 2)
    assert one.scores([0.25, 0.25, 0.375, 0.125])["harassment"] == 0.625
    found = several.scores([0.25, 0.25, 0.375, 0.75])
    assert {name: score for name, score in found.items() if score} == {
        "harassment": 0.375,
        "harassment/threatening": 0.75,
        "sexual": 0.25,
    }
    assert set(one.missing) == set(CATEGORIES) - {"harassment", "harassment/threatening", "sexual"}
    assert one.told(names).startswith("harassment (toxic, insult), harassment/threatening (threat), sexual (fine)")
    assert "always false, for want of a label: hate, hate/threatening" in one.told(names)


@pytest.mark.parametrize(
    ("names", "problem", "meant", "said"),
    [
        (["sad", "glad"], "one", {}, "No label of the moderation model is for a category: sad, glad"),
        (["sad", "glad"], "one", {"sad": "harm"}, "There is no category 'harm'"),
        (["sad", "glad"], "one", {"bad": "hate"}, "no label 'bad'"),
        (["toxic"], "number", {}, "tells a number"),
    ],
)
def test_what_cannot_moderate_is_refused(names: Any, problem: str, meant: Any, said: str) -> None:
    with pytest.raises(DaedalError, match=said):
        ModerationCategories.of(names, problem, meant)


def test_labels_are_read_from_a_run_without_its_weights(folder: Path) -> None:
    assert labels_of(folder / "toxic") == (["fine", "Toxic", "self_harm"], "one")
    assert labels_of(folder / "stars")[1] == "number"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("{runs}/gpt", "--moderation", "{runs}/toxic"), 0, "Moderation by toxic: harassment (Toxic), self-harm (self_harm);"),
        (("{runs}/toxic", "--moderation", "toxic"), 0, "Serving toxic at"),
        (("--models", "{runs}", "--moderation", "toxic"), 0, "Moderation by toxic"),
        (("{runs}/gpt", "--moderation", "{runs}/mood", "--moderation-map", "sad=self-harm"), 0, "self-harm (sad)"),
        (("{runs}/gpt", "--moderation", "{runs}/mood"), 2, "glad=harassment, by --map (of serve by --moderation-map)"),
        (("{runs}/gpt", "--moderation", "{runs}/mood", "--moderation-map", "sad"), 2, "'sad' maps no label"),
        (("{runs}/gpt", "--moderation", "gpt"), 2, "is no classifier but a gpt"),
        (("{runs}/gpt", "--moderation", "{runs}/stars"), 2, "tells a number"),
        (("{runs}/gpt", "--moderation", "{runs}/nothing"), 2, "is missing"),
        (("{runs}/gpt", "--moderation-map", "a=hate"), 2, "--moderation-map is for --moderation"),
        (("{runs}/gpt", "--moderation-rules", "builtin"), 0, "Moderation by 3"),
        (("{runs}/gpt", "--moderation-rules", "{runs}/none.yaml"), 2, "none.yaml cannot be read"),
        (("{runs}/gpt", "--moderation", "{runs}/toxic", "--moderation-threshold", "0"), 2, "--moderation-threshold: "),
    ],
)  # fmt: skip
def test_a_server_says_what_it_moderates(
    folder: Path, arguments: tuple[str, ...], code: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Settings] = []

    def serve(settings: Settings, announce: Any) -> None:
        started.append(settings)
        announce("http://127.0.0.1:1")

    monkeypatch.setattr("daedal.serving.server.serve", serve)
    ended = daedal("serve", *(argument.format(runs=folder) for argument in arguments))
    assert ended.code == code, ended
    assert said in ended.err
    assert len(started) == (code == 0)
    if started:
        assert started[0].moderation in (None, *started[0].models) or started[0].folder is not None
