"""How well a model predicts held-out tunes, beside n-grams over the same codes.

On a grid of voices this is told for each step, as the literature does since Boulanger-Lewandowski et al. (2012,
arXiv:1206.6392): the nats of all voices of a step, summed; ends are not counted. Of events it is told for each.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from daedal.data.tune_windows import TuneWindows
from daedal.evaluation.blocks import Ranking
from daedal.evaluation.evaluator import Findings, Tell
from daedal.evaluation.examples.evaluator import ExampleEvaluator
from daedal.evaluation.examples.held_out import Examples
from daedal.evaluation.intervals import RATIO, ratio_interval
from daedal.evaluation.kinds.tunes import TuneSubject, tunes_of
from daedal.evaluation.measurement import Measurement, define
from daedal.evaluation.ngram import KneserNey
from daedal.evaluation.report import Baseline
from daedal.inference.generator import Generator
from daedal.training.tune_likelihood import code_log_likelihoods

Array = np.ndarray
_COUNTED = 2_000_000  # codes of the training tunes
_SECONDS_PER_COUNTED = 3e-6  # on one core of 2023


class _Nats(NamedTuple):
    """Of a tune: nats of its codes but the end, and how many these are."""

    nats: float
    codes: int


class TunePrediction(ExampleEvaluator):
    """The likelihood of held-out tunes."""

    needs, columns = frozenset({"compose"}), frozenset({"tune"})

    def ask(self, generator: Generator, examples: Examples) -> Sequence[Any]:
        codec, model = generator.codec, generator.model
        rows = [codec.encode(tune) for tune in tunes_of(examples)]
        found = code_log_likelihoods(model, TuneWindows(rows, codec, model.config.context - codec.opening + 1))
        return [_Nats(-float(nats[:-1].sum()), len(nats) - 1) for nats in found]

    def each(self, subject: Any) -> float:
        name, ask = type(self).__name__, self.ask
        seconds: float = subject.seconds_each(name, subject.windows_each, lambda some: ask(subject.generator, some))
        return seconds

    def rest(self, subject: Any) -> float:
        codes = 0 if subject.train is None else sum(len(values["notes"]) for values in subject.train["tune"])
        return 3 * min(_COUNTED, codes) * _SECONDS_PER_COUNTED

    def measure(self, subject: Any, within: float, tell: Tell) -> Findings:
        examples, found = self.answers(subject, within, tell, "predicting held-out tunes")
        own = self._measured(subject, found, subject.about, window=subject.window, stride=subject.window // 2)
        baselines = tuple(self._counted(subject, examples)) if subject.train is not None else ()
        of = f"Nats per {subject.unit} of the {examples.name} tunes, less is better"
        return Findings((own,), baselines, (Ranking(quantity=f"nats-per-{subject.unit}", of=of),))

    def _measured(self, subject: TuneSubject, found: Sequence[_Nats], about: dict[str, Any], **how: Any) -> Measurement:
        nats = np.array([each.nats for each in found])
        units = np.array([each.codes / subject.per_step for each in found])
        layout = subject.codec.layout.layout
        return Measurement(
            name=f"nats per {subject.unit}", value=float(nats.sum() / units.sum()), unit="nats", n=len(found), pieces="tunes",
            interval=ratio_interval(nats, units), interval_method=f"{RATIO} over tunes, 95 %",
            definition=define(f"nats-per-{subject.unit}", 1, codes=layout, **how), **about,
        )  # fmt: skip

    def _counted(self, subject: TuneSubject, examples: Examples) -> Sequence[Baseline]:
        """N-grams of the codes: a step of a grid is as many codes as there are voices."""
        codec, train, total = subject.codec, list[Array](), 0
        assert subject.train is not None
        for tune in tunes_of(subject.train):
            train.append(np.append(codec.layout.encode(tune), codec.end))
            total += len(train[-1])
            if total > _COUNTED:
                break
        held = [np.append(codec.layout.encode(tune), codec.end) for tune in tunes_of(examples)]
        borders = np.cumsum([len(codes) for codes in held])[:-1]
        baselines = []
        for order in (1, 5, 9):
            model = KneserNey(np.concatenate(train), codec.end + 1, codec.end, order)
            parts = np.split(model.log_probabilities(np.concatenate(held)), borders)
            found = [_Nats(-float(nats[:-1].sum()), len(nats) - 1) for nats in parts]
            about = {**subject.about, "model_hash": ""}
            measured = self._measured(subject, found, about, predictor=f"{order}-gram", smoothing="kneser-ney")
            why = "how often each code occurs" if order == 1 else f"each code after the {order - 1} before it, counted"
            baselines.append(Baseline(name=f"{order}-gram", why=why, measurements=(measured,)))
        return baselines
