"""Bad pictures and wrong labels: one clear line, exit code 2, nothing half-written; the rest is built and told."""

import io
import random
import unicodedata
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from command_line import daedal
from daedal.data.images import ImageDataset, ImageOptions, build, png
from daedal.data.images.metadata import caption_inside
from daedal.data.images.resize import Fault, Treatment, treat
from daedal.errors import DaedalError
from image_files import encoded, folder_of, huge_png, noise, png_with, write, write_idx, write_mnist, write_zip

ALL = (100.0, 0.0, 0.0)


def refused(tmp_path: Path, source: Path | list[Path], *parts: str, **options: object) -> None:
    with pytest.raises(DaedalError) as error:
        build(source, tmp_path / "out", ImageOptions.parse(options, "test"))
    for part in parts:
        assert part in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".*"))


def left_out(dataset: ImageDataset) -> dict[str, tuple[int, str]]:
    return {each.reason: (each.count, each.examples[0]) for each in dataset.manifest.dropped}


def test_broken_pictures_are_left_out_by_name_and_the_rest_is_built(tmp_path: Path) -> None:
    folder_of(tmp_path / "in", 8)
    whole = encoded(noise(50, 40, 40))
    (tmp_path / "in" / "zero.png").write_bytes(b"")
    (tmp_path / "in" / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "in" / "words.jpg").write_bytes(b"these are words")
    (tmp_path / "in" / "bomb.png").write_bytes(huge_png())
    (tmp_path / "in" / "notes.md").write_text("not a picture")
    dataset = build(tmp_path / "in", tmp_path / "out", ImageOptions(split=ALL))
    assert dataset.split("train").count == 8
    found = left_out(dataset)
    assert found["empty file"] == (1, "in/zero.png: zero bytes")
    assert found["broken picture"][0] == 2
    assert found["bomb"][0] == 1
    assert found["bomb"][1].startswith("in/bomb.png: Image size (3600000000 pixels)")
    assert found["not a picture"][0] == 1


def test_a_source_that_holds_no_picture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(b"")
    (tmp_path / "in" / "b.png").write_bytes(huge_png())
    refused(tmp_path, tmp_path / "in", "No picture is left: ", "empty file, 1 of them (", "a.png")
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "a.md").write_text("words")
    refused(tmp_path, tmp_path / "words", "There is no picture in", "1 not a picture")
    refused(tmp_path, tmp_path / "gone", "does not exist")


def test_a_file_that_is_all_that_was_given_and_broken_is_refused(tmp_path: Path) -> None:
    for name in ("broken.zip", unicodedata.normalize("NFD", "Füße.zip")):
        broken = write_zip(tmp_path / name, {"a.png": encoded(noise(1)), "b.png": encoded(noise(2))})
        broken.write_bytes(broken.read_bytes()[:100])
        refused(tmp_path, broken, f"{name} cannot be read")
    write_mnist(tmp_path / "mnist")
    cut = tmp_path / "mnist" / "train-images-idx3-ubyte.gz"
    cut.write_bytes(cut.read_bytes()[:-300])
    refused(tmp_path, cut, "cannot be read: broken file")


def test_one_picture_is_too_few(tmp_path: Path) -> None:
    folder_of(tmp_path / "in", 1)
    refused(tmp_path, tmp_path / "in", "There is 1 picture: too few", "--split 100 0 0")
    assert build(tmp_path / "in", tmp_path / "one", ImageOptions(split=ALL)).split("train").count == 1
    folder_of(tmp_path / "in", 3)
    several = build(tmp_path / "in", tmp_path / "several")
    assert several.split("train").count >= 1
    assert several.split("validation").count >= 1


def test_of_animated_files_the_first_picture_is_taken_and_told(tmp_path: Path) -> None:
    folder_of(tmp_path / "in", 3)
    frames = [Image.fromarray(noise(seed)) for seed in (70, 71, 72)]
    frames[0].save(tmp_path / "in" / "moving.webp", save_all=True, append_images=frames[1:], lossless=True)
    dataset = build(tmp_path / "in", tmp_path / "out", ImageOptions(split=ALL))
    split = dataset.split("train")
    assert (split.images[split.names.index("in/moving.webp")] == noise(70)).all()
    assert any("1 files are animated" in note for note in dataset.manifest.notes)


def test_labels_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    folder_of(tmp_path / "in", 4)
    table = tmp_path / "labels.csv"
    refused(tmp_path, tmp_path / "in", "is not a file, and no source has one", labels="gone.csv")
    table.write_text("file,label\nx.png,1\ny.png,2\n")
    refused(tmp_path, tmp_path / "in", "names no picture", "x.png", "in/000.png", labels=str(table))
    table.write_text("file,colour,form\n000.png,red,round\n")
    refused(tmp_path, tmp_path / "in", "no column with labels", "--label-column", labels=str(table))
    refused(tmp_path, tmp_path / "in", "no column 'shape'", "colour", labels=str(table), label_column="shape")
    table.write_text("")
    refused(tmp_path, tmp_path / "in", "has no rows", labels=str(table))
    folder_of(tmp_path / "in" / "more", 4, first=10)
    write(tmp_path / "in" / "more" / "000.png", noise(90))
    table.write_text("file,label\n000.png,1\n")
    refused(tmp_path, tmp_path / "in", "'000.png', which is 2 pictures", labels=str(table))
    refused(tmp_path, tmp_path / "in", "says nothing", where=("colour",))
    refused(tmp_path, tmp_path / "in", "No picture has a text file beside it", captions="sidecar")


def test_captions_that_say_nothing_are_refused(tmp_path: Path) -> None:
    folder_of(tmp_path / "in", 4)
    table = tmp_path / "captions.csv"
    table.write_text("file,caption,tone\n000.png,,a\n001.png,,b\n")
    refused(tmp_path, tmp_path / "in", "Empty for every picture", "the column 'caption'", captions=str(table))
    refused(tmp_path, tmp_path / "in", "says what it shows", "--captions FILE.csv", captions="metadata")


def test_a_template_for_captions_that_cannot_be_filled_in_is_refused(tmp_path: Path) -> None:
    folder_of(tmp_path / "in", 4)
    table = tmp_path / "captions.csv"
    table.write_text("file,name,tone\n000.png,a,dark\n001.png,b,\n")
    refused(
        tmp_path, tmp_path / "in", "no column 'style'", "tone", captions=str(table), caption_template="{style} {name}"
    )
    refused(tmp_path, tmp_path / "in", "columns of a table", "--captions FILE.csv", caption_template="{tone}")
    for template in ("no column", "{}", "{0}", "{name", "{name!r}", "{name:>9}", "{name.__class__}", "{name[0]}"):
        with pytest.raises(DaedalError, match="write columns in braces"):
            ImageOptions.parse({"caption_template": template}, "data build")
    for others, part in (
        ({"captions": "sidecar"}, "captions are sidecar"),
        ({"caption_column": "name"}, "leave the caption"),
    ):
        with pytest.raises(DaedalError, match=part):
            ImageOptions.parse({"caption_template": "{name}", **others}, "data build")


def test_lists_of_labels_must_be_as_long_as_the_pictures(tmp_path: Path) -> None:
    write_mnist(tmp_path / "mnist")
    write_idx(tmp_path / "mnist" / "train-labels-idx1-ubyte.gz", np.arange(39) % 10)
    refused(tmp_path, tmp_path / "mnist", "39 labels for 40 pictures")


def test_an_archive_bomb_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.bmp", bytes(80 * 2**20))
    refused(tmp_path, tmp_path / "bomb.zip", "archive bomb")


def test_parquet_without_pictures_says_which_columns_it_has(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.table({"text": ["a"], "label": [1]}), tmp_path / "a.parquet")
    refused(tmp_path, tmp_path / "a.parquet", "no column with pictures", "text, label")


def test_damaged_pictures_never_end_a_build() -> None:
    chance = random.Random(0)
    forms = [encoded(noise(0, 20, 20), form) for form in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")]
    for number in range(300):
        data = bytearray(forms[number % len(forms)])
        for _ in range(chance.choice((1, 3, 20))):
            data[chance.randrange(len(data))] = chance.randrange(256)
        if number % 3 == 0:
            data = data[: chance.randrange(len(data))]
        found = treat(bytes(data), Treatment(size=8))
        assert isinstance(found, Fault) or found.pixels.shape[:2] == (8, 8)


def test_a_damaged_data_folder_is_told_in_one_line(tmp_path: Path) -> None:
    folder_of(tmp_path / "in", 20)
    out = build(tmp_path / "in", tmp_path / "out").folder
    labels = (out / "train.labels.npy").read_bytes()
    for name, data in (("train.images.npy", b"x"), ("train.labels.npy", labels[:-8]), ("train.labels.npy", b"")):
        kept = (out / name).read_bytes()
        (out / name).write_bytes(data)
        with pytest.raises(DaedalError, match="Build the data again"):
            ImageDataset.open(out).split("train")
        (out / name).write_bytes(kept)
    (out / "train.pictures.parquet").write_bytes(b"x")
    with pytest.raises(DaedalError, match="Build the data again"):
        print(ImageDataset.open(out).split("train").names)


def test_the_command_line_says_what_is_wrong_in_one_line(tmp_path: Path) -> None:
    folder_of(tmp_path / "in", 1)
    (tmp_path / "words.txt").write_text("words " * 100)
    for arguments, part in (
        ([str(tmp_path / "in")], "too few"),
        ([str(tmp_path / "in"), "--codec", "byte"], "--codec is for text"),
        ([str(tmp_path / "words.txt"), "--size", "32"], "--size is for pictures"),
        ([str(tmp_path / "in"), "--background", "whitish"], "not a colour"),
    ):
        result = daedal("data", "build", *arguments, "--out", str(tmp_path / "out"))
        assert result.code == 2
        assert part in result.err
        assert len(result.err.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_text_commands_on_pictures_say_so(tmp_path: Path) -> None:
    from daedal.data import Dataset

    folder_of(tmp_path / "in", 20)
    build(tmp_path / "in", tmp_path / "out")
    with pytest.raises(DaedalError, match="holds pictures, not text"):
        Dataset.open(tmp_path / "out")


def test_hidden_bytes_of_huge_size_are_refused_before_they_are_decoded() -> None:
    found = treat(huge_png(), Treatment())
    assert isinstance(found, Fault)
    assert found.reason == "bomb"
    assert io.BytesIO(huge_png()).getbuffer().nbytes < 1000


def test_texts_in_a_png_are_no_reason_to_lose_its_pixels() -> None:
    long, said = zlib.compress(b"x" * 3_000_000), (b"tEXt", b"Description\0a cat")
    for chunk in (
        (b"zTXt", b"workflow\0\0" + long),
        (b"iTXt", b"workflow\0\1\0en\0\0" + long),
        (b"iCCP", b"profile\0\0" + long),
        (b"iCCP", b"profile"),
        (b"zTXt", b"other\0\7" + long),
    ):
        for data in (png_with(chunk, said), png_with(said, chunk)):
            found = treat(data, Treatment())
            assert not isinstance(found, Fault), chunk[0]
            assert (found.pixels == noise(0)).all()
            assert caption_inside(data) == "a cat"
    damaged = bytearray(png_with(said))
    damaged[33 + 8 + 12] ^= 1  # a letter of the text, which its checksum now belies
    found = treat(bytes(damaged), Treatment())
    assert not isinstance(found, Fault)


def test_texts_in_a_png_are_unpacked_to_no_more_than_so_much(monkeypatch: pytest.MonkeyPatch) -> None:
    unpacked = list[int]()

    def counted(kind: bytes, body: bytes) -> int | None:
        size = plain(kind, body)
        unpacked.append(size or 0)
        return size

    plain = png._size
    monkeypatch.setattr(png, "_size", counted)
    long = (b"zTXt", b"workflow\0\0" + zlib.compress(b"x" * 3_000_000))
    assert len(png.readable(png_with(*[long] * 200))) < 2 * len(png_with())
    assert sum(unpacked) <= 2**26 + 2**20


def test_pictures_that_are_not_read_are_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(3):
        (tmp_path / "in" / f"{number}.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    result = daedal("data", "build", str(tmp_path / "in"), "--out", str(tmp_path / "out"))
    assert result.code == 2
    for part in ("There is no picture in", "3 HEIC, which is not read", "in/0.HEIC", "magick mogrify -format png"):
        assert part in result.err
    folder_of(tmp_path / "in", 4)
    for number, (name, data) in enumerate(
        {
            "a.avif": b"", "b.jxl": b"", "c.psd": b"", "d.cr2": b"", "e.svg": b"", "f.jpg": b"\0\0\0\x18ftypmif1",
            "g.png": b"version https://git-lfs.github.com/spec/v1\noid", "h.jpg": b"\n<!DOCTYPE html><html>",
        }.items()
    ):  # fmt: skip
        (tmp_path / "in" / name).write_bytes(data or bytes([number]))
    found = left_out(build(tmp_path / "in", tmp_path / "some", ImageOptions(split=ALL)))
    names = ("AVIF", "JPEG XL", "Photoshop", "raw camera", "SVG")
    assert {f"{name}, which is not read" for name in names} < found.keys()
    assert found["broken picture"][0] == 3
    assert found["broken picture"][1].startswith("in/f.jpg: its bytes are HEIC: convert it to PNG")


def test_what_files_hold_is_told_by_their_bytes() -> None:
    for data, part in (
        (b"version https://git-lfs.github.com/spec/v1", "git lfs pull"),
        (b"\xef\xbb\xbf\n<html>", "a web page"),
        (b"\0\0\0\x1cftypavif", "AVIF"),
        (b"words", "not those of a picture"),
    ):
        found = treat(data, Treatment())
        assert isinstance(found, Fault)
        assert part in found.detail


def test_copies_that_leave_too_few_pictures_are_told(tmp_path: Path) -> None:
    for number in range(10):
        write(tmp_path / "in" / f"{number}.png", noise(1))
    refused(tmp_path, tmp_path / "in", "Of 10 pictures 9 are exact copies, which leaves 1: too few")
    refused(tmp_path, tmp_path / "in", "10 pictures, all copies of one: too few", exact_duplicates=False)
    refused(
        tmp_path, tmp_path / "in", "No picture is left to train on", "10 are held out too", test=(str(tmp_path / "in"),)
    )


def test_pictures_that_cropping_cuts_badly_are_counted(tmp_path: Path) -> None:
    folder_of(tmp_path / "in", 3, height=40, width=60)
    folder_of(tmp_path / "in", 2, first=10, height=50, width=400)
    dataset = build(tmp_path / "in", tmp_path / "out", ImageOptions(split=ALL, size=16))
    told = "2 pictures lose more than half of their longer side, the most 88% (one of 400 x 50)"
    assert any(told in note and "--fit pad" in note for note in dataset.manifest.notes)
    padded = build(tmp_path / "in", tmp_path / "padded", ImageOptions(split=ALL, size=16, fit="pad"))
    assert not any("longer side" in note for note in padded.manifest.notes)


def test_colour_that_nobody_sees_is_none(tmp_path: Path) -> None:
    for number in range(4):
        picture = noise(number, channels=4, height=20, width=20)
        picture[:10, :, 3] = 0
        write(tmp_path / "in" / f"{number}.png", picture)
    for size in (None, 8, 32):
        options = ImageOptions(split=ALL, channels="4", size=size, near_duplicates="off")
        images = np.asarray(build(tmp_path / "in", tmp_path / f"out{size}", options).split("train").images)
        clear = images[..., 3] == 0
        assert clear.any()
        assert not clear.all()
        assert (images[clear] == 0).all()
    write_idx(tmp_path / "a.idx4-ubyte", np.stack([np.full((8, 8, 4), [9, 9, 9, n % 2]) for n in range(3)]))
    images = (
        build(tmp_path / "a.idx4-ubyte", tmp_path / "idx", ImageOptions(split=ALL, channels="4")).split("train").images
    )
    assert sorted(images[:, 0, 0].tolist()) == [[0, 0, 0, 0], [9, 9, 9, 1]]


def test_many_notes_are_cut_by_a_note(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    (tmp_path / "in").mkdir()
    for number in range(30):
        table = pa.table({"image": [encoded(noise(number))], "label": [number % 2]})
        parquet.write_table(table, tmp_path / "in" / f"{number}.parquet")
    notes = build(tmp_path / "in", tmp_path / "out", ImageOptions(split=ALL)).manifest.notes
    assert "classes are from the source itself" in notes
    assert notes[-1] == "and 11 more notes of this kind"
