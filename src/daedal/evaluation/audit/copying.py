"""How many of a model's samples copy a long run of its training text, beside as many pieces of held-out text."""

from typing import Any

from daedal.evaluation.blocks import Texts
from daedal.evaluation.evaluator import Findings, Tell
from daedal.evaluation.kinds.text import TextSubject
from daedal.evaluation.means import share_of
from daedal.evaluation.measurement import Measurement, define
from daedal.evaluation.memorization import Memorization, memorization
from daedal.evaluation.writing import SAMPLE_TOKENS, sampling, table, written

RUNS = (50, 25)
"""Tokens that a copy is to exceed."""
_SHOWN = 8


def copying(subject: TextSubject, count: int, tell: Tell, seed: int = 0) -> tuple[Findings, tuple[Measurement, ...]]:
    """What is copied in so many samples; and the measurements of held-out text."""
    assert subject.train is not None
    tell(0, "writing samples")
    samples = written(subject, count, seed)
    if not any(sample.text for sample in samples):
        return Findings(missing=("What it copies: it writes nothing",)), ()
    tell(0.7, "looking for copies")
    found = memorization(
        [sample.text for sample in samples], subject.train, subject.documents, model_hash=subject.hash, seed=seed
    )
    copied = iter(found.samples)
    marked = tuple(each.but(copied=next(copied).text) if each.text else each for each in samples)
    says = f"The first ones drawn, not chosen: {', '.join(f'{name} {value}' for name, value in sampling(seed).items())}"
    texts = Texts(title="What it writes", says=says, texts=marked[:_SHOWN])
    own = _shares(found, "samples", subject.hash, subject.train.fingerprint, seed)
    beside = _shares(found, "held_out", "", subject.train.fingerprint, seed)
    return Findings(own, blocks=(table(found), texts), sampling=sampling(seed)), beside


def _shares(found: Memorization, whose: str, model: str, data: str, seed: int) -> tuple[Measurement, ...]:
    copies = getattr(found, whose)
    about: dict[str, Any] = {"unit": "", "pieces": "texts", "seed": seed, "model_hash": model, "data_hash": data}
    return tuple(
        Measurement(
            name=f"copies of over {run} tokens",
            definition=define(f"copies-of-more-than-{run}-tokens", 1, texts=whose.replace("_", "-"), tokens=SAMPLE_TOKENS),
            **share_of(sum(copy.tokens > run for copy in copies), len(copies)), **about,
        )
        for run in RUNS
        if copies
    )  # fmt: skip
