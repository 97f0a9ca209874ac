"""Tokenizers of models that read both ways: our ids and types are exactly those of Transformers."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from daedal.codecs.both_ways import marked
from daedal.codecs.text import TextCodec
from daedal.errors import DaedalError

transformers = pytest.importorskip("transformers")

TEXTS = [
    "The capital of France is Paris.", "Café ÉCOLE, naïve!", "  two  spaces and\ta tab\n", "don't stop-me now 3.14",
    "日本語 text", "", "a" * 120, "x [MASK] y </s>", "an emoji 🙂 here",
]  # fmt: skip
LETTERS = [chr(code) for code in range(33, 127)]
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS, *(f"##{letter}" for letter in LETTERS)]
PIECES += ["the", "capital", "of", "##ance", "is", "Paris", "paris", "cafe", "Café", "ecole", "日", "don", "##ing"]


def word_pieces(folder: Path, **told: Any) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(PIECES) + "\n", encoding="utf-8")
    if told:
        (folder / "tokenizer_config.json").write_text(json.dumps(told))


def byte_pairs(marks: list[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=marks, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(TEXTS * 3, trainer)
    return tokenizer


def roberta(folder: Path) -> Any:
    tokenizer = byte_pairs(["<s>", "<pad>", "</s>", "<unk>"])
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True, special=True)])
    ends = [(mark, tokenizer.token_to_id(mark)) for mark in ("</s>", "<s>")]
    tokenizer.post_processor = processors.RobertaProcessing(*ends, trim_offsets=True, add_prefix_space=False)
    folder.mkdir()
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 512}))
    return transformers.PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))


def modern(folder: Path) -> Any:
    tokenizer = byte_pairs([])
    names = ["[UNK]", "[CLS]", "[SEP]", "[PAD]"]
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in names])
    tokenizer.add_special_tokens([AddedToken("[MASK]", lstrip=True, special=True, normalized=False)])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(mark, tokenizer.token_to_id(mark)) for mark in ("[CLS]", "[SEP]")],
    )  # fmt: skip
    made = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, cls_token="[CLS]", sep_token="[SEP]", pad_token="[PAD]", mask_token="[MASK]"
    )
    made.save_pretrained(folder)
    return made


def check(codec: TextCodec, theirs: Any) -> None:
    plain = [text for text in TEXTS if "[MASK]" not in text]
    for one in plain:
        found, expected = codec.framing.one(codec.encode(one)), theirs(one, return_token_type_ids=True)
        assert found.ids.tolist() == expected["input_ids"], one
        assert found.types.tolist() == expected["token_type_ids"], one
        for other in filter(None, plain):  # Transformers takes an empty second text for none
            both = codec.framing.two(codec.encode(one), codec.encode(other))
            expected = theirs(one, other, return_token_type_ids=True)
            assert both.ids.tolist() == expected["input_ids"], (one, other)
            assert both.types.tolist() == expected["token_type_ids"], (one, other)
    for text in TEXTS:
        encoded = theirs(text, add_special_tokens=False, return_offsets_mapping=True)
        if "[MASK]" not in text:
            ((ids, places),) = codec.encode_with_places([text])
            assert (ids, places) == (encoded["input_ids"], [tuple(each) for each in encoded["offset_mapping"]])
        assert codec.encode(text, special=True) == encoded["input_ids"]


@pytest.mark.parametrize("told", [{}, {"do_lower_case": False}, {"do_lower_case": True, "strip_accents": False}])
@pytest.mark.parametrize("kind", ["Bert", "DistilBert"])
def test_a_folder_with_word_pieces_alone_opens(kind: str, told: dict[str, Any], tmp_path: Path) -> None:
    word_pieces(tmp_path / "theirs", **told)
    codec = TextCodec.load(tmp_path / "theirs")
    made = getattr(transformers, f"{kind}TokenizerFast")
    theirs = made.from_pretrained(tmp_path / "theirs", **told)
    check(codec, theirs)
    assert (codec.mask_id, codec.pad_id) == (theirs.mask_token_id, theirs.pad_token_id)
    codec.save(tmp_path / "mine")
    check(TextCodec.load(tmp_path / "mine"), theirs)
    check(codec, transformers.AutoTokenizer.from_pretrained(tmp_path / "mine"))
    theirs.save_pretrained(tmp_path / "saved")
    check(TextCodec.load(tmp_path / "saved"), theirs)


@pytest.mark.parametrize("make", [roberta, modern])
def test_byte_pairs_with_marks_open(make: Any, tmp_path: Path) -> None:
    theirs = make(tmp_path / "theirs")
    codec = TextCodec.load(tmp_path / "theirs")
    check(codec, theirs)
    assert codec.mask_id is not None
    assert marked(codec) is codec
    codec.save(tmp_path / "mine")
    check(codec, transformers.AutoTokenizer.from_pretrained(tmp_path / "mine"))


def test_settings_go_before_the_file(tmp_path: Path) -> None:
    word_pieces(tmp_path)
    TextCodec.load(tmp_path).save(tmp_path)
    assert TextCodec.load(tmp_path).encode("PARIS") == [PIECES.index("paris")]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": False}))
    assert TextCodec.load(tmp_path).encode("PARIS") != [PIECES.index("paris")]


def test_names_of_special_tokens_are_also_found_in_the_older_file(tmp_path: Path) -> None:
    codec = TextCodec.train("byte", ["a"])
    codec.save(tmp_path)
    settings = json.loads((tmp_path / "tokenizer_config.json").read_text())
    (tmp_path / "special_tokens_map.json").write_text(json.dumps({"eos_token": settings.pop("eos_token")}))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    assert TextCodec.load(tmp_path).eos_id == codec.eos_id


def test_damaged_word_pieces_are_told(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\nthe\n")
    with pytest.raises(DaedalError, match=r"has no piece \[CLS\]"):
        TextCodec.load(tmp_path)
    (tmp_path / "vocab.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DaedalError, match="cannot be read"):
        TextCodec.load(tmp_path)
    (tmp_path / "vocab.txt").unlink()
    os.mkfifo(tmp_path / "vocab.txt")
    with pytest.raises(DaedalError, match="no regular file"):
        TextCodec.load(tmp_path)
