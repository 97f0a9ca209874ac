"""The next token of rows whose text is marked.

A green list and Gumbel noise are in the noise that a row brings. The tournament needs the probabilities: it is held among the
candidates, the tokens of some probability, of which there are never many. Chance says first whether it is a candidate at all,
with the probability that they have together, so that the others, of which a model has tens of thousands, cost nothing and
the distribution stays what it is. Transformers' green list needs the logits too.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Float64, Int64, UInt64
from torch import Tensor

from daedal.inference.engine_request import Row
from daedal.inference.logits import COOL, argmax, choose, require_usable, restrict, tempered
from daedal.inference.marked_text import MarkedText
from daedal.inference.sampling import SamplingOptions
from daedal.safety.text_marks.hashing import word, words
from daedal.safety.text_marks.kgw import Kgw
from daedal.safety.text_marks.tournament import Tournament

_CANDIDATES = 256
"""At most, as each is more likely than one in so many."""
_ALL = np.uint64(2**64 - 1)
_BLOCK = 64
_ODD = np.uint64(0xD6E8FEB86659FD93)
_LIKELIEST = np.float32(1 - 2**-10)
"""A token as likely as the likeliest is a candidate, however little that is."""


def choose_marked(rows: Sequence[Row], logits: Float[Tensor, "rows vocab"], ahead: Sequence[int] = ()) -> list[int]:
    """One token for each row, of rows that sample in the same way under the same scheme, after their ids and those `ahead`.

    Raises:
        DaedalError: the logits of a row hold NaN or +infinity, or are all minus infinity.
    """
    options = rows[0].options
    texts = [(row.marked, [*row.ids, *ahead] if ahead else row.ids) for row in rows if row.marked is not None]
    scheme = texts[0][0].scheme
    if isinstance(scheme, Tournament):
        weights = _weights(logits, options)
        whole = weights.sum(-1, keepdims=True)
        if not np.isfinite(whole).all():
            require_usable(logits)
        return _by_tournament(scheme, texts, weights, whole)
    noise = torch.stack([marked.noise(ids, logits.shape[1]) for marked, ids in texts]).to(logits.device)
    if not isinstance(scheme, Kgw):
        return choose(logits, options, noise)
    scores = restrict(tempered(logits.float(), options.temperature), options)
    for place, (marked, ids) in enumerate(texts):
        if marked.key_at(ids) is not None:
            scores[place, scheme.favoured(marked.key, ids, scores[place]).to(scores.device)] += scheme.bias
    return argmax(scores.add_(noise))


def _weights(logits: Float[Tensor, "rows vocab"], options: SamplingOptions) -> Float32[np.ndarray, "rows vocab"]:
    """Probabilities of the tokens that may come, each against that of the likeliest."""
    weights: Float32[np.ndarray, "rows vocab"]
    if logits.device.type == "cpu" and options.temperature >= COOL and not options.restricts:
        scores = logits.float().numpy()  # in NumPy, which takes half the time for a row
        with np.errstate(invalid="ignore"):  # what is no number is told by whoever sums
            weights = scores - scores.max(-1, keepdims=True)
        if options.temperature != 1:
            weights *= 1 / options.temperature
        np.exp(weights, out=weights)
    else:
        weights = restrict(tempered(logits.float(), options.temperature), options).exp_().cpu().numpy()
    return weights


class _Candidates(NamedTuple):
    """The candidates of each row, by their ids; rows with fewer than others end with some of no weight."""

    ids: Int64[np.ndarray, "rows candidates"]
    weights: Float64[np.ndarray, "rows candidates"]


def _by_tournament(
    scheme: Tournament,
    texts: Sequence[tuple[MarkedText, Sequence[int]]],
    weights: Float32[np.ndarray, "rows vocab"],
    whole: Float32[np.ndarray, "rows 1"],
) -> list[int]:
    near = weights > np.minimum(whole * (1 / _CANDIDATES), _LIKELIEST)
    found = _candidates(weights, near)
    held = found.weights.sum(-1)
    chances = [marked.chance_at(ids) for marked, ids in texts]
    seeds = np.array(chances, np.uint64)[:, None]
    outside = np.array([(word(seed, 0) >> 11) * 2**-53 for seed in chances]) >= held / whole[:, 0]
    chosen: list[int | None] = [None] * len(texts)
    if outside.any():
        rows = np.flatnonzero(outside)
        others = np.where(near[rows], np.float32(0), weights[rows])
        for row, id in zip(rows.tolist(), _drawn(others, seeds[rows]), strict=True):
            chosen[row] = id
    settled = [id for id in chosen if id is not None]
    if len(settled) == len(texts):
        return settled
    keys = [marked.key_at(ids) for marked, ids in texts]
    gained = words(np.array([key or 0 for key in keys], np.uint64)[:, None], found.ids)
    logs = _logs(gained ^ seeds)
    if None in keys:
        gained[[key is None for key in keys]] = _ALL  # where all win, nobody does
    first = (scheme.won(found.weights / held[:, None], gained) / logs).argmin(-1)
    winners: list[int] = found.ids[np.arange(len(texts)), first].tolist()
    return [winner if other is None else other for winner, other in zip(winners, chosen, strict=True)]


def _drawn(weights: Float32[np.ndarray, "rows vocab"], seeds: UInt64[np.ndarray, "rows 1"]) -> list[int | None]:
    """A token of each row by chance, as likely as its weight says; None where none has any. First a block of the vocabulary is
    drawn and then a token in it, so that few numbers are needed."""
    vocab = weights.shape[1]
    blocks = np.arange(0, vocab, _BLOCK)
    sums = np.add.reduceat(weights, blocks, axis=-1)
    block = (sums / _logs(words(seeds, np.arange(len(blocks)) + vocab + 1))).argmin(-1)
    ids = block[:, None] * _BLOCK + np.arange(_BLOCK)
    own = np.take_along_axis(weights, np.minimum(ids, vocab - 1), -1) * (ids < vocab)
    place = (own / _logs(words(seeds, ids + 1))).argmin(-1)
    found: list[int] = ids[np.arange(len(ids)), place].tolist()
    some = np.asarray(sums.any(-1))
    return [id if any else None for id, any in zip(found, some.tolist(), strict=True)]


def _logs(values: UInt64[np.ndarray, "*shape"]) -> Float64[np.ndarray, "*shape"]:
    """Logarithms of uniform numbers, of values that are chance already, each by itself. The least quotient of a weight by its
    own is drawn as is likely (an exponential race), and a rounding error of one weight changes no choice among the others."""
    values ^= values >> np.uint64(32)
    values *= _ODD
    uniform = (values >> np.uint64(12)).astype(np.float64)
    uniform += 0.5
    uniform *= 2**-52
    logs: Float64[np.ndarray, "*shape"] = np.log(uniform, out=uniform)
    return logs


def _candidates(weights: Float32[np.ndarray, "rows vocab"], near: Bool[np.ndarray, "rows vocab"]) -> _Candidates:
    rows, vocab = weights.shape
    flat = np.flatnonzero(near)
    if rows == 1:
        return _Candidates(flat[None], weights[0, flat].astype(np.float64)[None])
    row, id = np.divmod(flat, vocab)
    counts = np.bincount(row, minlength=rows)
    column = np.arange(len(flat)) - np.repeat(counts.cumsum() - counts, counts)
    ids, own = np.zeros((rows, counts.max()), np.int64), np.zeros((rows, counts.max()))
    ids[row, column], own[row, column] = id, weights.ravel()[flat]
    return _Candidates(ids, own)
