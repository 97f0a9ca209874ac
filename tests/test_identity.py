"""What a model folder says of itself: written by every run, recognised where it is not, and refused where it cannot be."""

import json
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
    daedal.build_data(["digits"], root / "digits", workers=1)
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
    with pytest.raises(DaedalError, match=r"A vae learns pictures, and .* holds text"):
        daedal.make_plan("vae", runs / "text")
