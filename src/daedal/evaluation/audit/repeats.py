"""Duplicates against memorization: how well a model knows passages that stand once, twice, ... in its training text.

- every passage of a length has a hash, made of those of its halves, at every place of the training text; a fixed share of the
  hashes is kept, so that of a passage all places are counted or none (Broder 1997)
- passages are drawn evenly from those that stand 1, 2, 3 to 4, ... times: what is learned of them is the model's own curve of
  how much deduplication would have saved (Lee et al. 2022, arXiv:2107.06499; Carlini et al. 2023, arXiv:2202.07646)
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, UInt64

from daedal.data.windows import mix
from daedal.evaluation.audit.extraction import greedy, right_before_an_error
from daedal.evaluation.audit.passages import Passages, at
from daedal.evaluation.audit.predictions import Predictions
from daedal.evaluation.blocks import Block, Lines, Note, Table
from daedal.evaluation.bootstrap import bootstrap, clustered, method
from daedal.evaluation.documents import Documents
from daedal.evaluation.evaluator import Findings, Tell
from daedal.evaluation.means import share_of_pieces
from daedal.evaluation.measurement import Measurement, define

Array = np.ndarray
KEPT = 2**21
"""Places that are kept at most, of whatever length the training text is."""
BORDERS = (1, 2, 3, 5, 9, 17, 33, 65)
"""Where each stratum begins."""
_AT_ONCE = 2**20
_FEWEST = 8  # passages of a stratum, to be told


@dataclass(frozen=True)
class Counted:
    """Different passages that were kept.

    Attributes:
        starts: where each first stands, as a place in the stream of tokens.
        counts: how often it stands there.
    """

    starts: Int[Array, " distinct"]
    counts: Int[Array, " distinct"]

    @property
    def repeated(self) -> float:
        """The share of places at which a passage stands that stands elsewhere too."""
        return float(self.counts[self.counts > 1].sum() / max(1, self.counts.sum()))


def count_passages(documents: Documents, length: int, kept: int = KEPT, tell: Tell | None = None) -> Counted:
    """How often passages of a length stand in documents; of all places about `kept` are looked at, at most, chosen
    by what stands there."""
    last = int(documents.offsets[-1])
    share = min(1.0, kept / max(1, last))
    limit = np.uint64(min(2**64 - 1, int(share * 2**64)))
    hashes, places = [], []
    for first in range(0, last, _AT_ONCE):
        if tell is not None:
            tell(first / last, "counting repeated passages")
        ids = documents.read(first, min(last, first + _AT_ONCE + length - 1))
        found = _hashes(ids, length)
        chosen = np.flatnonzero(_inside(ids, length, documents.end) & (found <= limit))
        hashes.append(found[chosen])
        places.append(chosen + first)
    every = np.concatenate(hashes) if hashes else np.zeros(0, dtype=np.uint64)
    _, firsts, counts = np.unique(every, return_index=True, return_counts=True)
    return Counted(np.concatenate(places)[firsts] if places else np.zeros(0, dtype=np.int64), counts)


def _hashes(ids: Int[Array, " tokens"], length: int) -> UInt64[Array, " places"]:
    """A hash of the `length` tokens from each place on: those of powers of two are made by doubling, and put together."""
    power = mix(ids.astype(np.uint64) + np.uint64(1))
    found, covered, size = np.zeros(0, dtype=np.uint64), 0, 1
    while size <= length:
        if length & size:
            after = power[covered:]
            found = after if not covered else _joined(found, after)
            covered += size
        power = _joined(power, power[size:])
        size *= 2
    return mix(found)


def _joined(left: UInt64[Array, " places"], right: UInt64[Array, " more"]) -> UInt64[Array, " places"]:
    count = min(len(left), len(right))
    return mix(left[:count] * np.uint64(0x9E3779B97F4A7C15) + right[:count])


def _inside(ids: Int[Array, " tokens"], length: int, end: int) -> Bool[Array, " places"]:
    """Which passages do not reach past the end of a document."""
    ends = np.concatenate([[0], np.cumsum(ids == end)])
    count = max(0, len(ids) - length + 1)
    found: Bool[Array, " places"] = ends[length : length + count] == ends[:count]
    return found


def drawn(counted: Counted, each: int, seed: int) -> Int[Array, " passages"]:
    """Which passages to read: as many of every stratum, where it has so many."""
    generator = np.random.default_rng(seed)
    stratum = np.searchsorted(BORDERS, counted.counts, side="right")
    some = [np.flatnonzero(stratum == number) for number in range(1, len(BORDERS) + 1)]
    chosen = [generator.permutation(each_of)[:each] for each_of in some]
    return np.sort(np.concatenate(chosen))


def repeats(
    documents: Documents,
    length: int,
    each: int,
    predicted: Callable[[Passages], Predictions],
    held_out: Predictions,
    tell: Tell | None = None,
    seed: int = 0,
    **about: Any,
) -> Findings:
    """The curve.

    Args:
        each: passages of a stratum.
        predicted: what the model says of passages.
        held_out: what it says of held-out ones: of those that stand 0 times.
    """
    counted = count_passages(documents, length, tell=tell)
    how = {"passage": length, "kept": min(KEPT, int(documents.offsets[-1]))}
    share = Measurement(
        name="repeated training passages", value=counted.repeated, unit="",
        n=int(counted.counts.sum()), pieces="places", definition=define("repeated-passages", 1, **how),
        **{**about, "model_hash": ""},
    )  # fmt: skip
    if (counted.counts > 1).sum() < _FEWEST:
        brief = f"the training text repeats no passage of {length} tokens, so there is nothing that deduplication would save"
        return Findings((share,), blocks=(Note(brief=brief),))
    chosen = drawn(counted, each, seed)
    passages = at(documents, counted.starts[chosen], length)
    said, times = predicted(passages), counted.counts[chosen]
    table, lines = _curve(said, held_out, times, passages)
    slope = _slope(-said.nats[:, passages.given :].mean(1), times, passages.document, seed)
    fallen = Measurement(
        name="loss saved by a doubling", value=slope[0], unit="nats per token", interval=slope[1],
        interval_method=method("documents") if slope[1] else "", n=len(np.unique(passages.document)), seed=seed,
        definition=define("loss-by-repeats", 1, given=passages.given, rest=length - passages.given, **how), **about,
    )  # fmt: skip
    brief = f"{counted.repeated:.1%} of training passages stand there twice or more"
    if slope[1] is not None and slope[1][0] > 0:
        brief += f", and with each doubling the loss falls by {slope[0]:.2f} nats per token: deduplication would help"
    else:
        brief += ", and the model is not shown to know them better"
    return Findings((share, fallen), blocks=(Note(brief=brief), table, *lines), sampling={"seed": seed})


def _curve(
    said: Predictions, held_out: Predictions, times: Int[Array, " passages"], passages: Passages
) -> tuple[Table, tuple[Block, ...]]:
    given = passages.given
    stratum = np.searchsorted(BORDERS, times, side="right")
    rows, points = [], list[tuple[float, float]]()

    def row(name: str, some: Predictions, documents: Int[Array, " some"]) -> tuple[str | int | float, ...]:
        _, place = np.unique(documents, return_inverse=True)
        sizes = np.bincount(place).astype(np.float64)
        found = share_of_pieces(np.bincount(place, weights=greedy(some, given)), sizes, "documents")
        ends = found["interval"] or ("", "")
        loss = float(-some.nats[:, given:].mean())
        return name, len(some), loss, float(right_before_an_error(some, given).mean()), found["value"], *ends

    rows.append(row("0 (held out)", held_out, np.arange(len(held_out))))
    for number, border in enumerate(BORDERS, 1):
        mine = np.flatnonzero(stratum == number)
        if len(mine) < _FEWEST:
            continue
        until = BORDERS[number] - 1 if number < len(BORDERS) else None
        name = f"{border}" if until == border else f"{border} to {until}" if until else f"{border} or more"
        part = Predictions(*(each[mine] for each in (said.nats, said.likeliest, said.mean, said.deviation)))
        rows.append(row(name, part, passages.document[mine]))
        points.append((float(np.log2(times[mine]).mean()), float(rows[-1][4])))
    says = (
        f"Passages of {passages.length} tokens by how often they stand in the training text: the loss of their second half in "
        "nats per token, how many of its tokens greedy decoding writes before it errs, and the share that comes back whole."
    )
    head = ("stands there", "passages", "loss", "right", "extractable", "from", "to")
    table = Table(title="Duplicates and memorization", says=says, head=head, rows=tuple(rows))
    lines = Lines(
        title="What is repeated is remembered", says="The share that comes back whole, by greedy decoding.",
        across="log2 of how often it stands in the training text", lines=(("extractable", tuple(points)),),
    )  # fmt: skip
    return table, (lines,) if len(points) > 1 else ()


def _slope(
    losses: Float[Array, " passages"], times: Int[Array, " passages"], documents: Int[Array, " passages"], seed: int
) -> tuple[float, tuple[float, float] | None]:
    """How much the loss falls with the binary logarithm of repeats, by least squares, and its interval."""
    x, y = np.log2(times.astype(np.float64)), losses
    sums = clustered(np.stack([np.ones_like(x), x, y, x * x, x * y], axis=1), documents)

    def falls(each: Float[Array, "replicates 5"]) -> Float[Array, " replicates"]:
        n, sx, sy, sxx, sxy = each.T
        spread = n * sxx - sx * sx
        with np.errstate(divide="ignore", invalid="ignore"):
            found: Float[Array, " replicates"] = np.where(spread > 1e-9 * n * n, -(n * sxy - sx * sy) / spread, 0.0)
        return found

    return float(falls(sums.sum(0, keepdims=True))[0]), bootstrap(sums, falls, seed=seed)
