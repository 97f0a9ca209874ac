"""Text from ids that come one by one: whole characters, and nothing of a stop string."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from daedal.codecs.text import TextCodec
from daedal.inference.text_stream import TextStream


class Pieces:
    """A codec whose token `i` is the `i`-th of these byte strings."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = pieces

    def token_bytes(self, id: int) -> bytes:
        return self.pieces[id]


def streamed(pieces: list[bytes], stops: list[str]) -> tuple[list[str], str | None]:
    stream = TextStream(Pieces(pieces), stops)  # type: ignore[arg-type]
    out = [stream.push(i) for i in range(len(pieces))]
    return [*out, stream.finish()], stream.stop


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[a:b] for a, b in pairwise(places)]


def expected(text: str, stops: list[str]) -> tuple[str, str | None]:
    """Grow the text by one character until it ends in a stop, the longest if several."""
    for end in range(len(text) + 1):
        ending = [stop for stop in stops if text[:end].endswith(stop)]
        if ending:
            longest = max(ending, key=len)
            return text[: end - len(longest)], longest
    return text, None


@given(
    st.text(alphabet="abé日🙂", max_size=30),
    st.lists(st.text(alphabet="abé日🙂", min_size=1, max_size=5), max_size=3),
    st.lists(st.integers(0, 200), max_size=12),
)
@example("aab", ["ab"], [1])
@example("abab", ["abc", "ba"], [])
@example("xabcd", ["abcd", "bc"], [])
def test_stops_do_not_depend_on_how_the_text_is_cut_into_tokens(text: str, stops: list[str], cuts: list[int]) -> None:
    out, stop = streamed(split(text.encode(), cuts), stops)
    wanted, why = expected(text, stops)
    assert "".join(out) == wanted
    assert stop == why
    assert not any(stop in "".join(out) for stop in stops)
    assert not any("\ufffd" in piece for piece in out)


@given(st.text(max_size=20), st.lists(st.integers(0, 200), max_size=12))
def test_characters_are_never_cut_in_half(text: str, cuts: list[int]) -> None:
    assume("\ufffd" not in text)
    assume(not any(0xD800 <= ord(c) < 0xE000 for c in text))
    out, _ = streamed(split(text.encode(), cuts), [])
    assert "".join(out) == text
    assert not any("\ufffd" in piece for piece in out)


def test_text_comes_as_early_as_it_is_certain() -> None:
    stream = TextStream(Pieces([b"one", b" st", b"ep", b" stop"]), [" stop"])  # type: ignore[arg-type]
    assert [stream.push(i) for i in range(4)] == ["one", "", " step", ""]
    assert stream.stop == " stop"


def test_half_a_character_at_the_end_is_dropped() -> None:
    assert streamed(["é".encode()[:1]], []) == (["", ""], None)


def test_bytes_that_are_no_text_become_replacement_characters() -> None:
    assert "".join(streamed([b"a\xff", b"b"], [])[0]) == "a\ufffdb"


def test_nothing_comes_after_a_stop() -> None:
    stream = TextStream(Pieces([b"a.", b"b"]), ["."])  # type: ignore[arg-type]
    assert [stream.push(0), stream.push(1), stream.finish()] == ["a", "", ""]


@pytest.mark.parametrize("stops", [["b", "ab"], ["ab", "b"]])
def test_of_stops_that_end_together_the_longer_counts(stops: list[str]) -> None:
    assert streamed([b"xab"], stops) == (["x", ""], "ab")


def test_a_text_that_begins_a_document_has_no_leading_space() -> None:
    pieces = Pieces([b" Once", b" upon"])
    stream = TextStream(pieces, [], strip_space=True)  # type: ignore[arg-type]
    assert [stream.push(0), stream.push(1)] == ["Once", " upon"]


def test_word_marks_and_byte_tokens_come_out_as_text(tmp_path: Path) -> None:
    """A codec in SentencePiece's manner: words marked by what stands for a space, unknown characters as bytes."""
    words = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁", *"abcdefghijklmnopqrstuvwxyz"]
    tokenizer = Tokenizer(
        models.BPE({word: i for i, word in enumerate(words)}, [], unk_token="<unk>", byte_fallback=True)
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    codec = TextCodec.load(tmp_path)
    stream = TextStream(codec, ["é w"], strip_space=codec.kind == "other")
    text = "hello 日本 and wörld 🙂 caf"
    pieces = [stream.push(id) for id in codec.encode(text + "é world")]
    assert "".join(pieces) == text
    assert not any("\ufffd" in piece for piece in pieces)


@pytest.mark.parametrize("size", [1, 3, 100])
@pytest.mark.parametrize(
    ("text", "stops", "shown", "stop"),
    [
        ('So <call>{"a": {}}</call>', ["}"], 'So <call>{"a": {}}</call>', None),
        ("So <call>{}", ["<"], "So <call>{}", None),
        ("So <cal}", ["}"], "So <cal", "}"),
        ("a < b", ["<"], "a ", "<"),
        ("a <ca", ["<"], "a ", "<"),
        ("a} <call>{}", ["}"], "a", "}"),
    ],
)
def test_stops_count_only_in_what_is_seen(text: str, stops: list[str], shown: str, stop: str | None, size: int) -> None:
    pieces = [text[start : start + size].encode() for start in range(0, len(text), size)]
    stream = TextStream(Pieces(pieces), stops, hidden="<call>")  # type: ignore[arg-type]
    assert "".join([*(stream.push(id) for id in range(len(pieces))), stream.finish()]) == shown
    assert stream.stop == stop
