"""What is found of texts that are a number: correlations with the true ones, and how far off the model is."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from daedal.errors import DaedalError
from daedal.evaluation.blocks import Ranking, Table
from daedal.evaluation.evaluator import Findings
from daedal.evaluation.examples.held_out import Examples
from daedal.evaluation.examples.texts import inputs, short
from daedal.evaluation.kinds.examples import ExampleSubject
from daedal.evaluation.means import mean_interval, student
from daedal.evaluation.measurement import Measurement, define
from daedal.evaluation.measures.correlation import (
    BONETT,
    FISHER,
    pearson,
    pearson_interval,
    spearman,
    spearman_interval,
)
from daedal.evaluation.report import Baseline

Array = np.ndarray
_MISTAKES = 8


class Regression:
    """Held-out texts, their numbers, and those that a model says.

    Raises:
        DaedalError: they are no numbers.
    """

    most = 1_000_000

    def __init__(self, examples: Examples, said: Sequence[Any], labels: Sequence[str], subject: ExampleSubject) -> None:
        self.examples, self.subject = examples, subject
        self.truth = numbers(examples)
        self.said: Float[Array, " n"] = np.array([each.value for each in said], dtype=np.float64)

    def findings(self, train: Examples | None) -> Findings:
        learned = self.truth if train is None else numbers(train)
        mean = self._error(np.full(len(self.truth), learned.mean()) - self.truth, "", "mean")
        return Findings(
            (
                self._error(self.said - self.truth, self.subject.hash),
                *correlations(self.said, self.truth, "texts", self.subject.about),
            ),
            (Baseline(name="mean", why="says of every text the mean of the training texts", measurements=(mean,)),),
            (
                Ranking(
                    quantity="mean-absolute-error", of=f"Mean error on the {self.examples.name} texts, less is better"
                ),
                self._mistakes(),
            ),
        )

    def headline(self, kept: Bool[Array, " n"]) -> Measurement:
        return self._error((self.said - self.truth)[kept], self.subject.hash)

    def _error(self, errors: Float[Array, " n"], model_hash: str, predictor: str = "classifier") -> Measurement:
        sizes = np.abs(errors)
        return Measurement(
            name="mean absolute error", value=float(sizes.mean()), unit="", n=len(sizes), pieces="texts",
            interval=mean_interval(sizes, (0.0, np.inf)), interval_method=student("texts"),
            definition=define("mean-absolute-error", 1, predictor=predictor),
            **{**self.subject.about, "model_hash": model_hash},
        )  # fmt: skip

    def _mistakes(self) -> Table:
        texts, errors = inputs(self.examples), np.abs(self.said - self.truth)
        order = np.argsort(-errors, kind="stable")[:_MISTAKES]
        rows = tuple((short(texts[at]), float(self.truth[at]), float(self.said[at])) for at in order)
        return Table(title="The largest mistakes", head=("text", "it is", "the model says"), rows=rows)


def correlations(
    said: Float[Array, " n"], truth: Float[Array, " n"], pieces: str, about: dict[str, Any], predictor: str = "model"
) -> tuple[Measurement, Measurement]:
    """Spearman's and Pearson's, as measurements."""
    common: dict[str, Any] = {"unit": "", "n": len(said), "pieces": pieces, "better": "higher", **about}
    ranks, linear = spearman(said, truth), pearson(said, truth)
    return (
        Measurement(
            name="Spearman's correlation", value=ranks, interval=spearman_interval(ranks, len(said)), interval_method=BONETT,
            definition=define("spearman", 1, predictor=predictor), **common,
        ),
        Measurement(
            name="Pearson's correlation", value=linear, interval=pearson_interval(linear, len(said)), interval_method=FISHER,
            definition=define("pearson", 1, predictor=predictor), **common,
        ),
    )  # fmt: skip


def numbers(examples: Examples) -> Float[Array, " n"]:
    """The numbers of labelled texts.

    Raises:
        DaedalError: one is none.
    """
    found = []
    for label in examples["label"]:
        try:
            found.append(float(label))
        except (TypeError, ValueError):
            raise DaedalError(
                f"The model gives a number, and a text of {examples.name} is {label!r}", "Measure on data with numbers"
            ) from None
    return np.array(found, dtype=np.float64)
