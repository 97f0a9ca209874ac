"""The codec of a build: given, or learned from the train split alone, whose size says which suits it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from daedal.data.corpus import Corpus
from daedal.data.ingest import each_document
from daedal.data.options import BuildOptions
from daedal.data.split import Assignment
from daedal.data.spool import Spool
from daedal.data.windows import mix
from daedal.errors import DaedalError

if TYPE_CHECKING:
    from daedal.codecs.text import TextCodec

_PIECE = 2**20
# Train bytes below which each vocabulary is the better one: a larger vocabulary shortens the sequence, but its rarer
# tokens are seen too seldom to be learned.
_VOCABULARIES = ((400_000, 512), (1_500_000, 1024), (20_000_000, 2048), (100_000_000, 4096), (1_000_000_000, 8192))
_LARGEST = 16384
_BYTES_BELOW = 100_000


def make_codec(
    options: BuildOptions, corpus: Corpus, assignment: Assignment, spool: Spool, progress: Callable[[int, int], None]
) -> "TextCodec":
    """The codec that the options ask for.

    Args:
        options: of the build.
        corpus: the documents.
        assignment: the split of each.
        spool: their text.
        progress: told the bytes of text read, of how many.

    Raises:
        DaedalError: a tokenizer that is given cannot be used.
    """
    from daedal.codecs.text import TextCodec

    if options.tokenizer is not None:
        return given_tokenizer(options.tokenizer)
    train_bytes = int(corpus.bytes[assignment.splits == 0].sum())
    kind, vocabulary = options.codec, options.vocab_size
    if kind == "auto":
        kind, chosen = choose_codec(train_bytes)
        if vocabulary is not None:
            kind = "bpe"
        elif kind == "bpe":
            vocabulary = chosen
    elif kind == "bpe" and vocabulary is None:
        vocabulary = choose_vocabulary(train_bytes)
    sample = _sample(corpus, assignment, options)
    total = int(corpus.bytes[sample].sum())

    def texts() -> Iterator[str]:
        done = 0
        for text in _texts(sample, corpus, assignment, spool):
            yield text
            done += len(text)
            progress(min(done, total), total)

    return TextCodec.train(kind, texts() if kind != "byte" else iter(()), vocabulary)


def given_tokenizer(path: str) -> "TextCodec":
    """The tokenizer of a folder, to encode with.

    Raises:
        DaedalError: it cannot be used.
    """
    from daedal.codecs.text import TextCodec

    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise DaedalError(f"{folder} is not a folder with a tokenizer", "Give a run folder or a model's folder")
    codec = TextCodec.load(folder)
    if codec.eos_id is None:
        raise DaedalError(f"The tokenizer in {folder} has no end-of-text token", "Give another one")
    return codec


def _sample(corpus: Corpus, assignment: Assignment, options: BuildOptions) -> np.ndarray:
    """Which documents a codec is learned from: all that train, or a random choice of them that makes the sample's size."""
    train = assignment.splits == 0
    limit = options.codec_sample_mb * 1e6
    if options.codec == "char" or corpus.bytes[train].sum() <= limit:
        return np.asarray(train)
    order = np.argsort(mix(corpus.hashes[:, 1]), kind="stable")
    order = order[train[order]]
    before = np.cumsum(corpus.bytes[order]) - corpus.bytes[order]
    chosen = np.zeros(len(corpus), dtype=bool)
    chosen[order[before < limit]] = True
    return chosen


def _texts(sample: np.ndarray, corpus: Corpus, assignment: Assignment, spool: Spool) -> Iterator[str]:
    for place, (unit, number) in enumerate(corpus.chunks):
        first, last = int(corpus.firsts[place]), int(corpus.firsts[place + 1])
        if not sample[first:last].any():
            continue
        ends = np.cumsum(corpus.bytes[first:last])
        for document, raw in enumerate(each_document(spool.text(unit, number), ends), first):
            if not sample[document]:
                continue
            text = raw.decode()
            if document in assignment.cuts:
                text = "".join(text[low:high] for split, low, high in assignment.cuts[document] if split == 0)
            for begin in range(0, len(text), _PIECE):
                yield text[begin : begin + _PIECE]


def choose_codec(train_bytes: int) -> tuple[Literal["byte", "bpe"], int]:
    """The codec kind and vocabulary size for a train split of `train_bytes` bytes of UTF-8."""
    if train_bytes < _BYTES_BELOW:
        return "byte", 258
    return "bpe", choose_vocabulary(train_bytes)


def choose_vocabulary(train_bytes: int) -> int:
    """The BPE vocabulary size for a train split of `train_bytes` bytes of UTF-8."""
    return next((size for limit, size in _VOCABULARIES if train_bytes < limit), _LARGEST)
