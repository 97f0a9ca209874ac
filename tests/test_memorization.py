"""The longest copy is the longest there is, and it is where it is said to be."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from daedal.codecs.text import TextCodec
from daedal.evaluation import memorization as module
from daedal.evaluation.documents import Documents
from daedal.evaluation.memorization import Copy, longest_copies, memorization

CODEC = TextCodec.train("bpe", ["abab baab ä東 aabb"] * 3, 270)
TEXT = st.text(alphabet="abä東", max_size=60)


def longest_by_trying(text: str, documents: list[str]) -> int:
    """In bytes, of runs of bytes that need not be whole characters."""
    data, best = text.encode(), 0
    for start in range(len(data)):
        while start + best < len(data) and any(data[start : start + best + 1] in d.encode() for d in documents):
            best += 1
    return best


def stands_where_it_says(copy: Copy, text: str, documents: Documents) -> None:
    run = copy.text.encode()
    assert copy.characters == len(copy.text)
    if not run:
        return
    assert text.encode()[copy.start : copy.start + len(run)] == run
    assert documents.text(copy.document).encode()[copy.offset : copy.offset + len(run)] == run


@given(st.lists(TEXT.filter(bool), min_size=1, max_size=5), st.lists(TEXT, min_size=1, max_size=4))
@example(["aaaaaaaaaaaaaaaa"], ["aaaaaaa", "aaaaaaaaaaaaaaaaaaaaaaaa"])
@example(["ab"], ["ba"])
@settings(max_examples=150, deadline=None)
def test_the_longest_copy_is_found_and_placed(train: list[str], texts: list[str]) -> None:
    documents = Documents.of_texts(train, CODEC)
    for text, copy in zip(texts, longest_copies(texts, documents), strict=True):
        stands_where_it_says(copy, text, documents)
        longest = longest_by_trying(text, train)
        # A run is cut to whole characters: at most three bytes go at each end
        assert longest - 6 <= len(copy.text.encode()) <= longest
        if text.isascii():
            assert copy.characters == longest


def test_a_run_that_spans_two_reads_of_the_training_text_is_found_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    train = "".join(generator.choice(list("abcd "), 3000))
    documents = Documents.of_texts([train], CODEC)
    chunks = type(documents).chunks
    monkeypatch.setattr(type(documents), "chunks", lambda self, tokens: chunks(self, 64))
    for start in (0, 500, 1234, 2500):
        text = "xyz" + train[start : start + 400] + "xyz"
        (copy,) = longest_copies([text], documents)
        assert copy.text == train[start : start + 400]
        stands_where_it_says(copy, text, documents)


def test_no_run_crosses_from_one_document_into_the_next() -> None:
    documents = Documents.of_texts(["one two three ", "four five six"], CODEC)
    (copy,) = longest_copies(["three four five"], documents)
    assert copy.text == "four five"
    assert (copy.document, copy.offset, copy.start) == (1, 0, 6)


def test_tokens_are_those_of_the_training_text_that_lie_inside_the_run() -> None:
    codec = TextCodec.train("byte", ["a"])
    (copy,) = longest_copies(["--hello--"], Documents.of_texts(["say hello"], codec))
    assert (copy.text, copy.tokens, copy.characters) == ("hello", 5, 5)


def test_a_copied_passage_stands_out_beside_held_out_text() -> None:
    generator = np.random.default_rng(0)
    train = "".join(generator.choice(list("abcdefgh "), 20_000))
    held = "".join(generator.choice(list("abcdefgh "), 5_000))
    samples = [train[700:900], *("".join(generator.choice(list("abcdefgh "), 200)) for _ in range(4))]
    found = memorization(samples, Documents.of_texts([train], CODEC), Documents.of_texts([held], CODEC), seed=3)
    values = {measurement.name: measurement.value for measurement in found.measurements}
    assert values["longest copy in samples"] == 200
    assert values["longest copy in held-out text"] < 15
    assert values["median copy in samples"] < 15
    again = memorization(samples, Documents.of_texts([train], CODEC), Documents.of_texts([held], CODEC), seed=3)
    assert again == found


def test_a_very_long_training_text_is_searched_in_part_and_the_definition_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "SEARCHED_BYTES", 100)
    documents = Documents.of_texts(["a" * 95 + "b" * 1000], CODEC)
    found = memorization(["b" * 20], documents, documents)
    assert found.samples[0].characters == 5
    assert all("searched-bytes=100" in measurement.definition for measurement in found.measurements)
