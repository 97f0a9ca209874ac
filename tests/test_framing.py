"""What stands around the texts of a model that reads both ways."""

from pathlib import Path

import pytest

from daedal.codecs.both_ways import marked, word_starts
from daedal.codecs.text import TextCodec

TEXTS = ["The old fox went to the river.", "A crow sat on a tree, 12 feet high."]


@pytest.fixture(scope="module")
def codec() -> TextCodec:
    return marked(TextCodec.train("bpe", TEXTS * 20, 300))


def test_marks_come_on_top_and_change_no_id(codec: TextCodec) -> None:
    plain = TextCodec.train("bpe", TEXTS * 20, 300)
    assert [codec.encode(text) for text in TEXTS] == [plain.encode(text) for text in TEXTS]
    assert codec.vocab_size == plain.vocab_size + 4
    assert marked(codec) is codec
    assert codec.decode(codec.framing.one(codec.encode(TEXTS[0])).ids) == TEXTS[0]


def test_a_saved_codec_frames_as_transformers_does(codec: TextCodec, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    codec.save(tmp_path)
    theirs = transformers.AutoTokenizer.from_pretrained(str(tmp_path))
    ours = TextCodec.load(tmp_path)
    assert ours.mask_id == theirs.mask_token_id
    assert ours.pad_id == theirs.pad_token_id
    one = ours.framing.one(ours.encode(TEXTS[0]))
    assert one.ids.tolist() == theirs(TEXTS[0])["input_ids"]
    two = ours.framing.two(*map(ours.encode, TEXTS))
    expected = theirs(*TEXTS, return_token_type_ids=True)
    assert two.ids.tolist() == expected["input_ids"]
    assert two.types.tolist() == expected["token_type_ids"]
    assert two.ids[two.second : -1].tolist() == ours.encode(TEXTS[1])


def test_a_codec_without_marks_frames_with_nothing() -> None:
    plain = TextCodec.train("byte", [])
    assert plain.framing.room == plain.framing.room_of_two == 0
    assert plain.framing.two([1, 2], [3]).ids.tolist() == [1, 2, 3]


def test_characters_of_tokens(codec: TextCodec) -> None:
    ((ids, places),) = codec.encode_with_places(["old fox é"])
    assert ids == codec.encode("old fox é")
    assert places[0][0] == 0
    assert places[-1][1] == len("old fox é")


def test_words_begin_at_spaces_digits_and_signs(codec: TextCodec) -> None:
    starts = word_starts(codec)
    ids = codec.encode(" river.")
    assert starts[ids[0]] == 1
    assert starts[codec.encode(".")[0]] == 1
    assert starts[codec.encode("e")[0]] == 0
