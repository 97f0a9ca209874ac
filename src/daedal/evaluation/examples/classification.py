"""How well a classifier tells what texts are: the evaluator. What is found of texts of one class, of several and of numbers is
in a file of its own each."""

from collections.abc import Sequence
from typing import Any

from daedal.evaluation.evaluator import Findings, Tell
from daedal.evaluation.examples.evaluator import ExampleEvaluator, copies, without_copies
from daedal.evaluation.examples.held_out import Examples
from daedal.evaluation.examples.label_sets import LabelSets
from daedal.evaluation.examples.one_class import OneClass
from daedal.evaluation.examples.regression import Regression
from daedal.evaluation.examples.texts import inputs, joined
from daedal.evaluation.kinds.examples import ExampleSubject
from daedal.inference.generator import Generator

_PROBLEMS: dict[str, type[OneClass | LabelSets | Regression]] = {
    "one": OneClass,
    "several": LabelSets,
    "number": Regression,
}
"""By what the model says that a text is."""
_SECONDS_PER_LEARNED_TEXT = 2e-4  # by the simple predictor, on one core of 2023


class Classification(ExampleEvaluator):
    """Classes, sets of them or numbers beside the true ones, and beside simple predictors'."""

    needs, columns = frozenset({"classify"}), frozenset({"text", "label"})
    passes = 1.2

    def ask(self, generator: Generator, examples: Examples) -> Sequence[Any]:
        return list(generator.classify(inputs(examples)))

    def rest(self, subject: ExampleSubject) -> float:
        return 0.5 + self._learning(subject) * (0 if subject.train is None else len(subject.train))

    def _learning(self, subject: ExampleSubject) -> float:
        """Seconds that a simple predictor takes to learn a text: it learns each class against the others, of two one."""
        classes = len(subject.model.config.labels)
        return _SECONDS_PER_LEARNED_TEXT * (classes if classes > 2 else 1)

    def measure(self, subject: ExampleSubject, within: float, tell: Tell) -> Findings:
        examples, said = self.answers(subject, within, tell, "classifying held-out texts")
        problem = _PROBLEMS[subject.model.config.problem](examples, said, subject.model.config.labels, subject)
        train = subject.learned((1 - self.share) * within, self._learning(subject), problem.most)
        found = problem.findings(train)
        tell(0.95, "looking for copies")
        return found + without_copies(copies(subject, examples, joined), "texts", problem.headline)
