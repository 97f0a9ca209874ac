"""Prompts are tested and searched for through our server as they are here."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from command_line import daedal
from daedal.codecs.text import TextCodec
from daedal.models.checkpoint import save_model
from daedal.serving.probe import trial
from tiny_models import tiny_gpt
from warm_python import started_warm


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    codec = TextCodec.train("bpe", ["the king went to the sea and the fox went home " * 20], 300)
    save_model(tiny_gpt(codec, context=96), folder, codec=codec)
    return folder


@pytest.fixture(scope="module")
def url(run_folder: Path) -> Iterator[str]:
    with started_warm(), trial([str(run_folder)]) as server:
        yield f"{server.url}/v1"


@pytest.fixture(autouse=True)
def _no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_greedy_answers_are_the_same(tmp_path: Path, run_folder: Path, url: str) -> None:
    path = tmp_path / "tests.yaml"
    path.write_text(
        'prompts: ["the {{ who }} went"]\ntests: [{vars: {who: [king, fox, sea]}, assert: [{type: latency, threshold: 60000}, '
        "{type: cost, threshold: 1}]}]\n"
    )
    asked = ("prompt", "test", path, "--models", f"{run_folder},{url}", "--repeat", "2", "--max-tokens", "5", "--json")
    told = json.loads(daedal(*asked, "--price-in", "1", "--price-out", "2").out)
    here, there = told["outcomes"][:3], told["outcomes"][3:]
    assert [each["samples"][0]["text"] for each in here] == [each["samples"][0]["text"] for each in there]
    assert [len(each["samples"]) for each in there] == [2, 2, 2]
    assert all(sample["cost"] > 0 for each in there for sample in each["samples"])
    assert {each["status"] for each in there} == {"passed"}
    assert {each["status"] for each in here} == {"failed"}  # nobody says what a model here costs


def test_a_search_finds_the_same(tmp_path: Path, run_folder: Path, url: str) -> None:
    options = ("--calls", "60", "--candidates", "3", "--shots", "0,1", "--proposals", "0", "--held-out", "12", "--json")
    found = [
        json.loads(daedal("prompt", "search", "series", "--model", place, *options).out) for place in (run_folder, url)
    ]
    values = [[each["value"] for each in told["measurements"]] for told in found]
    assert values[0] == values[1]


def test_a_search_that_was_stopped_goes_on(tmp_path: Path, run_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from daedal.prompting.local import LocalModel

    options = ("--calls", "60", "--candidates", "3", "--shots", "0,1", "--proposals", "0", "--held-out", "12")
    asked = ("prompt", "search", "series", "--model", run_folder, *options, "--out", tmp_path / "out")
    inner, counts = LocalModel.likelihoods, [0]

    def stopping(self: LocalModel, pairs: object) -> Iterator[object]:
        for each in inner(self, pairs):  # type: ignore[arg-type]
            counts[0] += 1
            if counts[0] == 100:
                raise KeyboardInterrupt
            yield each

    monkeypatch.setattr(LocalModel, "likelihoods", stopping)
    assert daedal(*asked).code == 130
    assert daedal(*asked).code == 0
    after = counts[0]
    fresh = daedal("prompt", "search", "series", "--model", run_folder, *options, "--out", tmp_path / "other")
    assert fresh.code == 0
    whole = counts[0] - after
    assert after - 100 <= whole - 90  # what was asked before was not asked again
    one, other = (json.loads((tmp_path / name / "search.json").read_text()) for name in ("out", "other"))
    assert one["measurements"] == other["measurements"]
