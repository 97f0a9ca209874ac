"""What is found of texts that may have several labels: F1 over all labels, the mean F1 of labels, and whole sets."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from daedal.errors import DaedalError
from daedal.evaluation.blocks import Block, Note, Ranking, Table
from daedal.evaluation.bootstrap import bootstrap, method
from daedal.evaluation.evaluator import Findings
from daedal.evaluation.examples.held_out import Examples
from daedal.evaluation.examples.texts import inputs, joined, short
from daedal.evaluation.kinds.examples import ExampleSubject
from daedal.evaluation.means import share_of
from daedal.evaluation.measurement import Measurement, define
from daedal.evaluation.measures.label_sets import counts, label_f1, macro_f1, micro_f1, whole_sets
from daedal.evaluation.predictors import bigram_classifier
from daedal.evaluation.predictors.bigram_classifier import BigramClassifier
from daedal.evaluation.report import Baseline

Array = np.ndarray
_MISTAKES = 8


class LabelSets:
    """Held-out texts, their labels, and those that a model says.

    Args:
        labels: that the model knows.

    Raises:
        DaedalError: it knows none of those of the texts.
    """

    def __init__(self, examples: Examples, said: Sequence[Any], labels: Sequence[str], subject: ExampleSubject) -> None:
        self.examples, self.subject = examples, subject
        true = label_sets(examples)
        unknown = sorted({label for each in true for label in each} - set(labels))
        if unknown and set(labels).isdisjoint(label for each in true for label in each):
            raise DaedalError(
                f"The model tells none of the labels of {examples.name} ({', '.join(map(repr, unknown[:5]))})",
                "Measure on data with the model's labels",
            )
        self.unknown, self.names = unknown, (*labels, *unknown)
        self.known = len(labels)
        self.truth, self.said = self._table(true), self._table([each.labels for each in said])
        self.probabilities: Float[Array, "n labels"] = np.array(
            [[each.probabilities.get(name, 0.0) for name in self.names] for each in said]
        )

    @property
    def most(self) -> int:
        """Texts that the simple predictor learns from: it learns each label by itself."""
        return max(1000, bigram_classifier.MOST_TEXTS // max(1, self.known // 4))

    def findings(self, train: Examples | None) -> Findings:
        own = self._measured(self.said, self.subject.hash)
        of = f"Micro-F1 on the {self.examples.name} texts, more is better"
        blocks: list[Block] = [Ranking(quantity="micro-f1", of=of)]
        if self.unknown:
            count = int(self.truth[:, self.known :].any(1).sum())
            blocks.append(
                Note(brief=f"{count:,} texts have a label that the model does not know: it cannot but miss it")
            )
        return Findings(own, tuple(self._baselines(train)), (*blocks, self._labels(), self._mistakes()))

    def headline(self, kept: Bool[Array, " n"]) -> Measurement:
        return self._micro(self.said[kept], self.truth[kept], self.subject.hash, "classifier")

    def _table(self, sets: Sequence[Sequence[str]]) -> Bool[Array, "n labels"]:
        place = {name: at for at, name in enumerate(self.names)}
        found = np.zeros((len(sets), len(self.names)), dtype=bool)
        for row, each in enumerate(sets):
            found[row, [place[label] for label in each if label in place]] = True
        return found

    def _micro(
        self, said: Bool[Array, "n labels"], truth: Bool[Array, "n labels"], model_hash: str, predictor: str
    ) -> Measurement:
        table = counts(truth, said)
        return Measurement(
            name="micro-F1", unit="", pieces="texts", n=len(said), better="higher", seed=self.subject.asked.seed,
            value=float(micro_f1(table.sum(0, keepdims=True))[0]), interval_method=method("texts"),
            interval=bootstrap(table, micro_f1, seed=self.subject.asked.seed),
            definition=define("micro-f1", 1, predictor=predictor), **{**self.subject.about, "model_hash": model_hash},
        )  # fmt: skip

    def _measured(
        self, said: Bool[Array, "n labels"], model_hash: str, predictor: str = "classifier"
    ) -> tuple[Measurement, ...]:
        table, seed = counts(self.truth, said), self.subject.asked.seed
        about: dict[str, Any] = {
            **self.subject.about, "model_hash": model_hash, "unit": "", "pieces": "texts", "better": "higher",
        }  # fmt: skip
        return (
            self._micro(said, self.truth, model_hash, predictor),
            Measurement(
                name="macro-F1", value=float(macro_f1(table.sum(0, keepdims=True))[0]), n=len(said), seed=seed,
                interval=bootstrap(table, macro_f1, seed=seed), interval_method=method("texts"),
                definition=define("macro-f1", 1, over="labels", predictor=predictor), **about,
            ),
            Measurement(
                name="whole sets right", definition=define("subset-accuracy", 1, predictor=predictor),
                **share_of(whole_sets(self.truth, said), len(said)), **about,
            ),
        )  # fmt: skip

    def _baselines(self, train: Examples | None) -> list[Baseline]:
        """The set that is most frequent, and a linear model of each label over bigrams."""
        learned = self.truth if train is None else self._table(label_sets(train))
        sets, times = np.unique(learned, axis=0, return_counts=True)
        usual = np.repeat(sets[times.argmax()][None], len(self.truth), axis=0)
        why = "says of every text the set of labels that is most frequent"
        found = [Baseline(name="majority", why=why, measurements=self._measured(usual, "", "majority"))]
        if train is None:
            return found
        model = BigramClassifier.fit(joined(train), learned)
        of = f"nb-bigrams,trained-on={len(train)}-texts"
        why = "linear models over words and pairs of words, weighted by naive Bayes (Wang and Manning 2012)"
        measured = self._measured(model.chances(joined(self.examples)) >= 0.5, "", of)
        return [*found, Baseline(name="naive-Bayes bigrams", why=why, measurements=measured)]

    def _labels(self) -> Table:
        """Each label, the worst first."""
        scores = label_f1(counts(self.truth, self.said).sum(0, keepdims=True))[0]
        rows = tuple(
            (self.names[at], int(self.truth[:, at].sum()), int(self.said[:, at].sum()), float(scores[at]))
            for at in np.argsort(scores, kind="stable")
        )
        return Table(title="The labels", says="The worst first.", head=("label", "texts", "said of", "F1"), rows=rows)

    def _mistakes(self) -> Table:
        """Labels that are said with most confidence and are not true, or true and said with least."""
        texts = inputs(self.examples)
        wrong = np.where(self.truth, 1 - self.probabilities, self.probabilities) * (self.truth != self.said)
        order = np.argsort(-wrong.max(1), kind="stable")[:_MISTAKES]
        rows = []
        for at in order:
            if (self.truth[at] != self.said[at]).any():
                sets = [", ".join(np.array(self.names)[table[at]]) or "none" for table in (self.truth, self.said)]
                rows.append((short(texts[at]), *sets, float(wrong[at].max())))
        head = ("text", "its labels", "the model says", "how wrong")
        says = "Some are the labels' and not the model's."
        return Table(title="The most confident mistakes", says=says, head=head, rows=tuple(rows))


def label_sets(examples: Examples) -> list[list[str]]:
    """The labels of each text; of one that has one class, that."""
    return [
        [str(label) for label in each] if isinstance(each, list | tuple) else [] if each is None else [str(each)]
        for each in examples["label"]
    ]
