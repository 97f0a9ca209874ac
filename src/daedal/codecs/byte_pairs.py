"""Byte-level vocabularies: bytes, what joins them to characters, and learned pairs (Sennrich et al. 2016)."""

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from daedal.errors import DaedalError

# Words as GPT-4 cuts them, but so that two neighbouring characters alone decide whether a word may end between them: then
# no token can lie across that place, and SentencePiece, which has no pattern, finds the same tokens. Digits stand alone.
PATTERN = r"[^\S\r\n]*[\p{L}']+|[^\S\r\n]*\p{N}|[^\S\r\n]*[^\s\p{L}\p{N}']+[\r\n]*|[\r\n]+|[^\S\r\n]+"
SMALLEST = 258
"""The fewest ids: 256 for bytes, one more for the space, one for the end mark."""
_LONGEST_WORD = 1024  # characters of a word that a vocabulary is learned from


def _byte_characters() -> dict[int, str]:
    """GPT-2's printable stand-in for each byte."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {**{b: chr(b) for b in printable}, **{b: chr(256 + i) for i, b in enumerate(others)}}


CHARACTER_OF = _byte_characters()
# SentencePiece wants a piece for the byte 0x20 besides the piece for the space: this id is never used
UNUSED = "<|unused|>"
BYTE_OF = {character: byte for byte, character in CHARACTER_OF.items()}


def encodable(text: str) -> str:
    """Lone surrogates cannot be UTF-8: they become U+FFFD."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def state_of(tokenizer: Tokenizer) -> dict[str, Any]:
    state: dict[str, Any] = json.loads(tokenizer.to_str())
    return state


def _stand_ins(text: str) -> str:
    return "".join(CHARACTER_OF[byte] for byte in text.encode())


def assemble(characters: Iterable[str], pairs: Iterable[tuple[str, str]], vocab_size: int | None) -> Tokenizer:
    """Bytes, then what joins them to these characters, then what joins pairs of tokens, until the vocabulary is full."""
    vocabulary = {CHARACTER_OF[byte]: byte for byte in range(256) if byte != 0x20} | {
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


def train_bpe(texts: Iterable[str], vocab_size: int) -> Tokenizer:
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
    model = state_of(tokenizer)["model"]
    characters = [token for token in model["vocab"] if len(token) == 1 and not token.isascii()]
    return assemble(characters, map(tuple, model["merges"]), vocab_size)


def train_char(texts: Iterable[str], vocab_size: int | None) -> Tokenizer:
    counts: Counter[str] = Counter()
    seen = _Seen(texts)
    for text in seen:
        counts.update(text)
    seen.check()
    return assemble((character for character, _ in counts.most_common() if not character.isascii()), [], vocab_size)


def within_character(token: str) -> bool:
    """Whether these stand-ins are the first bytes of one character."""
    raw = bytes(BYTE_OF.get(c, 0) for c in token)
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
