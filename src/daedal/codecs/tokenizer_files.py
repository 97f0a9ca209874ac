"""The files of a tokenizer, ours or another's: `tokenizer.json`; else GPT-2's `vocab.json` and `merges.txt`, or BERT's
`vocab.txt`."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from daedal.errors import DaedalError
from daedal.files import read_json, regular_size

_LARGEST = 64 * 2**20  # bytes of a vocabulary
END = "<|endoftext|>"
_BERT = {
    "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]", "pad_token": "[PAD]",
}  # fmt: skip
_ROBERTA = {"cls_token": "<s>", "sep_token": "</s>", "mask_token": "<mask>", "pad_token": "<pad>"}


def read_tokenizer(folder: Path) -> tuple[Tokenizer, dict[str, Any]]:
    """The tokenizer of a folder, and what its `tokenizer_config.json` says; names of special tokens also where an older file
    says them, or none does and they are the usual ones of a model that reads both ways.

    Raises:
        DaedalError: the files are missing or damaged.
    """
    settings: dict[str, Any] = {}
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        path = folder / name
        value = read_json(path) if path.exists() else {}
        if not isinstance(value, dict):
            raise DaedalError(f"{path} does not hold a JSON object", "Restore it from a copy")
        if name == "tokenizer_config.json":
            settings = settings | value
        else:
            settings = {token: value[token] for token in (*_BERT, "bos_token", "eos_token") if token in value}
    tokenizer = _read(folder, settings)
    settings.setdefault("tokenizer_class", "PreTrainedTokenizerFast")  # else its class is guessed by that of the model
    for usual in (_BERT, _ROBERTA):
        if all(tokenizer.token_to_id(token) is not None for token in usual.values()):
            settings = {**usual, **settings}
            break
    return tokenizer, settings


def _read(folder: Path, settings: dict[str, Any]) -> Tokenizer:
    path, pieces = folder / "tokenizer.json", folder / "vocab.txt"
    if not path.exists() and (folder / "vocab.json").exists() and (folder / "merges.txt").exists():
        return _gpt2(folder)
    if not path.exists() and pieces.exists():
        return _word_pieces(pieces, settings)
    value = read_json(path)
    tokenizer = made(lambda: Tokenizer.from_str(json.dumps(value)), f"{path} is not a tokenizer")
    _as_told(tokenizer, settings)
    return tokenizer


def made(make: Callable[[], Tokenizer], wrong: str) -> Tokenizer:
    """What `make` gives.

    Raises:
        DaedalError: it cannot; `wrong` says what.
    """
    try:
        return make()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # the Rust library panics on some damaged files: not an Exception
        raise DaedalError(f"{wrong} ({error})", "Restore it from a copy") from None


def _gpt2(folder: Path) -> Tokenizer:
    files = folder / "vocab.json", folder / "merges.txt"
    for file in files:
        regular_size(file)
    tokenizer = made(
        lambda: Tokenizer(models.BPE.from_file(*map(str, files))), f"The vocabulary in {folder} is damaged"
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    if tokenizer.token_to_id(END) is not None:
        tokenizer.add_special_tokens([AddedToken(END, special=True, normalized=False)])
    return tokenizer


def _word_pieces(path: Path, settings: dict[str, Any]) -> Tokenizer:
    """BERT's word pieces (Wu et al. 2016), one a line."""
    try:
        if regular_size(path) > _LARGEST:
            raise DaedalError(f"{path} is too large for a vocabulary", "Restore it from a copy")
        pieces = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DaedalError(f"{path} cannot be read ({error})", "Restore it from a copy") from None
    pieces = pieces[:-1] if pieces[-1] == "" else pieces
    names = {name: content_of(settings.get(name)) or usual for name, usual in _BERT.items()}
    numbers = {piece.removesuffix("\r"): number for number, piece in enumerate(pieces)}
    for name in names.values():
        if name not in numbers:
            raise DaedalError(f"{path} has no piece {name}", "Restore it from a copy")
    tokenizer = Tokenizer(models.WordPiece(numbers, unk_token=names["unk_token"]))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in names.values()])
    first, between = names["cls_token"], names["sep_token"]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{first} $A {between}",
        pair=f"{first} $A {between} $B:1 {between}:1",
        special_tokens=[(mark, numbers[mark]) for mark in (first, between)],
    )
    _as_told(tokenizer, settings)
    return tokenizer


def _as_told(tokenizer: Tokenizer, settings: dict[str, Any]) -> None:
    """How BERT's tokenizer cleans a text: what its settings say goes before what its file does, as in Transformers."""
    if not isinstance(tokenizer.normalizer, normalizers.BertNormalizer):
        return
    told = {
        "do_lower_case": "lowercase",
        "strip_accents": "strip_accents",
        "tokenize_chinese_chars": "handle_chinese_chars",
    }
    for setting, name in told.items():
        if isinstance(settings.get(setting), bool):
            setattr(tokenizer.normalizer, name, settings[setting])


def content_of(token: Any) -> str | None:
    """The text of a special token, as a file of settings names it."""
    found = token.get("content") if isinstance(token, dict) else token
    return found if isinstance(found, str) else None
