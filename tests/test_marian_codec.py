"""Marian's tokenizer: the ids, texts and translations of Transformers."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import daedal
from daedal.codecs.text import TextCodec
from daedal.errors import DaedalError

transformers = pytest.importorskip("transformers")
sentencepiece = pytest.importorskip("sentencepiece")

ENGLISH = [
    "A man rides a brown horse.",
    "Two dogs play in the snow, near a tree.",
    "The children sleep; it is late.",
] * 30
GERMAN = [
    "Ein Mann reitet ein braunes Pferd.",
    "Zwei Hunde spielen im Schnee.",
    "Die Kinder schlafen; es ist spät.",
] * 30

PARTS = [
    "A",
    "man",
    "rides",
    "Hunde",
    "Schnee",
    " ",
    "  ",
    ".",
    ",",
    "ß",
    "é",
    "x",
    "▁",
    "\n",
    "\t",
    "\u00a0",
    "\ufb01",
    "<",
    "ä",
]
"""No two ways to cut what they make are equally likely: of those SentencePiece takes either."""


def learned(texts: list[str], **options: Any) -> bytes:
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts), model_writer=out, vocab_size=60, hard_vocab_limit=False, minloglevel=2, **options
    )
    return out.getvalue()


def write(folder: Path, **options: Any) -> None:
    """The files of a tokenizer, its ids in an order that is neither side's."""
    folder.mkdir(exist_ok=True)
    pieces: set[str] = set()
    for name, texts in (("source", ENGLISH), ("target", GERMAN)):
        raw = learned(texts, **options)
        (folder / f"{name}.spm").write_bytes(raw)
        model = sentencepiece.SentencePieceProcessor(model_proto=raw)
        pieces |= {model.id_to_piece(id) for id in range(model.vocab_size()) if not model.is_control(id)}
    names = ["</s>", "<unk>", *sorted(pieces - {"</s>", "<unk>"}, reverse=True), ">>deu<<", "<pad>"]
    (folder / "vocab.json").write_text(json.dumps({name: id for id, name in enumerate(names)}), encoding="utf-8")
    settings = {"tokenizer_class": "MarianTokenizer", "source_lang": "en", "target_lang": "de"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("marian") / "model"
    write(made)
    table = json.loads((made / "vocab.json").read_text(encoding="utf-8"))
    torch.manual_seed(0)
    config = transformers.MarianConfig(
        vocab_size=len(table), d_model=16, encoder_layers=1, decoder_layers=1, encoder_ffn_dim=32, decoder_ffn_dim=32,
        encoder_attention_heads=2, decoder_attention_heads=2, max_position_embeddings=64, pad_token_id=table["<pad>"],
        decoder_start_token_id=table["<pad>"], eos_token_id=0, forced_eos_token_id=None, bad_words_ids=[[table["<pad>"]]],
        init_std=0.5,
    )  # fmt: skip
    transformers.MarianMTModel(config).save_pretrained(made)
    return made


@settings(deadline=None, max_examples=150)
@given(text=st.lists(st.sampled_from(PARTS), max_size=12).map("".join))
def test_the_ids_of_both_sides_are_those_of_transformers(folder: Path, text: str) -> None:
    theirs, ours = _both(folder)
    assert [*ours.encode(text), 0] == theirs(text)["input_ids"]
    assert [*ours.encode_targets([text])[0], 0] == theirs(text_target=text)["input_ids"]


def test_a_text_may_begin_with_a_language_and_comes_back(folder: Path) -> None:
    theirs, ours = _both(folder)
    text = ">>deu<< A man rides a horse."
    assert [*ours.encode(text), 0] == theirs(text)["input_ids"]
    assert ours.encode(">>none<< A")[0] == theirs.unk_token_id
    for each in [*ENGLISH[:3], *GERMAN[:3]]:
        (ids,) = ours.encode_targets([each])
        assert ours.decode([*ids, 0]) == theirs.decode(ids, skip_special_tokens=True)
    assert ours.decode(ours.encode_targets([GERMAN[0]])[0]) == GERMAN[0]


def test_it_is_saved_as_it_was(folder: Path, tmp_path: Path) -> None:
    ours = TextCodec.load(folder)
    ours.save(tmp_path)
    again = TextCodec.load(tmp_path)
    assert again.two_sided
    assert again.fingerprint() == ours.fingerprint()
    assert transformers.AutoTokenizer.from_pretrained(tmp_path)(ENGLISH[1])["input_ids"][:-1] == ours.encode(ENGLISH[1])


def test_a_checkpoint_translates_and_learns_on(folder: Path, tmp_path: Path) -> None:
    theirs, _ = _both(folder)
    model = transformers.MarianMTModel.from_pretrained(folder).eval()
    asked = theirs(ENGLISH[1], return_tensors="pt")
    expected = model.generate(**asked, num_beams=3, max_new_tokens=12, length_penalty=1.0, early_stopping=False)
    said = daedal.load(folder).translate(ENGLISH[1], beams=3, max_tokens=12)[0].text
    assert said == theirs.decode(expected[0], skip_special_tokens=True)

    (tmp_path / "pairs.tsv").write_text(
        "source\ttarget\n"
        + "\n".join(f"{one} {at}\t{other} {at}" for at, (one, other) in enumerate(zip(ENGLISH, GERMAN, strict=True))),
        encoding="utf-8",
    )
    daedal.build_data([tmp_path / "pairs.tsv"], tmp_path / "data", tokenizer=str(folder))
    run = tmp_path / "run"
    daedal.train("translator", data=tmp_path / "data", out=run, init=str(folder), steps=3)
    codec = daedal.load(run).codec
    assert isinstance(codec, TextCodec)
    assert codec.two_sided
    assert transformers.AutoTokenizer.from_pretrained(run)(ENGLISH[0])["input_ids"] == theirs(ENGLISH[0])["input_ids"]


@pytest.mark.parametrize("name", ["source.spm", "vocab.json"])
@pytest.mark.parametrize("content", [b"", b"\x0a\xff\xff\xff\x7fjunk", b"{}", b"[1]", b'{"a": 5}', b"\x80" * 50])
def test_damaged_files_are_one_line(folder: Path, tmp_path: Path, name: str, content: bytes) -> None:
    write(tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DaedalError, match=name):
        TextCodec.load(tmp_path)


def test_other_kinds_of_tables_are_refused(tmp_path: Path) -> None:
    write(tmp_path, model_type="bpe")
    with pytest.raises(DaedalError, match="not a unigram model"):
        TextCodec.load(tmp_path)
    write(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text('{"separate_vocabs": true}')
    with pytest.raises(DaedalError, match="table of ids for each side"):
        TextCodec.load(tmp_path)


def _both(folder: Path) -> tuple[Any, TextCodec]:
    ours = TextCodec.load(folder)
    assert ours.two_sided
    return transformers.MarianTokenizer.from_pretrained(folder), ours
