"""How well a recommender says what people take next, beside simple predictors: the evaluator.

The item that is held out is ranked among all that the person did not have (never among some that are drawn, which favours bad
models: Krichene and Rendle 2020, doi:10.1145/3394486.3403226).
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
from jaxtyping import Float, Int

from daedal.codecs.items import END
from daedal.evaluation.blocks import Block, Note, Ranking, Table
from daedal.evaluation.bootstrap import bootstrap
from daedal.evaluation.evaluator import Evaluator, Findings, Tell
from daedal.evaluation.kinds.histories import Cases, HistorySubject
from daedal.evaluation.measurement import Measurement, define
from daedal.evaluation.measures.popularity import BINS, EXPONENT, Popularities
from daedal.evaluation.measures.ranks import discounted, places_among
from daedal.evaluation.predictors.item_counts import Popularity, Successors
from daedal.evaluation.predictors.item_neighbours import ItemNeighbours
from daedal.evaluation.predictors.matrix_factors import MatrixFactors
from daedal.evaluation.report import Baseline

Array = np.ndarray
FIRST = 10
_TOGETHER = 256
_SHOWN = 8
_METHOD = "percentile bootstrap over people, 95 %"
_SECONDS_PER_TAKING, _SECONDS_PER_ITEM = 6e-6, 1e-3  # by all simple predictors, on one core of 2023


class _Predictor(Protocol):
    def scores(self, histories: Sequence[Int[Array, " items"]]) -> Float[Array, "histories vocab"]: ...


class Found(NamedTuple):
    """What a predictor says of some cases: the place of each target, and the first items of each."""

    places: Float[Array, " cases"]
    best: Int[Array, "cases first"]

    @property
    def gains(self) -> Float[Array, " cases"]:
        return discounted(self.places, FIRST)


class Recommending(Evaluator[HistorySubject]):
    """What people took next, among all items."""

    needs, columns = frozenset({"recommend"}), frozenset({"items"})
    sizes: ClassVar[Sequence[int]] = (1000, 2500, 5000, 10_000, 25_000, 100_000)
    share = 0.6

    def each(self, subject: HistorySubject) -> float:
        return subject.seconds_each("recommending", 1.2, lambda some: self._ask(subject, subject.ids(some)))

    def seconds(self, subject: HistorySubject, within: float) -> float:
        cases = sum(0 if each is None else len(each.targets) for each in (subject.by_time, subject.by_people))
        return min(self.share * within, cases * self.each(subject)) + min(
            self._rest(subject), (1 - self.share) * within
        )

    def _rest(self, subject: HistorySubject) -> float:
        """Seconds that simple predictors take to learn."""
        takings = sum(map(len, subject.learned_from))
        return _SECONDS_PER_TAKING * takings + _SECONDS_PER_ITEM * subject.codec.vocab_size if takings else 0.0

    def _ask(
        self, subject: HistorySubject, histories: Sequence[Int[Array, " items"]]
    ) -> Float[Array, "histories vocab"]:
        found: Array = subject.generator.logits(histories).numpy()
        return found

    def measure(self, subject: HistorySubject, within: float, tell: Tell) -> Findings:
        count = self.count(subject, within)
        protocols = (subject.by_time, ""), (subject.by_people, "-of-new-people")
        chosen = [(each.some(count, subject.asked.seed), name) for each, name in protocols if each is not None]
        tell(0.1, "learning simple predictors")
        predictors, missing = self._predictors(subject, within)
        told = (
            Popularities(Popularity.fit(subject.learned_from, subject.codec.vocab_size).counts) if predictors else None
        )
        findings = Findings(missing=missing)
        for number, (cases, ending) in enumerate(chosen):
            tell(0.3 + 0.6 * number / len(chosen), "recommending")
            own = found_of(lambda some: self._ask(subject, some), cases)
            about = {**subject.about, "data_hash": cases.data}
            measured = self._measured(subject, cases, own, told, ending, about)
            baselines, beside = [], {}
            for name, (predictor, why) in predictors.items():
                beside[name] = found_of(_ranked(predictor), cases)
                silent = {**about, "model_hash": ""}
                found = self._measured(subject, cases, beside[name], told, ending, silent, predictor=name)
                baselines.append(Baseline(name=name, why=why, measurements=found))
            blocks: list[Block] = []
            if not findings.measurements:
                of = "NDCG of what came next among the first ten, more is better"
                blocks = [Ranking(quantity=f"ndcg-at-{FIRST}{ending}", of=of), self._shown(subject, cases, own)]
            blocks += _differences(own, beside, ending, subject.asked.seed)
            findings += Findings(measured, tuple(baselines), tuple(blocks))
        return findings

    def _predictors(
        self, subject: HistorySubject, within: float
    ) -> tuple[dict[str, tuple[_Predictor, str]], tuple[str, ...]]:
        """What is learned from the same histories, as far as there is time."""
        histories, size = subject.learned_from, subject.codec.vocab_size
        if not histories:
            return {}, ("simple predictors: the histories that the model learned from are not at hand",)
        found: dict[str, tuple[_Predictor, str]] = {
            "popularity": (Popularity.fit(histories, size), "what was taken most, for everybody"),
            "Markov chain": (Successors.fit(histories, size), "what most often came right after the last three items"),
        }
        if self._rest(subject) > (1 - self.share) * within:
            return found, ("item-kNN and matrix factorisation: there is no time for them (--seconds gives more)",)
        found["item-kNN"] = (ItemNeighbours.fit(histories, size), "items that the same people took, by cosine")
        found["iALS"] = (MatrixFactors.fit(histories, size), "a factorisation of who took what, by least squares")
        return found, ()

    def _measured(
        self, subject: HistorySubject, cases: Cases, found: Found, told: Popularities | None, ending: str,
        about: dict[str, Any], **how: Any,
    ) -> tuple[Measurement, ...]:  # fmt: skip
        people = " of new people" if ending else ""
        among = {"among": "all-not-had", **how}

        def mean(
            name: str, quantity: str, values: Float[Array, " cases"], better: Any = "higher", **more: Any
        ) -> Measurement:
            values = values[np.isfinite(values)]
            interval = _interval(values, subject.asked.seed)
            return Measurement(
                name=name + people, value=float(values.mean()), unit="", n=len(values), pieces="people", better=better,
                interval=interval, interval_method=_METHOD if interval else "", seed=subject.asked.seed,
                definition=define(quantity + ending, 1, **{**among, **more}), **about,
            )  # fmt: skip

        measured = [
            mean(f"NDCG at {FIRST}", f"ndcg-at-{FIRST}", found.gains),
            mean(f"hit rate at {FIRST}", f"hit-rate-at-{FIRST}", (found.places <= FIRST).astype(np.float64)),
            mean("mean reciprocal rank", "mean-reciprocal-rank", 1 / found.places),
        ]
        if told is None or ending:
            return tuple(measured)
        weighted = mean_by(found.gains, told.propensities[np.asarray(cases.targets)], subject.asked.seed)
        measured.append(
            Measurement(
                name=f"NDCG at {FIRST}, popularity weighed out",
                value=weighted[0],
                unit="",
                n=len(found.places),
                pieces="people",
                better="higher",
                interval=weighted[1],
                interval_method=_METHOD if weighted[1] else "",
                seed=subject.asked.seed,
                definition=define(f"ndcg-at-{FIRST}-snips", 1, propensity=f"count^{EXPONENT}", **among),
                **about,
            )
        )
        catalogue = int((told.percentile > 0).sum())
        covered = len(np.unique(found.best[told.percentile[found.best] > 0]))
        return (
            *measured,
            Measurement(
                name=f"coverage at {FIRST}", value=covered / max(1, catalogue), unit="", n=len(found.places), pieces="people",
                better="higher", definition=define(f"coverage-at-{FIRST}", 1, **among), **about,
            ),
            mean("popularity lift", "popularity-lift", told.lift(found.best, cases.histories), "neither"),
            mean(
                "popularity miscalibration", "popularity-miscalibration",
                told.miscalibration(found.best, cases.histories), "lower", bins=BINS,
            ),
        )  # fmt: skip

    def _shown(self, subject: HistorySubject, cases: Cases, found: Found) -> Table:
        """Some people, whoever they are."""
        decode = subject.codec.decode
        rows = tuple(
            (
                " | ".join(decode(cases.histories[at][-3:])), " | ".join(decode(found.best[at][:3])),
                *(decode([cases.targets[at]]) or ["unknown"]),
                int(found.places[at]) if np.isfinite(found.places[at]) else "-",
            )
            for at in range(min(_SHOWN, len(cases.targets)))
        )  # fmt: skip
        head = ("the last that somebody took", "recommended", "taken next", "its place")
        return Table(title="Some people", says="The first of them, not chosen.", head=head, rows=rows)


def found_of(ask: Callable[[Sequence[Any]], Float[Array, "histories vocab"]], cases: Cases) -> Found:
    """What a predictor says of cases, some at a time."""
    parts = []
    for first in range(0, len(cases.targets), _TOGETHER):
        some = slice(first, first + _TOGETHER)
        histories = cases.histories[some]
        parts.append(places_among(np.asarray(ask(histories), np.float64), histories, cases.targets[some], FIRST))
    places, best = zip(*parts, strict=True)
    return Found(np.concatenate(places), np.concatenate(best))


def _ranked(predictor: _Predictor) -> Callable[[Sequence[Any]], Float[Array, "histories vocab"]]:
    """Its scores, with what is no item behind all."""

    def ask(histories: Sequence[Any]) -> Float[Array, "histories vocab"]:
        scores = predictor.scores(histories)
        scores[:, : END + 1] = -np.inf
        return scores

    return ask


def _interval(values: Float[Array, " people"], seed: int) -> tuple[float, float] | None:
    pieces = np.stack((values, np.ones_like(values)), 1)
    return bootstrap(pieces, lambda sums: sums[:, 0] / sums[:, 1], seed=seed)


def mean_by(
    values: Float[Array, " people"], propensities: Float[Array, " people"], seed: int
) -> tuple[float, tuple[float, float] | None]:
    """A mean as it were if all items were as likely to be seen (self-normalised inverse propensities; Schnabel et al. 2016,
    arXiv:1602.05352; Yang et al. 2018, doi:10.1145/3240323.3240355), and its interval."""
    weights = 1 / propensities
    pieces = np.stack((weights * values, weights), 1)
    return float(pieces[:, 0].sum() / pieces[:, 1].sum()), bootstrap(
        pieces, lambda sums: sums[:, 0] / sums[:, 1], seed=seed
    )


def _differences(own: Found, beside: dict[str, Found], ending: str, seed: int) -> list[Block]:
    """By how much the model is better than each, of the same people: differences have narrower intervals."""
    rows = []
    for name, found in beside.items():
        away = own.gains - found.gains
        interval = _interval(away, seed)
        rows.append((name, float(away.mean()), "" if interval is None else f"{interval[0]:+.4f} to {interval[1]:+.4f}"))
    if not rows:
        return []
    if ending:
        return [
            Note(
                brief="NDCG of new people less that of "
                + ", ".join(f"{name}: {gap:+.4f} ({span})" for name, gap, span in rows)
            )
        ]
    says = f"NDCG at {FIRST} of the model less that of a simple predictor, of the same people."
    return [
        Table(
            title="Beside simple predictors",
            says=says,
            head=("predictor", "difference", "95 % interval"),
            rows=tuple(rows),
        )
    ]
