"""How well a masked language model tells hidden tokens: some of each passage at once, as it learned to, and one by one, which
gives its pseudo-perplexity (Salazar et al. 2020); beside what the neighbouring tokens alone tell."""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from daedal.evaluation.blocks import Block, Ranking, Table
from daedal.evaluation.evaluator import Evaluator, Findings, Tell
from daedal.evaluation.examples.texts import short
from daedal.evaluation.intervals import RATIO, ratio
from daedal.evaluation.kinds.masked import MaskedSubject
from daedal.evaluation.masked_text import Hidden, Judged, MaskedText, judge, logits_of
from daedal.evaluation.means import share_of_pieces
from daedal.evaluation.measurement import Measurement, define
from daedal.evaluation.predictors.neighbours import UNKNOWN, Neighbours
from daedal.evaluation.report import Baseline

Array = np.ndarray
SHARE = 0.15
"""Of the tokens of a passage that are hidden at once (Devlin et al. 2019)."""
_PASSAGES = (50, 100, 250, 500, 1000, 2500, 5000, 10_000, 50_000)
_SECONDS_PER_SCORE = 4e-9  # of each token at each place, by neighbours, on one core of 2023
_SHOWN = 6
_MOST_NATS = 700.0


class Masking(Evaluator[MaskedSubject]):
    """Hidden tokens beside what neighbours tell of them."""

    needs, columns = frozenset({"fill"}), frozenset({"text"})
    sizes: ClassVar[Sequence[int]] = (100, 250, 500, 1000, 2500, 5000, 10_000)
    """Tokens that are hidden one by one."""
    share = 0.4

    def each(self, subject: MaskedSubject) -> float:
        """Seconds of a token that is hidden alone: its passage is read for it."""
        held = subject.held
        length = float((held.lengths**2).sum() / len(held.ids)) + held.codec.framing.room
        return length * subject.seconds_per_token + 2 * int(subject.model.config.vocab_size) * _SECONDS_PER_SCORE

    def passages(self, subject: MaskedSubject, within: float) -> int:
        """How many passages are read with a part hidden."""
        each = len(subject.held.ids) / len(subject.held) * subject.seconds_per_token
        each += (
            SHARE * len(subject.held.ids) / len(subject.held) * 2 * subject.model.config.vocab_size * _SECONDS_PER_SCORE
        )
        if len(subject.held) * each <= self.share * within:
            return len(subject.held)
        return max((size for size in _PASSAGES if size * each <= self.share * within), default=_PASSAGES[0])

    def seconds(self, subject: MaskedSubject, within: float) -> float:
        each = len(subject.held.ids) / len(subject.held) * subject.seconds_per_token
        one_by_one = min(self.count(subject, within), len(subject.held.ids)) * self.each(subject)
        return min(self.passages(subject, within), len(subject.held)) * each + one_by_one + 1.0

    def measure(self, subject: MaskedSubject, within: float, tell: Tell) -> Findings:
        held, seed = subject.held, subject.asked.seed
        generator = np.random.Generator(np.random.Philox(seed))
        together = masks(held, min(self.passages(subject, within), len(held)), generator)
        alone = one_by_one(held, min(self.count(subject, within), len(held.ids)), generator)
        parts = [
            judge(
                subject.model,
                held,
                hidden,
                lambda done, part=part: tell(0.4 * (part + done), "filling in held-out text"),
            )
            for part, hidden in enumerate((together, alone))
        ]
        own = measurements(held, (together, alone), parts, subject.about, seed)
        tell(0.85, "baselines")
        of = f"Hidden tokens of the {held.name} text that are told, more is better"
        blocks: list[Block] = [Ranking(quantity="masked-token-accuracy", of=of), _examples(subject, together)]
        return Findings(own, tuple(self._baselines(subject, (together, alone))), tuple(blocks))

    def _baselines(self, subject: MaskedSubject, hidden: tuple[list[Hidden], list[Hidden]]) -> list[Baseline]:
        if subject.train is None:
            return []
        held, about = subject.held, {**subject.about, "model_hash": ""}
        learned = Neighbours.fit(subject.learned_ids(), held.codec.vocab_size)
        found = []
        for name, predictor, why, known in (
            ("neighbours", "left-right-bigram", "what the tokens on both sides tell, by counts of pairs", True),
            ("unigram", "unigram", "how frequent each token is", False),
        ):
            judged = [Judged(*learned.judge(*beside(held, each, known))) for each in hidden]
            measured = measurements(held, hidden, judged, about, subject.asked.seed, predictor)
            found.append(Baseline(name=name, why=why, measurements=measured))
        return found


def masks(passages: MaskedText, count: int, generator: np.random.Generator) -> list[Hidden]:
    """15 % of the tokens of each passage, at least one, drawn by chance; of so many passages, drawn too. Tokens that stand for
    what the vocabulary lacks are never hidden."""
    chosen = np.arange(len(passages))
    if count < len(passages):
        chosen = np.sort(generator.choice(len(passages), count, replace=False))
    found = []
    for passage in chosen:
        free = np.flatnonzero(passages.free[passages.borders[passage] : passages.borders[passage + 1]])
        if len(free):
            hides = generator.choice(free, max(1, round(SHARE * len(free))), replace=False)
            found.append(Hidden(int(passage), np.sort(hides)))
    return found


def one_by_one(passages: MaskedText, count: int, generator: np.random.Generator) -> list[Hidden]:
    """So many tokens, drawn from all, each of which is hidden alone."""
    free = np.flatnonzero(passages.free)
    drawn = np.sort(generator.choice(free, min(count, len(free)), replace=False))
    places = (passages.at(int(token)) for token in drawn)
    return [Hidden(passage, np.array([place])) for passage, place in places]


def beside(
    passages: MaskedText, hidden: Sequence[Hidden], known: bool
) -> tuple[Int[Array, " n"], Int[Array, " n"], Int[Array, " n"]]:
    """Each hidden token, and what stands to its left and its right; unknown where that is hidden too, or if it is not asked
    for. Beside the first and the last of a passage is a border."""
    border = passages.codec.vocab_size
    columns: list[list[Any]] = [[], [], []]
    for passage, hides in hidden:
        ids = passages[passage]
        seen = ids.copy()
        seen[hides] = UNKNOWN
        line = np.concatenate([[border], seen, [border]])
        for column, values in zip(columns, (ids[hides], line[hides], line[hides + 2]), strict=True):
            column.append(values)
    truth, left, right = (np.concatenate(column) for column in columns)
    nothing = np.full(len(truth), UNKNOWN)
    return (truth, left, right) if known else (truth, nothing, nothing)


def measurements(
    passages: MaskedText, hidden: tuple[list[Hidden], list[Hidden]], judged: Sequence[Judged], about: dict[str, Any], seed: int,
    predictor: str = "model",
) -> tuple[Measurement, ...]:  # fmt: skip
    """Accuracy of tokens that are hidden together, and the pseudo-perplexity of those that are hidden alone."""
    pieces, piece = passages.pieces
    (together, alone), (part, one) = hidden, judged
    of = [
        np.repeat(piece[[each.passage for each in some]], [len(each.places) for each in some])
        for some in (together, alone)
    ]
    how = {"predictor": predictor, "vocabulary": passages.codec.fingerprint()[:12]}
    some = {**how, "hidden": f"{SHARE:.0%}-of-{len(together)}-passages".replace("%", "-percent")}
    common: dict[str, Any] = {"pieces": "tokens", "seed": seed, **about}

    def measure(
        name: str, quantity: str, values: Float[Array, " n"] | Bool[Array, " n"], piece_of: Int[Array, " n"]
    ) -> Measurement:
        hits, sizes = np.bincount(piece_of, weights=values), np.bincount(piece_of).astype(np.float64)
        return Measurement(
            name=name, unit="", n=len(values), better="higher", definition=define(quantity, 1, **some),
            **share_of_pieces(hits, sizes, pieces), **common,
        )  # fmt: skip

    loss = ratio(np.bincount(of[1], weights=one.nats), np.bincount(of[1]).astype(np.float64))
    nats, interval = float(one.nats.mean()), None if loss is None else loss.positive_interval
    method = "" if loss is None else f"{RATIO} over {pieces}, {loss.freedom:.1f} degrees of freedom, 95 %"
    per_byte = int(passages.free.sum()) / passages.bytes / math.log(2)
    single = {**how, "hidden": f"one-of-{len(alone)}-tokens"}
    scaled = None if interval is None else (interval[0] * per_byte, interval[1] * per_byte)
    finite = interval is not None and interval[1] < _MOST_NATS
    return (
        measure("accuracy on hidden tokens", "masked-token-accuracy", part.ranks == 1, of[0]),
        measure("top-5 accuracy on hidden tokens", "masked-token-top-5", part.ranks <= 5, of[0]),
        Measurement(
            name="pseudo-perplexity", value=math.exp(min(nats, _MOST_NATS)), unit="per token", n=len(alone),
            interval=(math.exp(interval[0]), math.exp(interval[1])) if finite and interval else None,
            interval_method=method, definition=define("pseudo-perplexity", 1, **single), **common,
        ),
        Measurement(
            name="pseudo-bits per byte", value=nats * per_byte, unit="bits per byte", n=len(alone), interval=scaled,
            interval_method=method, definition=define("pseudo-bits-per-byte", 1, **single), **common,
        ),
    )  # fmt: skip


@torch.inference_mode()
def _examples(subject: MaskedSubject, together: Sequence[Hidden]) -> Table:
    """The first hidden token of some passages, with what the model thinks it is."""
    held, codec, rows = subject.held, subject.held.codec, []
    for passage, hides in list(together)[:_SHOWN]:
        place = int(hides[len(hides) // 2])
        logits, truth = logits_of(subject.model, held, [Hidden(passage, np.array([place]))])
        chances, ids = logits[0].double().softmax(-1).topk(min(3, logits.shape[1]))
        ids_here = held[passage]
        left, right = codec.decode(ids_here[max(0, place - 12) : place]), codec.decode(ids_here[place + 1 : place + 13])
        guesses = ", ".join(
            f"{codec.name(int(id)).strip() or '␣'} {chance:.0%}" for id, chance in zip(ids, chances, strict=True)
        )
        rows.append((short(f"{left} [?] {right}", 200), codec.name(int(truth[0])).strip() or "␣", guesses))
    says = "A hidden token of the first passages, not chosen; [?] is where it stands."
    return Table(title="What it fills in", says=says, head=("text", "it is", "the model says"), rows=tuple(rows))
