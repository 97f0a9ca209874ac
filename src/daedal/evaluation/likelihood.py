"""How well a model predicts text: nats per token, perplexity, bits per byte, nats per character.

- the whole split, every token once; each document by itself, the beginning-of-text (or end-of-text) before its first token
- windows slide by a stride: a token sees at least `window - stride` tokens before it, where its document has them
- logits only of what is scored; the softmax in float64
- the end-of-text after a document is context, not text: its prediction is not counted, nor has it bytes
- of conversations the answers may be counted alone, with the marks that end them; what stands before them is context
- confidence intervals by document, by blocks of text where the documents are few
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from daedal.errors import DaedalError
from daedal.evaluation.documents import Documents
from daedal.evaluation.intervals import RATIO, ratio
from daedal.evaluation.measurement import Measurement, define
from daedal.models.gpt import GPT

Progress = Callable[[int, int], None]
BATCH_TOKENS = 8192
_LOGITS_AT_ONCE = 2**22
_CACHED = 2**17  # 1 MiB of float64
_MOST_NATS = 700.0  # e to a little more is no number any more


@dataclass(frozen=True)
class Windows:
    """What is to be computed: window `i` reads `length[i]` tokens from `start[i]` of its document, counted from the
    token before it, and scores its predictions from `scored[i]` on."""

    document: Int[np.ndarray, " windows"]
    start: Int[np.ndarray, " windows"]
    length: Int[np.ndarray, " windows"]
    scored: Int[np.ndarray, " windows"]

    @classmethod
    def over(cls, tokens: Int[np.ndarray, " documents"], window: int, stride: int) -> "Windows":
        """Sliding windows over documents of these lengths, the longest windows first.

        Raises:
            DaedalError: window or stride make no sense.
        """
        if not 1 <= stride <= window:
            raise DaedalError(
                f"A stride of {stride} does not fit a window of {window}", "Give a stride between 1 and the window"
            )
        counts = np.where(tokens > 0, 1 + np.maximum(0, -(-(tokens - window) // stride)), 0)
        document = np.repeat(np.arange(len(tokens)), counts)
        number = np.arange(len(document)) - (np.cumsum(counts) - counts)[document]
        # The last window of a document ends with it and is as long as the others, as lm-eval has it
        start = np.minimum(number * stride, np.maximum(0, tokens[document] - window))
        length = np.minimum(window, tokens[document])
        scored = np.where(number == 0, 0, window + (number - 1) * stride - start)
        order = np.argsort(-length, kind="stable")
        return cls(document[order], start[order], length[order], scored[order])

    def __len__(self) -> int:
        return len(self.document)

    @property
    def computed(self) -> int:
        """Tokens that go through the model."""
        return int(self.length.sum())

    def batches(self, batch_tokens: int) -> Iterator["Windows"]:
        """Windows of about one length together, at most `batch_tokens` tokens or one window."""
        first = 0
        while first < len(self):
            rows = slice(first, first + max(1, batch_tokens // int(self.length[first])))
            yield Windows(self.document[rows], self.start[rows], self.length[rows], self.scored[rows])
            first = rows.stop


@dataclass(frozen=True)
class Likelihood:
    """How well a model predicts some documents."""

    loss: Measurement
    perplexity: Measurement
    bits_per_byte: Measurement
    nats_per_character: Measurement

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        return self.bits_per_byte, self.loss, self.perplexity, self.nats_per_character


def evaluate_documents(
    model: GPT,
    documents: Documents,
    window: int | None = None,
    stride: int | None = None,
    *,
    batch_tokens: int = BATCH_TOKENS,
    model_hash: str = "",
    progress: Progress | None = None,
) -> Likelihood:
    """Measure a model on documents.

    Args:
        window: the most tokens that the model sees at once; its context unless given.
        stride: how far the window moves; half of it unless given.
        batch_tokens: tokens in one pass; changes the speed, not the result.
        progress: called with the tokens computed so far, and with all of them.

    Raises:
        DaedalError: window and stride do not fit the model, or its predictions are not numbers.
    """
    window, stride = sliding(model, window, stride)
    nats = score(
        model, documents, window, stride, batch_tokens=batch_tokens, progress=progress
    )  # fmt: skip
    return likelihood(documents, nats, model_hash, window=window, stride=stride, prefix=documents.prefix_name)


def sliding(model: GPT, window: int | None = None, stride: int | None = None) -> tuple[int, int]:
    """The window and the stride, the model's context and half the window where they are not given.

    Raises:
        DaedalError: the window is wider than the model's context.
    """
    context = model.config.context
    if window is not None and window > context:
        raise DaedalError(
            f"A window of {window:,} tokens is wider than the model's context of {context:,}",
            f"Give a window of at most {context:,}",
        )
    window = window if window is not None else context
    return window, stride if stride is not None else max(1, window // 2)


def score(
    model: GPT,
    documents: Documents,
    window: int,
    stride: int,
    *,
    batch_tokens: int = BATCH_TOKENS,
    progress: Progress | None = None,
) -> Float64[np.ndarray, " pieces"]:
    """Nats of each piece (`Documents.pieces`) under the model."""
    windows = Windows.over(documents.tokens, window, stride)
    nats = np.zeros(len(documents.pieces[0]), dtype=np.float64)
    done, total, training = 0, windows.computed, model.training
    model.eval()
    try:
        for batch in windows.batches(batch_tokens):
            losses, rows, columns = _score_batch(model, documents, batch)
            piece = documents.piece_of(batch.document[rows], batch.start[rows] + columns)
            nats += np.bincount(piece, weights=losses, minlength=len(nats))
            done += batch.computed
            if progress is not None:
                progress(done, total)
    finally:
        model.train(training)
    return nats


def likelihood(
    documents: Documents,
    nats: Float64[np.ndarray, " pieces"],
    model_hash: str = "",
    seed: int | None = None,
    **how: object,
) -> Likelihood:
    """The four measurements from the nats of each piece, predicted as `how` says.

    A perplexity above e^700 is given as that, and its name says `at least`; an interval that reaches there is left out.
    """
    if not np.isfinite(nats).all():
        raise DaedalError(
            "The model's predictions are not finite numbers",
            "Its training diverged or its weights are damaged: use an earlier checkpoint",
        )
    tokens, sizes, characters = documents.pieces
    how |= {} if documents.answers is None else {"learned": "answers"}
    vocabulary = documents.codec.fingerprint()[:12]
    pieces = f"blocks of {documents.block} tokens" if documents.by_blocks else "documents"
    total = float(nats.sum())

    def measure(
        name: str, unit: str, quantity: str, per: Float[np.ndarray, " pieces"], scale: float, **more: object
    ) -> Measurement:
        found = ratio(nats * scale, per.astype(np.float64))
        return Measurement(
            name=name, unit=unit, value=total * scale / float(per.sum()),
            interval=found and found.positive_interval, interval_method=_method(pieces, found.freedom) if found else "",
            n=int(np.count_nonzero(tokens)), pieces=pieces, definition=define(quantity, 1, **how, **more),
            model_hash=model_hash, data_hash=documents.fingerprint, seed=seed,
        )  # fmt: skip

    loss = measure("loss", "nats per token", "nats-per-token", tokens, 1.0, vocabulary=vocabulary)
    bounded = loss.interval if loss.interval and loss.interval[1] <= _MOST_NATS else None
    perplexity = loss.but(
        name="perplexity" if loss.value <= _MOST_NATS else "perplexity, at least", unit="per token",
        value=math.exp(min(loss.value, _MOST_NATS)), interval=bounded and (math.exp(bounded[0]), math.exp(bounded[1])),
        interval_method=loss.interval_method if bounded else "",
        definition=define("perplexity", 1, **how, vocabulary=vocabulary),
    )  # fmt: skip
    return Likelihood(
        loss,
        perplexity,
        measure("bits per byte", "bits per byte", "bits-per-byte", sizes, 1 / math.log(2)),
        measure("nats per character", "nats per character", "nats-per-character", characters, 1.0),
    )


def estimate_seconds(
    model: GPT,
    documents: Documents,
    window: int | None = None,
    stride: int | None = None,
    *,
    batch_tokens: int = BATCH_TOKENS,
) -> float:
    """How long `evaluate_documents` will take, from one timed batch of it after one that warms up."""
    windows = Windows.over(documents.tokens, *sliding(model, window, stride))
    if not len(windows):
        return 0.0
    first = next(windows.batches(batch_tokens))
    seconds = 0.0
    for _ in range(2):
        started = time.perf_counter()
        _score_batch(model, documents, first)
        seconds = time.perf_counter() - started
    return seconds * windows.computed / first.computed


@torch.no_grad()
def _score_batch(
    model: GPT, documents: Documents, batch: Windows
) -> tuple[Float64[np.ndarray, " scored"], Int[np.ndarray, " scored"], Int[np.ndarray, " scored"]]:
    """The nats of each scored token, with its row in the batch and its column in the window."""
    widest = int(batch.length[0])
    stream = np.full((len(batch), widest + 1), documents.prefix, dtype=np.int64)
    for row, (document, start, length) in enumerate(zip(batch.document, batch.start, batch.length, strict=True)):
        # Column 0 of the first window is what stands before the document: not read, the fill value
        first = int(documents.offsets[document] + start)
        lead = 0 if start else 1
        stream[row, lead : length + 1] = documents.read(first - 1 + lead, first + int(length))
    columns = np.arange(widest)
    scored = (columns >= batch.scored[:, None]) & (columns < batch.length[:, None])
    if documents.answers is not None:
        place = documents.offsets[batch.document] + batch.start
        scored &= documents.answers[np.minimum(place[:, None] + columns, len(documents.answers) - 1)]
    rows, places = np.nonzero(scored)
    device = next(model.parameters()).device
    ids = torch.from_numpy(stream[:, :-1]).to(device)
    targets = torch.from_numpy(stream[:, 1:][scored]).to(device)
    hidden = model.hidden(ids)[torch.from_numpy(scored).to(device)]
    return _nats(model, hidden, targets).cpu().numpy(), rows, places


def _nats(
    model: GPT, hidden: Float[Tensor, "scored width"], targets: Int[Tensor, " scored"]
) -> Float64[Tensor, " scored"]:
    vocab = model.config.vocab_size
    losses = torch.zeros(len(targets), dtype=torch.float64, device=targets.device)
    # On a CPU, float64 rows that stay in its cache are five times faster than rows that do not
    inner = max(1, (_CACHED if hidden.device.type == "cpu" else _LOGITS_AT_ONCE) // vocab)
    rows = max(1, _LOGITS_AT_ONCE // vocab)
    for first in range(0, len(targets), rows):
        logits = model.head(hidden[first : first + rows])
        for start in range(0, len(logits), inner):
            part = logits[start : start + inner].double()
            place = slice(first + start, first + start + len(part))
            losses[place] = part.logsumexp(-1) - part.gather(-1, targets[place, None])[:, 0]
    return losses


def _method(pieces: str, freedom: float) -> str:
    """How the intervals were found, over which pieces, and for how many of equal length these count."""
    method = f"{RATIO} over {pieces}, {freedom:.1f} degrees of freedom, 95 %"
    return method if pieces == "documents" else f"{method}; for passages like these, which other documents may not be"
