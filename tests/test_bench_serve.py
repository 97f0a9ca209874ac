"""`daedal bench serve`: what it tells, for a model whose context its usual sizes do not fit."""

import json
from pathlib import Path

import pytest

from command_line import daedal, mistake
from daedal.codecs.text import TextCodec
from daedal.models.checkpoint import save_model
from tiny_models import tiny_gpt
from warm_python import started_warm


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run")
    codec = TextCodec.train("bpe", ["The quick brown fox jumps over the lazy dog."] * 4, 300)
    save_model(tiny_gpt(codec, context=48), path, codec=codec)
    return path


def test_one_and_several_streams_are_measured(run: Path) -> None:
    with started_warm():
        ended = daedal("bench", "serve", run, "--streams", "1,3", "--rounds", "1")
    assert ended.code == 0, ended.err
    *shown, last = ended.out.splitlines()
    assert [line.split()[0] for line in shown[-2:]] == ["1", "3"]
    told = json.loads(last)
    assert told["prompt_tokens"] == 16
    assert [(record["streams"], record["tokens"]) for record in told["streams"]] == [(1, 32), (3, 96)]
    assert all(record["tokens_per_second"] > 0 for record in told["streams"])
    assert told["memory_bytes"]["idle"] > 0


def test_mistakes_are_told_in_a_line(run: Path) -> None:
    assert "at least one" in mistake("bench", "serve", run, "--rounds", "0")
    for streams in ("", "a", "0", "1,-1"):
        assert "--streams" in mistake("bench", "serve", run, f"--streams={streams}")
