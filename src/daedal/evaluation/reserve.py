"""What measuring a finished run takes, for training to leave it of a time budget."""

from typing import Any

from daedal.evaluation import evaluate as texts
from daedal.evaluation.images import evaluate as images
from daedal.evaluation.images import reference
from daedal.training.language import LanguageTask
from daedal.training.plan import Plan


def image_seconds(plan: Plan) -> float:
    """Seconds that measuring a model of images may take: a tenth of the run, within what is worth while."""
    expected = plan.steps * plan.predicted.seconds_per_step if plan.predicted else 300.0
    return min(60.0, max(5.0, 0.1 * (plan.budget or expected)))


def reserved_seconds(task: Any, plan: Plan) -> float:
    """Seconds of a budget to leave for the measurement; 0 where there is no budget.

    Raises:
        NotMeasurable: nothing is held out to measure on.
    """
    if isinstance(task, LanguageTask):
        texts.held_out(task.dataset)
        return 0.0 if plan.budget is None else texts.expected_seconds(task.model, task.dataset)
    reference.held_out(task.dataset)
    return 0.0 if plan.budget is None else images.expected_seconds(task.whole, task.dataset, image_seconds(plan))
