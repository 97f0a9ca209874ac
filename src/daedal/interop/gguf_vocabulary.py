"""A text codec as llama.cpp reads it: the `tokenizer.ggml.*` entries of a GGUF file, with the same ids.

llama.cpp has two ways to join neighbours. One starts from whole characters, as SentencePiece does, and goes by a score for
each piece; the other starts from bytes and goes by a list of merges, inside words that one of some fifty patterns cuts
(`tokenizer.ggml.pre`). None of these patterns is ours, but none has to be: no token of ours lies across the border of two
words, so whatever cuts less than we do finds the same tokens.

- no merge beyond a character (`byte`, `char`): bytes, and any pattern, for none cuts inside a character
- no token that is a part of a character: SentencePiece, exact but for the character `▁`
- else: bytes, and the pattern `superbpe`, which cuts around numbers only. It parts a number from the space before it, so
  tokens such as ` 7` are marked as ones to look for first. Only several spaces before a number may differ
- vocabularies of others: bytes and their own pattern, where llama.cpp has it; or SentencePiece
"""

import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from daedal.codecs.byte_pairs import PATTERN, UNUSED
from daedal.codecs.sentencepiece import KINDS
from daedal.codecs.text import TextCodec
from daedal.errors import DaedalError

_CONTROL, _USER, _UNUSED = KINDS["control"], KINDS["user"], KINDS["unused"]
_CUTS_NOTHING_OF_A_CHARACTER = "qwen2"
_CUTS_NUMBERS = "superbpe"

_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_CASED = rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+%s|[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*%s|"
_CASED_REST = r" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_GPT2 = "GPT-2's own"
# how a byte-level tokenizer cuts words, and whether it looks a whole word up first: llama.cpp's name for it
_PATTERNS: dict[tuple[tuple[str, ...], bool], str] = {
    ((_GPT2,), False): "gpt-2",
    (("digits", _GPT2), False): "smollm",
    ((rf"{_CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}|{_REST}",), False): "qwen2",
    ((rf"{_CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{{1,3}}|{_REST}",), True): "llama-bpe",
    ((rf"{_CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{{1,3}}|{_REST}",), False): "dbrx",
    ((_CASED % ("", "") + r"\p{N}|" + _CASED_REST,), True): "tekken",
    ((_CASED % ((f"{_CONTRACTIONS}?",) * 2) + r"\p{N}{1,3}|" + _CASED_REST,), False): "gpt-4o",
}  # fmt: skip


@dataclass(frozen=True)
class Vocabulary:
    """What llama.cpp makes tokens with.

    Attributes:
        model: "gpt2" for bytes and merges, "llama" for pieces and scores.
        pre: the pattern that cuts words; only with merges.
        texts: of each id.
        kinds: of each id, by the numbers that GGUF and SentencePiece share.
        scores: of each id; only without merges.
        space_prefix: text begins with a space that it does not have.
    """

    model: str
    pre: str
    texts: tuple[str, ...]
    kinds: tuple[int, ...]
    merges: tuple[str, ...] = ()
    scores: tuple[float, ...] = ()
    space_prefix: bool = False


def vocabulary(codec: TextCodec, size: int, pieces: bool = True) -> Vocabulary:
    """The vocabulary of `codec`, with fillers up to the `size` that the model has.

    Args:
        pieces: whether the reader takes SentencePiece's form where both are possible.

    Raises:
        DaedalError: llama.cpp has no such tokenizer.
    """
    state = codec.state()
    plain = {"NFC"} if codec.byte_level else {"Prepend", "Replace"}
    if (
        state["model"].get("type", "BPE") != "BPE"
        or not {step["type"] for step in _steps(state["normalizer"])} <= plain
    ):
        raise DaedalError("llama.cpp would make other tokens than this tokenizer does", "Export to a folder")
    if not codec.byte_level:
        return _pieces(codec, state, size)
    cuts = _cuts(state["pre_tokenizer"])
    if codec.kind in ("byte", "char"):
        return _merged(codec, state, size, _CUTS_NOTHING_OF_A_CHARACTER)
    if cuts == (PATTERN,):
        if pieces and "unused" not in {piece.kind for piece in codec.pieces()}:
            return _own_pieces(codec, size)
        return _merged(codec, state, size, _CUTS_NUMBERS)
    pre = _PATTERNS.get((cuts, bool(state["model"].get("ignore_merges"))))
    if pre is None:
        raise DaedalError("llama.cpp does not know how this tokenizer cuts words", "Export to a folder")
    return _merged(codec, state, size, pre)


def _merged(codec: TextCodec, state: Mapping[str, Any], size: int, pre: str) -> Vocabulary:
    """Bytes and merges."""
    texts, kinds = _tokens(codec, state, size)
    if pre == _CUTS_NUMBERS:
        for id, text in enumerate(texts):
            content = codec.token_bytes(id).decode(errors="replace")
            if text and len(content) > 1 and content[:-1].isspace() and unicodedata.category(content[-1])[0] == "N":
                texts[id], kinds[id] = content, _USER
    merges = [pair if isinstance(pair, str) else " ".join(pair) for pair in state["model"].get("merges", [])]
    return Vocabulary(
        "gpt2", pre, *_filled(texts, kinds), merges=tuple(merges) or (f"{UNUSED} {UNUSED}",)  # there must be one
    )  # fmt: skip


def _own_pieces(codec: TextCodec, size: int) -> Vocabulary:
    """Pieces of a vocabulary that we trained; `write_model` makes SentencePiece's own file of the same ones."""
    pieces = codec.pieces()
    texts = [piece.text for piece in pieces]
    kinds = [_CONTROL if piece.kind == "unknown" else KINDS[piece.kind] for piece in pieces]
    texts, kinds = _widened(texts, size), kinds + [_UNUSED] * (size - len(pieces))
    scores = [piece.score for piece in pieces] + [0.0] * (size - len(pieces))
    return Vocabulary("llama", "default", *_filled(texts, kinds), scores=tuple(scores))


def _pieces(codec: TextCodec, state: Mapping[str, Any], size: int) -> Vocabulary:
    """Pieces of Llama 2 and its kin. `tokenizers` holds their scores as the order of the merges."""
    spaces = _steps(state["pre_tokenizer"])
    whole = all(step["type"] == "Metaspace" and not step.get("split", True) for step in spaces)
    if not state["model"].get("byte_fallback") or not whole:
        raise DaedalError("llama.cpp would make other tokens than this tokenizer does", "Export to a folder")
    texts, kinds = _tokens(codec, state, size)
    ids = state["model"]["vocab"]
    scores = [0.0] * size
    for rank, pair in enumerate(state["model"]["merges"]):
        id = ids["".join(pair) if isinstance(pair, list) else pair.replace(" ", "")]
        scores[id] = scores[id] or -float(rank + 1)
    for id, text in enumerate(texts):
        if len(text) == 6 and text.startswith("<0x") and text.endswith(">"):
            kinds[id] = KINDS["byte"]
    if (unknown := ids.get(state["model"].get("unk_token"))) is not None:
        kinds[unknown] = KINDS["unknown"]
    prefix = codec.token_bytes(codec.encode("a")[0]).startswith(b" ")
    return Vocabulary("llama", "default", *_filled(texts, kinds), scores=tuple(scores), space_prefix=prefix)


def _tokens(codec: TextCodec, state: Mapping[str, Any], size: int) -> tuple[list[str], list[int]]:
    """Text and kind of each id; empty where there is none."""
    texts, kinds = [""] * size, [_UNUSED] * size
    for text, id in state["model"]["vocab"].items():
        texts[id], kinds[id] = text, KINDS["normal"]
    for token in state["added_tokens"]:
        texts[token["id"]], kinds[token["id"]] = token["content"], _CONTROL if token["special"] else _USER
        if token["content"] == UNUSED:
            kinds[token["id"]] = _UNUSED
    return texts, kinds


def _widened(texts: list[str], size: int) -> list[str]:
    return texts + [""] * (size - len(texts))


def _filled(texts: list[str], kinds: list[int]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Names for ids that have none: llama.cpp wants all of them, and no two alike."""
    return tuple(text or f"[PAD{id}]" for id, text in enumerate(texts)), tuple(kinds)


def _cuts(pre_tokenizer: Mapping[str, Any] | None) -> tuple[str, ...]:
    """The patterns that cut words, in turn."""
    cuts: list[str] = []
    for step in _steps(pre_tokenizer):
        plain = step.get("behavior", "Isolated") == "Isolated" and not step.get("invert")
        if step["type"] == "Split" and plain and "Regex" in step["pattern"]:
            cuts.append(step["pattern"]["Regex"])
        elif step["type"] == "Digits" and step.get("individual_digits"):
            cuts.append("digits")
        elif step["type"] == "ByteLevel" and not step.get("add_prefix_space", True):
            cuts += [_GPT2] if step.get("use_regex", True) else []
        else:
            cuts.append(json.dumps(step))
    return tuple(cuts)


def _steps(stage: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    """The steps of a stage of a tokenizer, be they none, one or several."""
    if stage is None:
        return []
    if stage["type"] != "Sequence":
        return [stage]
    steps = stage["normalizers"] if "normalizers" in stage else stage["pretokenizers"]
    return [part for step in steps for part in _steps(step)]
