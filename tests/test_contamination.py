"""Which test texts stand in training text, as a plain search of their words says; and what of that a build already drops."""

import json
import re
import time
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import daedal
from daedal.data import contamination as module
from daedal.data.contamination import contaminated
from daedal.data.examples import ExampleDataset
from kind_examples import WORDS, sentence


def plainly(train: list[str], test: list[str], gram: int) -> list[bool]:
    """The definition, word by word."""
    said = [re.findall(r"[^\W_]+", text.lower()) for text in train]

    def one(text: str) -> bool:
        words = re.findall(r"[^\W_]+", text.lower())
        if len(words) < min(8, gram):
            return bool(words) and words in said
        length = min(gram, len(words))
        grams = {tuple(words[place : place + length]) for place in range(len(words) - length + 1)}
        return any(tuple(each[place : place + length]) in grams for each in said for place in range(len(each)))

    return [one(text) for text in test]


texts = st.lists(st.lists(st.sampled_from("ab c. D é".split()), max_size=20).map(" ".join), max_size=6)  # noqa: SIM905


@given(texts, texts, st.integers(2, 13))
@settings(deadline=None)
def test_it_is_what_a_plain_search_says(train: list[str], test: list[str], gram: int) -> None:
    assert contaminated(iter(train), test, gram).tolist() == plainly(train, test, gram)


WILD = st.text(st.characters(exclude_categories=()), max_size=40)
"""Any characters: words of all scripts, marks that are no letters, halves of surrogate pairs, what grows in lower case."""


@given(st.lists(WILD, max_size=4), st.lists(WILD, max_size=4))
@example(["İstanbul ΣΑΣ _under_score_ ﬁ x²"], ["i̇stanbul σας", "under", "score", "ﬁ", "x²", "x"])
@settings(deadline=None)
def test_words_of_any_script_are_those_of_a_plain_search(train: list[str], more: list[str]) -> None:
    test = [*more, *train]
    assert contaminated(iter(train), test, 3).tolist() == plainly(train, test, 3)


@given(texts, texts, st.integers(2, 13), st.booleans())
@settings(deadline=None)
def test_where_stretches_end_changes_nothing(train: list[str], test: list[str], gram: int, other: bool) -> None:
    train = [text.replace("ab", "abracadabra" * 3) for text in train] + ["東京" * other]
    test = [text.replace("ab", "abracadabra" * 3) for text in test]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_CHARACTERS", 8)
        patch.setattr(module, "_TOGETHER", 20)
        module._powers.cache_clear()
        found = contaminated(iter(train), test, gram).tolist()
    module._powers.cache_clear()
    assert found == plainly(train, test, gram)


def test_long_texts_are_found_in_part_medium_ones_whole_and_short_ones_alone() -> None:
    long = " ".join(sentence(row) for row in range(4))
    medium, short = "the old harbour of the valley is green in winter", "a green harbour"
    train = [f"Before that, {long.upper()}!", f"They say {medium}; so it is.", "A green harbour.", f"and {short} too"]
    test = [f"One. {long} Two.", medium, short, "a green valley", sentence(77), "", "and a green harbour"]
    assert contaminated(train, test).tolist() == [True, True, True, False, False, False, False]


def test_a_part_of_a_very_long_text_is_found_wherever_it_stands() -> None:
    wanted = "thirteen words stand here in a row and are looked for again and again"
    for place in (0, 1, 262_130, 262_144, 300_000):
        train = " ".join(["word"] * place + [wanted] + ["word"] * 10)
        assert contaminated([train], [wanted]).all()


def test_it_is_fast() -> None:
    begun = time.perf_counter()
    found = contaminated((sentence(row, 60) for row in range(3000)), [sentence(row, 20) for row in range(1000)])
    assert isinstance(found, np.ndarray)
    assert time.perf_counter() - begun < 10


@pytest.mark.parametrize("kind", ["labelled", "pairs", "questions", "tagged"])
def test_near_copies_of_a_test_split_leave_train_and_the_test_split_stays(kind: str, tmp_path: Path) -> None:
    def row(number: int, more: str) -> dict[str, Any]:
        text = " ".join([*Random(number).choices(WORDS, k=30), f"number {number}", *more.split()])
        return {
            "labelled": {"text": text, "label": "ab"[number % 2]},
            "pairs": {"source": text, "target": f"de {number}"},
            "questions": {"question": text, "context": f"A {number}.", "answers": {"text": ["A"], "answer_start": [0]}},
            "tagged": {"tokens": text.split(), "ner_tags": ["O"] * len(text.split())},
        }[kind]

    (tmp_path / "in").mkdir()
    parts = {
        "train": [row(number, "") for number in range(40)],
        "test": [*(row(number, "too") for number in (0, 1, 2, 3, 4, 0)), row(99, "")],
    }
    for name, rows in parts.items():
        (tmp_path / "in" / f"{name}.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))
    data = daedal.build_data([tmp_path / "in"], tmp_path / "out", kind=kind, workers=1)
    assert isinstance(data, ExampleDataset)
    assert len(data.split("test")) == 7
    assert data.manifest.duplicates.held_out == 5
    said = [str(value) for value in data.split("train").values(next(iter(data.kind.columns)))]
    assert len(said) + len(data.split("validation")) == 35
