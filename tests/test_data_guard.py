"""A build keeps a ledger of licences, leaves out what opted out before anything else, and plants canaries in train alone."""

import hashlib
import io
import json
import time
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from daedal.data import BuildOptions, build, open_data
from daedal.data.any_build import build_any
from daedal.data.canaries import Canaries, plant
from daedal.data.licence_search import card_licence, header_licence, recognise_licence
from daedal.data.licence_terms import asks_of, hub_header, normal_licence, obligations
from daedal.data.licences import licence_ledger
from daedal.data.opt_out import OptOut, text_hash
from daedal.errors import DaedalError

MIT = (
    "MIT License\n\nPermission is hereby granted, free of charge, to any person obtaining a copy. The above copyright notice "
    "and this permission notice shall be included in all copies.\n"
)


def tale(number: int) -> str:
    words = hashlib.sha256(str(number).encode()).hexdigest()
    return f"Tale {number}: " + " ".join(words[at : at + 5] for at in range(0, 60, 5)) + "\nand so it ends.\n"


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    folder = tmp_path / "shelf"
    (folder / "private").mkdir(parents=True)
    for number in range(40):
        (folder / f"{number:02}.txt").write_text(tale(number))
    (folder / "private" / "diary.txt").write_text(tale(77))
    return folder


# -- licences ----------------------------------------------------------------------------------------------------------


def test_a_licence_is_found_in_each_way(shelf: Path, tmp_path: Path) -> None:
    (shelf / "LICENSE").write_text(MIT)
    (shelf / "code.py").write_text("# SPDX-License-Identifier: GPL-3.0-or-later\n" + "x = 1\n" * 9)
    (shelf / "private" / "README.md").write_text("---\nlicense: cc-by-nc-4.0\n---\n# A diary\n")
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as archive:
        archive.writestr("LICENSE", MIT)
        archive.writestr("a.txt", tale(99))
    (tmp_path / "alone").mkdir()
    (tmp_path / "alone" / "b.txt").write_text(tale(98))
    data = build([shelf, tmp_path / "packed.zip", tmp_path / "alone"], tmp_path / "data")
    ledger = licence_ledger(data.folder)
    found = {(Path(each.source).name, each.licence, each.how): each.files for each in ledger.entries}
    assert found["shelf", "MIT", "licence file"] == 41  # 40 tales and the licence itself
    assert found["shelf", "GPL-3.0-or-later", "header"] == 1
    assert found["shelf", "CC-BY-NC-4.0", "card"] == 2
    assert found["packed.zip", "MIT", "licence file"] == 1
    assert found["alone", "NOASSERTION", "unknown"] == 1
    assert sum(found.values()) == sum(each.files for each in data.manifest.sources)
    assert "GPL-3.0-or-later and CC-BY-NC-4.0 do not go together in one adaptation" in ledger.obligations or (
        "CC-BY-NC-4.0 and GPL-3.0-or-later do not go together in one adaptation" in ledger.obligations
    )
    given = build(shelf, tmp_path / "given", BuildOptions(licence="cc0-1.0"))
    kinds = {each.how: each.licence for each in licence_ledger(given.folder).entries}
    assert kinds == {"given": "CC0-1.0", "header": "GPL-3.0-or-later"}


def test_a_folder_of_an_older_build_has_the_ledger_of_its_sources(shelf: Path, tmp_path: Path) -> None:
    data = build(shelf, tmp_path / "data", BuildOptions(licence="MIT"))
    manifest = json.loads((data.folder / "manifest.json").read_text())
    del manifest["licences"], manifest["canaries"]
    (data.folder / "manifest.json").write_text(json.dumps(manifest))
    (entry,) = licence_ledger(data.folder).entries
    assert (entry.licence, entry.how, entry.files) == ("MIT", "given", 41)


def test_licences_are_read_and_compared() -> None:
    assert normal_licence("cc-by-sa-4.0") == "CC-BY-SA-4.0"
    assert normal_licence("(mit or apache-2.0) and bsd") == "(MIT OR Apache-2.0) AND BSD-3-Clause"
    assert normal_licence("my own words") == "my own words"
    assert header_licence("/* SPDX-License-Identifier: MIT */") == "MIT"
    assert recognise_licence("GNU GENERAL PUBLIC LICENSE\n Version 3, 29 June 2007 ... GNU Affero") == "GPL-3.0-only"
    assert recognise_licence("All rights reserved.") is None
    assert card_licence("---\nlicense: [mit, cc-by-4.0]\n---\n") == "MIT AND CC-BY-4.0"
    assert card_licence("---\nlicense: {a: &b [*b]}\n---") is None
    assert asks_of("MIT OR GPL-3.0-only") == {"attribution"}
    assert asks_of("my own words") is None
    told = list(obligations(["CC-BY-SA-4.0", "GPL-2.0-only", "CC-BY-NC-4.0", "MIT"]))
    assert "no commercial use: CC-BY-NC-4.0" in told
    assert "CC-BY-SA-4.0 and GPL-2.0-only do not go together in one adaptation" in told
    assert not any("MIT and" in line or "and MIT" in line for line in told)
    assert not any(
        "together" in line for line in obligations(["CC-BY-SA-4.0", "GPL-3.0-only", "Apache-2.0", "CC-BY-4.0"])
    )
    assert not any("together" in line for line in obligations(["GPL-2.0-only", "MIT OR Apache-2.0"]))
    assert hub_header(["CC-BY-SA-4.0"]) == ['license: "cc-by-sa-4.0"']
    assert hub_header(["PSF-2.0"]) == ["license: other", 'license_name: "PSF-2.0"']
    assert hub_header(["MIT", "unknown"]) == ['license: "unknown"']


# -- opting out --------------------------------------------------------------------------------------------------------


def texts_of(folder: Path) -> list[str]:
    data = open_data(folder)
    splits = map(data.split, data.manifest.splits)
    return [split.text(number) for split in splits for number in range(split.documents)]


def test_what_opted_out_is_in_no_split_and_is_counted(shelf: Path, tmp_path: Path) -> None:
    rows = [
        {"text": tale(200 + number), "url": f"https://{'blog.' * (number % 2)}site{number % 5}.example/p/{number}"}
        for number in range(30)
    ]
    (shelf / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    listed = tmp_path / "list.txt"
    file_hash = hashlib.sha256((shelf / "03.txt").read_bytes()).hexdigest()
    listed.write_text(
        f"# who does not want it\nprivate/\n\nsha256:{file_hash}\n{text_hash(rows[7]['text'])}\n0[45].txt\nsite3.example\n"
        "nobody.example\n"
    )
    data = build(shelf, tmp_path / "data", BuildOptions(opt_out=str(listed), near_duplicates="off", document="file"))
    whole = {tale(number) for number in (*range(40), 77)} | {row["text"] for row in rows}
    gone = {tale(number) for number in (77, 3, 4, 5)} | {row["text"] for row in rows if "site3" in row["url"]}
    assert set(texts_of(data.folder)) == whole - gone - {rows[7]["text"]}
    (dropped,) = [each for each in data.manifest.dropped if each.reason == "opted out"]
    assert dropped.count == 4 + 6 + 1
    assert "opt-out list list.txt: 6 lines, 5 of them met in the sources" in data.manifest.notes
    assert not any("Tale" in example for example in dropped.examples)  # no word of what is left out


def test_addresses_in_parquet_opt_out(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    rows = [{"text": tale(number), "url": f"https://site{number % 4}.example/{number}"} for number in range(24)]
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet")
    (tmp_path / "list.txt").write_text("site2.example\n")
    data = build(tmp_path / "rows.parquet", tmp_path / "data", BuildOptions(opt_out=str(tmp_path / "list.txt")))
    assert set(texts_of(data.folder)) == {row["text"] for row in rows if "site2" not in row["url"]}


def test_a_changed_list_is_another_build(shelf: Path, tmp_path: Path) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text("private/\n")
    options = BuildOptions(opt_out=str(listed))
    first = build(shelf, tmp_path / "data", options)
    assert build(shelf, tmp_path / "data", options).fingerprint == first.fingerprint
    listed.write_text("private/\n00.txt\n")
    with pytest.raises(DaedalError):
        build(shelf, tmp_path / "data", options)


@pytest.mark.parametrize("line", ["sha256:12ab", "md5:d41d8cd98f00b204e9800998ecf8427e", "a" * 40, "a\x1bb"])
def test_a_malformed_line_is_told_by_its_number(line: str, shelf: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text(f"fine.txt\n{line}\n")
    with pytest.raises(DaedalError, match="Line 2"):
        build(shelf, tmp_path / "data", BuildOptions(opt_out=str(tmp_path / "list.txt")))
    assert not (tmp_path / "data").exists()


def test_hosts_and_folders_and_ends_of_paths_are_names() -> None:
    listed = OptOut("Example.org\nprivate/*.txt\nhttps://a.example/x*\n", "list")
    assert listed.address("https://blog.example.org/1") == 1
    assert listed.address("http://example.org:8080") == 1
    assert listed.address("https://notexample.org/") is None
    assert listed.address("https://a.example/xyz") == 3
    assert listed.file("shelf/private/a.txt") == 2
    assert listed.file("a.zip!private/a.txt") == 2
    assert listed.file("shelf/private.txt") is None


@pytest.mark.parametrize(
    "form", ["{}", "sha256:{}", "{}  a file.txt", "{} *b.bin", "\\{}  a\\nb", "SHA256 (a.txt) = {}"]
)
def test_hashes_are_read_as_programs_write_them(form: str) -> None:
    digest = "0f" * 32
    assert OptOut(form.format(digest), "list").digest(digest) == 1


def test_a_deep_name_takes_no_longer_than_another() -> None:
    listed = OptOut("private/*\nsecret/\n", "list")
    started = time.process_time()
    assert listed.file("a/" * 4000 + "f.txt") is None
    assert listed.file("private/" + "a/" * 4000 + "f.txt") == 1
    assert listed.file("/".join(["ab" * 100] * 120)) is None
    assert listed.address("http://" + "a." * 200_000 + "org/x") is None
    assert time.process_time() - started < 5


def test_everything_opted_out_is_told(shelf: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("*\n")
    with pytest.raises(DaedalError, match="opted out"):
        build(shelf, tmp_path / "data", BuildOptions(opt_out=str(tmp_path / "list.txt")))


def test_pictures_and_rows_opt_out_too(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    packed = zipfile.ZipFile(folder / "more.zip", "w")
    for number in range(12):
        buffer = io.BytesIO()
        Image.frombytes("RGB", (16, 16), hashlib.sha256(bytes([number])).digest() * 24).save(buffer, format="PNG")
        if number < 8:
            (folder / f"{number}.png").write_bytes(buffer.getvalue())
        else:
            packed.writestr(f"{number}.png", buffer.getvalue())
        if number in (2, 9):
            (tmp_path / f"hash{number}").write_text(hashlib.sha256(buffer.getvalue()).hexdigest())
    packed.close()
    (tmp_path / "list.txt").write_text(
        "\n".join([(tmp_path / "hash2").read_text(), (tmp_path / "hash9").read_text(), "more.zip/11.png"])
    )
    asked = {"opt_out": str(tmp_path / "list.txt")}
    data = build_any(folder, tmp_path / "data", "pictures", {**asked, "near_duplicates": "off"})
    names = {name for split in data.manifest.splits for name in data.split(split).names}
    assert len(names) == 9
    assert not any(name.endswith(("/2.png", "!9.png", "!11.png")) for name in names)
    rows = [{"text": tale(number), "label": "ab"[number % 2]} for number in range(20)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "list.txt").write_text(text_hash(tale(3)))
    labelled = build_any(tmp_path / "rows.jsonl", tmp_path / "labelled", "labelled", asked)
    texts = [text for name in labelled.manifest.splits for text in labelled.split(name).values("text")]
    assert len(texts) == 19
    assert tale(3).strip() not in {text.strip() for text in texts}


# -- canaries ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", ["byte", "char", "bpe"])
@pytest.mark.parametrize("one", [False, True])
def test_canaries_stand_in_train_alone_as_often_as_they_say(codec: str, one: bool, shelf: Path, tmp_path: Path) -> None:
    source = shelf
    if one:  # a single text, which is cut into splits
        source = tmp_path / "one.txt"
        source.write_text("".join(tale(number) for number in range(200)))
    options = BuildOptions(canaries=6, codec=codec, seed=3, vocab_size=300 if codec == "bpe" else None)
    data = build(source, tmp_path / "data", options)
    planted = Canaries.of(data.folder)
    assert [each.repeats for each in planted.secrets] == [1, 2, 4, 8, 16, 1]
    assert data.manifest.canaries == 6
    splits = {
        name: "\n".join(data.split(name).text(number) for number in range(data.split(name).documents))
        for name in data.manifest.splits
    }
    for each in planted.secrets:
        assert each.secret in each.text
        assert len(each.secret) == planted.format.length
        assert splits["train"].count(f"\n{each.text}") == each.repeats
        assert each.text not in splits["validation"] + splits["test"]
    plain = build(source, tmp_path / "plain", options.but(canaries=0))
    for name in ("validation", "test"):
        assert data.manifest.splits[name].bytes == plain.manifest.splits[name].bytes
    without = splits["train"]
    for each in planted.secrets:
        without = without.replace(f"\n{each.text}", "")
    split = plain.split("train")
    assert without == "\n".join(split.text(number) for number in range(split.documents))


def test_canaries_are_the_same_again_and_others_by_another_seed(shelf: Path, tmp_path: Path) -> None:
    first, again, other = (
        build(shelf, tmp_path / name, BuildOptions(canaries=4, seed=seed))
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert first.fingerprint == again.fingerprint != other.fingerprint
    assert Canaries.of(first.folder) == Canaries.of(again.folder) != Canaries.of(other.folder)
    assert Canaries.of(build(shelf, tmp_path / "d").folder).secrets == ()


def test_a_stopped_build_ends_with_the_same_bytes(shelf: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("private/\n")
    options = BuildOptions(canaries=4, mask=("personal", "key"), opt_out=str(tmp_path / "list.txt"))
    whole = build(shelf, tmp_path / "whole", options)

    def stop(stage: str, done: int, total: int | None) -> None:
        if stage == "write":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(shelf, tmp_path / "again", options, progress=stop)
    assert not (tmp_path / "again").exists()
    again = build(shelf, tmp_path / "again", options)
    for path in sorted(whole.folder.iterdir()):
        assert (again.folder / path.name).read_bytes() == path.read_bytes(), path.name


def test_the_card_shows_no_secret_of_what_was_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("".join(tale(number) for number in range(60)))
    (tmp_path / "b.txt").write_text("write to jane.doe@example.org")
    options = BuildOptions(mask=("personal",), min_characters=200)
    data = build([tmp_path / "a.txt", tmp_path / "b.txt"], tmp_path / "data", options)
    manifest = (data.folder / "manifest.json").read_text()
    assert "too short" in manifest
    assert "<email>" in manifest
    assert "jane" not in manifest


def test_lines_are_planted_between_lines() -> None:
    assert plant("one\ntwo\nthree", ((0, "x"), (5, "y"), (5, "z"))) == "one\nx\ntwo\ny\nz\nthree"
    assert plant("alone", ((2, "x"),)) == "alone\nx"
