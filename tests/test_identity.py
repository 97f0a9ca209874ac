"""What a model folder says of itself: written by every run, recognised where it is not, and refused where it cannot be."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

import daedal
from command_line import mistake
from daedal.errors import DaedalError
from daedal.models.identity import IDENTITY, identify

SHORT: dict[str, Any] = {"steps": 2, "threads": 1, "precision": "fp32", "batch": 4}
TINY = {"width": 32, "depth": 1, "heads": 2, "kv_heads": 1}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GPT over text, a tokenizer of pictures, and a GPT over its tokens by class."""
    root = tmp_path_factory.mktemp("runs")
    (root / "a.txt").write_text("A story of a fox and a crow. " * 300)
    daedal.build_data([root / "a.txt"], root / "text", near_duplicates="off", workers=1)
    daedal.build_data(["digits"], root / "digits", workers=1, split=(100, 0, 0))  # a run of it is not measured
    daedal.train("gpt", data=root / "text", out=root / "gpt", **SHORT, **TINY, context=32)
    daedal.train("vqvae", data=root / "digits", out=root / "vqvae", filters=8, depth=1, halvings=1, **SHORT)
    grids = {"codec": root / "vqvae", "condition": "class"}
    daedal.train("gpt", data=root / "digits", out=root / "grids", **SHORT, **TINY, **grids)
    return root


WRITTEN: dict[str, dict[str, Any]] = {
    "gpt": {"family": "gpt", "kind": "text", "columns": {"text": "tokenizer.json"}, "codec": None},
    "vqvae": {"family": "vqvae", "kind": "pictures", "columns": {"picture": "image_codec.json"}, "codec": None},
    "grids": {
        "family": "gpt", "kind": "pictures", "columns": {"picture": "image_codec.json", "class": None}, "codec": "vqvae",
    },
}  # fmt: skip


@pytest.mark.parametrize("name", WRITTEN)
def test_a_run_says_what_it_is(runs: Path, name: str) -> None:
    found = identify(runs / name)
    assert WRITTEN[name].items() <= found.model_dump().items()
    assert found.made_with == daedal.__version__
    assert set(found.capabilities) == daedal.load(runs / name).capabilities


@pytest.mark.parametrize("name", WRITTEN)
def test_a_folder_that_does_not_say_it_is_recognised(runs: Path, name: str) -> None:
    path = runs / name / IDENTITY
    kept = path.read_text()
    path.unlink()
    try:
        found = identify(runs / name)
    finally:
        path.write_text(kept)
    assert (found.family, found.kind, found.made_with) == (WRITTEN[name]["family"], WRITTEN[name]["kind"], None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("{", "not valid JSON"),
        ("[1]", "does not say what the model is"),
        ({"format": 7}, "is of format 7.*Update Daedal"),
        ({"format": "x" * 10_000}, "Update Daedal"),
        ({"family": "llm"}, "there is no family 'llm'"),
        ({"kind": "tunes"}, "a gpt learns no 'tunes'"),
        ({"columns": {"text": "../../etc/passwd"}}, "columns"),
        ({"capabilities": 3}, "capabilities"),
        ({"more": True}, "more"),
    ],
)
def test_what_is_damaged_or_of_a_later_version_is_told_in_one_line(
    runs: Path, change: str | dict[str, Any], message: str, tmp_path: Path
) -> None:
    kept = json.loads((runs / "gpt" / IDENTITY).read_text())
    (tmp_path / IDENTITY).write_text(change if isinstance(change, str) else json.dumps({**kept, **change}))
    with pytest.raises(DaedalError, match=message) as error:
        identify(tmp_path)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400
    (tmp_path / "config.json").write_text("{}")
    assert str(error.value) in " ".join(mistake("evaluate", tmp_path).split())


def test_a_value_for_another_kind_of_data_is_refused(runs: Path) -> None:
    with pytest.raises(DaedalError, match="--telling is for pictures, and this data is text"):
        daedal.make_plan("gpt", runs / "text", telling=0.5)
    with pytest.raises(DaedalError, match=r"A vae learns pictures or sounds, and .* holds text"):
        daedal.make_plan("vae", runs / "text")


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("gpt", {"kind": "pictures"}, "image_codec.json is missing"),
        ("grids", {"kind": "text"}, "tokenizer.json is missing"),
        ("vqvae", {"family": "vae"}, "says that the model is a vae, and its weights are of a vqvae"),
    ],
)
def test_what_a_folder_says_and_what_it_holds_must_agree(
    runs: Path, name: str, change: dict[str, str], message: str, tmp_path: Path
) -> None:
    run = shutil.copytree(runs / name, tmp_path / "run")
    (run / IDENTITY).write_text(json.dumps({**json.loads((run / IDENTITY).read_text()), **change}))
    with pytest.raises(DaedalError, match=message):
        daedal.load(run)


@pytest.mark.parametrize("what", ["folder", "pipe", "link"])
def test_what_is_in_the_place_of_the_file_is_not_passed_over(runs: Path, what: str, tmp_path: Path) -> None:
    run = shutil.copytree(runs / "gpt", tmp_path / "run")
    path = run / IDENTITY
    path.unlink()
    {"folder": path.mkdir, "pipe": lambda: os.mkfifo(path), "link": lambda: path.symlink_to("nowhere")}[what]()
    with pytest.raises(DaedalError, match=IDENTITY):
        daedal.load(run)


def test_a_run_over_codes_whose_codec_is_gone_says_so(runs: Path, tmp_path: Path) -> None:
    run = shutil.copytree(runs / "grids", tmp_path / "run")
    shutil.rmtree(run / "codec")
    said = " ".join(mistake("generate", run, "--out", tmp_path / "a.png").split())
    assert "codec is missing, which a gpt works with. Restore it from a copy." in said


def test_pipes_in_a_run_folder_keep_nobody_waiting(runs: Path, tmp_path: Path) -> None:
    run = shutil.copytree(runs / "gpt", tmp_path / "run")
    (run / "training" / "metrics.jsonl").unlink()
    os.mkfifo(run / "training" / "metrics.jsonl")
    assert daedal.evaluate(run, samples=1).curve is None
    for name in ("chat_template.jinja", "model.safetensors"):
        (run / name).unlink(missing_ok=True)
        os.mkfifo(run / name)
        with pytest.raises(DaedalError, match="no regular file"):
            daedal.load(run)
    state = next(run.glob("training/state/*/weights.safetensors"))
    state.unlink()
    os.mkfifo(state)
    with pytest.raises(DaedalError, match="no regular file"):
        daedal.resume(run)


@pytest.mark.parametrize(
    "change", [{"best": {"name": "x", "best": [1, {}], "last": [1, 1]}}, {"best": [1]}, {"step": []}]
)
def test_a_state_of_wrong_types_does_not_fit_the_plan(runs: Path, change: dict[str, Any], tmp_path: Path) -> None:
    run = shutil.copytree(runs / "gpt", tmp_path / "run")
    (path,) = run.glob("training/state/*/progress.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    assert "does not fit this run's plan" in " ".join(mistake("train", "--resume", run).split())
