"""How well a model fills holes in held-out text, one line each, given what stands before and after; beside what the same model
makes of them from left to right.

- a hole is what stands on a line, without its indentation; the lines are drawn from all documents, as in the single-line task
  of HumanEval-infilling (Bavarian et al. 2022, arXiv:2207.14255), which draws them from the bodies of functions
- exact match: the likeliest tokens, as far as the end of the line, are the line
- bits per byte of the hole, not of what ends it: the tokens of the hole by itself
- both predictors have the whole context: from left to right all of it is text before the hole, where there is so much
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float64

from daedal.codecs.infilling import Infilling, Order
from daedal.codecs.text import TextCodec
from daedal.evaluation.blocks import Ranking, Table
from daedal.evaluation.documents import Documents
from daedal.evaluation.evaluator import Evaluator, Findings, Tell
from daedal.evaluation.intervals import RATIO, ratio
from daedal.evaluation.kinds.text import TextSubject
from daedal.evaluation.means import share_of_pieces
from daedal.evaluation.measurement import Measurement, define
from daedal.evaluation.report import Baseline
from daedal.inference.generator import Generator
from daedal.models.gpt import GPT
from daedal.models.model import IGNORE

_LEAST, _MOST = 4, 80  # characters of a hole
_TOGETHER = 32
_SPARE = 4  # tokens beyond those of the hole that may be written
_BEFORE_AND_AFTER = 16  # characters to a token of context that are encoded, at most
_SHOWN = 6

Predictor = Order | None
"""What a model reads first; None reads from left to right what stands before."""


class Hole(NamedTuple):
    """A line of a document."""

    document: int
    before: str
    text: str
    after: str


def line_holes(documents: Documents, count: int, seed: int, most: int) -> list[Hole]:
    """Holes of at most `most` tokens from lines that are drawn from all of the documents, each of another document as far as
    there are so many."""
    chance = np.random.default_rng(seed)
    found: list[Hole] = []
    order = chance.permutation(len(documents))
    for number in range(4 * count):
        if len(found) == count:
            break
        document = int(order[number % len(order)])
        text = documents.text(document)
        lines = text.split("\n")
        fit = [place for place, line in enumerate(lines) if _LEAST <= len(line.strip()) <= _MOST]
        if not fit:
            continue
        line = fit[int(chance.integers(len(fit)))]
        begin = sum(len(each) + 1 for each in lines[:line]) + len(lines[line]) - len(lines[line].lstrip())
        end = begin + len(lines[line].strip())
        if len(documents.codec.encode(text[begin:end])) > most:
            continue
        found.append(Hole(document, text[:begin], text[begin:end], text[end:]))
    return found


def longest(model: GPT) -> int:
    """Tokens of the longest hole beside which a model sees something."""
    return model.config.context // 2 - 2 * _SPARE


class FillingIn(Evaluator[TextSubject]):
    """Exact match and bits per byte of holes."""

    needs, columns, weight = frozenset({"infill"}), frozenset({"text"}), 3.0
    sizes = (64, 128, 256)
    share = 0.3

    def each(self, subject: TextSubject) -> float:
        """Seconds of a hole: it is read four times and written twice, a token at a time."""
        config = subject.model.config
        return float(4 * config.context * subject.model.flops_per_token(config.context) / 3 / 2e10 + 0.02)

    def measure(self, subject: TextSubject, within: float, tell: Tell) -> Findings:
        seed = subject.asked.seed
        holes = line_holes(subject.documents, self.count(subject, within), seed, longest(subject.model))
        if len(holes) < 2:
            return Findings(missing=("Filling in: the held-out text has too few lines",))
        tell(0.0, "filling holes")
        sides: tuple[tuple[str, Predictor], ...] = (("psm", "psm"), ("spm", "spm"), ("left to right", None))
        found = {}
        for part, (name, order) in enumerate(sides):
            found[name] = self._of(subject, holes, order, name)
            tell((part + 1) / 3, "filling holes")
        written, both = found["psm"]
        baselines = (
            Baseline(
                name="suffix first", why="the same model, which reads what stands after first", measurements=found["spm"][1]
            ),
            Baseline(
                name="left to right", why="the same model, which sees what stands before",
                measurements=found["left to right"][1],
            ),
        )  # fmt: skip
        rows = []
        for hole, said in list(zip(holes, written, strict=True))[:_SHOWN]:
            above, below = _beside(hole)
            rows.append((above, hole.text, said, below))
        table = Table(
            title="What it fills in", says="The first holes that were drawn, not chosen.",
            head=("above", "it is", "the model says", "below"),
            rows=tuple(rows),
        )  # fmt: skip
        of = f"Lines of the {subject.documents.name} text filled in exactly, more is better"
        rankings = (
            Ranking(quantity="infilling-exact-match", of=of),
            Ranking(quantity="infilling-bits-per-byte", of="Bits per byte of the lines filled in, less is better"),
        )
        return Findings(both, baselines, (*rankings, table))

    def _of(
        self, subject: TextSubject, holes: Sequence[Hole], order: Predictor, name: str
    ) -> tuple[list[str], tuple[Measurement, ...]]:
        """What is written into holes, and how good it is."""
        model, codec = subject.model, subject.documents.codec
        rows = [prompt(codec, hole, model.config.context, order) for hole in holes]
        written = fill_lines(subject.generator, rows)
        hits = np.array([said == hole.text for said, hole in zip(written, holes, strict=True)], dtype=np.float64)
        how = {"order": name.replace(" ", "-"), "window": model.config.context}
        about = {"model_hash": subject.hash, "data_hash": subject.documents.fingerprint, "seed": subject.asked.seed}
        return written, measurements(holes, hits, hole_nats(model, codec, rows), how, about)


def measurements(
    holes: Sequence[Hole], hits: Float64[np.ndarray, " holes"], nats: Float64[np.ndarray, " holes"],
    how: Mapping[str, object], about: Mapping[str, Any],
) -> tuple[Measurement, Measurement]:  # fmt: skip
    """Exact match and bits per byte; the holes of one document belong together in the intervals."""
    _, piece = np.unique([hole.document for hole in holes], return_inverse=True)
    of_each, sizes, bits, right = (
        np.bincount(piece, weights=weights).astype(np.float64)
        for weights in (np.ones(len(holes)), [len(hole.text.encode()) for hole in holes], nats / math.log(2), hits)
    )
    said = {**how, "holes": f"{len(holes)}-lines"}
    found = ratio(bits, sizes)
    return (
        Measurement(
            name="lines filled in exactly", unit="", better="higher", n=len(of_each),
            definition=define("infilling-exact-match", 1, **said), **share_of_pieces(right, of_each, "documents"), **about,
        ),
        Measurement(
            name="bits per byte of the lines", unit="bits per byte", value=float(bits.sum() / sizes.sum()), n=len(of_each),
            interval=None if found is None else found.positive_interval,
            interval_method="" if found is None else f"{RATIO} over documents, {found.freedom:.1f} degrees of freedom, 95 %",
            definition=define("infilling-bits-per-byte", 1, **said), **about,
        ),
    )  # fmt: skip


class Row(NamedTuple):
    """What a model reads before a hole, and the tokens of the hole."""

    ids: list[int]
    hole: list[int]


def prompt(codec: TextCodec, hole: Hole, context: int, order: Predictor) -> Row:
    """What a model reads of a document before it fills a hole: as much as the context has room for."""
    target = codec.encode(hole.text)
    near = _BEFORE_AND_AFTER * context
    before, after = codec.encode(hole.before[-near:]), codec.encode(hole.after[:near])
    room = context - len(target) - _SPARE
    first = codec.eos_id if codec.bos_id is None else codec.bos_id
    if order is None:
        ids = before[-(room - 1) :] if room > 1 else []
        whole = len(ids) == len(before) and len(hole.before) <= near
        return Row([first or 0, *ids] if whole or not ids else ids, target)
    marks = Infilling.of(codec)
    assert marks is not None
    begin = list(codec.prefix_ids)
    room = max(0, room - 3 - len(begin))
    behind = min(len(after), max(room - len(before), room // 3))
    ahead = before[len(before) - min(len(before), room - behind) :]
    return Row([*begin, *marks.arranged(ahead, after[:behind], None, order)], target)


@torch.no_grad()
def hole_nats(model: GPT, codec: TextCodec, rows: Sequence[Row]) -> Float64[np.ndarray, " rows"]:
    """Nats of the tokens of each hole."""
    device, found = next(model.parameters()).device, np.zeros(len(rows))
    order = sorted(range(len(rows)), key=lambda number: len(rows[number].ids) + len(rows[number].hole))
    training = model.training
    model.eval()
    try:
        for first in range(0, len(order), _TOGETHER):
            some = order[first : first + _TOGETHER]
            longest = max(len(rows[number].ids) + len(rows[number].hole) for number in some) - 1
            inputs = torch.full((len(some), longest), codec.eos_id or 0)
            targets = torch.full((len(some), longest), IGNORE)
            for place, number in enumerate(some):
                ids, hole = rows[number]
                whole = torch.tensor([*ids, *hole])
                inputs[place, : len(whole) - 1] = whole[:-1]
                targets[place, len(ids) - 1 : len(whole) - 1] = whole[len(ids) :]
            said = model.token_log_likelihoods(inputs.to(device), targets.to(device))
            found[some] = -said.sum(1).cpu().numpy()
    finally:
        model.train(training)
    return found


def fill_lines(generator: Generator, rows: Sequence[Row]) -> list[str]:
    """The likeliest line for each hole."""
    most = max(len(row.hole) for row in rows) + _SPARE
    written = generator.generate([row.ids for row in rows], temperature=0.0, max_tokens=most, stop=("\n",))
    return [each.text.rstrip() for each in written]


def _beside(hole: Hole) -> tuple[str, str]:
    """The lines before and after a hole that are not empty, on one."""
    above, below = hole.before.rstrip().rpartition("\n")[2], hole.after.lstrip().partition("\n")[0]
    return above.strip()[:60], below.strip()[:60]
