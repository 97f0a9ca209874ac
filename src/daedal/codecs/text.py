"""Text and token ids: byte, character and byte-pair codecs over one `tokenizers.Tokenizer`.

- the kinds we train are all byte-level pair merging, so every string comes back as it was: `byte` has no merges, `char`
  has those that join the bytes of one character, `bpe` has learned ones besides (Sennrich et al. 2016)
- saved as `tokenizer.json` and `tokenizer_config.json`, which `transformers.AutoTokenizer` opens; reads those of others
- the same vocabulary is also saved as SentencePiece's `tokenizer.model`, for llama.cpp's converter; see `sentencepiece.py`
- the last id ends a document, unless marks were put on top; text that looks like its name stays text
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

from tokenizers import AddedToken, Tokenizer

from daedal.codecs.byte_pairs import (
    BYTE_OF,
    SMALLEST,
    UNUSED,
    assemble,
    encodable,
    state_of,
    train_bpe,
    train_char,
    within_character,
)
from daedal.codecs.framing import Framing
from daedal.codecs.marian import Marian
from daedal.codecs.marks import Marks
from daedal.codecs.sentencepiece import Piece, write_model
from daedal.codecs.tokenizer_files import END, content_of, read_tokenizer
from daedal.errors import DaedalError
from daedal.files import atomic_path, write_json, write_text

Kind = Literal["byte", "char", "bpe"]

_LONG = 10_000  # characters of a text that others need not wait for
_BYTE_FALLBACK = re.compile(r"<0x([0-9A-Fa-f]{2})>")


class TextCodec:
    """Text to ids and back. Made by `train` or `load`."""

    def __init__(self, tokenizer: Tokenizer, settings: dict[str, Any], marian: Marian | None = None) -> None:
        self._tokenizer, self.settings, self._marian = tokenizer, settings, marian
        tokenizer.no_padding()
        tokenizer.no_truncation()
        tokenizer.encode_special_tokens = True
        self._added = tokenizer.get_added_tokens_decoder()
        self._marks: dict[tuple[int, ...], Marks] = {}
        self.special_ids: tuple[int, ...] = tuple(sorted(i for i, token in self._added.items() if token.special))
        self.eos_id = self._id_of("eos_token")
        self.bos_id = self._id_of("bos_token")
        self.pad_id = self._id_of("pad_token")
        self.mask_id = self._id_of("mask_token")
        self.cls_id = self._id_of("cls_token")
        self.sep_id = self._id_of("sep_token")

    @classmethod
    def train(cls, kind: Kind, texts: Iterable[str], vocab_size: int | None = None, marks: Sequence[str] = ()) -> Self:
        """A codec learned from `texts`.

        Args:
            kind: "byte" (258 ids), "char" (an id for each character seen, bytes for the others) or "bpe".
            vocab_size: the most ids, the special one included; for "bpe" 4096 unless given.
            marks: more special tokens, such as those around the turns of a conversation; they come on top.

        Raises:
            DaedalError: there is no text, or `vocab_size` is less than the 258 that bytes and marks take.
        """
        if vocab_size is not None and vocab_size < SMALLEST:
            raise DaedalError(
                f"A vocabulary of {vocab_size} is too small: bytes and marks take {SMALLEST}",
                f"Ask for {SMALLEST} or more",
            )
        if kind == "bpe":
            tokenizer = train_bpe(texts, vocab_size or 4096)
        elif kind == "char":
            tokenizer = train_char(texts, vocab_size)
        elif kind == "byte":
            tokenizer = assemble([], [], SMALLEST)
        else:
            raise DaedalError(f"There is no codec {kind!r}", "Choose byte, char or bpe")
        tokenizer.add_special_tokens(
            [AddedToken(mark, special=True, normalized=False) for mark in (UNUSED, *marks, END)]
        )
        settings = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": END,
            "eos_token": END,
            "pad_token": END,
            "clean_up_tokenization_spaces": False,
            "add_bos_token": False,  # these two are for llama.cpp's converter
            "add_prefix_space": False,
            "daedal_codec": kind,
        }
        return cls(tokenizer, settings)

    @classmethod
    def load(cls, folder: Path | str) -> Self:
        """The codec in `folder`; see `tokenizer_files.py` and `marian.py`.

        Raises:
            DaedalError: the files are missing or damaged.
        """
        folder = Path(folder)
        if Marian.is_in(folder):
            marian = Marian.load(folder)
            return cls(marian.tokenizer, marian.settings, marian)
        return cls(*read_tokenizer(folder))

    def save(self, folder: Path | str, settings: Mapping[str, Any] | None = None) -> None:
        """Write `tokenizer.json`, `tokenizer_config.json` and, for a codec that we trained, `tokenizer.model`.

        Args:
            settings: what a model wants said of its tokenizer besides.
        """
        folder = Path(folder)
        if self._marian is None:
            write_text(folder / "tokenizer.json", self._tokenizer.to_str(pretty=True))
        else:
            self._marian.save(folder)
        write_json(folder / "tokenizer_config.json", {**self.settings, **(settings or {})})
        if "daedal_codec" in self.settings:
            with atomic_path(folder / "tokenizer.model") as temporary:
                temporary.write_bytes(self.sentencepiece())

    def sentencepiece(self) -> bytes:
        """The same vocabulary as a SentencePiece model; only for a codec that we trained."""
        return write_model(self.pieces())

    def pieces(self) -> list[Piece]:
        """The pieces of that model."""
        return [self._piece(id, token) for id, token in self._tokens]

    def _piece(self, id: int, token: str) -> Piece:
        if token == UNUSED:
            return Piece("<0x20>", "byte")
        if id in self.special_ids:  # the format demands one unknown piece
            return Piece(token, "unknown" if token == END else "control")
        raw = self.token_bytes(id)
        if len(raw) == 1 and raw != b" ":
            return Piece(f"<0x{raw[0]:02X}>", "byte")
        text = raw.decode(errors="replace")
        if "\ufffd" in text or "▁" in text:
            return Piece(
                f"<{raw.hex()}>", "unused"
            )  # the first bytes of a character: SentencePiece starts from whole ones
        return Piece(text.replace(" ", "▁"), "normal", -float(id) if len(text) > 1 else 0.0)

    @property
    def filler(self) -> int | None:
        """The id that fills up rows: the end of texts, where there is none for that alone."""
        return self.eos_id if self.pad_id is None else self.pad_id

    @property
    def vocab_size(self) -> int:
        """One more than the greatest id."""
        return self._tokens[-1][0] + 1 if self._tokens else 0

    @cached_property
    def kind(self) -> str:
        """How it was trained; for a codec of others seen from its merges, "other" if it is not byte-level."""
        if self.settings.get("daedal_codec") in ("byte", "char", "bpe"):
            return str(self.settings["daedal_codec"])
        if not self.byte_level:
            return "other"
        merges = self.state()["model"].get("merges", [])
        joined = ("".join(pair) if isinstance(pair, list) else pair.replace(" ", "") for pair in merges)
        if not merges:
            return "byte"
        return "char" if all(within_character(token) for token in joined) else "bpe"

    def encode(self, text: str, special: bool = False) -> list[int]:
        """The ids of `text`. Strings such as `<|endoftext|>` are plain text unless `special`."""
        if self._marian is not None:
            return self._marian.encode([encodable(text)])[0]
        tokenizer, text = self._marking if special else self._tokenizer, encodable(text)
        if len(text) > _LONG:  # a batch lets other threads go on meanwhile
            (encoding,) = tokenizer.encode_batch_fast([text], add_special_tokens=False)
        else:
            encoding = tokenizer.encode(text, add_special_tokens=False)
        ids: list[int] = encoding.ids
        return ids

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of many texts, on all cores."""
        texts = [encodable(text) for text in texts]
        if self._marian is not None:
            return self._marian.encode(texts)
        encodings = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return [encoding.ids for encoding in encodings]

    @property
    def two_sided(self) -> bool:
        """Whether what is written has other pieces than what is read."""
        return self._marian is not None

    def encode_targets(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of texts that are to be written."""
        if self._marian is None:
            return self.encode_batch(texts)
        return self._marian.encode([encodable(text) for text in texts], written=True)

    def encode_with_places(self, texts: Sequence[str]) -> list[tuple[list[int], list[tuple[int, int]]]]:
        """The ids of many texts, and of which characters each is: from the first to before the last."""
        texts = [encodable(text) for text in texts]
        if self._marian is not None:
            return self._marian.encode_with_places(texts)
        encodings = self._tokenizer.encode_batch(texts, add_special_tokens=False)
        return [(encoding.ids, encoding.offsets) for encoding in encodings]

    @cached_property
    def framing(self) -> Framing:
        """What a model that reads both ways has around its texts."""
        return Framing.of(self._tokenizer)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of `ids`; special tokens are left out, bytes that are not UTF-8 become U+FFFD."""
        text: str = self._tokenizer.decode(list(ids), skip_special_tokens=True)
        return text

    def token_bytes(self, id: int) -> bytes:
        """The bytes that a token adds to the text; none for a special token or an id that has no token."""
        return self._bytes.get(id, b"")

    def piece(self, id: int) -> str:
        """A token as its vocabulary spells it."""
        return self._tokenizer.id_to_token(id) or ""

    def id_of(self, piece: str) -> int | None:
        """The id of a token that its vocabulary spells so."""
        id: int | None = self._tokenizer.token_to_id(piece)
        return id

    def name(self, id: int) -> str:
        """What to call a token: its text, and for a special one its mark."""
        if id in self._added:
            return self._added[id].content
        return self.token_bytes(id).decode("utf-8", "replace")

    @cached_property
    def prefix_ids(self) -> tuple[int, ...]:
        """What the tokenizer puts before every text that a model reads (Llama's `<s>`, say); nothing for those we train."""
        ids = self._tokenizer.encode("", add_special_tokens=True).ids
        return tuple(ids[:1]) if ids and ids[0] == self.bos_id else ()

    def fingerprint(self) -> str:
        """SHA-256 of the vocabulary, the merges and the special tokens."""
        if self._marian is not None:
            return self._marian.fingerprint()
        state = self.state()
        added = sorted((i, token.content) for i, token in self._added.items())
        kept = {key: state.get(key) for key in ("model", "normalizer", "pre_tokenizer")}
        canonical = json.dumps([kept, added], sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(canonical.encode()).hexdigest()

    def state(self) -> dict[str, Any]:
        """What `tokenizer.json` says."""
        return state_of(self._tokenizer)

    @cached_property
    def _marking(self) -> Tokenizer:
        tokenizer = Tokenizer.from_str(self._tokenizer.to_str())
        tokenizer.encode_special_tokens = False
        return tokenizer

    def marks(self, template: str = "") -> Marks:
        """Reads texts whose special tokens are told from what only spells them out.

        Args:
            template: what a chat template writes by itself: the added tokens in it are special too, whatever their file says
                (DeepSeek's `<｜User｜>`).
        """
        chosen = tuple(id for id, token in self._added.items() if token.special or token.content in template)
        if chosen not in self._marks:
            self._marks[chosen] = Marks(self._tokenizer, {id: self._added[id] for id in chosen})
        return self._marks[chosen]

    @cached_property
    def _tokens(self) -> list[tuple[int, str]]:
        return sorted((id, token) for token, id in self._tokenizer.get_vocab(with_added_tokens=True).items())

    @cached_property
    def byte_level(self) -> bool:
        """Whether tokens are made of bytes, each with a printable stand-in."""
        state = self.state()
        return '"ByteLevel"' in json.dumps([state.get("pre_tokenizer"), state.get("decoder")])

    @cached_property
    def spaced(self) -> bool:
        """Whether a space is part of the word behind it, as `▁`."""
        return not self.byte_level and any(token.startswith("▁") for _, token in self._tokens)

    @cached_property
    def _bytes(self) -> dict[int, bytes]:
        return {id: self._bytes_of(id, token) for id, token in self._tokens}

    def _bytes_of(self, id: int, token: str) -> bytes:
        if id in self._added:
            return b"" if self._added[id].special else self._added[id].content.encode()
        if self.byte_level:
            return b"".join(bytes([BYTE_OF[c]]) if c in BYTE_OF else c.encode() for c in token)
        fallback = _BYTE_FALLBACK.fullmatch(token)
        return bytes([int(fallback[1], 16)]) if fallback else token.replace("▁", " ").encode()

    def _id_of(self, name: str) -> int | None:
        content = content_of(self.settings.get(name))
        return None if content is None else self._tokenizer.token_to_id(content)
