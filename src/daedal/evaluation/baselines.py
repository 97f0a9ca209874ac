"""What a model must beat: n-grams over its own tokens, and the compressors that everyone has, on the same bytes."""

import gzip
import hashlib

import numpy as np
import zstandard
from jaxtyping import Int

from daedal.evaluation.documents import Documents
from daedal.evaluation.likelihood import likelihood
from daedal.evaluation.measurement import Measurement, define
from daedal.evaluation.ngram import KneserNey
from daedal.evaluation.report import Predictor

TRAIN_TOKENS = 5_000_000
"""n-grams are counted in at most so many tokens of the training text: about four seconds and one GiB."""

DICTIONARY_BYTES = 4 * 2**20
_PIECE = 2**16
_SLOW_BYTES = 8 * 2**20


def ngram(train: Documents, documents: Documents, order: int = 5) -> Predictor:
    """An n-gram model with modified Kneser-Ney smoothing, learned from the training text; `order` 1 is the unigram model. Of
    conversations it learns all, and the answers are counted.

    Where the training text has more than `TRAIN_TOKENS` tokens, pieces at equal distances are taken; the definition says so.
    """
    tokens = _spread(train, TRAIN_TOKENS)
    model = KneserNey(tokens, documents.codec.vocab_size, documents.end, order)
    flat = documents.read(0, int(documents.offsets[-1]))
    losses = -model.log_probabilities(flat)
    document = np.repeat(np.arange(len(documents)), np.diff(documents.offsets))
    position = np.arange(len(flat)) - documents.offsets[document]
    text = position < documents.tokens[document]
    text &= True if documents.answers is None else documents.answers[: len(flat)]
    nats = np.bincount(
        documents.piece_of(document[text], position[text]), weights=losses[text], minlength=len(documents.pieces[0])
    )
    seen = "all" if len(tokens) >= int(train.offsets[-1]) else f"{len(tokens)}-spread"
    measured = likelihood(
        documents, nats, hashlib.sha256(f"{train.fingerprint}:{seen}:{order}".encode()).hexdigest(),
        predictor=f"{order}-gram", smoothing="modified-kneser-ney", trained_on=f"{seen}-tokens",
    )  # fmt: skip
    return Predictor(
        name="unigram" if order == 1 else f"{order}-gram", bits_per_byte=measured.bits_per_byte, loss=measured.loss
    )


def compressors(documents: Documents, train: Documents | None = None) -> tuple[Predictor, ...]:
    """Bits per byte of gzip and zstd, of the texts one after the other; of zstd also with training text to refer to."""
    data = documents.text_bytes().tobytes()
    level = 19 if len(data) <= _SLOW_BYTES else 9
    found = [
        _compressed("gzip", len(gzip.compress(data, 9, mtime=0)), documents, predictor="gzip", level=9),
        _compressed("zstd", _zstd(data, level, b""), documents, predictor="zstd", level=level),
    ]
    if train is not None:
        known = train.text_bytes(DICTIONARY_BYTES).tobytes()
        how = {"predictor": "zstd", "level": level, "dictionary": f"last-{len(known)}-bytes-of-train"}
        found.append(_compressed("zstd with training text", _zstd(data, level, known), documents, **how))
    return tuple(found)


def _zstd(data: bytes, level: int, known: bytes) -> int:
    window = max(20, min(27, (len(data) + len(known)).bit_length()))
    parameters = zstandard.ZstdCompressionParameters.from_level(level, window_log=window)
    if not known:
        return len(zstandard.ZstdCompressor(compression_params=parameters).compress(data))
    dictionary = zstandard.ZstdCompressionDict(known, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    return len(zstandard.ZstdCompressor(dict_data=dictionary, compression_params=parameters).compress(data))


def _compressed(name: str, size: int, documents: Documents, **how: object) -> Predictor:
    measured = Measurement(
        name="bits per byte", unit="bits per byte", value=8 * size / int(documents.bytes.sum()),
        n=len(documents), definition=define("bits-per-byte", 1, **how), data_hash=documents.fingerprint,
    )  # fmt: skip
    return Predictor(name=name, bits_per_byte=measured)


def _spread(documents: Documents, most: int) -> Int[np.ndarray, " tokens"]:
    """All tokens, or about `most` of them in pieces at equal distances, each piece ended like a document."""
    total = int(documents.offsets[-1])
    if total <= most:
        return documents.read(0, total)
    pieces = max(1, most // _PIECE)
    starts = np.linspace(0, total - _PIECE, pieces).astype(np.int64)
    end = np.full(1, documents.end, dtype=np.int64)
    return np.concatenate([part for start in starts for part in (documents.read(int(start), int(start) + _PIECE), end)])
