"""The codecs of columns: values -> rows of ids. Learned from the train split, saved with the data, shared by columns."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Generic, NamedTuple, Protocol, Self, TypeVar

import numpy as np
from jaxtyping import Bool, Int64

from daedal.codecs.chat import CHATML, TURNS, ChatTemplate
from daedal.codecs.clip import ClipCodec
from daedal.codecs.items import END as END_OF_HISTORY
from daedal.codecs.items import ItemCodec
from daedal.codecs.sound import SoundCodec
from daedal.codecs.text import TextCodec
from daedal.codecs.tune import Tune
from daedal.codecs.tune_codec import TuneCodec
from daedal.codecs.turns import Turns
from daedal.data.columns import Column, Ragged, Signal, Words
from daedal.data.encode import Encoder, id_dtype
from daedal.data.example_options import ExampleOptions
from daedal.data.kind import Kind
from daedal.data.vocabulary import choose_codec, choose_vocabulary, given_tokenizer
from daedal.errors import DaedalError
from daedal.files import write_json, write_text
from daedal.models.habits import GENERATION, TEMPLATE

Array = np.ndarray
C = TypeVar("C", bound="_Codec")


class Rows(NamedTuple):
    """Encoded values.

    Attributes:
        counts: ids of each, its end included.
        ids: of all.
        learned: which of them a model is to learn to say; None for all.
    """

    counts: Int64[Array, " values"]
    ids: Array
    learned: Bool[Array, " ids"] | None = None

    @classmethod
    def of(cls, rows: Sequence[Any], vocab_size: int) -> "Rows":
        """The ids of each value."""
        dtype = id_dtype(vocab_size)
        counts = np.array([len(row) for row in rows], dtype=np.int64)
        return cls(
            counts, np.concatenate([np.asarray(row, dtype=dtype) for row in rows]) if rows else np.zeros(0, dtype)
        )


class Train(NamedTuple):
    """What a codec is learned from.

    Attributes:
        values: of the train split's columns that share it, or a sample of them.
        texts: what is written in them.
        size: bytes of all texts of the split.
    """

    values: Callable[[], Iterator[Any]]
    texts: Callable[[], Iterator[str]]
    size: int
    options: ExampleOptions


class ColumnCodec(Protocol):
    """What makes ids of the values of columns."""

    @property
    def vocab_size(self) -> int: ...

    @property
    def described(self) -> str:
        """In a few words, for the card."""

    @classmethod
    def fit(cls, train: Train) -> Self:
        """Learned from the train split."""

    def encode(self, values: Sequence[Any]) -> Rows: ...
    def fingerprint(self) -> str: ...
    def save(self, folder: Path) -> None: ...
    @classmethod
    def load(cls, folder: Path) -> Self: ...


class _Codec(Protocol):
    @property
    def vocab_size(self) -> int: ...
    def fingerprint(self) -> str: ...
    def save(self, folder: Path) -> None: ...


class _Columns(Generic[C]):
    """Columns of a codec that knows its size, its fingerprint and its files.

    Attributes:
        of: its class.
    """

    of: ClassVar[Any]

    def __init__(self, codec: C) -> None:
        self.codec = codec

    @property
    def vocab_size(self) -> int:
        return self.codec.vocab_size

    def fingerprint(self) -> str:
        return self.codec.fingerprint()

    def save(self, folder: Path) -> None:
        self.codec.save(folder)

    @classmethod
    def load(cls, folder: Path) -> Self:
        return cls(cls.of.load(folder))


class TextColumns(_Columns[TextCodec]):
    """Text, each value followed by the end of text."""

    of = TextCodec

    @classmethod
    def fit(cls, train: Train) -> Self:
        return cls(learn(train))

    @cached_property
    def encoder(self) -> Encoder:
        """Text to ids, at speed."""
        return Encoder(self.codec)

    @property
    def described(self) -> str:
        return f"{self.codec.kind}, {self.codec.vocab_size:,} tokens"

    def encode(self, values: Sequence[Any]) -> Rows:
        return Rows(*self.encoder(values))


class ChatColumns:
    """Conversations, each with the tools it has: turns by a chat template, of which only what the assistant says is learned."""

    def __init__(self, codec: TextCodec, template: ChatTemplate) -> None:
        self.codec, self.template = codec, template

    @classmethod
    def fit(cls, train: Train) -> Self:
        given = train.options.tokenizer
        if given is not None:
            return cls(given_tokenizer(given), ChatTemplate.load(Path(given).expanduser()))
        return cls(learn(train, TURNS), ChatTemplate(CHATML))

    @property
    def vocab_size(self) -> int:
        return self.codec.vocab_size

    @property
    def described(self) -> str:
        how = (
            "one line a turn"
            if self.template.plain
            else "ChatML"
            if self.template.source == CHATML
            else "its own turns"
        )
        return f"{self.codec.kind}, {self.codec.vocab_size:,} tokens, {how}"

    def encode(self, values: Sequence[Any]) -> Rows:
        assert self.codec.eos_id is not None
        turns, end = Turns(self.codec, self.template), np.array([self.codec.eos_id])
        read = [turns.read(value) for value in values]
        counts = np.array([len(each.ids) + 1 for each in read], dtype=np.int64)
        if not read:
            return Rows(counts, np.zeros(0, id_dtype(self.vocab_size)), np.zeros(0, dtype=bool))
        ids = np.concatenate([part for each in read for part in (each.ids, end)])
        said = np.concatenate([part for each in read for part in (each.said, [False])])
        return Rows(counts, ids.astype(id_dtype(self.vocab_size)), said)

    def fingerprint(self) -> str:
        return hashlib.sha256(f"{self.codec.fingerprint()} {self.template.source}".encode()).hexdigest()

    def save(self, folder: Path) -> None:
        """Beside the tokenizer the template and what ends a text, where a model that learns from the data finds them."""
        self.codec.save(folder)
        write_text(folder / TEMPLATE, self.template.source)
        ends = [end for stop in self.template.stops for end in self.codec.encode(stop, special=True)[:1]]
        if self.template.source == CHATML:
            write_json(folder / GENERATION, {"eos_token_id": [*ends, self.codec.eos_id]})

    @classmethod
    def load(cls, folder: Path) -> Self:
        return cls(_open(folder), ChatTemplate.load(folder))


class ItemColumns(_Columns[ItemCodec]):
    """Items, each history followed by its end."""

    of = ItemCodec

    @classmethod
    def fit(cls, train: Train) -> Self:
        return cls(ItemCodec.fit(train.values()))

    @property
    def described(self) -> str:
        return f"{len(self.codec.names):,} items"

    def encode(self, values: Sequence[Any]) -> Rows:
        return Rows.of([[*self.codec.encode(value), END_OF_HISTORY] for value in values], self.vocab_size)


class TuneColumns(_Columns[TuneCodec]):
    """Tunes, each between its begin and its end, behind what is said of it."""

    of = TuneCodec

    @classmethod
    def fit(cls, train: Train) -> Self:
        options: Any = train.options
        tunes = lambda: map(Tune.of_values, train.values())  # noqa: E731
        return cls(TuneCodec.fit(tunes, options.layout, options.steps, options.voices))

    @property
    def described(self) -> str:
        return self.codec.described

    def encode(self, values: Sequence[Any]) -> Rows:
        return Rows.of([self.codec.encode(Tune.of_values(value)) for value in values], self.vocab_size)


class SoundColumns(_Columns[SoundCodec]):
    """Sounds, as samples at one rate: that which is asked for, or most of the train split has."""

    of = SoundCodec

    @classmethod
    def fit(cls, train: Train) -> Self:
        options: Any = train.options
        rates = Counter(int(signal.rate) for signal in train.values()) if options.rate is None else Counter()
        rate = options.rate or max(rates, key=lambda each: (rates[each], each))
        return cls(SoundCodec(rate=rate, trim=options.trim, loudness=options.loudness))

    @property
    def described(self) -> str:
        return f"{self.codec.rate:,} samples a second, 16 bits, mono"

    def encode(self, values: Sequence[Any]) -> Rows:
        return Rows.of([self.codec.encode(each.values, each.rate) for each in values], self.vocab_size)

    def decode(self, ids: Array) -> Signal:
        """The sound of a row."""
        return Signal(self.codec.decode(ids), float(self.codec.rate))


class ClipColumns(_Columns[ClipCodec]):
    """Clips of one size and number of frames: those that are asked for."""

    of = ClipCodec

    @classmethod
    def fit(cls, train: Train) -> Self:
        options: Any = train.options
        return cls(ClipCodec(frames=options.frames, height=options.size, width=options.size))

    @property
    def described(self) -> str:
        return f"{self.codec.frames} frames of {self.codec.width} x {self.codec.height} pixels, RGB"

    def encode(self, values: Sequence[Any]) -> Rows:
        return Rows.of([self.codec.encode(each.values, each.rate) for each in values], self.vocab_size)

    def decode(self, ids: Array) -> Signal:
        """The clip of a row."""
        return Signal(*self.codec.decode(ids))


CODECS: dict[str, type[ColumnCodec]] = {
    "text": TextColumns,
    "chat": ChatColumns,
    "items": ItemColumns,
    "tune": TuneColumns,
    "sound": SoundColumns,
    "clip": ClipColumns,
}


def codec_of(column: Column) -> str | None:
    """The name of the codec that learns from a column."""
    return column.codec if isinstance(column, Ragged) else "text" if isinstance(column, Words) else None


def names_of(columns: Mapping[str, Column]) -> list[str]:
    """The codecs of columns, each once."""
    found = (codec_of(column) for column in columns.values())
    return list(dict.fromkeys(name for name in found if name is not None))


def load_codecs(kind: Kind, folder: Path) -> dict[str, ColumnCodec]:
    """The codecs of a kind's columns, that lie in folders of their names; none of columns that no example has."""
    there = (name for name in names_of(kind.columns) if (folder / name).is_dir())
    return {name: CODECS[name].load(folder / name) for name in there}


def _open(folder: Path) -> TextCodec:
    codec = TextCodec.load(folder)
    if codec.eos_id is None:
        raise DaedalError(f"{folder}: its tokenizer has no end of text", "Build the data again")
    return codec


def learn(train: Train, marks: Sequence[str] = ()) -> TextCodec:
    """The codec of text that the options ask for; `marks` are special tokens on top."""
    options = train.options
    if options.tokenizer is not None:
        return given_tokenizer(options.tokenizer)
    kind, vocabulary = options.codec, options.vocab_size
    if kind == "auto":
        kind, chosen = choose_codec(train.size)
        kind, vocabulary = ("bpe", vocabulary) if vocabulary is not None else (kind, chosen)
    elif kind == "bpe":
        vocabulary = vocabulary or choose_vocabulary(train.size)
    return TextCodec.train(kind, train.texts() if kind != "byte" else iter(()), vocabulary, marks)
