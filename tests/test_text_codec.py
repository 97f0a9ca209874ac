"""The text codec: every string comes back, ids are those of Transformers, and special tokens cannot be smuggled in."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from daedal.codecs.byte_pairs import PATTERN, SMALLEST, UNUSED
from daedal.codecs.text import TextCodec
from daedal.codecs.tokenizer_files import END
from daedal.errors import DaedalError

CORPUS = [
    "the cat sat on the mat, 12345 times. " * 40,
    "漢字 é 😀 naïve façade\n\tdef f(x):\n        return x**2\n" * 40,
]
KINDS = ("byte", "char", "bpe")
CODECS = {kind: TextCodec.train(kind, CORPUS, None if kind == "byte" else 400) for kind in KINDS}

texts = st.one_of(
    st.text(max_size=60),
    st.text(alphabet="thecatsonm 12\n\t漢字é😀\u0301\x00", max_size=60),
    st.lists(st.sampled_from([END, UNUSED, "<|im_start|>", " ", "\r\n", "the", "é", "\u200d"]), max_size=8).map(
        "".join
    ),
)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folders = {kind: tmp_path_factory.mktemp(kind) for kind in KINDS}
    for kind, folder in folders.items():
        CODECS[kind].save(folder)
    return folders


@pytest.fixture(scope="module")
def loaded(saved: dict[str, Path]) -> dict[str, TextCodec]:
    return {kind: TextCodec.load(folder) for kind, folder in saved.items()}


@pytest.fixture(scope="module")
def others(saved: dict[str, Path]) -> dict[str, Any]:
    transformers = pytest.importorskip("transformers")
    return {kind: transformers.AutoTokenizer.from_pretrained(folder) for kind, folder in saved.items()}


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=150, deadline=None)
@given(text=texts)
def test_every_string_comes_back(kind: str, text: str) -> None:
    codec = CODECS[kind]
    ids = codec.encode(text)
    assert codec.decode(ids) == text
    assert b"".join(map(codec.token_bytes, ids)) == text.encode()
    assert not set(ids) & set(codec.special_ids)
    assert codec.encode_batch([text, text]) == [ids, ids]


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60, deadline=None)
@given(text=texts)
def test_a_saved_codec_gives_the_same_ids_here_and_in_transformers(
    kind: str, text: str, loaded: dict[str, TextCodec], others: dict[str, Any]
) -> None:
    ids = CODECS[kind].encode(text)
    assert loaded[kind].encode(text) == ids
    other = others[kind]
    assert other.encode(text, add_special_tokens=False, split_special_tokens=True) == ids
    assert other.decode(ids) == text
    marked = CODECS[kind].encode(text, special=True)
    assert other.encode(text) == marked
    assert (
        other.decode(marked, skip_special_tokens=True)
        == CODECS[kind].decode(marked)
        == text.replace(END, "").replace(UNUSED, "")
    )


@pytest.mark.parametrize("kind", KINDS)
def test_the_end_mark_is_the_last_id_and_text_cannot_write_it(kind: str) -> None:
    codec = CODECS[kind]
    assert codec.eos_id == codec.bos_id == codec.pad_id == codec.vocab_size - 1
    assert codec.special_ids == (32, codec.eos_id)  # 32 is never used
    assert CODECS["byte"].vocab_size == SMALLEST
    assert codec.encode(END, special=True) == [codec.eos_id]
    assert codec.eos_id not in codec.encode(END)
    assert codec.token_bytes(codec.eos_id) == codec.token_bytes(10**6) == b""


def test_a_saved_codec_is_the_same_codec(loaded: dict[str, TextCodec]) -> None:
    prints = {codec.fingerprint() for codec in CODECS.values()}
    assert len(prints) == 3
    for kind, codec in loaded.items():
        assert (codec.kind, codec.vocab_size, codec.eos_id) == (kind, CODECS[kind].vocab_size, CODECS[kind].eos_id)
        assert codec.fingerprint() == CODECS[kind].fingerprint()


def test_the_kind_of_a_foreign_codec_is_seen_from_its_merges(saved: dict[str, Path], tmp_path: Path) -> None:
    for kind, folder in saved.items():
        (tmp_path / "tokenizer.json").write_bytes((folder / "tokenizer.json").read_bytes())
        assert TextCodec.load(tmp_path).kind == kind


def test_a_seen_character_is_one_id_and_another_is_its_bytes() -> None:
    codec = CODECS["char"]
    assert all(len(codec.encode(character)) == 1 for character in set("".join(CORPUS)))
    assert [codec.token_bytes(id) for id in codec.encode("漣")] == [b"\xe6\xbc", b"\xa3"]  # a prefix shared with 漢


def test_digits_stand_alone_and_words_carry_the_space_before_them() -> None:
    codec = TextCodec.train("bpe", ["a 1234, don't\n\n    return x;\n " * 500], 1000)
    tokens = [codec.token_bytes(id) for id in codec.encode(" 1234, don't\n\n    return x;\n")]
    assert tokens == [b" 1", b"2", b"3", b"4", b",", b" don't", b"\n\n", b"    return", b" x", b";\n"]


def test_no_token_lies_across_the_border_of_two_words() -> None:
    codec = TextCodec.train("bpe", CORPUS, 600)
    split = pre_tokenizers.Split(Regex(PATTERN), behavior="isolated")
    for id in range(codec.vocab_size - 1):
        text = codec.token_bytes(id).decode(errors="ignore")
        assert len(split.pre_tokenize_str(text)) <= 1, text


def test_every_way_to_make_a_token_is_a_merge() -> None:
    codec = TextCodec.train("bpe", ["the theme, then thee. " * 90], 290)
    tokens = {chr(code) for code in range(128)}
    tokens |= {codec.token_bytes(id).decode() for id in range(257, codec.eos_id)}
    ways = [(word, i) for word in tokens for i in range(1, len(word)) if {word[:i], word[i:]} <= tokens]
    assert len(ways) > 5
    assert all(codec.encode(word[:i]) + codec.encode(word[i:]) != codec.encode(word) for word, i in ways)
    assert all(len(codec.encode(word)) == 1 for word in tokens)


def test_the_sentencepiece_model_lists_the_same_vocabulary(saved: dict[str, Path]) -> None:
    raw = (saved["bpe"] / "tokenizer.model").read_bytes()
    codec = CODECS["bpe"]
    pieces = []
    while raw[0] == 0x0A:  # field 1, a message; every piece is shorter than 128 bytes
        entry, raw = raw[2 : 2 + raw[1]], raw[2 + raw[1] :]
        text, rest = entry[2 : 2 + entry[1]].decode(), entry[2 + entry[1] :]
        pieces.append((text, struct.unpack("<f", rest[1:5])[0], rest[6]))
    normal, unknown, byte = 1, 2, 6
    assert len(pieces) == codec.vocab_size
    assert sum(kind == byte for _, _, kind in pieces) == 256
    assert pieces[-1] == (END, 0.0, unknown)
    assert pieces[codec.encode(" ")[0]] == ("▁", 0.0, normal)
    for id, (text, score, kind) in enumerate(pieces[257:-1], 257):
        assert kind != normal or (text.replace("▁", " ").encode() == codec.token_bytes(id) and score in (-id, 0))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=100, deadline=None)
@given(text=st.text(alphabet="thecatsonm 12,'\n\t漢字é😀ßж\u0301", max_size=60))
def test_sentencepiece_finds_the_same_tokens(kind: str, text: str) -> None:
    processor = pytest.importorskip("sentencepiece").SentencePieceProcessor()
    processor.LoadFromSerializedProto(CODECS[kind].sentencepiece())
    assert processor.encode(text) == CODECS[kind].encode(text)


def test_bytes_that_are_no_text_become_replacement_characters() -> None:
    codec = CODECS["byte"]
    assert codec.decode([0xE6, 0xBC]) == "\ufffd"
    assert codec.decode(codec.encode("a\ud800b")) == "a\ufffdb"


def test_training_is_deterministic() -> None:
    assert TextCodec.train("bpe", CORPUS, 400).fingerprint() == CODECS["bpe"].fingerprint()


@pytest.mark.parametrize(
    ("kind", "texts", "size"),
    [("bpe", CORPUS, SMALLEST - 1), ("bpe", [], None), ("char", ["", ""], None), ("word", CORPUS, None)],
)
def test_bad_requests_give_one_clear_line(kind: Any, texts: list[str], size: int | None) -> None:
    with pytest.raises(DaedalError):
        TextCodec.train(kind, texts, size)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"model": {"type": "BPE"}}', "null", '{"version": "9.9"}'])
def test_a_damaged_file_gives_one_clear_line(content: str, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(DaedalError) as caught:
        TextCodec.load(tmp_path)
    assert "\n" not in str(caught.value)


def test_gpt2_vocabulary_files_give_gpt2_ids(tmp_path: Path) -> None:
    stands = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("t", "h"), ("th", "e"), ("Ġ", "the"), ("Ġ", "c"), ("a", "t"), ("Ġc", "at")]
    vocabulary = {token: id for id, token in enumerate([*stands, *map("".join, merges), END])}
    (tmp_path / "vocab.json").write_text(json.dumps(vocabulary))
    (tmp_path / "merges.txt").write_text("#version: 0.2\n" + "\n".join(map(" ".join, merges)) + "\n")
    codec = TextCodec.load(tmp_path)
    expected = [vocabulary[token] for token in ("the", "Ġcat", "Ġ", "s", "at", "!")]
    assert codec.encode("the cat sat!") == expected
    assert codec.decode(expected) == "the cat sat!"
    assert codec.encode(END, special=True) == [262]
    (tmp_path / "merges.txt").write_text("no merge at all here\n")
    with pytest.raises(DaedalError):
        TextCodec.load(tmp_path)


def test_metaspace_and_byte_fallback_tokens_give_their_bytes(tmp_path: Path) -> None:
    vocabulary = {"<unk>": 0, "▁": 1, "a": 2, "▁a": 3, **{f"<0x{byte:02X}>": 4 + byte for byte in range(256)}}
    tokenizer = Tokenizer(models.BPE(vocabulary, [("▁", "a")], unk_token="<unk>", byte_fallback=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    codec = TextCodec.load(tmp_path)
    text = "a aé"
    assert codec.kind == "other"
    assert codec.decode(codec.encode(text)) == text
    assert b"".join(map(codec.token_bytes, codec.encode(text))) == text.encode()


def test_a_text_of_one_word_is_learned_from_in_seconds() -> None:
    text = "ab" * 300_000
    codec = TextCodec.train("bpe", [text, "a cab"], 300)
    assert codec.decode(codec.encode(text)) == text
