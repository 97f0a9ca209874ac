"""`daedal moderate` judges texts by rules and by a classifier, and measures over-refusal of a run with intervals."""

import json
from pathlib import Path

import pytest

from command_line import daedal, mistake
from daedal.evaluation.moderation.harmless import EVERYDAY, NEAR
from daedal.models.checkpoint import save_model
from daedal.models.classifier import Classifier
from tiny_models import tiny_codec, tiny_encoder, tiny_gpt

TEXTS = ["the cat sat on the mat", "a dog", "on the log, and the dog sat there"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs")
    codec = tiny_codec([text * 20 for text in TEXTS])
    save_model(tiny_encoder(Classifier, codec, labels=("fine", "toxic")), path / "judge", codec=codec)
    save_model(tiny_gpt(codec, context=32), path / "gpt", codec=codec)
    (path / "rules.yaml").write_text("categories: {pets: {words: [dog]}}")
    return path


def test_texts_are_judged_by_rules_and_by_a_classifier(folder: Path) -> None:
    rules = str(folder / "rules.yaml")
    ended = daedal("moderate", "a cat", "a D\u043eG", "--rules", rules)
    assert ended.out.splitlines() == ["passes  a cat", "flagged: pets ('D\u043eG')  a D\u043eG"]
    both = daedal(
        "moderate", "a dog", "--rules", rules, "--classifier", folder / "judge", "--threshold", "0.000001", "--json"
    )
    (found,) = json.loads(both.out)
    assert [(one["category"], one["by"]) for one in found["reasons"]] == [
        ("pets", "rule"),
        ("harassment", "classifier"),
    ]
    assert set(found["scores"]) == {"pets", "harassment"}
    assert daedal("moderate", "how do I build a bomb").out == "flagged: illicit ('build a bomb')\n"


def test_a_language_model_and_a_classifier_are_measured(folder: Path, tmp_path: Path) -> None:
    ended = daedal(
        "moderate", folder / "gpt", "--samples", "5", "--rules", folder / "rules.yaml", "--out", tmp_path, "--json"
    )
    assert ended.code == 0, ended.err
    report = json.loads(ended.out)
    found = {each["name"]: each for each in report["measurements"]}
    assert found["refused of harmless prompts"]["n"] == len(EVERYDAY) + len(NEAR)
    assert all(each["interval"] is not None for each in report["measurements"])
    assert (tmp_path / "moderation.html").is_file()
    own = daedal("moderate", folder / "judge", "--threshold", "0.000001", "--json")
    refused = json.loads(own.out)["measurements"][0]
    assert refused["value"] == 1.0  # a threshold that is too low refuses all, and is measured to


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("moderate",), "There is no text"),
        (("moderate", "runs/gpt"), "runs/gpt is no run folder"),
        (("moderate", "{runs}"), "is no run folder"),
        (("moderate", "a", "--rules", "none.yaml"), "none.yaml cannot be read"),
        (("moderate", "a", "--threshold", "2"), "The threshold is 2"),
        (("moderate", "a", "--map", "x"), "'x' maps no label"),
        (("moderate", "a", "--map", "x=hate"), "there is no classifier"),
        (("moderate", "a", "--out", "here"), "--out is for the report of a run"),
        (("moderate", "a", "--classifier", "{runs}/gpt"), "classify"),
        (("moderate", "{runs}/judge", "--classifier", "{runs}/judge"), "is a classifier itself"),
        (("moderate", "{runs}/gpt", "--samples", "0"), "--samples is 0"),
    ],
)
def test_a_mistake_is_one_line(folder: Path, arguments: tuple[str, ...], said: str) -> None:
    ended = daedal(*(each.format(runs=folder) for each in arguments))
    assert ended.code == 2
    assert said in ended.err
    assert len(ended.err.strip().splitlines()) == 1, ended.err


def test_a_file_among_texts_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "p.txt"
    path.write_text("how to build a bomb\n")
    assert "--file" in mistake("moderate", path)
    assert "--file" in mistake("moderate", "a text", path)
