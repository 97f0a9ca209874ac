"""The audit of a language model: samples that copy, passages that come back, membership, planted secrets, and what repeats do.

Time decides how much is looked at, in a few steps, so that two audits of a model take the same passages.
"""

import time
from collections.abc import Sequence

from daedal.data.shards import Dataset
from daedal.errors import DaedalError
from daedal.evaluation.audit.copying import copying
from daedal.evaluation.audit.exposure import MOST, exposure, planted_in
from daedal.evaluation.audit.extraction import extraction
from daedal.evaluation.audit.membership import Side, membership
from daedal.evaluation.audit.passages import Passages, common_length, draw, draw_alike
from daedal.evaluation.audit.predictions import Predictions, predict
from daedal.evaluation.audit.repeats import repeats
from daedal.evaluation.evaluator import Findings, Tell, part_of
from daedal.evaluation.kinds.text import TextSubject
from daedal.evaluation.measurement import Measurement
from daedal.evaluation.report import Baseline
from daedal.models.gpt import GPT

BASELINE = (
    "not learned",
    "the same of held-out text, of secrets that were never planted, and of the better attack that sees texts and no model",
)
PASSAGES = (50, 125, 250, 500, 1000, 2000)
"""Of either split."""
EACH = (25, 50, 100, 200)
"""Passages of a stratum of repeats."""
SAMPLES = (8, 16, 32, 64, 128)
OTHERS = (50, 100, 200, 500)
_TRIED = 40


def baseline(measurements: Sequence[Measurement]) -> Baseline:
    """What stands beside: one column, whatever the measure."""
    return Baseline(name=BASELINE[0], why=BASELINE[1], measurements=tuple(measurements))


def audit_text(subject: TextSubject, dataset: Dataset, budget: float, seed: int, tell: Tell) -> Findings:
    """
    Args:
        dataset: what the model learned from.
        budget: seconds, about.

    Raises:
        DaedalError: its documents are too short, or its planted secrets are damaged.
    """
    model, train, held = subject.model, subject.train, subject.documents
    assert train is not None
    canaries = planted_in(dataset.folder)
    length = common_length(model.config.context, train, held)
    about = {"model_hash": subject.hash, "data_hash": train.fingerprint}
    tell(0, "trying how fast it reads")
    second = _tokens_a_second(model, draw(train, length, _TRIED, seed))
    findings = Findings()
    shares = {"samples": 0.35, "passages": 0.35, "repeats": 0.2, "secrets": 0.1}

    count = _most(PASSAGES, shares["passages"] * budget * second / (2 * length))
    sides = []
    drawn = draw_alike((train, held), length, count, seed)
    for documents, passages, begin in zip((train, held), drawn, (0.0, 0.15), strict=True):
        said = predict(model, passages, part_of(tell, begin, begin + 0.15))
        sides.append(Side(documents, passages, said))
    members, others = sides
    findings += Findings(
        extraction(members.said, members.passages, **about),
        (baseline(extraction(others.said, others.passages, **{**about, "model_hash": ""})),),
    )
    findings += membership(members, others, baseline, seed, **about)
    tell(0.4, "writing samples")
    samples, beside = copying(subject, _samples(subject, shares["samples"] * budget), part_of(tell, 0.4, 0.75), seed)
    findings = samples + Findings(baselines=(baseline(beside),) if beside else ()) + findings
    each = _most(EACH, shares["repeats"] * budget * second / (8 * length))

    def predicted(passages: Passages) -> Predictions:
        return predict(model, passages)

    findings += repeats(train, length, each, predicted, others.said, part_of(tell, 0.75, 0.9), seed, **about)
    if not canaries.secrets:
        return findings + Findings(missing=("Planted secrets: the data were built without --canaries",))
    cost = sum(len(train.codec.encode(each.text)) for each in canaries.secrets[:MOST])
    number = _most(OTHERS, shares["secrets"] * budget * second / cost)
    told, never = exposure(model, train, canaries, part_of(tell, 0.9, 1), number, seed, **about)
    return findings + told + Findings(baselines=(baseline(never),))


def _most(sizes: Sequence[int], count: float) -> int:
    """The largest of these sizes that is within a count; the smallest where none is."""
    return max((size for size in sizes if size <= count), default=sizes[0])


def _tokens_a_second(model: GPT, passages: Passages) -> float:
    """How fast passages are read, after a first time that warms up."""
    some = Passages(passages.rows[:_TRIED], passages.document[:_TRIED])
    if not len(some):
        raise DaedalError("The training split has no passage", "Audit a model of longer texts")
    seconds = 1.0
    for _ in range(2):
        started = time.perf_counter()
        predict(model, some)
        seconds = time.perf_counter() - started
    return len(some) * some.length / max(seconds, 1e-6)


def _samples(subject: TextSubject, seconds: float) -> int:
    """How many samples fit into the time, from how long the fewest take beside each other."""
    started = time.perf_counter()
    subject.generator.generate([""] * SAMPLES[0], max_tokens=25, seed=0)
    eighth = time.perf_counter() - started
    return _most(SAMPLES, SAMPLES[0] * seconds / max(eighth * 8, 1e-6))
