"""The next token of rows whose text is marked.

A green list and Gumbel noise are in the noise that a row brings. The tournament needs the probabilities: it is held among the
candidates, all tokens that are not much less likely than the likeliest. Chance says first whether it is a candidate at all,
with the probability that they have together, so that the others, of which a model has tens of thousands, cost nothing and
the distribution stays what it is. Transformers' green list needs them too.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Float64, Int64, UInt64
from torch import Tensor

from daedal.inference.engine_request import Row
from daedal.inference.logits import argmax, choose, require_usable, restrict, tempered
from daedal.inference.marked_text import MarkedText
from daedal.inference.sampling import SamplingOptions
from daedal.safety.text_marks.hashing import mixed, word, words
from daedal.safety.text_marks.kgw import Kgw
from daedal.safety.text_marks.tournament import Tournament

_CANDIDATE = 2**-10
"""How likely a candidate is, at least, against the likeliest token."""
_ALL = np.uint64(2**64 - 1)


def choose_marked(rows: Sequence[Row], logits: Float[Tensor, "rows vocab"], ahead: Sequence[int] = ()) -> list[int]:
    """One token for each row, of rows that sample in the same way under the same scheme, after their ids and those `ahead`.

    Raises:
        DaedalError: the logits of a row hold NaN or +infinity, or are all minus infinity.
    """
    options = rows[0].options
    texts = [(row.marked, [*row.ids, *ahead] if ahead else row.ids) for row in rows if row.marked is not None]
    scheme = texts[0][0].scheme
    if isinstance(scheme, Tournament):
        return _by_tournament(scheme, texts, _weights(logits, options))
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
    scores = tempered(logits.float(), options.temperature)
    if options.restricts:
        scores = restrict(scores, options)
    weights: Float32[np.ndarray, "rows vocab"] = scores.exp_().cpu().numpy()
    if not (weights.max(-1) == 1).all():
        require_usable(logits)
    return weights


class _Candidates(NamedTuple):
    """The candidates of each row, by their ids; rows with fewer than others end with some of no weight."""

    ids: Int64[np.ndarray, "rows candidates"]
    weights: Float64[np.ndarray, "rows candidates"]
    counts: Int64[np.ndarray, " rows"]


def _by_tournament(
    scheme: Tournament,
    texts: Sequence[tuple[MarkedText, Sequence[int]]],
    weights: Float32[np.ndarray, "rows vocab"],
) -> list[int]:
    near = weights > _CANDIDATE
    found = _candidates(weights, near)
    held = found.weights.sum(-1)
    keys = [marked.key_at(ids) for marked, ids in texts]
    seeds = [marked.chance_at(ids) for marked, ids in texts]
    gained = words(np.array([key or 0 for key in keys], np.uint64)[:, None], found.ids)
    times = _times(gained ^ np.array(seeds, np.uint64)[:, None])
    if None in keys:
        gained[[key is None for key in keys]] = _ALL  # where all win, nobody does
    first = (scheme.won(found.weights / held[:, None], gained) / times).argmax(-1)
    chosen: list[int] = found.ids[np.arange(len(texts)), first].tolist()
    inside = np.array([(word(seed, 0) >> 11) * 2**-53 for seed in seeds]) < held / weights.sum(-1)
    for row in np.flatnonzero(~inside).tolist():
        others = np.where(near[row], 0.0, weights[row])
        if others.any():
            chance = words(np.array(seeds[row], np.uint64), np.arange(1, 1 + len(others)))
            chosen[row] = int((others / _times(chance)).argmax())
    return chosen


def _times(values: UInt64[np.ndarray, "*shape"]) -> Float64[np.ndarray, "*shape"]:
    """When each arrives, exponential by chance: the first of those that are so many times as fast is chosen as they are likely,
    and a rounding error of one changes no choice among others."""
    return -np.log(((mixed(values) >> np.uint64(11)).astype(np.float64) + 0.5) * 2**-53)


def _candidates(weights: Float32[np.ndarray, "rows vocab"], near: Bool[np.ndarray, "rows vocab"]) -> _Candidates:
    rows, vocab = weights.shape
    flat = np.flatnonzero(near)
    if rows == 1:
        return _Candidates(flat[None], weights[0, flat].astype(np.float64)[None], np.array([len(flat)]))
    row, id = np.divmod(flat, vocab)
    counts = np.bincount(row, minlength=rows)
    column = np.arange(len(flat)) - np.repeat(counts.cumsum() - counts, counts)
    ids, own = np.zeros((rows, counts.max()), np.int64), np.zeros((rows, counts.max()))
    ids[row, column], own[row, column] = id, weights.ravel()[flat]
    return _Candidates(ids, own, counts)
