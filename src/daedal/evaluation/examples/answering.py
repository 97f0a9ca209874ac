"""How well an answerer finds what a text says: exact match and F1 as SQuAD has them, questions without an answer apart."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from daedal.evaluation.blocks import Block, Ranking, Table
from daedal.evaluation.evaluator import Findings, Tell
from daedal.evaluation.examples.evaluator import ExampleEvaluator, copies, without_copies
from daedal.evaluation.examples.held_out import Examples
from daedal.evaluation.examples.texts import buckets, short
from daedal.evaluation.kinds.examples import ExampleSubject
from daedal.evaluation.means import share_of, share_of_pieces
from daedal.evaluation.measurement import Measurement, define
from daedal.evaluation.measures.spans import exact, f1
from daedal.evaluation.predictors import sliding_window
from daedal.evaluation.report import Baseline
from daedal.inference.generator import Generator

Array = np.ndarray
_MISTAKES = 8
_SECONDS_PER_WINDOW = 1.5e-3  # of a question, on one core of 2023


class Answering(ExampleEvaluator):
    """Answers beside the right ones, and beside those of a sliding window."""

    needs, columns = frozenset({"answer"}), frozenset({"question", "context", "answers"})
    passes = 1.3

    def ask(self, generator: Generator, examples: Examples) -> Sequence[Any]:
        return list(generator.answers(list(examples["question"]), list(examples["context"])))

    def rest(self, subject: ExampleSubject) -> float:
        return _SECONDS_PER_WINDOW * len(subject.held)

    def measure(self, subject: ExampleSubject, within: float, tell: Tell) -> Findings:
        examples, answers = self.answers(subject, within, tell, "answering held-out questions")
        right = [each["text"] for each in examples["answers"]]
        cluster = _numbered(examples["context"])
        said = ["" if each.none else each.text for each in answers]
        own = Scores.of(said, right, cluster)
        window = Scores.of(
            [
                sliding_window.answer(question, context)
                for question, context in zip(examples["question"], examples["context"], strict=True)
            ],
            right, cluster,
        )  # fmt: skip
        every = np.ones(len(said), dtype=bool)
        answered = np.array([bool(each) for each in right])
        about = subject.about
        measured = [own.f1("", every, about), own.exact("", every, about)]
        beside = [window.f1("", every, about, "sliding-window"), window.exact("", every, about, "sliding-window")]
        none = Scores.of([""] * len(right), right, cluster)
        silent = [none.f1("", every, about, "no-answer"), none.exact("", every, about, "no-answer")]
        if answered.any() and not answered.all():
            for name, part in (("answered", answered), ("unanswerable", ~answered)):
                measured += [own.f1(name, part, about), own.exact(name, part, about)]
            measured.append(_detection(np.array([not each for each in said]), ~answered, about))
        why = "the span whose surroundings share most words with the question (Richardson et al. 2013)"
        baselines = [Baseline(name="sliding window", why=why, measurements=tuple(beside))]
        if not answered.all():
            baselines.append(
                Baseline(name="no answer", why="says of every question that it has none", measurements=tuple(silent))
            )
        of = f"F1 of answers to the {examples.name} questions, in percent, more is better"
        blocks: list[Block] = [
            Ranking(quantity="answer-f1", of=of),
            _mistakes(examples, own, answers),
            _by_length(examples, own),
        ]
        tell(0.95, "looking for copies")
        known = copies(subject, examples, lambda some: some["context"])
        copied = without_copies(known, "questions", lambda kept: own.f1("", kept, about))
        return Findings(tuple(measured), tuple(baselines), tuple(blocks)) + copied


class Scores:
    """Answers that were judged.

    Attributes:
        cluster: which questions are about one text: these are not independent of each other.
    """

    def __init__(
        self, hits: Float[Array, " n"], overlap: Float[Array, " n"], said: Sequence[str], cluster: Int[Array, " n"]
    ) -> None:
        self.hits, self.overlap, self.said, self.cluster = hits, overlap, said, cluster

    @classmethod
    def of(cls, said: Sequence[str], right: Sequence[Sequence[str]], cluster: Int[Array, " n"]) -> "Scores":
        """Judge answers by the best of those that are right."""
        pairs = list(zip(said, right, strict=True))
        return cls(np.array([exact(*each) for each in pairs]), np.array([f1(*each) for each in pairs]), said, cluster)

    def exact(
        self, of: str, part: Bool[Array, " n"], about: dict[str, Any], predictor: str = "answerer"
    ) -> Measurement:
        """How many are right, in percent."""
        return self._measure("exact match", "exact-match", self.hits, of, part, about, predictor)

    def f1(self, of: str, part: Bool[Array, " n"], about: dict[str, Any], predictor: str = "answerer") -> Measurement:
        """The mean F1 of their words, in percent."""
        return self._measure("F1", "answer-f1", self.overlap, of, part, about, predictor)

    def _measure(
        self, name: str, quantity: str, values: Float[Array, " n"], of: str, part: Bool[Array, " n"], about: dict[str, Any],
        predictor: str,
    ) -> Measurement:  # fmt: skip
        texts = self.cluster[part]
        sums, counts = np.bincount(texts, weights=100 * values[part]), np.bincount(texts).astype(np.float64)
        return Measurement(
            name=f"{name} of {of} questions" if of else name, unit="%", n=int(part.sum()), pieces="questions", better="higher",
            definition=define(f"{quantity}{f'-{of}' if of else ''}", 1, normalised="squad", predictor=predictor),
            **share_of_pieces(sums, counts, "texts", 100.0),
            **(about if predictor == "answerer" else {**about, "model_hash": ""}),
        )  # fmt: skip


def _detection(said: Bool[Array, " n"], true: Bool[Array, " n"], about: dict[str, Any]) -> Measurement:
    """How often it is right about there being an answer."""
    return Measurement(
        name="whether there is an answer", unit="", pieces="questions", better="higher",
        definition=define("answerability-accuracy", 1), **share_of(int((said == true).sum()), len(true)), **about,
    )  # fmt: skip


def _mistakes(examples: Examples, own: Scores, answers: Sequence[Any]) -> Table:
    sure = np.array([each.probability for each in answers])
    wrong = np.flatnonzero(own.overlap == 0)
    order = wrong[np.argsort(-sure[wrong], kind="stable")][:_MISTAKES]
    rows = []
    for at in order:
        right = " / ".join(dict.fromkeys(examples["answers"][at]["text"])) or "(none)"
        rows.append(
            (short(examples["question"][at]), short(right, 80), short(own.said[at], 80) or "(none)", float(sure[at]))
        )
    return Table(
        title="The most confident mistakes", says="Of those that share no word with a right answer.",
        head=("question", "right", "the model says", "probability"), rows=tuple(rows),
    )  # fmt: skip


def _by_length(examples: Examples, own: Scores) -> Table:
    groups = buckets([len(context.split()) for context in examples["context"]])
    rows = tuple(
        (name, len(each), 100 * float(own.hits[each].mean()), 100 * float(own.overlap[each].mean()))
        for name, each in groups
    )
    return Table(
        title="By length of the text", says="In words. Exact match and F1 in percent.",
        head=("length", "questions", "exact match", "F1"), rows=rows,
    )  # fmt: skip


def _numbered(values: Sequence[str]) -> Int[Array, " n"]:
    """The number of each different value."""
    place: dict[str, int] = {}
    return np.array([place.setdefault(value, len(place)) for value in values])
