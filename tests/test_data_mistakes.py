"""Every mistake is one clear line, and leaves nothing behind."""

import gzip
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from daedal.data import BuildOptions, Dataset, build
from daedal.data.shards import load_array
from daedal.errors import DaedalError
from disks import run_on_disk
from test_data_pipeline import write_corpus


def refused(tmp_path: Path, source: Any, says: str, **options: Any) -> None:
    with pytest.raises(DaedalError, match=says) as caught:
        build(source, tmp_path / "out", BuildOptions(**options))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / ".out.build").exists()


def test_a_source_that_is_not_there(tmp_path: Path) -> None:
    refused(tmp_path, [], "No source is given")
    refused(
        tmp_path,
        tmp_path / "nothing",
        "nothing does not exist.*python-docs, python-code, python-functions, in-context, digits, scenes, emoji-scenes, "
        "moving-scenes, hf:NAME",
    )
    refused(tmp_path, "hf:", "names no dataset")


def test_a_source_without_text(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    refused(tmp_path, tmp_path / "in", "has no files to read")
    (tmp_path / "in" / "empty.txt").write_text(" \n\n")
    refused(tmp_path, tmp_path / "in", "There is no text in .*1 empty")
    (tmp_path / "in" / "a.png").write_bytes(b"\x89PNG\0\0")
    (tmp_path / "in" / "b.txt").write_bytes(bytes(range(256)))
    refused(tmp_path, tmp_path / "in", "There is no text in .*2 binary")


def test_one_broken_source_is_an_error_and_one_of_many_is_told(tmp_path: Path) -> None:
    write_corpus(tmp_path / "in")
    broken = tmp_path / "in" / "x.txt.gz"
    broken.write_bytes(gzip.compress(b"text " * 1000)[:40])
    refused(tmp_path, broken, "x.txt.gz cannot be read: broken file")
    (tmp_path / "in" / "y.parquet").write_bytes(b"PAR1 no")
    refused(tmp_path, tmp_path / "in" / "y.parquet", "y.parquet cannot be read: broken file")
    dataset = build(tmp_path / "in", tmp_path / "out")
    (dropped,) = dataset.manifest.dropped
    assert (dropped.reason, dropped.count) == ("broken file", 2)
    assert "x.txt.gz" in " ".join(dropped.examples)


def test_an_unreadable_file_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import builtins

    write_corpus(tmp_path / "in")

    def closed(path: Any, *args: Any) -> Any:
        if str(path).endswith("doc003.txt"):
            raise PermissionError(13, "Permission denied")
        return builtins.open(path, *args)

    monkeypatch.setattr("daedal.data.sources.open", closed, raising=False)
    refused(tmp_path, tmp_path / "in" / "doc003.txt", "doc003.txt cannot be read.*Permission denied")
    dataset = build(tmp_path / "in", tmp_path / "out")
    assert [(each.reason, each.count) for each in dataset.manifest.dropped] == [("unreadable", 1)]


def test_a_field_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": "x " * 200, "id": "7"}) + "\n")
    refused(tmp_path, tmp_path / "a.jsonl", "no field 'body'.*--field: text, id", field="body")
    refused(tmp_path, [tmp_path / "a.jsonl"] * 2, "no field 'body'", field="body")


def test_too_short_a_corpus(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("A few words only.")
    refused(tmp_path, tmp_path / "a.txt", "too short for a validation split: .* characters")
    (tmp_path / "b.jsonl").write_text('{"text": ""}\n' * 3)
    refused(tmp_path, tmp_path / "b.jsonl", "There is no text")


def test_everything_filtered_away(tmp_path: Path) -> None:
    write_corpus(tmp_path / "in", words=5)
    refused(tmp_path, tmp_path / "in", "There is no text in .*gopher: fewer than 50", quality="gopher")
    refused(tmp_path, tmp_path / "in", "There is no text in .*too short", min_characters=10_000)


def test_train_that_is_all_in_the_validation_file(tmp_path: Path) -> None:
    write_corpus(tmp_path / "in")
    refused(tmp_path, tmp_path / "in", "No text is left to train on", validation=(str(tmp_path / "in"),))
    (tmp_path / "none.txt").write_text("\n")
    refused(
        tmp_path,
        tmp_path / "in",
        "There is no text in .*none.txt .*--validation",
        validation=(str(tmp_path / "none.txt"),),
    )


@pytest.mark.parametrize(
    "bad",
    [
        {"split": (0, 1, 1)},
        {"split": (-1, 1, 1)},
        {"vocab_size": 10},
        {"codec": "wordpiece"},
        {"codec": "byte", "vocab_size": 300},
        {"tokenizer": "x", "codec": "bpe"},
        {"similarity": 0.1},
        {"unknown": 1},
    ],
)
def test_an_option_that_makes_no_sense(bad: dict[str, Any]) -> None:
    with pytest.raises(DaedalError):
        BuildOptions.parse(bad, "options")


def test_an_encoding_and_a_tokenizer_that_are_not_there(tmp_path: Path) -> None:
    write_corpus(tmp_path / "in")
    refused(tmp_path, tmp_path / "in", "no character encoding called 'klingon'", encoding="klingon")
    refused(tmp_path, tmp_path / "in", "is not a folder with a tokenizer", tokenizer=str(tmp_path / "none"))
    refused(tmp_path, tmp_path / "in", "tokenizer.json is missing", tokenizer=str(tmp_path / "in"))


def test_a_target_that_is_something_else(tmp_path: Path) -> None:
    write_corpus(tmp_path / "in")
    with pytest.raises(DaedalError, match="has files in it and is not a data folder"):
        build(tmp_path / "in", tmp_path / "in", replace=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(DaedalError, match="is a file, not a folder"):
        build(tmp_path / "in", tmp_path / "file")
    with pytest.raises(DaedalError, match="cannot be created"):
        build(tmp_path / "in", tmp_path / "file" / "out")
    build(tmp_path / "in", tmp_path / "out")
    with pytest.raises(DaedalError, match=r"built from other sources or with other options.*--replace"):
        build(tmp_path / "in", tmp_path / "out", BuildOptions(seed=1))
    (tmp_path / "empty").mkdir()
    assert build(tmp_path / "in", tmp_path / "empty").split("train").documents


BUILD = """
import sys
from daedal.data import build
from daedal.errors import DaedalError
try:
    build(sys.argv[1], sys.argv[2])
except DaedalError as error:
    print(error)
    sys.exit(2)
"""


@pytest.mark.parametrize(
    ("options", "says"), [("ro", "cannot be written (Read-only file system)"), ("size=64k", "No space left on disk")]
)
def test_a_read_only_or_full_disk(tmp_path: Path, options: str, says: str) -> None:
    write_corpus(tmp_path / "in", documents=300, words=200)
    disk = tmp_path / "disk"
    disk.mkdir()
    ended = run_on_disk([sys.executable, "-c", BUILD, str(tmp_path / "in"), str(disk / "out")], disk, options)
    assert ended.code == 2, ended.err
    assert says in ended.out
    assert len(ended.out.splitlines()) == 1
    assert "out" not in ended.left


def test_a_data_folder_that_is_damaged(tmp_path: Path) -> None:
    write_corpus(tmp_path / "in")
    folder = tmp_path / "out"

    def damaged(name: str, data: bytes | None, says: str) -> None:
        build(tmp_path / "in", folder, replace=folder.exists())
        whole = (folder / name).read_bytes()
        if data is None:
            (folder / name).unlink()
        else:
            (folder / name).write_bytes(data or whole[: len(whole) // 2])
        with pytest.raises(DaedalError, match=says):
            Dataset.open(folder).split("train").text(0)
        (folder / name).write_bytes(whole)

    damaged("manifest.json", None, "is not a data folder")
    damaged("manifest.json", b"", "not valid JSON")
    damaged("manifest.json", b"[]", "not the manifest")
    damaged("manifest.json", b'{"format": "daedal-data"}', "manifest.json")
    damaged("train-00000.tokens.npy", None, "is missing")
    damaged("train-00000.tokens.npy", b"", "is damaged")
    damaged("train-00000.tokens.npy", b"garbage", "is damaged")
    damaged("train.documents.npy", b"", "is damaged")
    damaged("tokenizer.json", None, "is missing")

    out = folder / "train-00000.tokens.npy"
    np.save(out, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(DaedalError, match="is damaged"):
        Dataset.open(folder).split("train")
    np.save(out, np.zeros(5, dtype=np.uint16))
    with pytest.raises(DaedalError, match="has 5 tokens where"):
        Dataset.open(folder).split("train")
    with pytest.raises(DaedalError, match="is not a folder"):
        Dataset.open(tmp_path / "nothing")


def test_a_tokenizer_that_was_exchanged_is_noticed(tmp_path: Path) -> None:
    from daedal.codecs.text import TextCodec

    write_corpus(tmp_path / "in")
    dataset = build(tmp_path / "in", tmp_path / "out")
    TextCodec.train("bpe", ["other text"], 300).save(tmp_path / "out")
    with pytest.raises(DaedalError, match="not the one that the tokens were made with"):
        Dataset.open(tmp_path / "out").split("train").text(0)
    with pytest.raises(DaedalError, match="no split called 'dev'"):
        dataset.split("dev")
    with pytest.raises(DaedalError, match="no document 99999"):
        dataset.split("train").text(99999)


def test_a_pipe_in_the_place_of_an_array_keeps_nobody_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "train.documents.npy")
    with pytest.raises(DaedalError, match="no regular file"):
        load_array(tmp_path / "train.documents.npy")
