"""A data folder of examples that somebody damaged or forged is refused in a line, and never learned from."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import daedal
from command_line import TINY, mistake
from daedal.data.examples import ExampleDataset
from kind_examples import MADE


@pytest.fixture(scope="module")
def chats(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("chats")
    (folder / "in").mkdir()
    return daedal.build_data([MADE["chat"](folder / "in")], folder / "out", workers=1).folder


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("splits",), {}),
        (("splits", "train"), None),
        (("splits", "train", "examples"), 10**30),
        (("splits", "train", "examples"), -1),
        (("splits", "train", "classes"), {"label": [1]}),
        (("columns", "conversation", "dtype"), "object"),
        (("columns", "conversation"), "../../x"),
        (("codecs", "chat", "vocab_size"), 0),
        (("kind",), "../../etc/passwd"),
        (("kind",), 5),
        (("options",), {}),
        (("notes",), {"a": 1}),
    ],
)
def test_a_forged_manifest_is_refused(path: tuple[str, ...], value: Any, chats: Path) -> None:
    whole = (chats / "manifest.json").read_text()
    forged = json.loads(whole)
    inner = forged
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    (chats / "manifest.json").write_text(json.dumps(forged))
    try:
        mistake("data", "show", chats)
    finally:
        (chats / "manifest.json").write_text(whole)


def as_npy(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.save(out, array, allow_pickle=True)
    return out.getvalue()


@pytest.mark.parametrize(
    "name", ["borders", "ids", "learned", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"]
)
def test_a_gpt_learns_from_no_forged_file(name: str, chats: Path, tmp_path: Path) -> None:
    path = chats / (name if "." in name else f"train.conversation.{name}.npy")
    whole = path.read_bytes()
    forged = [b"", b"{}", b"\0" * 100, whole[: len(whole) // 2]]
    if path.suffix == ".npy":
        array = np.load(path)
        absurd = (
            b"\x93NUMPY\x01\x00v\x00"
            + b"{'descr': '<u2', 'fortran_order': False, 'shape': (9999999999999,), }".ljust(117)
            + b"\n"
        )
        forged += [
            as_npy(np.array([{}], dtype=object)),
            as_npy(array.astype("float64")),
            as_npy(array.reshape(1, -1)),
            absurd,
        ]
        forged += [as_npy(array + 60_000)] if name == "ids" else [as_npy(array[::-1])] if name == "borders" else []
    try:
        for data in forged:
            path.write_bytes(data)
            mistake("train", "gpt", "--data", chats, "--out", tmp_path / "run", "--steps", "1", *TINY)
            assert not (tmp_path / "run").exists()
    finally:
        path.write_bytes(whole)


@pytest.mark.parametrize("data", [b"", b"PAR1", b"\0" * 100])
def test_the_card_of_damaged_values_is_refused(data: bytes, chats: Path) -> None:
    path = chats / "train.examples.parquet"
    whole = path.read_bytes()
    path.write_bytes(data)
    try:
        assert "damaged" in mistake("data", "show", chats)
    finally:
        path.write_bytes(whole)
    assert ExampleDataset.open(chats).split("train").first("conversation")
