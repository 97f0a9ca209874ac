"""Data and runs that an older version wrote open, show, go on, generate and are measured as they were then.

`old/*.zip` were made by version 0.1.0 and stay as they are: a later format adds its own. Each holds a data folder, a finished
run, what the run gave when it was made (`said.json`), and for text a run that was stopped midway. What is not there yet is made
by `python tests/test_old_folders.py NAME`.
"""

import contextlib
import io
import json
import shutil
import signal
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import daedal
from command_line import daedal as command
from daedal.data import open_data
from daedal.training.metrics import Silence
from daedal.training.trainer import Interrupted
from golden_pictures import boxes
from golden_runs import PROMPT, RUN, measured, pixels
from golden_texts import rows, tales, write
from test_golden import differences

OLD = Path(__file__).parent / "old"
UNNEEDED = (
    "tensorboard",
    "report.html",
    "README.md",
    "contact-sheet.png",
    "samples.png",
    "neighbours.png",
    "lock",
    "samples",
)
SMALL = {"width": 8, "depth": 1, "heads": 1, "kv_heads": 1, "head_width": 8, "mlp_width": 16}
TOKENS: dict[str, Any] = {"rate": 0.0, "filters": 4, "depth": 1, "halvings": 1, "levels": (4, 4)}  # small, to be kept
SIZES: dict[str, Any] = {"samples": 20, "extractor": "random", "seconds": 1e5}


# -- what is asked of a folder, when it was made and now ---------------------------------------------------------------


def text_says(run: Path) -> dict[str, Any]:
    writer = daedal.load(run)
    return {
        "greedy": list(writer.generate("The king", temperature=0, max_tokens=16)[0].ids),
        "chat": str(writer.chat([{"role": "user", "content": "Who?"}], temperature=0, max_tokens=8)),
        "loss": writer.score(tales(1, 77)[0]).loss,
        "report": measured(daedal.evaluate(run, samples=1).model_dump(mode="json")),
    }


def pictures_say(run: Path) -> dict[str, Any]:
    artist = daedal.load(run, device="cpu")
    drawn = [one.image for one in artist.generate(2, seed=3, prompt=PROMPT)]
    return {
        "capabilities": sorted(artist.capabilities),
        "drawn": pixels(drawn),
        "captions": artist.caption(drawn),
        "report": measured(daedal.evaluate(run, **SIZES).model_dump(mode="json")),
    }


SAYS: dict[str, Callable[[Path], dict[str, Any]]] = {"text": text_says, "pictures": pictures_say}


def holds(data: Path) -> dict[str, Any]:
    """What a data folder holds, in short."""
    opened, found = open_data(data), dict[str, Any]()
    for name in ("train", "validation", "test"):
        part = opened.split(name)
        if hasattr(part, "images"):
            sums = [int(np.asarray(part.images, np.int64).sum()), int(part.labels.sum())]
            found[name] = {"sums": sums, "captions": list(part.captions)[:3]}
        else:
            texts = [part.text(index) for index in range(min(2, part.documents))]
            found[name] = {"sums": [part.documents, int(part.read(0, part.tokens).sum())], "texts": texts}
    return found


@pytest.fixture(params=SAYS)
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder of what an old version wrote, called by what it is of."""
    with zipfile.ZipFile(OLD / f"{request.param}.zip") as archive:
        archive.extractall(tmp_path)
    return tmp_path / str(request.param)


def test_old_data_holds_what_it_held_and_shows_its_card(old: Path) -> None:
    assert holds(old / "data") == json.loads((old / "said.json").read_text())["holds"]
    shown = command("data", "show", old / "data")
    assert shown.code == 0, shown.err
    assert "train" in shown.out
    assert json.loads(command("data", "show", old / "data", "--json").out)["splits"].keys() >= {
        "train",
        "validation",
        "test",
    }
    assert command("data", "show", old / "data", "--html", old / "card.html").code == 0


def test_an_old_run_gives_what_it_gave(old: Path) -> None:
    then = json.loads((old / "said.json").read_text())["says"]
    now = json.loads(json.dumps(SAYS[old.name](old / "run")))
    assert differences(now, then) == []
    assert (old / "run" / "README.md").is_file()  # it was measured on its own data, found beside it
    if old.name == "text":
        daedal.export(old / "run", old / "exported")
        assert daedal.load(old / "exported").fingerprint == daedal.load(old / "run").fingerprint


def test_an_old_run_can_be_gone_on_from(old: Path) -> None:
    short = {"steps": 2, "threads": 1, "device": "cpu", "precision": "fp32"}
    codec = {"codec": old / "run" / "codec", "condition": "caption"} if old.name == "pictures" else {}
    result = daedal.train("gpt", data=old / "data", out=old / "more", init=str(old / "run"), **short, **codec)
    assert result.steps == 2


def test_an_old_run_that_was_stopped_goes_on(tmp_path: Path) -> None:
    with zipfile.ZipFile(OLD / "text.zip") as archive:
        archive.extractall(tmp_path)
    result = daedal.resume(tmp_path / "text" / "stopped")
    assert result.steps == RUN["steps"]
    # the same as the one that was never stopped
    kept = json.loads((tmp_path / "text" / "said.json").read_text())["says"]["report"]["own"]
    found = measured(daedal.evaluate(tmp_path / "text" / "stopped", samples=1).model_dump(mode="json"))["own"]
    assert differences(json.loads(json.dumps(found)), kept) == []


# -- making them -------------------------------------------------------------------------------------------------------


class Stop(Silence):
    """Asks a run to stop midway."""

    def step(self, record: dict[str, float], steps: int, seconds_left: float) -> None:
        if record["step"] == RUN["steps"] // 2:
            signal.raise_signal(signal.SIGTERM)


def make_text(place: Path) -> None:
    source = write(place / "tales.jsonl", rows(tales(40)))
    daedal.build_data([source], place / "data", workers=1, codec="bpe", vocab_size=264)
    how = {**RUN, **SMALL, "context": 32, "data": place / "data"}
    daedal.train("gpt", out=place / "run", **how)
    with contextlib.suppress(Interrupted):
        daedal.train("gpt", out=place / "stopped", progress=Stop(), **how)
    shutil.rmtree(place / "run" / "training" / "state")
    (place / "stopped" / "model.safetensors").unlink()  # as if it had been killed
    source.unlink()


def make_pictures(place: Path) -> None:
    how: dict[str, Any] = {"near_duplicates": "off", "split": (55.0, 45.0, 0.0)}
    daedal.build_data([boxes(place / "boxes", 130)], place / "data", workers=1, **how)
    tokens, run = place / "tokens", place / "run"
    daedal.train("vqvae", data=place / "data", out=tokens, **RUN, **TOKENS)
    daedal.train("text-to-image", data=place / "data", out=run, codec=tokens, **RUN, **SMALL)
    shutil.rmtree(run / "training" / "state")
    shutil.rmtree(tokens)
    shutil.rmtree(place / "boxes")


def main(names: list[str]) -> None:
    """Make what is not there yet."""
    for name in names:
        path = OLD / f"{name}.zip"
        if path.exists():
            sys.exit(f"{path} is there: an old folder stays as it was made")
        with tempfile.TemporaryDirectory() as root:
            place = Path(root).resolve() / name
            {"text": make_text, "pictures": make_pictures}[name](place)
            said = {"holds": holds(place / "data"), "says": SAYS[name](place / "run")}
            write(place / "said.json", json.dumps(said))
            buffer = io.BytesIO()
            with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
                for file in sorted(place.rglob("*")):
                    if file.is_file() and not any(part in UNNEEDED for part in file.relative_to(place).parts):
                        archive.write(file, f"{name}/{file.relative_to(place)}")
            write(path, buffer.getvalue())


if __name__ == "__main__":
    main(sys.argv[1:])
