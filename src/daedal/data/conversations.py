"""Conversations as the stream of tokens that a language model learns from, with what of it the model is to learn to say."""

from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from daedal.codecs.text import TextCodec
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
    """

    def __init__(self, examples: ExampleSplit, dataset: "ConversationDataset", sizes: Int64[Array, " vocab"]) -> None:
        column = examples.ragged(COLUMN)
        self.name, self.dataset = examples.name, dataset
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
        self._learned_bytes = int(sizes[column.ids[self.learned]].sum())
        self.record = SplitRecord(
            documents=len(column),
            tokens=len(column.ids),
            bytes=int(written[-1]),
            characters=int(written[-1]),
            shards=len(self._shards),
            fingerprint=examples.fingerprint,
        )

    @property
    def learned_tokens(self) -> int:
        return int(self.learned.sum())

    @property
    def learned_bytes(self) -> int:
        return self._learned_bytes

    def targets(
        self, starts: Int64[Array, " count"], rows: Int64[Array, "count length"]
    ) -> Int64[Array, "count length_less_one"]:
        learned = self.learned[starts[:, None] + np.arange(1, rows.shape[1])]
        return np.where(learned, rows[:, 1:], IGNORE)


class ConversationDataset(Dataset):
    """A data folder of conversations, as a data folder of text is used."""

    def __init__(self, examples: ExampleDataset) -> None:
        self.folder, self.examples = examples.folder, examples
        self._text: TextCodec = examples.codec("chat").codec  # type: ignore[attr-defined]
        sizes = [len(self._text.token_bytes(id)) for id in range(self._text.vocab_size)]
        self._splits = {
            name: ConversationSplit(examples.split(name), self, np.array(sizes, dtype=np.int64))
            for name in examples.manifest.splits
        }
        made = examples.manifest
        dtype = made.columns[COLUMN].dtype
        assert dtype is not None
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
                dtype=dtype,
                fingerprint=self._text.fingerprint(),
            ),
            splits={name: split.record for name, split in self._splits.items()},
            split_by=made.split_by,
        )

    @cached_property
    def codec(self) -> TextCodec:
        """The codec of what is said; the turns are in its special tokens, or in its text."""
        return self._text


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


def stream_of(examples: ExampleDataset) -> Dataset:
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
