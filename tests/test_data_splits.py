"""No document, and no near copy of one, is in two splits; and the splits are as large as was asked."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daedal.data import BuildOptions, Dataset, build
from daedal.data.copies import Duplicates
from daedal.data.kind import open_kind
from daedal.data.sketch import similarity, sketch
from daedal.data.split import LEFT_OUT, Assignment, assign
from daedal.errors import DaedalError
from test_data_pipeline import documents, sentence

NAMES = ("train", "validation", "test")


def grams(text: str) -> set[tuple[str, ...]]:
    words = text.lower().replace(".", "").split()
    return {tuple(words[place : place + 5]) for place in range(len(words) - 4)}


def jaccard(left: str, right: str) -> float:
    return len(grams(left) & grams(right)) / max(1, len(grams(left) | grams(right)))


def near_copies(folder: Path, families: int, copies: int, seed: int = 0) -> list[list[str]]:
    rnd = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for family in range(families):
        words = sentence(rnd, 150).split()
        texts = []
        for _ in range(copies):
            changed = list(words)
            changed[rnd.randrange(len(words))] = f"changed{rnd.randrange(1000)}"
            texts.append(" ".join(changed))
        made.append(texts)
        for number, text in enumerate(texts):
            (folder / f"{rnd.randrange(10**9)}-{family}-{number}.txt").write_text(text)
    return made


def of_each(dataset: Dataset) -> dict[str, list[str]]:
    return {name: documents(dataset, name) for name in NAMES}


@pytest.mark.parametrize("near", ["drop", "keep"])
@pytest.mark.parametrize("families", [12, 400])
def test_near_copies_never_straddle_splits(tmp_path: Path, near: str, families: int) -> None:
    made = near_copies(tmp_path / "in", families, 3)
    dataset = build(
        tmp_path / "in", tmp_path / "out", BuildOptions(near_duplicates=near, split=(60, 20, 20), codec="byte")
    )
    where = {text: name for name, texts in of_each(dataset).items() for text in texts}
    for family in made:
        found = [where[text] for text in family if text in where]
        assert len(set(found)) == 1
        assert len(found) == (1 if near == "drop" else 3)
    if near == "drop":
        assert dataset.manifest.duplicates.near == 2 * families
        assert dataset.manifest.duplicates.clusters == families
        assert dataset.manifest.duplicates.largest_cluster == 3


def test_equal_documents_are_kept_once_or_together(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    rnd = random.Random(0)
    texts = [sentence(rnd, 6) for _ in range(60)]
    for number, text in enumerate(texts * 3):
        (tmp_path / "in" / f"{number}.txt").write_text(text)
    once = of_each(build(tmp_path / "in", tmp_path / "once"))
    assert sorted(text for found in once.values() for text in found) == sorted(texts)
    together = of_each(build(tmp_path / "in", tmp_path / "together", BuildOptions(exact_duplicates=False)))
    assert sorted(text for found in together.values() for text in found) == sorted(texts * 3)
    assert not set(together["train"]) & set(together["validation"])
    assert not set(together["train"]) & set(together["test"])


def test_which_near_copy_stays_does_not_depend_on_the_order_of_files(tmp_path: Path) -> None:
    near_copies(tmp_path / "a", 30, 4)
    (tmp_path / "b").mkdir()
    for number, path in enumerate(sorted((tmp_path / "a").iterdir(), reverse=True)):
        (tmp_path / "b" / f"{number:04d}.txt").write_text(path.read_text())
    first, second = (of_each(build(tmp_path / name, tmp_path / f"{name}-out")) for name in "ab")
    for name in NAMES:
        assert sorted(first[name]) == sorted(second[name])


def test_a_near_copy_of_a_held_out_document_does_not_train(tmp_path: Path) -> None:
    made = near_copies(tmp_path / "in", 30, 1)
    held = [family[0].replace("changed", "altered") for family in made[:5]]
    (tmp_path / "test.txt").write_text("\n\n".join(held))
    dataset = build(
        tmp_path / "in", tmp_path / "out", BuildOptions(test=(str(tmp_path / "test.txt"),), document="paragraph")
    )
    assert documents(dataset, "test") == held
    rest = documents(dataset, "train") + documents(dataset, "validation")
    assert sorted(rest) == sorted(family[0] for family in made[5:])
    assert dataset.manifest.duplicates.held_out == 5


def test_sketches_estimate_the_jaccard_similarity() -> None:
    rnd = random.Random(3)
    words = sentence(rnd, 400).split()
    texts, wanted = [" ".join(words)], []
    for changes in (0, 2, 10, 40, 200):
        other = list(words)
        for place in rnd.sample(range(len(words)), changes):
            other[place] = f"new{place}"
        texts.append(" ".join(other))
        wanted.append(jaccard(texts[0], texts[-1]))
    raw = [text.encode() for text in texts]
    which, sketches = sketch(b"".join(raw), np.cumsum([len(each) for each in raw]))
    assert which.tolist() == list(range(6))
    for place, share in enumerate(wanted, 1):
        assert abs(similarity(sketches[:1], sketches[place : place + 1])[0] - share) < 0.13
    assert wanted[0] == similarity(sketches[:1], sketches[1:2])[0] == 1


def test_a_sketch_depends_on_its_document_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    rnd = random.Random(4)
    raw = [sentence(rnd, rnd.randrange(1, 60)).encode() for _ in range(50)]
    which, together = sketch(b"".join(raw), np.cumsum([len(each) for each in raw]))
    monkeypatch.setattr("daedal.data.sketch._BLOCK", 300)
    again, blocks = sketch(b"".join(raw), np.cumsum([len(each) for each in raw]))
    assert which.tolist() == again.tolist()
    assert (together == blocks).all()
    for row, place in enumerate(which):
        _, alone = sketch(raw[place], np.array([len(raw[place])]))
        assert (alone[0] == together[row]).all()


def test_a_long_document_is_sketched_in_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = (sentence(random.Random(5), 400) + " " + "x" * 500).encode()
    _, whole = sketch(raw, np.array([len(raw)]))
    monkeypatch.setattr("daedal.data.sketch._BLOCK", 700)
    _, stretches = sketch(raw, np.array([len(raw)]))
    assert (whole == stretches).all()


def drawn_from(
    keep: np.ndarray, hashes: np.ndarray, sizes: Any, shares: tuple[float, float, float], method: str, seed: int
) -> Assignment:
    count = len(keep)
    copies = Duplicates(keep, np.arange(count), exact=0, near=0, held_out=0, clusters=0, largest=0)
    options = BuildOptions(split=shares, split_by=method, seed=seed)
    return assign(open_kind("text"), copies, np.zeros(count, np.int8), hashes, options, np.array(sizes, np.int64))


def draw(sizes: list[int], shares: tuple[float, float, float], method: str = "auto", seed: int = 0) -> np.ndarray:
    count = len(sizes)
    hashes = np.random.default_rng(0).integers(0, 2**64, (count, 2), dtype=np.uint64)
    drawn = drawn_from(np.ones(count, bool), hashes, sizes, shares, method, seed)
    got = np.zeros(3)
    for document, split in enumerate(drawn.splits):
        for where, low, high in drawn.cuts.get(document, ((int(split), 0, sizes[document]),)):
            got[where] += high - low
    return got / sum(sizes)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.integers(1, 100_000), min_size=1, max_size=80).filter(lambda sizes: sum(sizes) > 2000),
    st.sampled_from([(0.9, 0.05, 0.05), (0.9, 0.1, 0.0), (0.8, 0.1, 0.1), (0.5, 0.25, 0.25)]),
)
def test_every_split_that_is_asked_for_gets_about_its_share(
    sizes: list[int], shares: tuple[float, float, float]
) -> None:
    got = draw(sizes, shares)
    assert got.sum() == pytest.approx(1)
    for part, share in zip(got, shares, strict=True):
        assert (part > 0) == (share > 0)
    assert max(got[1:] - np.array(shares[1:])) <= 0.2


def test_many_documents_are_drawn_by_content() -> None:
    got = draw([100] * 20_000, (0.9, 0.05, 0.05))
    assert got == pytest.approx([0.9, 0.05, 0.05], abs=0.01)
    assert draw([100] * 20_000, (0.9, 0.05, 0.05), seed=1) != pytest.approx(got, abs=1e-6)


def test_giants_among_many_documents_do_not_take_the_validation_split() -> None:
    got = draw([100] * 5000 + [5_000_000] * 4, (0.9, 0.05, 0.05))
    assert got[1:] == pytest.approx([0.05, 0.05], abs=0.02)
    got = draw([100] * 25_000 + [5_000_000] * 2, (0.9, 0.05, 0.05))
    assert got[1:] == pytest.approx([0.05, 0.05], abs=0.02)


def test_a_document_stays_in_its_split_when_others_come(tmp_path: Path) -> None:
    rnd = random.Random(5)
    lines = [sentence(rnd, 8) for _ in range(3000)]
    (tmp_path / "a.txt").write_text("\n".join(lines[:2000]))
    (tmp_path / "b.txt").write_text("\n".join(lines))
    options = BuildOptions(document="line", codec="byte")
    before = of_each(build(tmp_path / "a.txt", tmp_path / "one", options))
    after = of_each(build(tmp_path / "b.txt", tmp_path / "two", options))
    for name in NAMES:
        assert set(before[name]) <= set(after[name])


def test_what_is_left_out_is_in_no_split() -> None:
    keep = np.array([True, False] * 50)
    hashes = np.arange(200, dtype=np.uint64).reshape(100, 2)
    drawn = drawn_from(keep, hashes, [50] * 100, (0.8, 0.1, 0.1), "auto", 0)
    assert (drawn.splits[~keep] == LEFT_OUT).all()
    assert (drawn.splits[keep] >= 0).all()


def test_too_little_text_for_a_validation_split_is_said() -> None:
    with pytest.raises(DaedalError, match="too short for a validation split"):
        draw([40], (0.9, 0.05, 0.05))
    with pytest.raises(DaedalError, match="No text is left to train on"):
        drawn_from(np.zeros(3, bool), np.zeros((3, 2), np.uint64), [1] * 3, (1, 0, 0), "auto", 0)


def test_of_a_handful_of_examples_one_validates() -> None:
    hashes = np.random.default_rng(1).integers(0, 2**64, (3, 2), dtype=np.uint64)
    copies = Duplicates(np.ones(3, bool), np.arange(3), exact=0, near=0, held_out=0, clusters=0, largest=0)
    drawn = assign(open_kind("pairs"), copies, np.zeros(3, np.int8), hashes, BuildOptions())
    assert sorted(drawn.splits.tolist()) == [0, 0, 1]
    one = Duplicates(np.ones(1, bool), np.arange(1), exact=0, near=0, held_out=0, clusters=0, largest=0)
    with pytest.raises(DaedalError, match="There is 1 pair: too few for a train and a validation split"):
        assign(open_kind("pairs"), one, np.zeros(1, np.int8), hashes[:1], BuildOptions())
