"""The commands that draw, from end to end, over a model that can do everything; and what they say of bad input."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from blots import Blots, generator
from command_line import daedal, mistake
from daedal import api
from daedal.inference.generator import Generator
from daedal.inference.picture import Picture
from daedal.models import checkpoint
from test_pictures import ANIMALS, bad_pictures, photo

RUN = "runs/blots"
"""A run whose name is blots."""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, in which every run is a model of blots."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(api, "of_pictures", lambda folder: True)
    monkeypatch.setattr(checkpoint, "resolve", Path)
    monkeypatch.setattr(Generator, "open", lambda run, **options: generator(ANIMALS))
    monkeypatch.setattr(api, "use_fastest_threads", lambda: 1)
    photo(20, 10).save("a.png")
    photo().transpose(Image.Transpose.ROTATE_90).save("b.png")
    mask = Image.new("L", (20, 10))
    mask.paste(255, (0, 0, 10, 10))
    mask.save("mask.png")
    return tmp_path


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"a.png", "b.png", "mask.png"}


# -- what they do ------------------------------------------------------------------------------------------------------


def test_generate_draws_a_sheet_of_sixteen(here: Path) -> None:
    ended = daedal("generate", RUN, "--seed", "1")
    assert ended.code == 0, ended.err
    assert ended.out == "16 pictures of seed 1 in samples-blots-1.png\n"
    assert Image.open("samples-blots-1.png").width > 4 * 100
    assert daedal("generate", RUN, "--seed", "1").out.endswith("samples-blots-1-2.png\n")
    assert left(here) == {"samples-blots-1.png", "samples-blots-1-2.png"}


def test_where_no_number_is_given_each_class_that_is_named_is_drawn(here: Path) -> None:
    named = [part for number in range(17) for part in ("--class", ANIMALS[number % len(ANIMALS)])]
    ended = daedal("generate", RUN, "--seed", "1", *named, "--json")
    assert [record["label"] for record in json.loads(ended.out)] == named[1::2]


def test_generate_draws_what_it_is_asked_for(here: Path) -> None:
    ended = daedal(
        "generate", RUN, "-n", "3", "--seed", "5", "--class", "cat", "--class", "dog", "--temperature", "0.5", "--steps",
        "7", "--out", "some", "--json",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    records = json.loads(ended.out)
    assert [record["label"] for record in records] == ["cat", "dog", "cat"]
    assert [record["options"]["steps"] for record in records] == [7, 7, 7]
    expected = generator(ANIMALS).generate(3, seed=5, label=["cat", "dog"], temperature=0.5, steps=7)
    for record, picture in zip(records, expected, strict=True):
        assert np.array_equal(np.asarray(Picture.open(record["file"]).image), np.asarray(picture.image))
    assert left(here / "some") == {"00000-cat.png", "00001-dog.png", "00002-cat.png", "index.jsonl"}


def test_generate_writes_one_picture_as_it_is(here: Path) -> None:
    assert daedal("generate", RUN, "-n", "1", "--seed", "1", "--out", "one.png").code == 0
    assert Image.open("one.png").size == (8, 8)


@pytest.mark.parametrize("name", ["morph.mp4", "morph.gif", "morph.webp", "morph.png"])
def test_interpolate_goes_from_picture_to_picture(name: str, here: Path) -> None:
    ended = daedal("interpolate", RUN, "--from", "a.png", "--to", "b.png", "--frames", "5", "--out", name)
    assert ended.code == 0, ended.err
    assert ended.out == f"5 frames in {name}\n"
    assert ended.err == "a.png: 20x10 pixels become 8x8 (crop)\n"
    assert (here / name).stat().st_size > 0


def test_interpolate_goes_through_seeds() -> None:
    ended = daedal("interpolate", RUN, "--seeds", "1,2,3,4", "--frames", "8", "--class", "dog", "--loop")
    assert ended.code == 0, ended.err
    assert ended.out == "8 frames in interpolation-blots.gif\n"


def test_edit_draws_under_the_mask() -> None:
    ended = daedal("edit", RUN, "--image", "a.png", "--mask", "mask.png", "-n", "2", "--seed", "1", "--out", "new")
    assert ended.code == 0, ended.err
    assert "20x10 pixels become 8x8" in ended.err
    original = generator().fit("a.png").pixels
    for path in Path("new").glob("*.png"):
        assert np.array_equal(np.asarray(Image.open(path))[:, 4:], original[:, 4:])
        assert not np.array_equal(np.asarray(Image.open(path))[:, :4], original[:, :4])
    ended = daedal("edit", RUN, "--image", "a.png", "--mask", "mask.png", "--seed", "1", "--json")
    assert [record["file"] for record in json.loads(ended.out)] == ["edits-a-1.png"] * 4


def test_reconstruct_tells_the_error_of_each_picture(here: Path) -> None:
    ended = daedal("reconstruct", RUN, "a.png", "b.png", "--out", "pairs.png")
    assert ended.code == 0, ended.err
    for word in ("a.png", "b.png", "dB", "pairs.png"):
        assert word in ended.out
    records = json.loads(daedal("reconstruct", RUN, "a.png", "b.png", "--out", "pairs", "--json").out)
    assert [record["picture"] for record in records] == ["a.png", "b.png"]
    assert left(here / "pairs") == {"00000-a.png", "00001-b.png", "index.jsonl"}


def test_many_reconstructions_stand_below_their_pictures() -> None:
    assert daedal("reconstruct", RUN, *["b.png"] * 11, "--out", "pairs.png").code == 0
    sheet = np.asarray(Image.open("pairs.png"))
    side = (sheet.shape[1] + 2) // 8
    assert sheet.shape[0] == 4 * side - 2
    assert np.array_equal(sheet[2 * side : 3 * side - 2, : side - 2], sheet[: side - 2, : side - 2])
    assert (sheet[2 * side :, 3 * side :] == 255).all()


# -- bad input ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("generate {run} -n 0", "at least one"),
        ("generate {run} --class cta", "Did you mean cat?"),
        ("generate {run} --guidance 2", "A Blots does not take guidance: it takes steps and temperature"),
        ("generate {run} --temperature 0", "temperature"),
        ("generate {run} --columns 0", "columns"),
        ("generate {run} --prompt Once", "cannot draw what a text says"),
        ("generate {run} --max-tokens 5 --top-p 0.9", "--max-tokens, --top-p"),
        ("generate {run} --quantize int8", "--quantize"),
        ("generate {run} --out a.docx", ".png"),
        ("generate {run} --out a.png", "--replace"),
        ("generate {run} --out .", "not empty"),
        ("generate {run} --out mask.png/grid.png", "mask.png"),
        ("interpolate {run}", "--seeds"),
        ("interpolate {run} --from a.png", "--to"),
        ("interpolate {run} --from a.png --to b.png --seeds 1,2", "not both"),
        ("interpolate {run} --seeds one,two", "1,2,3,4"),
        ("interpolate {run} --seeds 1", "at least two"),
        ("interpolate {run} --seeds=1,-2", "seed -2"),
        ("interpolate {run} --seeds 1,2 --frames 1", "at least 2"),
        ("interpolate {run} --seeds 1,2 --fps 0", "frames a second"),
        ("interpolate {run} --seeds 1,2 --out a.avi", ".mp4"),
        ("interpolate {run} --seeds 1,2 --out a.png", "--replace"),
        ("interpolate {run} --from a.png --to nowhere.png", "nowhere.png is missing"),
        ("edit {run} --image a.png --mask b.png", "The mask is 8x8"),
        ("edit {run} --image b.png --mask mask.png", "The mask is 20x10 pixels, and b.png is 8x8"),
        ("edit {run} --image a.png --mask mask.png -n 0", "at least one"),
        ("edit {run} --image a.png --mask nowhere.png", "nowhere.png is missing"),
        ("edit {run} --image a.png", "Give a mask, or a strength under 1"),
        ("edit {run} --image a.png --strength 0.5 --class cat --class dog -n 1", "'dog' would have no turn"),
        ("generate {run} --class cat --class dog --class cat -n 2", "3 classes are given for 2 pictures: 'cat' would"),
        ("reconstruct {run} a.png --class cat --class dog", "2 classes are given for 1 picture"),
        ("edit {run} --image a.png --strength 0", "strength is 0"),
        ("generate {run} -n 10000000", "A sheet of 10,000,000 pictures would be"),
        ("generate {run} -n 10000000000 --out many", "Holding 10,000,000,000 pictures needs about"),
        ("generate {run} -n 20000 --columns 10000", "few programs open"),
        ("edit {run} --image a.png --strength 0.5 -n 10000000", "few programs open"),
        ("interpolate {run} --seeds 1,2 --frames 1000000000", "Holding 1,000,000,000 pictures needs about"),
        ("interpolate {run} --seeds 1,2 --frames 100000 --out strip.png", "few programs open"),
        ("edit {run} --mask mask.png", "There is nothing to edit"),
        ("reconstruct {run}", "PICTURE is missing"),
        ("reconstruct {run} nowhere.png", "nowhere.png is missing"),
        ("reconstruct {run} a.png --out b.png", "--replace"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(command: str, said: str, here: Path) -> None:
    before = {path.name: path.read_bytes() for path in here.iterdir()}
    if "8x8" in said:
        photo(9, 9).save("b.png")
        before["b.png"] = (here / "b.png").read_bytes()
    line = mistake(*command.format(run=RUN).split())
    assert said.replace("8x8", "9x9") in line
    assert {path.name: path.read_bytes() for path in here.iterdir()} == before


def test_a_bad_picture_is_refused_by_name(here: Path) -> None:
    folder = here / "bad"
    folder.mkdir()
    for what, path in bad_pictures(folder).items():
        for command in (
            ("reconstruct", RUN, "a.png", path),
            ("interpolate", RUN, "--from", path, "--to", "a.png"),
            ("edit", RUN, "--image", path, "--mask", "mask.png"),
            ("edit", RUN, "--image", "a.png", "--mask", path),
        ):
            line = mistake(*command)
            assert what in line
            assert str(path) in line


def test_replace_overwrites_what_is_there_and_leaves_the_rest(here: Path) -> None:
    (here / "some").mkdir()
    (here / "some" / "mine.txt").write_text("mine")
    command = ("generate", RUN, "-n", "2", "--seed", "1", "--out", "some")
    assert "--replace" in mistake(*command)
    assert daedal(*command, "--replace").code == 0
    assert (here / "some" / "mine.txt").read_text() == "mine"
    assert daedal("generate", RUN, "-n", "2", "--seed", "1", "--out", "a.png", "--replace").code == 0
    assert Image.open("a.png").size != (20, 10)


def test_a_folder_that_cannot_be_written(here: Path) -> None:
    (here / "file").write_text("in the way")
    mistake("generate", RUN, "--out", "file/pictures/more")


def test_a_model_that_cannot_says_what_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    class Drawer(Blots):
        capabilities = frozenset({"sample", "interpolate"})

    monkeypatch.setattr(Generator, "open", lambda run, **options: generator(model=Drawer))
    for command in (("edit", RUN, "--image", "b.png", "--mask", "b.png"), ("reconstruct", RUN, "b.png")):
        assert "A Drawer cannot" in mistake(*command)
        assert "it can draw new pictures and interpolate" in mistake(*command)


def test_a_model_of_text_draws_no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    from daedal.codecs.text import TextCodec
    from daedal.inference.generator import Generator
    from tiny_models import tiny_gpt

    codec = TextCodec.train("byte", ["text"])
    monkeypatch.setattr(api, "of_pictures", lambda folder: False)
    monkeypatch.setattr(api, "load", lambda run, **options: Generator(tiny_gpt(codec), codec))
    for command in (
        ("generate", RUN, "--class", "cat"),
        ("generate", RUN, "--out", "a.png"),
        ("interpolate", RUN, "--seeds", "1,2"),
        ("edit", RUN, "--image", "a.png", "--mask", "mask.png"),
        ("reconstruct", RUN, "a.png"),
    ):
        assert "writes text" in mistake(*command)
    assert daedal("generate", RUN, "--max-tokens", "2").code == 0
