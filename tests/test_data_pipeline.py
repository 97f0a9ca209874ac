"""A data folder holds what its sources said, split by document, the same however it was made."""

import gzip
import hashlib
import json
import random
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daedal.codecs.text import TextCodec
from daedal.data import BuildOptions, Dataset, build
from daedal.data.vocabulary import choose_codec

WORDS = [
    "time",
    "year",
    "people",
    "way",
    "day",
    "man",
    "thing",
    "woman",
    "life",
    "child",
    "world",
    "school",
    "state",
    "family",
    "student",
    "group",
    "country",
    "problem",
    "hand",
    "part",
    "place",
    "case",
    "week",
    "company",
    "system",
    "program",
    "question",
    "work",
    "government",
    "number",
    "night",
    "point",
    "home",
    "water",
    "room",
    "mother",
    "area",
    "money",
    "story",
    "fact",
    "month",
    "lot",
    "right",
    "study",
    "book",
    "eye",
    "job",
    "word",
    "business",
    "issue",
    "side",
    "kind",
    "head",
    "house",
    "service",
    "friend",
    "father",
    "power",
    "hour",
    "game",
    "line",
]


def sentence(rnd: random.Random, words: int) -> str:
    return " ".join(rnd.choice(WORDS) for _ in range(words)).capitalize() + "."


def write_corpus(folder: Path, documents: int = 40, words: int = 60, seed: int = 0) -> dict[str, str]:
    rnd = random.Random(seed)
    texts = {f"doc{number:03d}.txt": sentence(rnd, words + number % 7) + "\n" for number in range(documents)}
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text)
    return texts


def digest(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def documents(dataset: Dataset, name: str) -> list[str]:
    split = dataset.split(name)
    return [split.text(index) for index in range(split.documents)]


def test_every_document_is_in_one_split_and_comes_back_as_it_was(tmp_path: Path) -> None:
    texts = write_corpus(tmp_path / "in")
    dataset = build(tmp_path / "in", tmp_path / "out")
    found = [text for name in ("train", "validation", "test") for text in documents(dataset, name)]
    assert sorted(found) == sorted(texts.values())
    assert all(dataset.split(name).documents for name in ("train", "validation", "test"))


def test_documents_end_with_the_end_of_document_and_nothing_else_is_between(tmp_path: Path) -> None:
    write_corpus(tmp_path / "in")
    dataset = build(tmp_path / "in", tmp_path / "out")
    split = dataset.split("train")
    tokens = split.read(0, split.tokens)
    assert split.offsets.dtype == np.int64
    assert (tokens[split.offsets[1:] - 1] == dataset.codec.eos_id).all()
    assert (tokens == dataset.codec.eos_id).sum() == split.documents
    assert split.document_bytes.sum() == split.bytes == sum(len(text.encode()) for text in documents(dataset, "train"))


def test_the_order_of_files_does_not_matter(tmp_path: Path) -> None:
    texts = list(write_corpus(tmp_path / "a").values())
    (tmp_path / "b").mkdir()
    for number, text in enumerate(random.Random(1).sample(texts, len(texts))):
        (tmp_path / "b" / f"{number:03d}.txt").write_text(text)
    first, second = build(tmp_path / "a", tmp_path / "one"), build(tmp_path / "b", tmp_path / "two")
    for name in ("train", "validation", "test"):
        assert sorted(documents(first, name)) == sorted(documents(second, name))
    files = [str(path) for path in sorted((tmp_path / "a").iterdir())]
    third, fourth = build(files, tmp_path / "three"), build(files[::-1], tmp_path / "four")
    assert third.fingerprint == fourth.fingerprint


def test_the_same_build_has_the_same_bytes(tmp_path: Path) -> None:
    write_corpus(tmp_path / "in")
    build(tmp_path / "in", tmp_path / "one")
    build(tmp_path / "in", tmp_path / "two")
    assert digest(tmp_path / "one") == digest(tmp_path / "two")


def test_two_workers_give_what_one_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daedal.data.sources.UNIT_BYTES", 30_000)
    write_corpus(tmp_path / "in", documents=60)
    build(tmp_path / "in", tmp_path / "one", workers=1)
    build(tmp_path / "in", tmp_path / "two", workers=2)
    assert digest(tmp_path / "one") == digest(tmp_path / "two")


def test_another_seed_draws_other_splits_and_the_same_documents(tmp_path: Path) -> None:
    write_corpus(tmp_path / "in")
    first = build(tmp_path / "in", tmp_path / "one")
    second = build(tmp_path / "in", tmp_path / "two", BuildOptions(seed=1))
    assert documents(first, "validation") != documents(second, "validation")
    assert first.fingerprint != second.fingerprint


def test_one_text_is_cut_in_order_at_exactly_the_shares(tmp_path: Path) -> None:
    text = "".join(sentence(random.Random(number), 12) + "\n" for number in range(500))
    (tmp_path / "a.txt").write_text(text)
    dataset = build(tmp_path / "a.txt", tmp_path / "out", BuildOptions(split=(90, 10, 0)))
    cut = int(0.9 * len(text))
    assert documents(dataset, "train") == [text[:cut]]
    assert documents(dataset, "validation") == [text[cut:]]
    assert documents(dataset, "test") == []
    three = build(tmp_path / "a.txt", tmp_path / "three")
    assert [three.split(name).characters for name in ("train", "validation", "test")] == [
        int(len(text) * 0.9),
        int(len(text) * 0.95) - int(len(text) * 0.9),
        len(text) - int(len(text) * 0.95),
    ]


def test_a_long_text_in_parts_joins_to_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daedal.data.plain_text.PART", 1000)
    monkeypatch.setattr("daedal.data.ingest.CHUNK_BYTES", 2500)
    text = "".join(sentence(random.Random(number), 12) + ("é\r\n" if number % 3 else "\n") for number in range(100))
    (tmp_path / "a.txt").write_bytes(text.encode())
    dataset = build(tmp_path / "a.txt", tmp_path / "out", BuildOptions(codec="byte"))
    found = "".join(each for name in ("train", "validation", "test") for each in documents(dataset, name))
    assert found == text.replace("\r\n", "\n")


def test_a_text_that_is_cut_in_a_character_is_whole_but_for_that_wherever_it_is_read(tmp_path: Path) -> None:
    whole = "Grüße aus Köln. " * 500
    cut = whole[: whole.rindex("ö")]
    data = whole.encode()[: len(cut.encode()) + 1]  # the first byte of ö
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.txt").write_bytes(b"a " + data)
    (folder / "b.md").write_bytes(b"b " + data)
    (folder / "c.html").write_bytes(b"<html><body><article><p>c " + data)
    (folder / "d.txt.gz").write_bytes(gzip.compress(b"d " + data))
    with zipfile.ZipFile(folder / "e.zip", "w") as archive:
        archive.writestr("e.txt", b"e " + data)
    (tmp_path / "held.txt").write_bytes(b"held " + data)
    options = BuildOptions(validation=(str(tmp_path / "held.txt"),), near_duplicates="off", codec="byte")
    dataset = build(folder, tmp_path / "out", options)
    assert sorted(documents(dataset, "train")) == [f"{name} {cut}\ufffd" for name in "abcde"]
    assert documents(dataset, "validation") == [f"held {cut}\ufffd"]
    assert any("became U+FFFD: 6 in 6 files" in note for note in dataset.manifest.notes)


def test_a_long_text_keeps_its_encoding_where_it_begins_in_ascii_and_is_cut_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daedal.data.plain_text.PART", 1001)
    lines = ["plain text"] * 300 + ["Der Bär fährt müde über die Brücke, süße Grüße."] * 60
    text = "".join(f"{number} {line}\n" for number, line in enumerate(lines))
    for encoding in ("utf-8", "cp1252", "utf-16"):
        (tmp_path / "a.txt").write_bytes(text.encode(encoding))
        dataset = build(
            tmp_path / "a.txt",
            tmp_path / "out",
            BuildOptions(codec="byte", near_duplicates="off"),
            replace=(tmp_path / "out").exists(),
        )
        found = "".join(each for name in ("train", "validation", "test") for each in documents(dataset, name))
        assert found == text
        assert [each.name for each in dataset.manifest.encodings] == [encoding]
        assert any("cp1252" in note for note in dataset.manifest.notes) == (encoding == "cp1252")


@pytest.mark.parametrize("unit", ["line", "paragraph"])
def test_lines_and_paragraphs_can_be_documents(tmp_path: Path, unit: str) -> None:
    parts = [sentence(random.Random(number), 8) for number in range(60)]
    (tmp_path / "a.txt").write_text(("\n" if unit == "line" else "\n \n\n").join(parts) + "\n")
    dataset = build(tmp_path / "a.txt", tmp_path / "out", BuildOptions(document=unit))
    assert sorted(each for name in ("train", "validation", "test") for each in documents(dataset, name)) == sorted(
        parts
    )


def test_a_validation_file_is_honoured_and_leaves_train(tmp_path: Path) -> None:
    texts = list(write_corpus(tmp_path / "in").values())
    near = texts[1].replace("Time", "Clock").rstrip("\n") + " and then some\n"
    rows = [texts[0], near, "Short.", "Short."]
    (tmp_path / "held.jsonl").write_text("".join(json.dumps({"text": row}) + "\n" for row in rows))
    dataset = build(tmp_path / "in", tmp_path / "out", BuildOptions(validation=(str(tmp_path / "held.jsonl"),)))
    assert documents(dataset, "validation") == rows
    assert documents(dataset, "test") == []
    assert sorted(documents(dataset, "train")) == sorted(texts[2:])
    assert dataset.manifest.duplicates.held_out == 2


def test_the_codec_learns_from_the_train_split_alone(tmp_path: Path) -> None:
    write_corpus(tmp_path / "in")
    (tmp_path / "held.txt").write_text("žluťoučký kůň úpěl ďábelské ódy " * 50)
    options = BuildOptions(codec="char", validation=(str(tmp_path / "held.txt"),))
    dataset = build(tmp_path / "in", tmp_path / "out", options)
    assert dataset.codec.vocab_size == 258
    assert documents(dataset, "validation") == [(tmp_path / "held.txt").read_text()]


def test_a_tokenizer_that_is_given_is_used_as_it_is(tmp_path: Path) -> None:
    write_corpus(tmp_path / "in")
    codec = TextCodec.train("bpe", ["the quick brown fox " * 50], 300)
    codec.save(tmp_path / "codec")
    dataset = build(tmp_path / "in", tmp_path / "out", BuildOptions(tokenizer=str(tmp_path / "codec")))
    assert dataset.codec.fingerprint() == codec.fingerprint()
    assert dataset.manifest.codec.eos_id == codec.eos_id


def test_a_codec_and_vocabulary_are_chosen_from_the_size() -> None:
    assert choose_codec(50_000) == ("byte", 258)
    sizes = [choose_codec(size)[1] for size in (10**5, 10**6, 3 * 10**6, 10**7, 5 * 10**7, 10**9, 10**11)]
    assert sizes == sorted(sizes)
    assert choose_codec(10**6) == ("bpe", 1024)


def test_what_is_built_already_is_opened_only(tmp_path: Path) -> None:
    write_corpus(tmp_path / "in")
    build(tmp_path / "in", tmp_path / "out")
    before = (tmp_path / "out" / "manifest.json").stat().st_mtime_ns
    build(tmp_path / "in", tmp_path / "out")
    assert (tmp_path / "out" / "manifest.json").stat().st_mtime_ns == before
    build(tmp_path / "in", tmp_path / "out", BuildOptions(seed=5), replace=True)
    assert Dataset.open(tmp_path / "out").manifest.options.seed == 5
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_the_documents_table_says_where_each_document_is_from(tmp_path: Path) -> None:
    from pyarrow import parquet

    texts = write_corpus(tmp_path / "in")
    dataset = build(tmp_path / "in", tmp_path / "out")
    rows = parquet.read_table(tmp_path / "out" / "documents.parquet").to_pylist()
    assert len(rows) == len(texts)
    for row in rows:
        text = dataset.split(row["split"]).text(row["index"])
        assert texts[Path(row["source"]).name] == text
        assert row["blake2b_128"] == hashlib.blake2b(text.encode(), digest_size=16).digest()
        assert (row["bytes"], row["characters"]) == (len(text.encode()), len(text))
        assert len(row["minhash_8bit"]) == 128


def test_sources_inside_the_target_are_not_read(tmp_path: Path) -> None:
    write_corpus(tmp_path / "in")
    build(tmp_path / "in", tmp_path / "in" / "data")
    again = build(tmp_path / "in", tmp_path / "in" / "data", BuildOptions(seed=3), replace=True)
    assert sum(split.documents for split in again.manifest.splits.values()) == 40


def test_progress_tells_every_stage(tmp_path: Path) -> None:
    from daedal.data.example_build import ExampleBuild

    write_corpus(tmp_path / "in", documents=400, words=400)
    said: list[tuple[str, int, int | None]] = []
    build(tmp_path / "in", tmp_path / "out", progress=lambda *each: said.append(each))
    assert tuple(dict.fromkeys(stage for stage, _, _ in said)) == ExampleBuild.stages
    assert all(total is None or done <= total for _, done, total in said)


def test_the_built_in_sources_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from daedal.data import library

    few = [each for each in library.library_files() if each[0].startswith(("json/", "html/", "email/"))]
    monkeypatch.setattr(library, "library_files", lambda: few)
    docs = build("python-docs", tmp_path / "docs", BuildOptions(codec="byte"))
    assert any("Decode a JSON document" in text for text in documents(docs, "train"))
    assert docs.manifest.sources[0].licence == "PSF-2.0"
    code = build("python-code", tmp_path / "code", BuildOptions(codec="byte", near_duplicates="off"))
    found = [text for name in ("train", "validation", "test") for text in documents(code, name)]
    assert sum(map(len, found)) == sum(len(path.read_text()) for name, path in few if path.read_text())


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(min_size=1), min_size=1, max_size=6), st.sampled_from(["byte", "char", "bpe"]))
def test_any_text_comes_back_normalised(tmp_path: Path, texts: list[str], codec: str) -> None:
    source = tmp_path / "a.jsonl"
    shutil.rmtree(tmp_path / "out", ignore_errors=True)
    source.write_text("".join(json.dumps({"text": text}) + "\n" for text in [*texts, "a plain text to train on " * 4]))
    options = BuildOptions(codec=codec, split=(1, 0, 0), exact_duplicates=False, mend=False)
    dataset = build(source, tmp_path / "out", options)
    wanted = [text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "") for text in texts]
    assert documents(dataset, "train")[:-1] == [text for text in wanted if text.strip()]
