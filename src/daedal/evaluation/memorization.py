"""How much a model copies: the longest run of characters that its samples share with the training text.

- exact: hashes find, bytes confirm. The hash of a run of 2L bytes is made of those of its halves, so one pass over the training
  text in pieces gives the runs of 1, 2, 4, 8, ... bytes that a sample shares, and bisection the longest
- beside it the same for held-out text of the same length: people repeat each other too
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
from jaxtyping import Bool, Int, UInt64

from daedal.config import Config
from daedal.evaluation.documents import Documents, TokenTable
from daedal.evaluation.measurement import Measurement, define

Array = np.ndarray
Words = UInt64[Array, " places"]
SEARCHED_BYTES = 64 * 2**20
"""At most so much of the training text is searched."""

_BORDER = b"\xff"  # stands between documents: never part of UTF-8, so no run crosses it
_FILTER_BITS = 18


class Copy(Config):
    """The longest run that one text shares with the training text.

    Attributes:
        text: the run.
        characters: its length.
        tokens: how many whole training tokens it spans.
        start: where it begins in the text, in bytes.
        document: which training document holds it (-1: there is none).
        offset: where it begins in that document, in bytes.
    """

    text: str
    characters: int
    tokens: int
    start: int
    document: int
    offset: int


class Memorization(Config):
    """Copies in samples, beside those in held-out text."""

    samples: tuple[Copy, ...]
    held_out: tuple[Copy, ...]
    measurements: tuple[Measurement, ...]


@dataclass
class _Best:
    """The longest shared run of one text so far."""

    length: int = 0
    start: int = 0
    place: int = 0  # in the training bytes, document borders included


def memorization(
    samples: Sequence[str], train: Documents, held_out: Documents, *, model_hash: str = "", seed: int = 0
) -> Memorization:
    """The longest copies from the training text in samples, and in held-out text of the samples' lengths.

    Args:
        samples: what the model wrote, without the prompts.
        seed: of the places where the held-out pieces are taken.
    """
    samples = [sample for sample in samples if sample]
    pieces = _pieces(held_out, [len(sample.encode()) for sample in samples], seed)
    copies = longest_copies([*samples, *pieces], train)
    own, others = tuple(copies[: len(samples)]), tuple(copies[len(samples) :])
    searched = min(int(train.bytes.sum()), SEARCHED_BYTES)
    about: dict[str, Any] = {"unit": "characters", "pieces": "texts", "seed": seed, "data_hash": train.fingerprint}
    length = round(sum(len(sample.encode()) for sample in samples) / len(samples))
    found = [
        Measurement(
            name=f"{statistic} copy in {whose}", value=of(copy.characters for copy in group), n=len(group),
            model_hash=model_hash if group is own else "",
            definition=define(
                f"{statistic}-copy-from-training-text", 1, texts=whose.replace(" ", "-"), searched_bytes=searched,
                text_bytes=length,
            ),
            **about,
        )
        for whose, group in (("samples", own), ("held-out text", others))
        for statistic, of in (("median", median), ("longest", max))
        if group
    ]  # fmt: skip
    return Memorization(samples=own, held_out=others, measurements=tuple(found))


def longest_copies(texts: Sequence[str], train: Documents) -> list[Copy]:
    """The longest run of whole characters of each text that stands in the training text, the first place where it does."""
    encoded = [np.frombuffer(text.encode(), dtype=np.uint8) for text in texts]
    best = [_Best() for _ in texts]
    table = TokenTable.of(train.codec, _BORDER)
    overlap = max((len(text) for text in encoded), default=0)
    carried, place = np.zeros(0, dtype=np.uint8), 0
    for _, ids in train.chunks(2**18):
        piece = np.concatenate([carried, table.decode(ids)])[: SEARCHED_BYTES - place]
        _search(encoded, piece, place, best)
        if place + len(piece) >= SEARCHED_BYTES:
            break
        kept = min(overlap, len(piece))
        place += len(piece) - kept
        carried = piece[len(piece) - kept :]
    return [_copy(text, found, train, table) for text, found in zip(encoded, best, strict=True)]


def _search(texts: Sequence[Int[Array, " bytes"]], piece: Int[Array, " bytes"], place: int, best: list[_Best]) -> None:
    """Improve `best` by the runs that stand in one piece of the training text."""
    salt = np.random.default_rng(7).integers(1, 2**63, size=256, dtype=np.uint64)
    ours, theirs = [[salt[text] for text in texts]], [salt[piece]]  # hashes of runs of 2**level bytes, at every place
    hits: list[Bool[Array, " places"]] = []
    while True:
        level = len(theirs) - 1
        wanted = np.concatenate([text for text in ours[-1] if len(text)] or [theirs[0][:0]])
        # A level at which every text already has twice as long a run cannot better any
        idle = all(
            found.length >= 2 ** (level + 1) or not len(text) for found, text in zip(best, ours[-1], strict=True)
        )
        hits.append(np.zeros(0, dtype=np.int64) if idle else _places(theirs[-1], wanted))
        if not len(wanted) or len(theirs[-1]) <= 2**level or (not idle and not len(hits[-1])):
            break
        ours.append([_joined(text, text[2**level :]) for text in ours[-1]])
        theirs.append(_joined(theirs[-1], theirs[-1][2**level :]))
    for number, found in enumerate(best):
        # What first matches at a level is less than twice as long as the level's runs
        useful = range(len(hits) - 1, max(-1, (found.length + 1).bit_length() - 2), -1)
        for level in useful:
            mine = np.unique(ours[level][number])
            places = hits[level]
            if len(places) and len(mine):
                places = places[_within(mine, theirs[level][places])]
            if len(places) and len(mine):
                _extend([text[number] for text in ours], theirs, level, places, texts[number], piece, place, found)
                break


def _extend(
    ours: list[Words], theirs: list[Words], level: int, places: Int[Array, " places"],
    text: Int[Array, " bytes"], piece: Int[Array, " bytes"], place: int, found: _Best,
) -> None:  # fmt: skip
    """The longest run of at least 2**level bytes, and less than twice as many, that begins at one of these places."""
    length = 2**level
    mine, at = ours[level], theirs[level][places]
    for step in range(level - 1, -1, -1):
        # Runs of `length + 2**step` bytes: only those that begin where the shorter ones do
        longer = _joined(mine, ours[step][length:])
        inside = places + length < len(theirs[step])
        reached = places[inside]
        candidate = _mixed(at[inside], theirs[step][reached + length])
        kept = _within(np.unique(longer), candidate)
        if kept.any():
            mine, places, at, length = longer, reached[kept], candidate[kept], length + 2**step
    if length <= found.length:
        return
    for where in places[:16]:  # equal hashes are equal runs but once in 2**64: confirmed by the bytes themselves
        run = piece[where : where + length]
        for start in np.flatnonzero(mine == at[places == where][0])[:16]:
            if np.array_equal(text[start : start + length], run):
                found.length, found.start, found.place = length, int(start), place + int(where)
                return


def _mixed(left: Words, right: Words) -> Words:
    """The hash of two runs, one after the other, from theirs."""
    mixed = (left ^ (left >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9) + right * np.uint64(0x9E3779B97F4A7C15)
    result: Words = mixed ^ (mixed >> np.uint64(32))
    return result


def _joined(left: Words, right: Words) -> Words:
    return _mixed(left[: len(right)], right)


def _places(hashes: Words, wanted: Words) -> Int[Array, " hits"]:
    """Where a hash is one of the wanted ones. A table of their leading bits rules out nearly all in one look."""
    shift = np.uint64(64 - _FILTER_BITS)
    listed = np.zeros(2**_FILTER_BITS, dtype=bool)
    listed[wanted >> shift] = True
    likely = np.flatnonzero(listed[hashes >> shift])
    hits: Int[Array, " hits"] = likely[_within(np.unique(wanted), hashes[likely])]
    return hits


def _within(table: Words, hashes: Words) -> Bool[Array, " places"]:
    """Whether each hash is in a sorted table."""
    if not len(table):
        return np.zeros(len(hashes), dtype=bool)
    found: Bool[Array, " places"] = table[np.minimum(np.searchsorted(table, hashes), len(table) - 1)] == hashes
    return found


def _copy(text: Int[Array, " bytes"], found: _Best, train: Documents, table: TokenTable) -> Copy:
    """The run cut to whole characters, with the document that it stands in."""
    run = text[found.start : found.start + found.length]
    shown = run.tobytes().decode("utf-8", "ignore")
    skipped = next((index for index, byte in enumerate(run[:4]) if byte & 0xC0 != 0x80), 0)
    if not shown:
        return Copy(text="", characters=0, tokens=0, start=0, document=-1, offset=0)
    # Each document before it has one border byte
    begins = np.cumsum(train.bytes + 1) - (train.bytes + 1)
    document = int(np.searchsorted(begins, found.place, side="right")) - 1
    offset = found.place - int(begins[document])
    ids = train.read(int(train.offsets[document]), int(train.offsets[document + 1]))
    ends = np.cumsum(table.lengths[ids])
    inside = (ends - table.lengths[ids] >= offset) & (ends <= offset + found.length)
    return Copy(
        text=shown, characters=len(shown), tokens=int(inside.sum()), start=found.start + skipped,
        document=document, offset=offset + skipped,
    )  # fmt: skip


def _pieces(documents: Documents, lengths: Sequence[int], seed: int) -> list[str]:
    """Held-out text of these lengths in bytes, from places drawn at random; none where there is not so much text."""
    data = documents.text_bytes(SEARCHED_BYTES)
    generator = np.random.default_rng(seed)
    starts = [int(generator.integers(0, max(1, len(data) - length))) for length in lengths]
    pieces = [data[start : start + length].tobytes() for start, length in zip(starts, lengths, strict=True)]
    return [text for text in (piece.decode("utf-8", "ignore") for piece in pieces) if text]
