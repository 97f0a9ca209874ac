"""Every kind of source gives the same pictures: folders, archives, IDX, Parquet, built-in ones."""

import gzip
import io
import json
import os
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pyarrow import parquet

from daedal.api import build_data
from daedal.data.fields import split_of_folders, split_of_name
from daedal.data.hub import parse_hub_name
from daedal.data.images import ImageDataset, ImageOptions, build
from daedal.data.images.kinds import kind_of
from daedal.data.images.rows import with_bytes
from daedal.data.recognise import modality
from daedal.errors import DaedalError
from image_files import encoded, folder_of, noise, write, write_idx, write_mnist, write_zip

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
    assert split_of_folders(["set", "train", "cat"]) == "train"
    assert split_of_folders(["set", "Val"]) == "validation"
    assert split_of_folders([]) is None
    assert split_of_name("mnist/t10k-images-idx3-ubyte.gz") == "test"
    assert split_of_name("data/validation-00000-of-00001.parquet") == "validation"


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


# -- names -------------------------------------------------------------------------------------------------------------


def packed(folder: Path, kind: str) -> Path:
    """A folder, or an archive of it."""
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    if kind == "folder":
        return folder
    path = folder.with_name(f"{folder.name}.{kind}")
    if kind == "zip":
        return write_zip(path, files)
    with tarfile.open(path, "w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
def test_names_with_marks_in_them_are_whole(tmp_path: Path, kind: str) -> None:
    names = ["C#", "F#", "best!", "a!b#1", "x::y@z", "two\nlines", "a."]
    for place, name in enumerate(names):
        for number in range(4):
            split = "train" if number < 3 else "test"
            write(tmp_path / "v#2!" / split / name / f"cat #{number}.png", noise(10 * place + number))
    rows = [f"{split}/{name}/cat #{n}.png" for name in names for split in ("train", "test") for n in range(4)]
    lines = [json.dumps({"file": row, "caption": f"shown by {row}"}) for row in rows]
    (tmp_path / "v#2!" / "captions.jsonl").write_text("\n".join(lines))
    dataset = build(packed(tmp_path / "v#2!", kind), tmp_path / "out", ImageOptions(near_duplicates="off"))
    assert dataset.classes == tuple(sorted(names))
    test = dataset.split("test")
    assert test.count == len(names)
    for name, caption, label in zip(test.names, test.captions, test.labels.tolist(), strict=True):
        path = name.rpartition("#2!/" if kind == "folder" else f"{kind}!")[2]
        assert caption == f"shown by {path}"
        assert path == f"test/{dataset.classes[label]}/cat #3.png"


def test_two_sources_of_one_name_are_told_apart(tmp_path: Path) -> None:
    for place, kind in enumerate(("left", "right")):
        folder = tmp_path / kind / "set"
        folder.mkdir(parents=True)
        write_idx(
            folder / "train-images-idx3-ubyte", np.stack([noise(50 * place + n, 8, 8, 1)[:, :, 0] for n in range(6)])
        )
        write_idx(folder / "train-labels-idx1-ubyte", np.full(6, place))
    dataset = build([tmp_path / "left" / "set", tmp_path / "right" / "set"], tmp_path / "out", ImageOptions(split=ALL))
    split = dataset.split("train")
    for image, label in zip(split.images, split.labels.tolist(), strict=True):
        assert any((image == noise(50 * label + n, 8, 8, 1)).all() for n in range(6))


def test_captions_of_two_sources_of_one_name_are_not_mixed(tmp_path: Path) -> None:
    for place, kind in enumerate(("left", "right")):
        for number in range(3):
            write(tmp_path / kind / "set" / f"{number}.png", noise(50 * place + number))
            (tmp_path / kind / "set" / f"{number}.txt").write_text(f"{kind} {number}")
        (tmp_path / kind / "set" / "captions.csv").write_text(
            "file,caption\n" + f"0.png,{kind} 0\n1.png,{kind} 1\n2.png,{kind} 2"
        )
    sources = [tmp_path / "left" / "set", tmp_path / "right" / "set"]
    for out, captions in (("table", None), ("beside", "sidecar")):
        split = build(sources, tmp_path / out, ImageOptions(split=ALL, captions=captions)).split("train")
        for image, caption in zip(split.images, split.captions, strict=True):
            kind, _, number = caption.partition(" ")
            assert (image == noise(50 * (kind == "right") + int(number))).all()


def test_names_that_are_no_utf_8_are_read_as_latin_1(tmp_path: Path) -> None:
    for place, name in enumerate((b"caf\xe9", b"caf\xe8", "th\u00e9".encode())):
        folder = os.path.join(os.fsencode(tmp_path / "in"), name)
        os.makedirs(folder)
        for number in range(3):
            Path(os.fsdecode(folder), f"{number}.png").write_bytes(encoded(noise(10 * place + number)))
    dataset = build(tmp_path / "in", tmp_path / "out", ImageOptions(split=ALL))
    assert dataset.classes == ("caf\u00e8", "caf\u00e9", "th\u00e9")


def test_names_in_zip_archives_are_what_their_writer_meant(tmp_path: Path) -> None:
    raw = {
        "DOS": ("f\u00fc\u00dfe", "f\u00fc\u00dfe".encode("cp437"), b""),
        "macOS": ("gr\u00fcn", "gr\u00fcn".encode(), b""),
        "Info-ZIP": ("\u732b", "??".encode("cp437") + b"\xff", "\u732b/0.png".encode()),
    }
    members, extras = {}, []
    for place, (_, name, unicode_name) in enumerate(raw.values()):
        members["x" * len(name) + f"/{place}.png"] = encoded(noise(place))
        extras.append((b"x" * len(name) + f"/{place}.png".encode(), name + f"/{place}.png".encode(), unicode_name))
    path = tmp_path / "in.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for (name, data), (_, _, unicode_name) in zip(members.items(), extras, strict=True):
            info = zipfile.ZipInfo(name)
            if unicode_name:
                info.extra = struct.pack("<HHBI", 0x7075, 5 + len(unicode_name), 1, 0) + unicode_name
            archive.writestr(info, data)
    data = path.read_bytes()
    for before, after, _ in extras:
        data = data.replace(before, after)
    path.write_bytes(data)
    dataset = build(path, tmp_path / "out", ImageOptions(split=ALL, labels="folders"))
    assert set(dataset.classes) == {name for name, _, _ in raw.values()}


def test_links_that_are_not_followed_are_told(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "real", 3)
    write(tmp_path / "in" / "own.png", noise(9))
    (tmp_path / "in" / "linked.png").symlink_to(folder / "000.png")
    (tmp_path / "in" / "folder").symlink_to(folder)
    (tmp_path / "in" / "gone.png").symlink_to(tmp_path / "nowhere")
    dataset = build(tmp_path / "in", tmp_path / "out", ImageOptions(split=ALL))
    assert dataset.split("train").names == ("in/linked.png", "in/own.png")
    assert {each.reason: each.count for each in dataset.manifest.dropped} == {
        "link to a folder": 1,
        "link to nothing": 1,
    }


def test_the_hub_is_asked_for_folders_whose_names_have_marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "C#:1").mkdir()
    path = str(tmp_path / "C#:1")
    for source, wanted in (
        (f"hf:{path}", (path, None, None)),
        (f"hf:{path}:test", (path, None, "test")),
        (f"hf:{path}#small:test", (path, "small", "test")),
        ("hf:owner/name#small:test", ("owner/name", "small", "test")),
        ("hf:owner/name:train[:9]", ("owner/name", None, "train[:9]")),
    ):
        assert tuple(parse_hub_name(source)) == wanted


# -- what is said of pictures ------------------------------------------------------------------------------------------


def test_caption_files_beside_pictures_are_their_captions(tmp_path: Path) -> None:
    for number in range(4):
        write(tmp_path / "in" / f"{number}.png", noise(number))
        (tmp_path / "in" / f"{number}.txt").write_text(f"tag, {number}")
    for number in range(3):
        (tmp_path / "in" / f"{number}.caption").write_text(f"a thing,\nnumber {number}")
    assert modality(tmp_path / "in") == "images"
    dataset = build(tmp_path / "in", tmp_path / "out", ImageOptions(split=ALL))
    assert dataset.split("train").captions == (*(f"a thing, number {n}" for n in range(3)), "")
    assert "captions are from the text file beside each picture" in dataset.manifest.notes
    both = build(tmp_path / "in", tmp_path / "both", ImageOptions(split=ALL, captions="sidecar"))
    assert both.split("train").captions == (*(f"a thing, number {n}" for n in range(3)), "tag, 3")
    assert [(each.reason, each.count) for each in both.manifest.dropped] == [("second text of a picture", 3)]
    (tmp_path / "in" / "captions.csv").write_text("file,caption\n0.png,a table says so\n")
    (tmp_path / "in" / "labels.csv").write_text("file,label\n0.png,a table nobody named\n")
    (tmp_path / "in" / "4.caption").write_text("long " * 20_000)
    said = build(tmp_path / "in", tmp_path / "said", ImageOptions(split=ALL))
    assert said.split("train").captions[0] == "a table says so"
    assert "3 files beside pictures are not used, as in/0.caption" in said.manifest.notes
    dropped = {each.reason: each.examples for each in said.manifest.dropped}
    assert dropped["table that is not used"] == ("in/labels.csv: name it with --captions or --labels",)
    assert dropped["too large"] == ("in/4.caption: a caption of more than 64 KiB",)


@pytest.mark.parametrize(
    "name", ["METADATA.JSONL", "metadata.jsonl", "metadata.csv.gz", "captions.json", "metadata.parquet"]
)
def test_tables_in_the_sources_are_found_in_every_form(tmp_path: Path, name: str) -> None:
    rows = [{"file_name": f"{number}.png", "text": f"thing {number}"} for number in range(4)]
    for number in range(4):
        write(tmp_path / "in" / f"{number}.png", noise(number))
    if name.endswith("parquet"):
        parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "in" / name)
    elif name.endswith("gz"):
        lines = "file_name,text\n" + "\n".join(",".join(row.values()) for row in rows)
        (tmp_path / "in" / name).write_bytes(gzip.compress(lines.encode()))
    else:
        (tmp_path / "in" / name).write_text(json.dumps(rows))
    dataset = build(tmp_path / "in", tmp_path / "out", ImageOptions(split=ALL))
    assert dataset.split("train").captions == tuple(f"thing {number}" for number in range(4))


def test_a_table_in_the_sources_that_cannot_be_read_is_told_with_its_line(tmp_path: Path) -> None:
    folder_of(tmp_path / "in", 4)
    (tmp_path / "in" / "metadata.jsonl").write_text("file_name: 000.png\n")
    dataset = build(tmp_path / "in", tmp_path / "out", ImageOptions(split=ALL))
    assert "not used: in/metadata.jsonl cannot be read: line 1 is not a JSON object" in dataset.manifest.notes
    (tmp_path / "in" / "metadata.jsonl").write_text('{"file_name": "000.png", "text": "a"}\n{"file_name": "00')
    dataset = build(tmp_path / "in", tmp_path / "again", ImageOptions(split=ALL))
    assert dataset.split("train").captions == ("a", "", "", "")
    told = "in/metadata.jsonl: 1 rows cannot be read and were left out, the first: line 2 is not a JSON object"
    assert told in dataset.manifest.notes


def test_a_json_file_about_something_else_changes_nothing(tmp_path: Path) -> None:
    folder_of(tmp_path / "in", 4)
    (tmp_path / "in" / "metadata.json").write_text('{"name": "My pictures", "description": "four of them"}')
    dataset = build(tmp_path / "in", tmp_path / "out", ImageOptions(split=ALL))
    assert "not used: in/metadata.json names no picture" in dataset.manifest.notes
    with pytest.raises(DaedalError, match=r"column 'tone' for --where\. not used: in/metadata\.json"):
        build(tmp_path / "in", tmp_path / "where", ImageOptions(where=("tone=dark",)))


def test_only_pictures_that_stay_are_counted(tmp_path: Path) -> None:
    folder_of(tmp_path / "in", 9)
    write(tmp_path / "in" / "8.jpg", noise(8), "JPEG")
    write(tmp_path / "in" / "copy.png", noise(0))
    (tmp_path / "in" / "broken.png").write_bytes(b"broken")
    rows = [{"file": f"{n:03d}.png", "caption": f"thing {n}" if n else None, "good": n < 5} for n in range(9)]
    (tmp_path / "in" / "captions.jsonl").write_text("\n".join(map(json.dumps, rows)))
    for asked in ("true", "True"):
        dataset = build(tmp_path / "in", tmp_path / asked, ImageOptions(split=ALL, where=(f"good={asked}",)))
        assert dataset.split("train").count == 5
        assert [note for note in dataset.manifest.notes if "no caption" in note] == [
            "1 pictures have no caption, as in/000.png"
        ]
        assert [(each.name, each.count) for each in dataset.manifest.formats] == [("PNG", 5)]


@pytest.mark.parametrize(
    ("cell", "asked"), [("0", "0.0"), ("0.0", "0"), ("1", "1"), ("TRUE", "true"), ("dark", "dark")]
)
def test_where_compares_values_not_their_spelling(tmp_path: Path, cell: str, asked: str) -> None:
    folder_of(tmp_path / "in", 2)
    (tmp_path / "in" / "metadata.csv").write_text(f"file,it\n000.png,{cell}\n001.png,other\n")
    dataset = build(tmp_path / "in", tmp_path / "out", ImageOptions(split=ALL, where=(f"it={asked}",)))
    assert dataset.split("train").names == ("in/000.png",)


def test_drawings_of_scenes_tell_what_was_left_out(tmp_path: Path) -> None:
    folder_of(tmp_path / "in", 4)
    (tmp_path / "in" / "a.heic").write_bytes(b"heic")
    (tmp_path / "in" / "metadata.jsonl").write_text("nothing")
    dataset = build(f"emoji-scenes:4,from={tmp_path / 'in'}", tmp_path / "out", ImageOptions(split=ALL))
    assert [each.reason for each in dataset.manifest.dropped] == ["HEIC, which is not read"]
    assert "not used: in/metadata.jsonl cannot be read: line 1 is not a JSON object" in dataset.manifest.notes
