"""What is found of texts of which each has one class: accuracy, macro-F1, calibration, which classes are mistaken for which."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from daedal.errors import DaedalError
from daedal.evaluation.blocks import Block, Note, Ranking, Table
from daedal.evaluation.bootstrap import method
from daedal.evaluation.evaluator import Findings
from daedal.evaluation.examples.held_out import Examples
from daedal.evaluation.examples.texts import buckets, inputs, joined, short
from daedal.evaluation.kinds.examples import ExampleSubject
from daedal.evaluation.means import mean_interval, share_of, student
from daedal.evaluation.measurement import Measurement, define
from daedal.evaluation.measures import calibration
from daedal.evaluation.measures.confusion import class_scores, confusion, macro_f1, macro_f1_interval
from daedal.evaluation.predictors import bigram_classifier
from daedal.evaluation.predictors.bigram_classifier import BigramClassifier
from daedal.evaluation.predictors.words import words
from daedal.evaluation.report import Baseline

Array = np.ndarray
_MISTAKES = 8
_CLASSES_SHOWN = 12


class OneClass:
    """Held-out texts, their classes, and what a model says.

    Args:
        labels: that the model knows.

    Raises:
        DaedalError: it knows none of the classes of the texts.
    """

    most = bigram_classifier.MOST_TEXTS

    def __init__(self, examples: Examples, said: Sequence[Any], labels: Sequence[str], subject: ExampleSubject) -> None:
        self.examples, self.labels, self.subject = examples, tuple(labels), subject
        true = [str(label) for label in examples["label"]]
        self.unknown = sorted(set(true) - set(labels))
        if set(true).isdisjoint(labels):
            raise DaedalError(
                f"The texts of {examples.name} are {_listed(self.unknown)}, and the model tells {_listed(self.labels)}",
                "Measure on data with the model's labels",
            )
        self.names = (*self.labels, *self.unknown)
        place = {name: at for at, name in enumerate(self.names)}
        self.truth: Int[Array, " n"] = np.array([place[each] for each in true])
        self.probabilities: Float[Array, "n labels"] = np.array(
            [[each.probabilities.get(name, 0.0) for name in self.labels] for each in said], dtype=np.float64
        )
        self.said: Int[Array, " n"] = np.array([place[each.label] for each in said])

    def findings(self, train: Examples | None) -> Findings:
        confidence = self.probabilities.max(1)
        own = self._measured(self.said, self.probabilities, self.subject.hash)
        bins = calibration.bins(confidence, self.said == self.truth)
        own += (
            Measurement(
                name="calibration error", value=bins.error, unit="", n=len(self.said), pieces="texts",
                definition=define("expected-calibration-error", 1, bins=f"{calibration.BINS}-of-equal-mass", of="top-label"),
                **self.subject.about,
            ),
        )  # fmt: skip
        blocks: list[Block] = [
            Ranking(quantity="accuracy", of=f"Accuracy on the {self.examples.name} texts, more is better")
        ]
        if self.unknown:
            count = int((self.truth >= len(self.labels)).sum())
            of = _listed(self.unknown)
            blocks.append(
                Note(
                    brief=f"{count:,} texts are of a class that the model does not know ({of}): it cannot but miss them"
                )
            )
        blocks += [self._matrix(), self._mistakes(confidence), self._calibration(bins, confidence), self._by_length()]
        return Findings(own, tuple(self._baselines(train)), tuple(blocks))

    def headline(self, kept: Bool[Array, " n"]) -> Measurement:
        return self._accuracy((self.said == self.truth)[kept], self.subject.hash, "classifier")

    def _accuracy(self, right: Bool[Array, " n"], model_hash: str, predictor: str) -> Measurement:
        about = {**self.subject.about, "model_hash": model_hash}
        return Measurement(
            name="accuracy", unit="", pieces="texts", better="higher",
            definition=define("accuracy", 1, predictor=predictor), **share_of(int(right.sum()), len(right)), **about,
        )  # fmt: skip

    def _measured(
        self,
        said: Int[Array, " n"],
        probabilities: Float[Array, "n labels"] | None,
        model_hash: str,
        predictor: str = "classifier",
    ) -> tuple[Measurement, ...]:
        matrix = confusion(self.truth, said, len(self.names))
        about: dict[str, Any] = {
            **self.subject.about, "model_hash": model_hash, "unit": "", "pieces": "texts", "n": len(said),
        }  # fmt: skip
        found = [
            self._accuracy(said == self.truth, model_hash, predictor),
            Measurement(
                name="macro-F1", value=float(macro_f1(matrix)), better="higher", seed=self.subject.asked.seed,
                interval=macro_f1_interval(matrix, self.subject.asked.seed), interval_method=method("texts"),
                definition=define("macro-f1", 1, predictor=predictor), **about,
            ),
        ]  # fmt: skip
        if probabilities is not None:
            known = np.where(self.truth < len(self.labels), self.truth, -1)
            scores = calibration.brier(probabilities, known)
            found.append(
                Measurement(
                    name="Brier score", value=float(scores.mean()), interval=mean_interval(scores, (0.0, 2.0)),
                    interval_method=student("texts"),
                    definition=define("brier-score", 1, predictor=predictor), **about,
                )
            )  # fmt: skip
        return tuple(found)

    def _baselines(self, train: Examples | None) -> list[Baseline]:
        """The most frequent class, and a linear model over bigrams; of the held-out texts themselves where there is no training
        text, which is the best that one class can do."""
        learned = self.truth if train is None else self._numbers(train)
        counts = np.bincount(learned[learned >= 0], minlength=len(self.names))
        usual = np.full(len(self.truth), int(counts.argmax()))
        why = "says of every text the class that is most frequent"
        found = [Baseline(name="majority", why=why, measurements=self._measured(usual, None, "", "majority"))]
        if train is None or len(np.unique(learned[learned >= 0])) < 2:
            return found
        kept = learned >= 0
        texts = [text for text, has in zip(joined(train), kept, strict=True) if has]
        model = BigramClassifier.fit(texts, np.eye(len(self.labels), dtype=bool)[learned[kept]])
        probabilities = model.probabilities(joined(self.examples))
        of = f"nb-bigrams,trained-on={len(texts)}-texts"
        measured = self._measured(probabilities.argmax(1), probabilities, "", of)
        why = "a linear model over words and pairs of words, weighted by naive Bayes (Wang and Manning 2012)"
        return [*found, Baseline(name="naive-Bayes bigrams", why=why, measurements=measured)]

    def _numbers(self, train: Examples) -> Int[Array, " n"]:
        """The classes of training texts; -1 for one that the model does not know."""
        place = {name: at for at, name in enumerate(self.labels)}
        return np.array([place.get(str(label), -1) for label in train["label"]])

    def _matrix(self) -> Table:
        """The confusion matrix; of many classes precision, recall and F1 of each."""
        return table_of_classes(confusion(self.truth, self.said, len(self.names)), self.names, "texts")

    def _mistakes(self, confidence: Float[Array, " n"]) -> Table:
        texts = inputs(self.examples)
        wrong = np.flatnonzero(self.said != self.truth)
        order = wrong[np.argsort(-confidence[wrong], kind="stable")][:_MISTAKES]
        return Table(
            title="The most confident mistakes", says="Some are the label's and not the model's.",
            head=("text", "it is", "the model says", "probability"),
            rows=tuple(
                (short(texts[at]), self.names[self.truth[at]], self.names[self.said[at]], float(confidence[at])) for at in order
            ),
        )  # fmt: skip

    def _calibration(self, bins: calibration.Bins, confidence: Float[Array, " n"]) -> Table:
        chance = calibration.by_chance(confidence, self.subject.asked.seed)
        return Table(
            title="How sure, and how often right",
            says="Bins of equal number. Where a model is sure more often than right, its probabilities say too much.",
            brief=f"it is {_gap(bins)}; its calibration error is {bins.error:.3f}, and a model whose probabilities are right "
            f"would show about {chance:.3f} on so few texts",
            head=("texts", "mean probability", "right"),
            rows=tuple(zip(bins.count.tolist(), bins.sure.tolist(), bins.right.tolist(), strict=True)),
        )  # fmt: skip

    def _by_length(self) -> Table:
        groups = buckets([len(words(text)) for text in joined(self.examples)])
        right = self.said == self.truth
        rows = tuple((name, len(inside), float(right[inside].mean())) for name, inside in groups)
        return Table(title="By length", says="In words and marks.", head=("length", "texts", "accuracy"), rows=rows)


def table_of_classes(
    matrix: Int[Array, "classes classes"], names: Sequence[str], pieces: str, what: str = "class"
) -> Table:
    """The confusion matrix; of many classes precision, recall and F1 of each.

    Args:
        pieces: what is classified.
        what: a class, or what it is called.
    """
    several = f"{what}{'es' if what.endswith('s') else 's'}"
    if len(names) <= _CLASSES_SHOWN:
        rows = tuple((name, *map(int, row)) for name, row in zip(names, matrix, strict=True))
        says = f"Rows are what {pieces} are, columns what the model says."
        return Table(title=f"Which {several} are mistaken for which", says=says, head=("", *names), rows=rows)
    scores = class_scores(matrix)
    order = np.argsort(scores[:, 2], kind="stable")
    rows = tuple((names[at], int(matrix[at].sum()), *map(float, scores[at])) for at in order if matrix[at].any())
    head = (what, pieces, "precision", "recall", "F1")
    return Table(title=f"The {several}", says="The worst first.", head=head, rows=rows)


def _gap(bins: calibration.Bins) -> str:
    sure, right = (float(bins.count @ each / bins.count.sum()) for each in (bins.sure, bins.right))
    return f"{sure:.0%} sure on average, and right in {right:.0%}"


def _listed(names: Sequence[str], most: int = 5) -> str:
    return ", ".join(map(repr, names[:most])) + (f" and {len(names) - most} others" if len(names) > most else "")
