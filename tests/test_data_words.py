"""The table of words gives the codec's own tokens, for every text."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daedal.codecs.text import TextCodec
from daedal.data.encode import Encoder
from daedal.data.words import _RANGES

SAMPLE = (
    "It's the year 2024, and she'll say: don't   stop.\n\n    def f(x):\n\treturn x ** 2  # naïve café\r\n"
    "Ελληνικά, кириллица — “quotes” … 中文 日本語 🙂\n"
) * 20
LETTERS = st.one_of(
    st.sampled_from(" \n\t\r'sSdlLeEvVmM.,aZ09-_’\x0b\x0c\x1c\x1f\x85\xa0\u017f\u2028\u3000中é²½"),
    st.sampled_from([chr(code) for low, high in _RANGES for code in range(low, high)]),
    st.characters(exclude_categories=["Cs"]),
    st.sampled_from(["\n", "\n\n", "\n ", " \n", "\n\t", "\n  a", "\n中", ".\n\u200b"]),
)


@pytest.fixture(scope="module", params=["byte", "char", "bpe"])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[TextCodec, Encoder]:
    folder = tmp_path_factory.mktemp(request.param)
    codec = TextCodec.train(request.param, [SAMPLE], 400)
    codec.save(folder)
    return codec, Encoder(TextCodec.load(folder))


@settings(max_examples=400, deadline=None)
@given(text=st.lists(LETTERS, max_size=60).map("".join))
def test_looked_up_tokens_are_the_codecs_own(pair: tuple[TextCodec, Encoder], text: str) -> None:
    codec, encoder = pair
    assert (encoder._table is None) == (codec.kind == "byte")
    assert encoder([text])[1].tolist() == [*codec.encode(text), codec.eos_id]


def test_a_long_text_has_the_tokens_of_the_whole(pair: tuple[TextCodec, Encoder]) -> None:
    codec, encoder = pair
    text = SAMPLE * 100
    counts, ids = encoder([text, "", "a"])
    assert ids[: counts[0] - 1].tolist() == codec.encode(text)
    assert counts.tolist() == [len(codec.encode(text)) + 1, 1, len(codec.encode("a")) + 1]
    assert (ids[np.cumsum(counts) - 1] == codec.eos_id).all()


def test_a_full_table_starts_anew(pair: tuple[TextCodec, Encoder], monkeypatch: pytest.MonkeyPatch) -> None:
    codec, encoder = pair
    monkeypatch.setattr("daedal.data.words._MOST_WORDS", 10)
    for text in (SAMPLE, "other words and more of them, in a row of twenty: " * 3, SAMPLE):
        assert encoder([text])[1][:-1].tolist() == codec.encode(text)


def test_other_tokenizers_encode_for_themselves(tmp_path_factory: pytest.TempPathFactory) -> None:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    tokenizer = Tokenizer(
        models.BPE(vocab={c: i for i, c in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}, merges=[])
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|endoftext|>"])
    codec = TextCodec(tokenizer, {"eos_token": "<|endoftext|>"})
    folder = tmp_path_factory.mktemp("other")
    codec.save(folder)
    encoder = Encoder(TextCodec.load(folder))
    assert encoder._table is None
    assert encoder([SAMPLE])[1][:-1].tolist() == codec.encode(SAMPLE)
