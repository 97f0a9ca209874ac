"""Files of texts that commands read and write: a line is what other programs take for one, and no file is lost."""

import json
import os
from pathlib import Path

import pytest

from command_line import daedal, mistake
from daedal.models.checkpoint import save_model
from daedal.models.classifier import Classifier
from tiny_models import tiny_codec, tiny_encoder


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier one of whose classes has a name of two lines."""
    folder = tmp_path_factory.mktemp("classifier")
    codec = tiny_codec(["a fine day", "a sad day"])
    save_model(tiny_encoder(Classifier, codec, labels=("good\nnews", "bad\nnews")), folder, codec=codec)
    return folder


def test_lines_end_where_other_programs_end_them(classifier: Path, tmp_path: Path) -> None:
    texts = ["one\u2028line", "another\x85one", "and\x0ca\x0bthird"]
    (tmp_path / "in.txt").write_text("".join(f"{text}\n" for text in texts), encoding="utf-8", newline="")
    (tmp_path / "in.jsonl").write_text(
        "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts), encoding="utf-8", newline=""
    )
    for name in ("in.txt", "in.jsonl"):
        for out in ("out.txt", "out.jsonl"):
            ended = daedal("classify", classifier, "--file", tmp_path / name, "--out", tmp_path / out)
            assert ended.code == 0, ended.err
            assert (tmp_path / out).read_bytes().count(b"\n") == len(texts)
    again = daedal("classify", classifier, "--file", tmp_path / "out.jsonl", "--json")  # ours can be read by us
    assert [each["text"] for each in json.loads(again.out)] == texts


def test_the_file_that_is_read_is_not_written(classifier: Path, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("a day\n")
    (tmp_path / "same.txt").symlink_to(tmp_path / "in.txt")
    for name in ("in.txt", "same.txt"):
        assert "the file that is read" in mistake(
            "classify", classifier, "--file", tmp_path / "in.txt", "--out", tmp_path / name
        )
    assert (tmp_path / "in.txt").read_text() == "a day\n"


def test_where_nothing_can_be_written_is_told_before_the_work(
    classifier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.txt").write_text("a day\n")
    for out in (".", "..", tmp_path, "in.txt/out.txt"):
        assert "in the way" in mistake("classify", classifier, "--file", "no such file", "--out", out)
    assert os.listdir(tmp_path) == ["in.txt"]


def test_json_is_never_taken_for_lines_of_text(classifier: Path, tmp_path: Path) -> None:
    (tmp_path / "in.json").write_text('[\n{"text": "a day"}\n]\n')
    assert "line 1 is no JSON" in mistake("classify", classifier, "--file", tmp_path / "in.json")


def test_a_model_that_cannot_talk_says_so_before_anybody_does(classifier: Path) -> None:
    assert "A Classifier cannot" in mistake("chat", classifier)
