"""Text and token ids: byte, character and byte-pair codecs over one `tokenizers.Tokenizer`.

- the kinds we train are all byte-level pair merging, so every string comes back as it was: `byte` has no merges, `char`
  has those that join the bytes of one character, `bpe` has learned ones (Sennrich et al. 2016)
- saved as `tokenizer.json` and `tokenizer_config.json`, which `transformers.AutoTokenizer` opens; reads those of others
- the one special token, the last id, ends a document; text that looks like it stays text
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from daedal.errors import DaedalError
from daedal.files import read_json, write_json, write_text

Kind = Literal["byte", "char", "bpe"]
END = "<|endoftext|>"

# GPT-4's pattern, with numbers cut in twos, not threes: better for small vocabularies
PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,2}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_BYTE_FALLBACK = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_MAX_FILE = 2**28


def _byte_characters() -> dict[int, str]:
    """GPT-2's printable stand-in for each byte."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {**{b: chr(b) for b in printable}, **{b: chr(256 + i) for i, b in enumerate(others)}}


_CHARACTER_OF = _byte_characters()
_BYTE_OF = {character: byte for byte, character in _CHARACTER_OF.items()}


class TextCodec:
    """Text to ids and back. Made by `train` or `load`."""

    def __init__(self, tokenizer: Tokenizer, settings: dict[str, Any]) -> None:
        self._tokenizer, self._settings = tokenizer, settings
        tokenizer.no_padding()
        tokenizer.no_truncation()
        tokenizer.encode_special_tokens = True
        self._added = tokenizer.get_added_tokens_decoder()
        self.special_ids: tuple[int, ...] = tuple(sorted(i for i, token in self._added.items() if token.special))
        self.eos_id = self._id_of("eos_token")
        self.bos_id = self._id_of("bos_token")
        self.pad_id = self._id_of("pad_token")

    @classmethod
    def train(cls, kind: Kind, texts: Iterable[str], vocab_size: int | None = None) -> Self:
        """A codec learned from `texts`.

        Args:
            kind: "byte" (257 ids), "char" (an id for each character seen, bytes for the others) or "bpe".
            vocab_size: the most ids, the special one included; for "bpe" 4096 unless given.

        Raises:
            DaedalError: there is no text, or `vocab_size` is less than the 257 that all bytes take.
        """
        if vocab_size is not None and vocab_size < 257:
            raise DaedalError(
                f"A vocabulary of {vocab_size} is too small: the bytes and the end mark take 257", "Ask for 257 or more"
            )
        if kind == "bpe":
            tokenizer = _train_bpe(texts, vocab_size or 4096)
        elif kind == "char":
            tokenizer = _train_char(texts, vocab_size)
        elif kind == "byte":
            tokenizer = _byte_level(_alphabet(), [])
        else:
            raise DaedalError(f"There is no codec {kind!r}", "Choose byte, char or bpe")
        tokenizer.add_special_tokens([AddedToken(END, special=True, normalized=False)])
        settings = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": END,
            "eos_token": END,
            "pad_token": END,
            "clean_up_tokenization_spaces": False,
            "daedal_codec": kind,
        }
        return cls(tokenizer, settings)

    @classmethod
    def load(cls, folder: Path | str) -> Self:
        """The codec in `folder`: `tokenizer.json`, or GPT-2's `vocab.json` and `merges.txt`.

        Raises:
            DaedalError: the files are missing or damaged.
        """
        folder = Path(folder)
        path = folder / "tokenizer.json"
        if not path.exists() and (folder / "vocab.json").exists() and (folder / "merges.txt").exists():
            tokenizer = _read_gpt2(folder)
        else:
            value = read_json(path)
            try:
                tokenizer = Tokenizer.from_str(json.dumps(value))
            except BaseException as error:  # the Rust library panics on some damaged files: not an Exception
                if isinstance(error, KeyboardInterrupt):
                    raise
                raise DaedalError(f"{path} is not a tokenizer ({error})", "Restore it from a copy") from None
        settings_path = folder / "tokenizer_config.json"
        settings = read_json(settings_path) if settings_path.exists() else {}
        if not isinstance(settings, dict):
            raise DaedalError(f"{settings_path} does not hold a JSON object", "Restore it from a copy")
        return cls(tokenizer, settings)

    def save(self, folder: Path | str) -> None:
        """Write `tokenizer.json` and `tokenizer_config.json`."""
        folder = Path(folder)
        write_text(folder / "tokenizer.json", self._tokenizer.to_str(pretty=True))
        write_json(folder / "tokenizer_config.json", self._settings)

    @property
    def vocab_size(self) -> int:
        """One more than the greatest id."""
        return self._tokens[-1][0] + 1 if self._tokens else 0

    @cached_property
    def kind(self) -> str:
        """How it was trained; for a codec of others seen from its merges, "other" if it is not byte-level."""
        if self._settings.get("daedal_codec") in ("byte", "char", "bpe"):
            return str(self._settings["daedal_codec"])
        if not self._byte_level:
            return "other"
        merges = _state(self._tokenizer)["model"].get("merges", [])
        joined = ("".join(pair) if isinstance(pair, list) else pair.replace(" ", "") for pair in merges)
        if not merges:
            return "byte"
        return "char" if all(_within_character(token) for token in joined) else "bpe"

    def encode(self, text: str, special: bool = False) -> list[int]:
        """The ids of `text`. Strings such as `<|endoftext|>` are plain text unless `special`."""
        tokenizer = self._marking if special else self._tokenizer
        ids: list[int] = tokenizer.encode(_encodable(text), add_special_tokens=False).ids
        return ids

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of many texts, on all cores."""
        encodings = self._tokenizer.encode_batch_fast([_encodable(text) for text in texts], add_special_tokens=False)
        return [encoding.ids for encoding in encodings]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of `ids`; special tokens are left out, bytes that are not UTF-8 become U+FFFD."""
        text: str = self._tokenizer.decode(list(ids), skip_special_tokens=True)
        return text

    def token_bytes(self, id: int) -> bytes:
        """The bytes that a token adds to the text; none for a special token or an id that has no token."""
        return self._bytes.get(id, b"")

    @cached_property
    def prefix_ids(self) -> tuple[int, ...]:
        """What the tokenizer puts before every text that a model reads (Llama's `<s>`, say); nothing for those we train."""
        ids = self._tokenizer.encode("", add_special_tokens=True).ids
        return tuple(ids[:1]) if ids and ids[0] == self.bos_id else ()

    def fingerprint(self) -> str:
        """SHA-256 of the vocabulary, the merges and the special tokens."""
        state = _state(self._tokenizer)
        added = sorted((i, token.content) for i, token in self._added.items())
        kept = {key: state.get(key) for key in ("model", "normalizer", "pre_tokenizer")}
        canonical = json.dumps([kept, added], sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(canonical.encode()).hexdigest()

    @cached_property
    def _marking(self) -> Tokenizer:
        tokenizer = Tokenizer.from_str(self._tokenizer.to_str())
        tokenizer.encode_special_tokens = False
        return tokenizer

    @cached_property
    def _tokens(self) -> list[tuple[int, str]]:
        return sorted((id, token) for token, id in self._tokenizer.get_vocab(with_added_tokens=True).items())

    @cached_property
    def _byte_level(self) -> bool:
        state = _state(self._tokenizer)
        return '"ByteLevel"' in json.dumps([state.get("pre_tokenizer"), state.get("decoder")])

    @cached_property
    def _bytes(self) -> dict[int, bytes]:
        return {id: self._bytes_of(id, token) for id, token in self._tokens}

    def _bytes_of(self, id: int, token: str) -> bytes:
        if id in self._added:
            return b"" if self._added[id].special else self._added[id].content.encode()
        if self._byte_level:
            return b"".join(bytes([_BYTE_OF[c]]) if c in _BYTE_OF else c.encode() for c in token)
        fallback = _BYTE_FALLBACK.fullmatch(token)
        return bytes([int(fallback[1], 16)]) if fallback else token.replace("▁", " ").encode()

    def _id_of(self, name: str) -> int | None:
        token = self._settings.get(name)
        content = token.get("content") if isinstance(token, dict) else token
        return self._tokenizer.token_to_id(content) if isinstance(content, str) else None


def _encodable(text: str) -> str:
    """Lone surrogates cannot be UTF-8: they become U+FFFD."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _state(tokenizer: Tokenizer) -> dict[str, Any]:
    state: dict[str, Any] = json.loads(tokenizer.to_str())
    return state


def _alphabet() -> dict[str, int]:
    return {_CHARACTER_OF[byte]: byte for byte in range(256)}


def _byte_level(vocabulary: dict[str, int], merges: list[tuple[str, str]]) -> Tokenizer:
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
    tokenizer = _byte_level({}, [])
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - 1,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
        max_token_length=64,
    )
    seen = _Seen(texts)
    tokenizer.train_from_iterator(seen, trainer)
    seen.check()
    return tokenizer


def _train_char(texts: Iterable[str], vocab_size: int | None) -> Tokenizer:
    counts: Counter[str] = Counter()
    seen = _Seen(texts)
    for text in seen:
        counts.update(_encodable(text))
    seen.check()
    vocabulary, merges = _alphabet(), list[tuple[str, str]]()
    for character, _ in counts.most_common():
        if character.isascii():
            continue
        stands = [_CHARACTER_OF[byte] for byte in character.encode()]
        joins = [("".join(stands[:i]), stands[i]) for i in range(1, len(stands))]
        new = [pair for pair in joins if "".join(pair) not in vocabulary]
        if vocab_size is not None and len(vocabulary) + len(new) > vocab_size - 1:
            break
        for pair in new:
            vocabulary["".join(pair)] = len(vocabulary)
            merges.append(pair)
    return _byte_level(vocabulary, merges)


def _within_character(token: str) -> bool:
    """Whether these stand-ins are the first bytes of one character."""
    raw = bytes(_BYTE_OF.get(c, 0) for c in token)
    lengths = {0b110: 2, 0b1110: 3, 0b11110: 4}
    length = next((n for lead, n in lengths.items() if raw[0] >> (7 - n if n < 4 else 3) == lead), 1)
    return 1 < len(raw) <= length and all(byte >> 6 == 0b10 for byte in raw[1:])


def _read_gpt2(folder: Path) -> Tokenizer:
    try:
        model = models.BPE.from_file(str(folder / "vocab.json"), str(folder / "merges.txt"))
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        raise DaedalError(f"The vocabulary in {folder} is damaged ({error})", "Restore it from a copy") from None
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    if tokenizer.token_to_id(END) is not None:
        tokenizer.add_special_tokens([AddedToken(END, special=True, normalized=False)])
    return tokenizer


class _Seen:
    """Passes texts on and remembers whether there was any."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts, self._any = texts, False

    def __iter__(self) -> Any:
        for text in self._texts:
            self._any = self._any or bool(text)
            yield _encodable(text)

    def check(self) -> None:
        if not self._any:
            raise DaedalError(
                "There is no text to learn a vocabulary from", "Give at least one document that is not empty"
            )
