"""Text and token ids: byte, character and byte-pair codecs over one `tokenizers.Tokenizer`.

- the kinds we train are all byte-level pair merging, so every string comes back as it was: `byte` has no merges, `char`
  has those that join the bytes of one character, `bpe` has learned ones besides (Sennrich et al. 2016)
- saved as `tokenizer.json` and `tokenizer_config.json`, which `transformers.AutoTokenizer` opens; reads those of others
- the same vocabulary is also saved as SentencePiece's `tokenizer.model`, for llama.cpp's converter; see `sentencepiece.py`
- the last id ends a document; text that looks like its name stays text
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from daedal.codecs.framing import Framing
from daedal.codecs.marks import Marks
from daedal.codecs.sentencepiece import Piece, write_model
from daedal.codecs.tokenizer_files import END, read_tokenizer
from daedal.errors import DaedalError
from daedal.files import atomic_path, write_json, write_text

Kind = Literal["byte", "char", "bpe"]

# Words as GPT-4 cuts them, but so that two neighbouring characters alone decide whether a word may end between them: then
# no token can lie across that place, and SentencePiece, which has no pattern, finds the same tokens. Digits stand alone.
PATTERN = r"[^\S\r\n]*[\p{L}']+|[^\S\r\n]*\p{N}|[^\S\r\n]*[^\s\p{L}\p{N}']+[\r\n]*|[\r\n]+|[^\S\r\n]+"
SMALLEST = 258
"""The fewest ids: 256 for bytes, one more for the space, one for the end mark."""
_LONG = 10_000  # characters of a text that others need not wait for
_LONGEST_WORD = 1024  # characters of a word that a vocabulary is learned from
_BYTE_FALLBACK = re.compile(r"<0x([0-9A-Fa-f]{2})>")


def _byte_characters() -> dict[int, str]:
    """GPT-2's printable stand-in for each byte."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {**{b: chr(b) for b in printable}, **{b: chr(256 + i) for i, b in enumerate(others)}}


_CHARACTER_OF = _byte_characters()
# SentencePiece wants a piece for the byte 0x20 besides the piece for the space: this id is never used
UNUSED = "<|unused|>"
_BYTE_OF = {character: byte for byte, character in _CHARACTER_OF.items()}


class TextCodec:
    """Text to ids and back. Made by `train` or `load`."""

    two_sided = False
    """Whether what is written has other pieces than what is read."""

    def __init__(self, tokenizer: Tokenizer, settings: dict[str, Any]) -> None:
        self._tokenizer, self.settings = tokenizer, settings
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
            tokenizer = _train_bpe(texts, vocab_size or 4096)
        elif kind == "char":
            tokenizer = _train_char(texts, vocab_size)
        elif kind == "byte":
            tokenizer = _assemble([], [], SMALLEST)
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
    def load(cls, folder: Path | str) -> "TextCodec":
        """The codec in `folder`; see `tokenizer_files.py` and `marian.py`.

        Raises:
            DaedalError: the files are missing or damaged.
        """
        folder = Path(folder)
        if (folder / "source.spm").exists() and not (folder / "tokenizer.json").exists():
            from daedal.codecs.marian import MarianCodec

            return MarianCodec.load(folder)
        return cls(*read_tokenizer(folder))

    def save(self, folder: Path | str, settings: Mapping[str, Any] | None = None) -> None:
        """Write `tokenizer.json`, `tokenizer_config.json` and, for a codec that we trained, `tokenizer.model`.

        Args:
            settings: what a model wants said of its tokenizer besides.
        """
        folder = Path(folder)
        write_text(folder / "tokenizer.json", self._tokenizer.to_str(pretty=True))
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
        return "char" if all(_within_character(token) for token in joined) else "bpe"

    def encode(self, text: str, special: bool = False) -> list[int]:
        """The ids of `text`. Strings such as `<|endoftext|>` are plain text unless `special`."""
        tokenizer, text = self._marking if special else self._tokenizer, encodable(text)
        if len(text) > _LONG:  # a batch lets other threads go on meanwhile
            (encoding,) = tokenizer.encode_batch_fast([text], add_special_tokens=False)
        else:
            encoding = tokenizer.encode(text, add_special_tokens=False)
        ids: list[int] = encoding.ids
        return ids

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of many texts, on all cores."""
        encodings = self._tokenizer.encode_batch_fast([encodable(text) for text in texts], add_special_tokens=False)
        return [encoding.ids for encoding in encodings]

    def encode_targets(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of texts that are to be written, where a tokenizer has other pieces for them than for those that are read."""
        return self.encode_batch(texts)

    def encode_with_places(self, texts: Sequence[str]) -> list[tuple[list[int], list[tuple[int, int]]]]:
        """The ids of many texts, and of which characters each is: from the first to before the last."""
        encodings = self._tokenizer.encode_batch([encodable(text) for text in texts], add_special_tokens=False)
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
        state = self.state()
        added = sorted((i, token.content) for i, token in self._added.items())
        kept = {key: state.get(key) for key in ("model", "normalizer", "pre_tokenizer")}
        canonical = json.dumps([kept, added], sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(canonical.encode()).hexdigest()

    def state(self) -> dict[str, Any]:
        """What `tokenizer.json` says."""
        return _state(self._tokenizer)

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
            return b"".join(bytes([_BYTE_OF[c]]) if c in _BYTE_OF else c.encode() for c in token)
        fallback = _BYTE_FALLBACK.fullmatch(token)
        return bytes([int(fallback[1], 16)]) if fallback else token.replace("▁", " ").encode()

    def _id_of(self, name: str) -> int | None:
        token = self.settings.get(name)
        content = token.get("content") if isinstance(token, dict) else token
        return self._tokenizer.token_to_id(content) if isinstance(content, str) else None


def encodable(text: str) -> str:
    """Lone surrogates cannot be UTF-8: they become U+FFFD."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _state(tokenizer: Tokenizer) -> dict[str, Any]:
    state: dict[str, Any] = json.loads(tokenizer.to_str())
    return state


def _stand_ins(text: str) -> str:
    return "".join(_CHARACTER_OF[byte] for byte in text.encode())


def _assemble(characters: Iterable[str], pairs: Iterable[tuple[str, str]], vocab_size: int | None) -> Tokenizer:
    """Bytes, then what joins them to these characters, then what joins pairs of tokens, until the vocabulary is full."""
    vocabulary = {_CHARACTER_OF[byte]: byte for byte in range(256) if byte != 0x20} | {
        UNUSED: 0x20,
        _stand_ins(" "): 256,
    }
    room = (vocab_size or 2**31) - 1
    merges: list[tuple[str, str]] = []
    for character in characters:
        stand_ins = _stand_ins(character)
        joins = [(stand_ins[:i], stand_ins[i]) for i in range(1, len(stand_ins))]
        new = [join for join in joins if "".join(join) not in vocabulary]
        if len(vocabulary) + len(new) > room:
            break
        for join in new:
            vocabulary["".join(join)] = len(vocabulary)
            merges.append(join)
    tokens: dict[str, tuple[str, str]] = {}
    for left, right in pairs:
        known = all(_stand_ins(part) in vocabulary for part in (left, right))
        if known and _stand_ins(left + right) not in vocabulary and len(vocabulary) < room:
            vocabulary[_stand_ins(left + right)] = len(vocabulary)
            tokens[left + right] = (left, right)
    for token, learned in tokens.items():
        # SentencePiece joins any two neighbours that make a token, so we must too
        splits = [learned, *((token[:i], token[i:]) for i in range(1, len(token)))]
        joins = [(_stand_ins(left), _stand_ins(right)) for left, right in dict.fromkeys(splits)]
        merges += [join for join in joins if join[0] in vocabulary and join[1] in vocabulary]
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PATTERN), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _train_bpe(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """Learned on whole characters, so that no token begins or ends inside one."""
    tokenizer = Tokenizer(models.BPE())
    # A merge takes the square of a word's length, and a file may be one word
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(PATTERN), behavior="isolated"), pre_tokenizers.FixedLength(_LONGEST_WORD)]
    )
    ascii_characters = [chr(code) for code in range(128)]
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        initial_alphabet=ascii_characters,
        limit_alphabet=128 + (vocab_size - SMALLEST) // 4,  # a rarer character is its bytes
        max_token_length=64,
        show_progress=False,
    )
    seen = _Seen(texts)
    tokenizer.train_from_iterator(seen, trainer)
    seen.check()
    model = _state(tokenizer)["model"]
    characters = [token for token in model["vocab"] if len(token) == 1 and not token.isascii()]
    return _assemble(characters, map(tuple, model["merges"]), vocab_size)


def _train_char(texts: Iterable[str], vocab_size: int | None) -> Tokenizer:
    counts: Counter[str] = Counter()
    seen = _Seen(texts)
    for text in seen:
        counts.update(text)
    seen.check()
    return _assemble((character for character, _ in counts.most_common() if not character.isascii()), [], vocab_size)


def _within_character(token: str) -> bool:
    """Whether these stand-ins are the first bytes of one character."""
    raw = bytes(_BYTE_OF.get(c, 0) for c in token)
    lengths = {0b110: 2, 0b1110: 3, 0b11110: 4}
    length = next((n for lead, n in lengths.items() if raw[0] >> (7 - n if n < 4 else 3) == lead), 1)
    return 1 < len(raw) <= length and all(byte >> 6 == 0b10 for byte in raw[1:])


class _Seen:
    """Passes texts on and remembers whether there was any."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts, self._any = texts, False

    def __iter__(self) -> Any:
        for text in self._texts:
            self._any = self._any or bool(text)
            yield encodable(text)

    def check(self) -> None:
        if not self._any:
            raise DaedalError(
                "There is no text to learn a vocabulary from", "Give at least one document that is not empty"
            )
