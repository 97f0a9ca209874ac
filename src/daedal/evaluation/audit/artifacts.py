"""The audit of a model of pictures, clips, speech or tunes: whether what it makes are copies of what it learned from.

The measures are those of `daedal evaluate`. The first evaluator of each only makes what the last one looks at, beside what was
learned from and what was held out.
"""

from daedal.evaluation.evaluator import Evaluator, Findings, NotMeasurable, Subject, Tell
from daedal.families import part

MEASURES = {
    "pictures": ("daedal.evaluation.images.distances:Distances", "daedal.evaluation.images.copies:Copies"),
    "clips": ("daedal.evaluation.clips.filming:Filming", "daedal.evaluation.clips.copies:ClipCopies"),
    "speech": ("daedal.evaluation.sounds.speaking:Speaking", "daedal.evaluation.sounds.copying:SoundCopies"),
    "tunes": ("daedal.evaluation.tunes.composing:Composing",),
}
"""By the name of the subject."""
OPTIONS = {"pictures": {"extractor": "random"}}
"""What is asked of evaluators beside time and seed: pictures are compared as they are, which no classifier
has to be learned for."""
_OF_COPIES = ("authenticity", "data-copying", "nearest-training", "longest-copy", "median-copy")


def audit_artifacts(name: str, subject: Subject, budget: float, tell: Tell) -> Findings:
    """
    Raises:
        NotMeasurable: the model makes nothing, or what it learned from is not at hand.
    """
    *makers, judge = (part(place)() for place in MEASURES[name])
    for each in (*makers, judge):
        _require(subject, each)
    for number, each in enumerate(makers):
        each.measure(subject, budget, lambda share, doing, n=number: tell(0.8 * (n + share) / len(makers), doing))
    found = judge.measure(subject, budget, lambda share, doing: tell(0.8 + 0.2 * share, doing))
    return Findings(
        tuple(each for each in found.measurements if each.quantity.startswith(_OF_COPIES)), found.baselines, found.blocks,
        found.missing, found.sampling, found.pictures, found.files,
    )  # fmt: skip


def _require(subject: Subject, evaluator: Evaluator[Subject]) -> None:
    if not evaluator.needs <= subject.can:
        raise NotMeasurable(f"A {subject.model.family} makes nothing that could be a copy", "Audit a model that does")
    if not evaluator.columns <= subject.has:
        raise NotMeasurable(
            evaluator.lacking or f"What a {subject.model.family} learned from is not at hand", "Name its data by --data"
        )
