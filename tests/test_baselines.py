"""The baselines are what their names say: proper distributions, and the compressors' own sizes."""

import gzip
import math
from collections import Counter

import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from daedal.codecs.text import TextCodec
from daedal.evaluation import baselines
from daedal.evaluation.baselines import compressors, ngram
from daedal.evaluation.documents import Documents
from daedal.evaluation.ngram import KneserNey, _discounts

END = 6
VOCAB = 7
STREAMS = st.lists(st.lists(st.integers(0, END - 1), max_size=25), min_size=1, max_size=6)


def stream(documents: list[list[int]]) -> np.ndarray:
    return np.array([id for document in documents for id in (*document, END)], dtype=np.int64)


class Dictionaries:
    """Modified Kneser-Ney with dictionaries, term by term as in Chen and Goodman's equations 20 to 26."""

    def __init__(self, documents: list[list[int]], order: int) -> None:
        counts: dict[tuple[int, ...], int] = Counter()
        for document in documents:
            padded = [END] * (order - 1) + document + [END]
            for place in range(order - 1, len(padded)):
                counts[tuple(padded[place - order + 1 : place + 1])] += 1
        self.order, self.levels = order, {order: counts}
        for length in range(order - 1, 0, -1):
            lower: dict[tuple[int, ...], int] = Counter()
            for gram in self.levels[length + 1]:
                lower[gram[1:]] += 1
            self.levels[length] = lower
        self.discounts = {
            length: _discounts(np.array(list(counts.values()), dtype=np.int64))
            for length, counts in self.levels.items()
        }

    def probability(self, context: tuple[int, ...], token: int) -> float:
        length = len(context) + 1
        lower = 1 / VOCAB if length == 1 else self.probability(context[1:], token)
        followers = {gram[-1]: count for gram, count in self.levels[length].items() if gram[:-1] == context}
        total = sum(followers.values())
        if not total:
            return lower
        take = self.discounts[length]
        reserved = sum(take[min(count, 3)] for count in followers.values())
        count = followers.get(token, 0)
        return (count - take[min(count, 3)] + reserved * lower) / total


@given(STREAMS, STREAMS, st.integers(1, 5))
@settings(max_examples=40, deadline=None)
def test_it_is_kneser_ney_as_dictionaries_would_count_it(
    train: list[list[int]], test: list[list[int]], order: int
) -> None:
    fast, slow = KneserNey(stream(train), VOCAB, END, order), Dictionaries(train, order)
    expected = []
    for document in test:
        padded = [END] * (order - 1) + document + [END]
        expected += [
            math.log(slow.probability(tuple(padded[place - order + 1 : place]), padded[place]))
            for place in range(order - 1, len(padded))
        ]
    np.testing.assert_allclose(fast.log_probabilities(stream(test)), expected, rtol=1e-9)


@given(STREAMS, st.lists(st.integers(0, END - 1), max_size=8), st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_probabilities_sum_to_one_after_every_context(train: list[list[int]], context: list[int], order: int) -> None:
    distribution = KneserNey(stream(train), VOCAB, END, order).distribution(np.array(context, dtype=np.int64))
    assert distribution.sum() == pytest.approx(1.0, abs=1e-12)
    assert (distribution > 0).all()


def test_a_token_never_seen_has_a_probability_too() -> None:
    model = KneserNey(stream([[0, 1, 0, 1, 0]]), VOCAB, END)
    assert np.isfinite(model.log_probabilities(stream([[5, 4, 3]]))).all()


def test_the_unigram_model_knows_how_often_and_the_5_gram_model_what_follows() -> None:
    generator = np.random.default_rng(0)
    train = generator.choice(6, size=5000, p=[0.5, 0.3, 0.1, 0.05, 0.04, 0.01]).tolist()
    unigram = KneserNey(stream([train]), VOCAB, END, 1).distribution(np.zeros(0, dtype=np.int64))
    np.testing.assert_allclose(unigram[:6], np.bincount(train) / 5000, atol=0.002)
    cycle = [0, 1, 2, 3, 4, 5] * 100
    model = KneserNey(stream([cycle]), VOCAB, END, 5)
    assert -model.log_probabilities(stream([cycle[:60]]))[5:60].mean() < 0.02


def test_counts_do_not_cross_the_end_of_a_document() -> None:
    after_zero = KneserNey(stream([[0], [1], [2]]), VOCAB, END, 5).distribution(np.array([0]))
    assert after_zero.argmax() == END


@pytest.fixture(scope="module")
def texts() -> tuple[Documents, Documents]:
    generator = np.random.default_rng(1)
    words = ["to ", "be ", "or ", "not ", "that ", "is ", "the ", "question ", "naïve ", "東京 "]
    train = ["".join(generator.choice(words, 200)) for _ in range(20)]
    held = ["".join(generator.choice(words, 50)) for _ in range(10)]
    codec = TextCodec.train("char", train)
    return Documents.of_texts(train, codec, "train"), Documents.of_texts(held, codec, "validation")


def test_more_context_predicts_better_and_is_measured_on_the_same_bytes(texts: tuple[Documents, Documents]) -> None:
    train, held = texts
    unigram, five = ngram(train, held, 1), ngram(train, held, 5)
    assert (unigram.name, five.name) == ("unigram", "5-gram")
    assert five.bits_per_byte.beside(unigram.bits_per_byte) < -1
    assert five.bits_per_byte.data_hash == held.fingerprint
    assert five.bits_per_byte.interval is not None
    losses = KneserNey(train.read(0, 10**9), train.codec.vocab_size, train.end, 5).log_probabilities(
        held.read(0, 10**9)
    )
    ends = held.offsets[1:] - 1
    nats = -np.delete(losses, ends).sum()
    assert five.bits_per_byte.value == pytest.approx(nats / math.log(2) / held.bytes.sum())


def test_a_long_training_text_is_thinned_and_the_definition_says_so(
    texts: tuple[Documents, Documents], monkeypatch: pytest.MonkeyPatch
) -> None:
    train, held = texts
    whole = ngram(train, held)
    assert "trained-on=all-tokens" in whole.bits_per_byte.definition
    monkeypatch.setattr(baselines, "TRAIN_TOKENS", 2000)
    monkeypatch.setattr(baselines, "_PIECE", 500)
    thinned = ngram(train, held)
    assert "trained-on=2004-spread-tokens" in thinned.bits_per_byte.definition
    assert thinned.bits_per_byte.value > whole.bits_per_byte.value


def test_compressors_give_eight_bits_for_each_byte_of_their_files(texts: tuple[Documents, Documents]) -> None:
    train, held = texts
    data = "".join(held.text(index) for index in range(len(held))).encode()
    gz, zst, with_train = compressors(held, train)
    assert gz.bits_per_byte.value == 8 * len(gzip.compress(data, 9, mtime=0)) / len(data)
    assert zst.bits_per_byte.value == pytest.approx(8 * len(zstandard.compress(data, 19)) / len(data), abs=0.02)
    assert with_train.bits_per_byte.value < zst.bits_per_byte.value
    assert [each.name for each in compressors(held)] == ["gzip", "zstd"]


def test_text_that_is_in_the_training_text_costs_zstd_next_to_nothing(texts: tuple[Documents, Documents]) -> None:
    train, _ = texts
    assert compressors(train, train)[2].bits_per_byte.value < 0.1
