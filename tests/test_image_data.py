"""Builds of pictures: what goes in comes out, in the right split, once; the same bytes however it was built."""

import hashlib
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from daedal.data import card_html, modality, open_data, render_card
from daedal.data.images import ImageDataset, ImageOptions, build
from daedal.data.images import batch as batches
from daedal.data.images.resize import Treatment
from daedal.data.workers import Workers
from daedal.errors import DaedalError
from image_files import classes_of, encoded, folder_of, noise, write, write_mnist, write_zip

ALL = (100.0, 0.0, 0.0)


def options(**values: object) -> ImageOptions:
    return ImageOptions.parse(values, "test")


def contents(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def everything(dataset: ImageDataset) -> list[tuple[str, np.ndarray, str, str]]:
    """Name, pixels, class and caption of every picture."""
    found = []
    for name in ("train", "validation", "test"):
        split = dataset.split(name)
        classes = ["" if label < 0 else dataset.classes[label] for label in split.labels]
        found += list(zip(split.names, split.images, classes, split.captions, strict=True))
    return sorted(found, key=lambda row: row[0])


def test_pictures_come_out_as_they_went_in(tmp_path: Path) -> None:
    folder_of(tmp_path / "in", 30)
    dataset = build(tmp_path / "in", tmp_path / "out")
    rows = everything(dataset)
    assert [row[0] for row in rows] == [f"in/{number:03d}.png" for number in range(30)]
    assert all((pixels == noise(number)).all() for number, (_, pixels, _, _) in enumerate(rows))
    assert dataset.split("validation").count > 0
    assert dataset.classes == ()
    assert set(dataset.split("train").labels.tolist()) == {-1}
    assert np.asarray(dataset.split("train").picture(0)).shape == (12, 12, 3)
    assert dataset.codec.shape == (3, 12, 12)
    assert isinstance(open_data(tmp_path / "out"), ImageDataset)


def test_the_same_sources_give_the_same_bytes(tmp_path: Path) -> None:
    classes_of(tmp_path / "in", 15)
    first = build(tmp_path / "in", tmp_path / "a", workers=1)
    (tmp_path / "elsewhere").mkdir()
    again = build(tmp_path / "in", tmp_path / "elsewhere" / "a", workers=2)
    assert contents(first.folder) == contents(again.folder)
    assert list(tmp_path.glob(".*")) == []


def test_processes_treat_as_one_does(tmp_path: Path) -> None:
    payloads = (*(encoded(noise(number)) for number in range(5)), b"", b"no picture")
    made = [batches.Batch(number, (None,) * 7 + ((2, 3, 1),), (*payloads, bytes(range(6)))) for number in range(4)]
    for count, folder in ((1, tmp_path / "one"), (2, tmp_path / "two")):
        folder.mkdir()
        bench = {"treatment": Treatment().model_dump(mode="json"), "folder": str(folder)}
        with Workers("daedal.data.images.batch:BatchWork", bench, count) as workers:
            workers.run(made, lambda size: None)
    for number in range(4):
        one, two = (batches.load_batch(tmp_path / name, number) for name in ("one", "two"))
        assert one.faults == two.faults
        assert (one.pixels == two.pixels).all()


def test_a_build_that_was_killed_goes_on_and_ends_with_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "_PICTURES", 10)
    folder_of(tmp_path / "in", 40)
    whole = build(tmp_path / "in", tmp_path / "whole")
    code = (
        "import sys, time; from daedal.data.images import batch, build\n"
        "batch._PICTURES = 10; treat = batch.treat\n"
        "def slow(*given): time.sleep(0.1); return treat(*given)\n"
        "batch.treat = slow; build(sys.argv[1], sys.argv[2], workers=1)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "in"), str(tmp_path / "out")])
    spool = tmp_path / ".out.build" / "spool"
    deadline = time.monotonic() + 60
    while not list(spool.glob("*.npz")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert list(spool.glob("*.npz"))
    assert not (tmp_path / "out").exists()
    built = build(tmp_path / "in", tmp_path / "out")
    assert contents(built.folder) == contents(whole.folder)
    assert not (tmp_path / ".out.build").exists()


def test_a_build_with_other_options_needs_replace(tmp_path: Path) -> None:
    folder_of(tmp_path / "in", 20)
    first = build(tmp_path / "in", tmp_path / "out")
    assert build(tmp_path / "in", tmp_path / "out").fingerprint == first.fingerprint
    with pytest.raises(DaedalError, match="other sources or with other options"):
        build(tmp_path / "in", tmp_path / "out", options(size=8))
    assert build(tmp_path / "in", tmp_path / "out", options(size=8), replace=True).codec.width == 8


# -- splits ------------------------------------------------------------------------------------------------------------


def test_a_picture_stays_in_its_split_when_files_are_renamed_or_added(tmp_path: Path) -> None:
    folder_of(tmp_path / "in", 300, height=8, width=8)
    before = build(tmp_path / "in", tmp_path / "a")
    (tmp_path / "in").rename(tmp_path / "other")
    folder_of(tmp_path / "other", 30, first=300, height=8, width=8)
    after = build(tmp_path / "other", tmp_path / "b")
    for split in ("validation", "test"):
        kept = {image.tobytes() for image in after.split(split).images}
        assert {image.tobytes() for image in before.split(split).images} <= kept


def test_folders_named_like_splits_are_splits(tmp_path: Path) -> None:
    for place, split in enumerate(("train", "val", "test")):
        classes_of(tmp_path / "in" / split, 6, (f"cat{place}", f"dog{place}"))
        for offset, path in enumerate(sorted((tmp_path / "in" / split).rglob("*.png"))):
            write(path, noise(100 * place + offset))
    dataset = build(tmp_path / "in", tmp_path / "out")
    assert [dataset.split(name).count for name in ("train", "validation", "test")] == [12, 12, 12]
    assert dataset.classes == ("cat0", "cat1", "cat2", "dog0", "dog1", "dog2")
    drawn = build(tmp_path / "in", tmp_path / "drawn", options(split=ALL))
    assert drawn.split("train").count == 36
    assert any("splits of their own" in note for note in drawn.manifest.notes)


def test_validation_is_drawn_from_train_where_only_a_test_split_is_given(tmp_path: Path) -> None:
    test, labels = write_mnist(tmp_path / "mnist")
    dataset = build(tmp_path / "mnist", tmp_path / "out")
    assert (dataset.split("test").images[:, :, :, 0] == test).all()
    assert (dataset.split("test").labels == labels).all()
    assert dataset.split("train").count + dataset.split("validation").count == 40
    assert dataset.split("validation").count > 0
    assert dataset.classes == tuple("0123456789")


def test_what_is_held_out_is_not_trained_on(tmp_path: Path) -> None:
    folder_of(tmp_path / "in" / "train", 20)
    folder_of(tmp_path / "in" / "test", 5)  # the same as the first five of train
    folder_of(tmp_path / "more", 2, first=10)
    dataset = build(tmp_path / "in", tmp_path / "out", options(validation=(str(tmp_path / "more"),)))
    assert [dataset.split(name).count for name in ("train", "validation", "test")] == [13, 2, 5]
    assert dataset.manifest.duplicates.held_out == 7


# -- duplicates --------------------------------------------------------------------------------------------------------


def photo(seed: int) -> np.ndarray:
    """A smooth picture of 96 pixels with something in it."""
    generator = np.random.default_rng(seed)
    down, across = np.mgrid[0:96, 0:96] / 96
    waves = [np.sin(a * 3 * down + b * 3 * across + c) for a, b, c in generator.normal(size=(3, 3))]
    wave = np.stack(waves, axis=2)
    picture = 127 + 90 * wave
    x, y = generator.integers(10, 60, 2)
    picture[y : y + 25, x : x + 25] = generator.integers(0, 256, 3)
    return np.clip(picture, 0, 255).astype(np.uint8)


def photos(folder: Path, count: int) -> None:
    for seed in range(count):
        write(folder / f"{seed}.png", photo(seed))


def test_of_equal_pictures_one_stays(tmp_path: Path) -> None:
    folder_of(tmp_path / "in", 20)
    folder_of(tmp_path / "in" / "copies", 4)
    dataset = build(tmp_path / "in", tmp_path / "out")
    assert dataset.manifest.duplicates.exact == 4
    kept = build(tmp_path / "in", tmp_path / "kept", options(exact_duplicates=False, near_duplicates="off"))
    assert len(everything(kept)) == 24


@pytest.mark.parametrize("how", ["jpeg", "smaller", "webp"])
def test_of_near_copies_one_stays_and_it_is_the_larger(tmp_path: Path, how: str) -> None:
    photos(tmp_path / "in", 12)
    for seed in range(4):
        picture = Image.fromarray(photo(seed))
        small = picture.resize((70, 70)) if how == "smaller" else picture
        form = {"jpeg": "JPEG", "webp": "WEBP"}.get(how, "PNG")
        (tmp_path / "in" / f"copy{seed}.{form.lower()}").write_bytes(encoded(np.asarray(small), form))
    found = build(tmp_path / "in", tmp_path / "out", options(split=ALL)).manifest.duplicates
    assert (found.near, found.exact, found.largest_cluster) == (4, 0, 2)
    kept = build(tmp_path / "in", tmp_path / "kept", options(near_duplicates="keep"))
    rows = {name: split for split in ("train", "validation", "test") for name in kept.split(split).names}
    for seed in range(4):
        copy = next(name for name in rows if name.startswith(f"in/copy{seed}"))
        assert rows[copy] == rows[f"in/{seed}.png"]
    if how == "smaller":
        assert not any("copy" in row[0] for row in everything(ImageDataset.open(tmp_path / "out")))


def test_pictures_that_differ_in_one_small_place_are_not_copies(tmp_path: Path) -> None:
    plain = np.full((32, 32, 3), 255, dtype=np.uint8)
    for number, skin in enumerate([(250, 220, 180), (200, 160, 120), (120, 80, 50), (90, 60, 40)]):
        picture = plain.copy()
        picture[8:28, 10:22] = (40, 60, 200)
        picture[3:8, 13:19] = skin
        write(tmp_path / "in" / f"{number}.png", picture)
    dataset = build(tmp_path / "in", tmp_path / "out", options(split=ALL))
    assert dataset.split("train").count == 4


# -- classes and captions ----------------------------------------------------------------------------------------------


def test_folders_that_look_like_classes_are_classes(tmp_path: Path) -> None:
    classes_of(tmp_path / "in", 5, ("10", "9", "cat"))
    dataset = build(tmp_path / "in", tmp_path / "out", options(split=ALL))
    assert dataset.classes == ("9", "10", "cat")
    assert all(name.split("/")[1] == label for name, _, label, _ in everything(dataset))
    assert build(tmp_path / "in", tmp_path / "none", options(split=ALL, labels="none")).classes == ()


def test_folders_of_dates_are_not_classes_unless_asked(tmp_path: Path) -> None:
    for place, name in enumerate(("2023/01", "2023/02", "2024/01")):
        folder_of(tmp_path / "in" / name, 3, first=10 * place)
    dated = build(tmp_path / "in", tmp_path / "out", options(split=ALL))
    assert dated.classes == ()
    assert any("--labels folders" in note for note in dated.manifest.notes)
    asked = build(tmp_path / "in", tmp_path / "asked", options(split=ALL, labels="folders"))
    assert asked.classes == ("01", "02")


def test_two_folders_that_are_named_are_two_classes(tmp_path: Path) -> None:
    folder_of(tmp_path / "cats", 4)
    folder_of(tmp_path / "dogs", 4, first=10)
    dataset = build([tmp_path / "cats", tmp_path / "dogs"], tmp_path / "out", options(split=ALL))
    assert dataset.classes == ("cats", "dogs")


def test_a_table_says_classes_and_captions(tmp_path: Path) -> None:
    folder_of(tmp_path / "in", 6)
    lines = [f"in/{number:03d}.png,{'ab'[number % 2]},picture number {number}" for number in range(5)]
    (tmp_path / "said.csv").write_text("\n".join(["path,class,text", *lines, "gone.png,a,gone"]))
    dataset = build(
        tmp_path / "in",
        tmp_path / "out",
        options(split=ALL, labels=str(tmp_path / "said.csv"), captions=str(tmp_path / "said.csv")),
    )
    rows = everything(dataset)
    assert [row[2] for row in rows] == ["a", "b", "a", "b", "a", ""]
    assert rows[3][3] == "picture number 3"
    notes = " ".join(dataset.manifest.notes)
    assert "1 rows name pictures that are not there, as gone.png" in notes
    assert "1 pictures have no class, as in/005.png" in notes


def test_a_table_inside_an_archive_speaks_of_that_archive(tmp_path: Path) -> None:
    archives = []
    for place, style in enumerate(("flat", "round")):
        members = {f"png/{number}.png": encoded(noise(50 * place + number)) for number in range(6)}
        rows = [f"{number}.png,thing {number},{number % 2},{style}" for number in range(6)]
        members["captions.csv"] = "\n".join(["file,caption,tone,style", *rows]).encode()
        archives.append(write_zip(tmp_path / f"{style}.zip", members))
    dataset = build(
        archives, tmp_path / "out", options(split=ALL, labels="captions.csv", label_column="style", where=("tone=0",))
    )
    rows = everything(dataset)
    assert len(rows) == 6
    assert [(row[2], row[3]) for row in rows] == [
        (style, f"thing {n}") for style in ("flat", "round") for n in (0, 2, 4)
    ]
    assert dataset.manifest.dropped[0].reason == "not what --where asks for"


def test_text_beside_pictures_is_their_caption(tmp_path: Path) -> None:
    folder_of(tmp_path / "in", 4)
    for number in range(3):
        (tmp_path / "in" / f"{number:03d}.txt").write_text(f"a thing,\n number {number}\n")
    dataset = build(tmp_path / "in", tmp_path / "out", options(split=ALL, captions="sidecar"))
    assert [row[3] for row in everything(dataset)] == [
        "a thing, number 0",
        "a thing, number 1",
        "a thing, number 2",
        "",
    ]


# -- sizes and channels ------------------------------------------------------------------------------------------------


def test_the_size_is_the_pictures_own_where_they_agree_and_are_small(tmp_path: Path) -> None:
    folder_of(tmp_path / "small", 4, height=20, width=28)
    assert build(tmp_path / "small", tmp_path / "a", options(split=ALL)).split("train").images.shape == (4, 20, 28, 3)
    folder_of(tmp_path / "large", 4, height=80, width=80)
    assert build(tmp_path / "large", tmp_path / "b", options(split=ALL)).split("train").images.shape == (4, 32, 32, 3)
    folder_of(tmp_path / "small", 1, first=9, height=40, width=28)
    mixed = build(tmp_path / "small", tmp_path / "c", options(split=ALL))
    assert mixed.split("train").images.shape == (5, 32, 32, 3)
    asked = build(tmp_path / "small", tmp_path / "d", options(split=ALL, size=32))
    assert (mixed.split("train").images == asked.split("train").images).all()


def test_grey_pictures_stay_grey_until_one_has_a_colour(tmp_path: Path) -> None:
    for number in range(4):
        grey = np.repeat(noise(number, channels=1), 3, axis=2)
        write(tmp_path / "in" / f"{number}.png", grey if number % 2 else grey[:, :, :1])
    assert build(tmp_path / "in", tmp_path / "a", options(split=ALL)).codec.channels == 1
    write(tmp_path / "in" / "colour.png", noise(9))
    mixed = build(tmp_path / "in", tmp_path / "b", options(split=ALL))
    assert mixed.codec.channels == 3
    assert (everything(mixed)[0][1] == noise(0, channels=1)).all()
    assert build(tmp_path / "in", tmp_path / "c", options(split=ALL, channels="1")).codec.channels == 1
    assert build(tmp_path / "in", tmp_path / "d", options(split=ALL, channels="4")).codec.channels == 4


# -- the card ----------------------------------------------------------------------------------------------------------


def test_the_card_shows_what_is_there(tmp_path: Path) -> None:
    from rich.console import Console

    classes_of(tmp_path / "in", 12)
    (tmp_path / "in" / "cat" / "notes.md").write_text("no picture")
    (tmp_path / "in" / "cat" / "<b>.png").write_bytes(b"broken")
    dataset = build(tmp_path / "in", tmp_path / "out")
    console = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(render_card(dataset))
    text = console.export_text()
    for part in ("train", "cat", "dog", "12 x 12, RGB", "not a picture", "broken picture", "contact-sheet.png"):
        assert part in text
    page = card_html(dataset)
    assert "data:image/png;base64," in page
    assert "&lt;b&gt;.png" in page
    assert "<b>.png" not in page
    sheet = Image.open(dataset.folder / "contact-sheet.png")
    assert sheet.width > 100
    manifest = json.loads((dataset.folder / "manifest.json").read_text())
    assert manifest["format"] == "daedal-images"
    assert manifest["splits"]["train"]["pictures"] == dataset.split("train").count


# -- text or pictures --------------------------------------------------------------------------------------------------


def test_sources_say_whether_they_are_text_or_pictures(tmp_path: Path) -> None:
    folder_of(tmp_path / "pictures", 3)
    (tmp_path / "pictures" / "readme.md").write_text("three pictures")
    (tmp_path / "notes").mkdir()
    for number in range(3):
        (tmp_path / "notes" / f"{number}.txt").write_text("words")
    folder_of(tmp_path / "notes", 1)
    write_mnist(tmp_path / "mnist")
    write_zip(tmp_path / "p.zip", {"a.png": encoded(noise(0)), "captions.csv": b"file\na.png"})
    write_zip(tmp_path / "t.zip", {"a.txt": b"words"})
    said = {
        "images": ["pictures", "mnist", "p.zip", "mnist/train-images-idx3-ubyte.gz"],
        "text": ["notes", "t.zip", "pictures/readme.md", "nothing"],
    }
    for kind, names in said.items():
        for name in names:
            assert modality(tmp_path / name) == kind, name
    assert modality(["digits", "python-docs"]) == "images"
    assert modality("scenes:20,objects=1") == "images"
    assert modality("python-code") == "text"
    assert modality(tmp_path / "nothing", otherwise="images") == "images"
    folder_of(tmp_path / "captioned", 3)
    for number in range(3):
        (tmp_path / "captioned" / f"{number:03d}.txt").write_text("what it shows")
    assert modality(tmp_path / "captioned") == "images"
