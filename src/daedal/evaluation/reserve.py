"""What measuring a finished run takes, for training to leave it of a time budget."""

from typing import Any

from daedal.evaluation import evaluate as texts
from daedal.evaluation.images import evaluate as images
from daedal.evaluation.images import reference
from daedal.evaluation.subject import NotMeasurable
from daedal.training.language import LanguageTask
from daedal.training.plan import Plan

_MOST = 0.5  # of a budget


def image_seconds(plan: Plan) -> float:
    """Seconds that measuring a model of images may take: a tenth of the run, within what is worth while."""
    expected = plan.steps * plan.predicted.seconds_per_step if plan.predicted else 300.0
    return min(60.0, max(5.0, 0.1 * (plan.budget or expected)))


def reserved_seconds(task: Any, plan: Plan) -> float:
    """Seconds of a budget to leave for the measurement; 0 where there is no budget.

    Raises:
        NotMeasurable: nothing is held out to measure on, or it would take most of the budget.
    """
    if not task.model.capabilities:
        raise NotMeasurable(f"Nothing measures a {plan.family} yet", "Look at its loss on the validation split")
    if isinstance(task, LanguageTask):
        texts.held_out(task.dataset)
        return 0.0 if plan.budget is None else texts.expected_seconds(task.model, task.dataset)
    reference.held_out(task.dataset)
    if plan.budget is None:
        return 0.0
    seconds = images.expected_seconds(task.whole, task.dataset, image_seconds(plan))
    if seconds > _MOST * plan.budget:
        raise NotMeasurable(
            f"That would take {seconds:.0f} s of a budget of {plan.budget:g} s",
            "Measure it afterwards with daedal evaluate",
        )
    return seconds
