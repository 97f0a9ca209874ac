"""Captions and rows of ids: there and back, cut, hidden, in other scripts, and broken files."""

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from daedal.codecs.caption import CAPTION_CODEC, CaptionCodec, tidy
from daedal.errors import DaedalError

KNOWN = (
    "A red circle above a blue square.",
    "two green stars",
    "",
    "a large  pink moon\tbeside it",
    "ein Löwe, 獅子",
    "獅 子 a獅子",
)


@pytest.fixture(scope="module")
def codec() -> CaptionCodec:
    return CaptionCodec.train(KNOWN)


@pytest.mark.parametrize("caption", [*KNOWN, "two red moons above a star"])
def test_a_tidy_caption_comes_back(codec: CaptionCodec, caption: str) -> None:
    (row,) = codec.encode([caption])
    assert codec.decode(row) == tidy(caption)
    assert len(row) == codec.window


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=12))
def test_any_short_text_comes_back_as_it_is_tidied(text: str) -> None:
    codec = CaptionCodec.train(KNOWN, window=64)
    (row,) = codec.encode([text])
    assert codec.decode(row) == tidy(text)
    assert tidy(tidy(text)) == tidy(text)


def test_an_empty_caption_says_nothing_and_a_long_one_is_cut(codec: CaptionCodec) -> None:
    nothing, long = codec.encode(["", "red " * 10_000])
    assert nothing.tolist() == [-1] * codec.window
    assert -1 not in long.tolist()
    assert [length > codec.window for length in codec.lengths(["", "a red circle", "red " * 10_000])] == [0, 0, 1]
    assert codec.shortened("A red circle.") == "A red circle."
    beginning = codec.shortened("red " * 10_000)
    assert codec.lengths([beginning]) == [codec.window]
    assert torch.equal(codec.encode([beginning])[0], long)
    assert codec.lengths([codec.shortened("獅" * 9 + "é😀" * 100)])[0] <= codec.window


def test_words_that_no_caption_had_are_told_in_their_order(codec: CaptionCodec) -> None:
    assert codec.unknown("A RED unicorn above two zebras, a unicorn!") == ("unicorn", "zebras")
    assert codec.unknown("a red circle") == ()


def test_where_no_spaces_stand_each_character_is_a_word() -> None:
    codec = CaptionCodec.train(["红色的圆在蓝色的方上面", "あかい まる", "a red circle"])
    assert codec.unknown("蓝色的圆") == ()
    assert codec.unknown("绿色的圆, a green circle") == ("绿", "green")
    (row,) = codec.encode(["蓝色的圆在红色的方上 面"])
    assert codec.decode(row) == "蓝色的圆在红色的方上面"
    assert codec.window == (row >= 0).sum() == 11


def test_a_caption_of_ten_thousand_words_is_learned_and_cut() -> None:
    codec = CaptionCodec.train(["a red circle", " ".join(f"word{number}" for number in range(10_000)), "红" * 10_000])
    assert codec.window == 64
    assert -1 not in codec.encode(["红" * 10_000])[0].tolist()


def test_what_cannot_be_seen_is_left_out() -> None:
    assert tidy("a\x00 red\u200b\u202e\n circle. ") == "a red circle"


def test_it_opens_as_it_was_saved(codec: CaptionCodec, tmp_path: Path) -> None:
    codec.save(tmp_path)
    again = CaptionCodec.load(tmp_path)
    assert (again.window, again.words, again.vocab_size) == (codec.window, codec.words, codec.vocab_size)
    assert again.encode(KNOWN).tolist() == codec.encode(KNOWN).tolist()


@pytest.mark.parametrize("values", [{}, [], {"window": 0, "words": []}, {"window": 3, "words": [1]}, {"window": "3"}])
def test_a_broken_file_is_told_in_one_line(codec: CaptionCodec, tmp_path: Path, values: object) -> None:
    codec.save(tmp_path)
    (tmp_path / CAPTION_CODEC).write_text(json.dumps(values))
    with pytest.raises(DaedalError, match="does not describe captions"):
        CaptionCodec.load(tmp_path)


def test_pictures_without_captions_are_refused() -> None:
    with pytest.raises(DaedalError, match="None of the pictures has a caption"):
        CaptionCodec.train(["", " ", "\x00."])
