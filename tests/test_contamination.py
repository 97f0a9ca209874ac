"""Which test texts stand in training text: as a plain search of their words says."""

import re
import time

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from daedal.data.contamination import contaminated
from kind_examples import sentence


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
def test_it_is_what_a_plain_search_says(train: list[str], test: list[str], gram: int) -> None:
    assert contaminated(iter(train), test, gram).tolist() == plainly(train, test, gram)


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
