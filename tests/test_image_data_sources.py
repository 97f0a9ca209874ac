"""Every kind of source gives the same pictures: folders, archives, IDX, Parquet, built-in ones."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pyarrow import parquet

from daedal.api import build_data
from daedal.data.images import ImageDataset, ImageOptions, build
from daedal.data.images.kinds import kind_of, split_of, split_of_file
from daedal.data.images.rows import with_bytes
from daedal.errors import DaedalError
from image_files import encoded, noise, write, write_idx, write_mnist, write_zip

ALL = (100.0, 0.0, 0.0)


def pixels(dataset: ImageDataset) -> set[bytes]:
    return {
        np.asarray(image).tobytes() for name in ("train", "validation", "test") for image in dataset.split(name).images
    }


def wanted(count: int) -> set[bytes]:
    return {noise(number).tobytes() for number in range(count)}


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "GIF", "WEBP", "PPM"])
def test_lossless_files_of_every_format_give_their_pixels(tmp_path: Path, form: str) -> None:
    for number in range(4):
        path = tmp_path / "in" / f"{number}.{form.lower()}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(encoded(noise(number), form, **({"lossless": True} if form == "WEBP" else {})))
    dataset = build(tmp_path / "in", tmp_path / "out", ImageOptions(split=ALL))
    assert pixels(dataset) == wanted(4)
    assert [each.name for each in dataset.manifest.formats] == [form]


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "tar.xz", "zip in tar"])
def test_archives_give_what_the_folder_gives(tmp_path: Path, kind: str) -> None:
    members = {f"set/{name}/{n}.png": encoded(noise(n)) for n in range(8) for name in ["cat" if n < 4 else "dog"]}
    path = tmp_path / f"in.{kind.partition(' ')[0]}"
    if kind.startswith("zip"):
        inner = write_zip(tmp_path / "in.zip", members)
        members = {"in.zip": inner.read_bytes()}
        path = tmp_path / ("in.tar" if "tar" in kind else "in.zip")
    if kind != "zip":
        mode = {"tar.gz": "w:gz", "tar.xz": "w:xz"}.get(kind, "w")
        with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
            for name, data in members.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    dataset = build(path, tmp_path / "out", ImageOptions(split=ALL))
    assert pixels(dataset) == wanted(8)
    assert dataset.classes == ("cat", "dog")


def test_idx_of_colour_and_without_labels_is_read(tmp_path: Path) -> None:
    write_idx(tmp_path / "images.idx4-ubyte", np.stack([noise(number) for number in range(5)]))
    dataset = build(tmp_path / "images.idx4-ubyte", tmp_path / "out", ImageOptions(split=ALL))
    assert pixels(dataset) == wanted(5)
    assert dataset.classes == ()
    assert dataset.split("train").names[3] == "images.idx4-ubyte#3"


def test_idx_in_a_zip_finds_its_labels_whatever_their_order(tmp_path: Path) -> None:
    test, labels = write_mnist(tmp_path / "mnist")
    files = {path.name: path.read_bytes() for path in (tmp_path / "mnist").iterdir()}
    packed = write_zip(tmp_path / "mnist.zip", dict(sorted(files.items(), reverse=True)))
    split = build(packed, tmp_path / "out").split("test")
    assert (split.images[:, :, :, 0] == test).all()
    assert (split.labels == labels).all()


def test_parquet_as_hugging_face_writes_it_gives_pictures_classes_and_captions(tmp_path: Path) -> None:
    rows = [{"bytes": encoded(noise(number)), "path": f"{number}.png"} for number in range(6)]
    features = {"features": {"label": {"names": ["zebra", "ant"], "_type": "ClassLabel"}}}
    table = pa.table({"image": rows, "label": [0, 1, 0, 1, 0, -1], "text": [f"thing {n}" for n in range(6)]})
    table = table.replace_schema_metadata({"huggingface": json.dumps({"info": features})})
    (tmp_path / "data").mkdir()
    parquet.write_table(table, tmp_path / "data" / "train-00000-of-00001.parquet", row_group_size=4)
    dataset = build(tmp_path / "data", tmp_path / "out", ImageOptions(split=ALL))
    split = dataset.split("train")
    assert pixels(dataset) == wanted(6)
    assert dataset.classes == ("ant", "zebra")
    assert split.labels.tolist() == [1, 0, 1, 0, 1, -1]
    assert split.captions[2] == "thing 2"
    plain = pa.table({"pic": [row["bytes"] for row in rows], "kind": ["a", "b"] * 3, "label": [0] * 6})
    parquet.write_table(plain, tmp_path / "plain.parquet")
    named = build(tmp_path / "plain.parquet", tmp_path / "named", ImageOptions(split=ALL, label_column="kind"))
    assert named.classes == ("a", "b")


def test_json_lines_beside_pictures_are_captions(tmp_path: Path) -> None:
    for number in range(4):
        write(tmp_path / "in" / f"{number}.png", noise(number))
    said = [["thing 0", "a thing"], "thing 1", ["thing 2"], "thing 3"]
    lines = [json.dumps({"file_name": f"{number}.png", "text": text}) for number, text in enumerate(said)]
    (tmp_path / "in" / "metadata.jsonl").write_text("\n".join(lines))
    dataset = build(tmp_path / "in", tmp_path / "out", ImageOptions(split=ALL))
    assert dataset.split("train").captions == ("thing 0", "thing 1", "thing 2", "thing 3")


def exif(**values: object) -> Image.Exif:
    made = Image.Exif()
    made[0x010E] = values.get("description", "")
    if "comment" in values:
        made.get_ifd(0x8769)[0x9286] = values["comment"]
    return made


def test_the_file_of_a_picture_says_what_it_shows(tmp_path: Path) -> None:
    texts = PngInfo()
    texts.add_text("Software", "a program")
    texts.add_itxt("Description", "a red\n 圆")
    packed = PngInfo()
    packed.add_text("comment", "a packed comment", zip=True)
    options: dict[str, dict[str, object]] = {
        "a.png": {"pnginfo": texts},
        "b.png": {"pnginfo": packed},
        "c.jpg": {"exif": exif(description="told by EXIF")},
        "d.jpg": {"comment": b"a comment of JPEG"},
        "e.webp": {"exif": exif(comment=b"UNICODE\0" + "told by ô".encode("utf-16-be"))},
        "f.jpg": {"exif": exif(comment=b"ASCII\0\0\0told in ASCII")},
        "g.gif": {"comment": b"a comment of GIF"},
        "h.png": {},
    }
    (tmp_path / "in").mkdir()
    for number, (name, how) in enumerate(options.items()):
        Image.fromarray(noise(number, 16, 16)).save(tmp_path / "in" / name, **how)
    given = ImageOptions(split=ALL, captions="metadata", near_duplicates="off")
    dataset = build(tmp_path / "in", tmp_path / "out", given)
    said = dict(zip(dataset.split("train").names, dataset.split("train").captions, strict=True))
    assert said == {
        "in/a.png": "a red 圆", "in/b.png": "a packed comment", "in/c.jpg": "told by EXIF", "in/d.jpg": "a comment of JPEG",
        "in/e.webp": "told by ô", "in/f.jpg": "told in ASCII", "in/g.gif": "a comment of GIF", "in/h.png": "",
    }  # fmt: skip
    notes = " ".join(dataset.manifest.notes)
    assert "captions are from the file of each picture" in notes
    assert "1 pictures have no caption, as in/h.png" in notes
    unasked = build(tmp_path / "in", tmp_path / "unasked", ImageOptions(split=ALL, near_duplicates="off"))
    assert not any(unasked.split("train").captions)


def test_a_caption_is_put_together_from_several_columns(tmp_path: Path) -> None:
    archives = []
    for place, style in enumerate(("flat", "round")):
        members = {f"{number}.png": encoded(noise(50 * place + number)) for number in range(4)}
        rows = [f"{number}.png,{'thing {x} ' + str(number) if number else ''},{style}" for number in range(4)]
        members["captions.csv"] = "\n".join(["file,name,style", *rows]).encode()
        archives.append(write_zip(tmp_path / f"{style}.zip", members))
    given = ImageOptions(split=ALL, caption_template="a {name} in the style of {style}")
    dataset = build(archives, tmp_path / "out", given)
    made = [["", *(f"a thing {{x}} {n} in the style of {style}" for n in (1, 2, 3))] for style in ("flat", "round")]
    assert list(dataset.split("train").captions) == [*made[0], *made[1]]
    assert any("'a {name} in the style of {style}', of the columns" in note for note in dataset.manifest.notes)


@pytest.mark.parametrize("source", ["hf:{folder}", "{folder}"])
def test_a_folder_of_hugging_face_says_its_captions(tmp_path: Path, source: str) -> None:
    for number in range(4):
        write(tmp_path / "in" / "train" / f"{number}.png", noise(number))
    lines = [json.dumps({"file_name": f"{number}.png", "text": f"thing {number}"}) for number in range(4)]
    (tmp_path / "in" / "train" / "metadata.jsonl").write_text("\n".join(lines))
    dataset = build_data([source.format(folder=tmp_path / "in")], tmp_path / "out", split=ALL, workers=1)
    assert isinstance(dataset, ImageDataset)
    assert pixels(dataset) == wanted(4)
    assert sorted(dataset.split("train").captions) == [f"thing {number}" for number in range(4)]


def test_a_row_of_the_hub_names_no_file_outside_its_dataset(tmp_path: Path) -> None:
    path = write(tmp_path / "secret.png", noise(0))
    row = {"image": {"bytes": None, "path": str(path)}, "text": "a"}
    for source in ("owner/name", str(tmp_path / "in")):
        assert with_bytes(row, "image", source) == row
    assert with_bytes(row, "image", str(tmp_path))["image"]["bytes"] == path.read_bytes()


def test_digits_and_scenes_come_with_the_package(tmp_path: Path) -> None:
    digits = build("digits", tmp_path / "digits")
    assert digits.classes == tuple("0123456789")
    assert digits.codec.shape == (1, 8, 8)
    scenes = build("scenes:24", tmp_path / "scenes", ImageOptions(split=ALL, near_duplicates="off"))
    assert scenes.codec.shape == (3, 32, 32)
    assert all(scenes.split("train").captions)
    assert all(json.loads(truth) for truth in scenes.split("train").truths)


def test_names_say_what_files_and_folders_are() -> None:
    kinds = {
        "a.PNG": "picture", "a/b.jpeg": "picture", "train-images-idx3-ubyte": "idx-images", "x.idx1-ubyte": "idx-labels",
        "a.tar.gz": "compressed", "a.zip": "zip", "a.csv": "table", "a.txt": "text", "README": "other", "a.svg": "foreign",
    }  # fmt: skip
    for name, kind in kinds.items():
        assert kind_of(name) == kind, name
    assert split_of(["set", "train", "cat"]) == "train"
    assert split_of(["set", "Val"]) == "validation"
    assert split_of([]) is None
    assert split_of_file("mnist/t10k-images-idx3-ubyte.gz") == "test"
    assert split_of_file("data/validation-00000-of-00001.parquet") == "validation"


def test_hub_datasets_are_streamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    asked = []

    def load(name: str, configuration: str | None, split: str, streaming: bool) -> datasets.IterableDataset:
        asked.append((name, configuration, split, streaming))
        rows = {
            "img": [{"bytes": encoded(noise(number)), "path": None} for number in range(4)],
            "label": [0, 1, 1, 0],
            "caption": [f"thing {number}" for number in range(4)],
        }
        kinds = {
            "img": datasets.Image(),
            "label": datasets.ClassLabel(names=["b", "a"]),
            "caption": datasets.Value("string"),
        }
        return datasets.Dataset.from_dict(rows, features=datasets.Features(kinds)).to_iterable_dataset()

    monkeypatch.setattr(datasets, "load_dataset", load)
    dataset = build("hf:someone/things#small:test", tmp_path / "out", ImageOptions(split=ALL))
    assert asked == [("someone/things", "small", "test", True)]
    assert pixels(dataset) == wanted(4)
    assert dataset.classes == ("a", "b")
    split = dataset.split("train")
    assert split.labels.tolist() == [1, 0, 0, 1]
    assert split.captions[3] == "thing 3"
    with pytest.raises(DaedalError, match="no pictures in a column 'photo'"):
        build("hf:someone/things", tmp_path / "b", ImageOptions(split=ALL, image_column="photo"))
