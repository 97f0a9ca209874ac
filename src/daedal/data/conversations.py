"""Conversations as the stream of tokens that a language model learns from, with what of it the model is to learn to say."""

from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int64

from daedal.codecs.chat import ChatTemplate
from daedal.codecs.text import TextCodec
from daedal.codecs.turns import Turns
from daedal.data.column_codecs import ChatColumns
from daedal.data.encode import id_dtype
from daedal.data.examples import ExampleDataset, ExampleSplit
from daedal.data.manifest import MANIFEST, CodecRecord, Manifest, SplitRecord
from daedal.data.options import BuildOptions
from daedal.data.shards import Dataset, Split
from daedal.errors import DaedalError
from daedal.files import read_json
from daedal.models.model import IGNORE

COLUMN = "conversation"
Array = np.ndarray


class ConversationSplit(Split):
    """A split of conversations end to end, each a document.

    Attributes:
        learned: which tokens a model is to learn to say.
        refused: conversations that are left out, since the chat template refuses them.
    """

    def __init__(self, examples: ExampleSplit, dataset: "ConversationDataset") -> None:
        sizes = dataset.sizes
        column = examples.ragged(COLUMN) if dataset.reader is None else _read(examples, dataset.reader)
        self.name, self.dataset = examples.name, dataset
        self.refused = len(examples) - len(column.borders) + 1
        # where a split holds no answer at all, which are learned is not written
        self.learned = column.learned if column.learned is not None else np.zeros(len(column.ids), dtype=bool)
        self._shards = [column.ids] if len(column.ids) else []
        if len(column.ids) and int(column.ids.max()) >= len(sizes):
            raise DaedalError(f"The ids of {dataset.folder} are not of its vocabulary", "Build the data again")
        self._starts = np.cumsum([0, *(len(shard) for shard in self._shards)], dtype=np.int64)
        written = np.zeros(len(column.borders), dtype=np.int64)
        for document, (begin, end) in enumerate(zip(column.borders[:-1], column.borders[1:], strict=True)):
            written[document + 1] = written[document] + int(sizes[column.ids[begin:end]].sum())
        self._borders = np.stack([column.borders, written], axis=1)
        said = np.asarray(column.ids)[self.learned]
        self.learnable = len(said), int(sizes[said].sum())
        self.record = SplitRecord(
            documents=len(column.borders) - 1,
            tokens=len(column.ids),
            bytes=int(written[-1]),
            characters=int(written[-1]),
            shards=len(self._shards),
            fingerprint=examples.fingerprint,
        )

    def targets(
        self, starts: Int64[Array, " count"], rows: Int64[Array, "count length"]
    ) -> Int64[Array, "count length_less_one"]:
        learned = self.learned[starts[:, None] + np.arange(1, rows.shape[1])]
        return np.where(learned, rows[:, 1:], IGNORE)

    def opening(self, index: int) -> list[int]:
        begin, end = self.offsets[index : index + 2].tolist()
        ids: list[int] = self.read(begin, begin + int(self.learned[begin:end].argmax())).tolist()
        return ids


class ConversationDataset(Dataset):
    """A data folder of conversations, as a data folder of text is used.

    Args:
        reader: reads the conversations anew, as a model does whose tokenizer or chat template is another.
    """

    def __init__(self, examples: ExampleDataset, reader: Turns | None = None) -> None:
        self.folder, self.examples, self.reader = examples.folder, examples, reader
        self._text: TextCodec = examples.codec("chat").codec if reader is None else reader.codec  # type: ignore[attr-defined]
        self._splits = {name: ConversationSplit(examples.split(name), self) for name in examples.manifest.splits}
        made = examples.manifest
        assert self._text.eos_id is not None
        self.manifest = Manifest(
            fingerprint=made.fingerprint,
            request=made.request,
            made_with=made.made_with,
            options=BuildOptions(),
            sources=made.sources,
            codec=CodecRecord(
                kind=self._text.kind,
                vocab_size=self._text.vocab_size,
                eos_id=self._text.eos_id,
                dtype=id_dtype(self._text.vocab_size).name,
                fingerprint=self._text.fingerprint(),
            ),
            splits={name: split.record for name, split in self._splits.items()},
            split_by=made.split_by,
        )

    def split(self, name: str) -> ConversationSplit:
        found = super().split(name)
        assert isinstance(found, ConversationSplit)
        return found

    def read_by(self, codec: TextCodec, template: ChatTemplate) -> "ConversationDataset":
        """The same as a model reads it that has this tokenizer and chat template: as they are stored where these are the data's
        own, else read anew."""
        if self.examples.manifest.codecs["chat"].fingerprint == ChatColumns(codec, template).fingerprint():
            return self if self.reader is None else ConversationDataset(self.examples)
        return ConversationDataset(self.examples, Turns(codec, template))

    @cached_property
    def sizes(self) -> Int64[Array, " vocab"]:
        """Bytes of each token."""
        return np.array([len(self._text.token_bytes(id)) for id in range(self._text.vocab_size)], dtype=np.int64)

    @cached_property
    def codec(self) -> TextCodec:
        """The codec of what is said; the turns are in its special tokens, or in its text."""
        return self._text


class _Read(NamedTuple):
    """Conversations as ids, end to end, as a `RaggedColumn` has them."""

    ids: Int64[Array, " ids"]
    borders: Int64[Array, " rows_and_one"]
    learned: Bool[Array, " ids"]


def _read(examples: ExampleSplit, reader: Turns) -> _Read:
    """The conversations of a split as a model reads them, each with the end of a text; without those that its chat template
    refuses."""
    ids: list[Array] = []
    learned: list[Array] = []
    end = np.array([reader.codec.eos_id], dtype=np.int64)
    for value in examples.values(COLUMN):
        try:
            turned = reader.read(value)
        except DaedalError:
            continue
        ids.append(np.append(turned.ids, end))
        learned.append(np.append(turned.said, False))
    borders = np.cumsum([0, *map(len, ids)], dtype=np.int64)
    if not ids:
        return _Read(np.zeros(0, dtype=np.int64), borders, np.zeros(0, dtype=bool))
    return _Read(np.concatenate(ids), borders, np.concatenate(learned))


def open_stream(folder: str | Path) -> Dataset:
    """A data folder of text or of conversations, for a language model.

    Raises:
        DaedalError: it is no data folder, damaged, or holds examples of another kind.
    """
    path = Path(folder) / MANIFEST
    values = read_json(path) if path.is_file() else None
    if isinstance(values, dict) and values.get("format") == "daedal-examples":
        return stream_of(ExampleDataset.open(folder))
    return Dataset.open(folder)


def stream_of(examples: ExampleDataset) -> ConversationDataset:
    """
    Raises:
        DaedalError: they are no conversations.
    """
    if examples.manifest.kind != "chat":
        raise DaedalError(
            f"A gpt learns text, conversations or the tokens of pictures, and {examples.folder} holds "
            f"{examples.manifest.kind}: {examples.kind.line.says}",
            "Name other data",
        )
    return ConversationDataset(examples)
