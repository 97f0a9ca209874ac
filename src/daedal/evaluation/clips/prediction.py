"""How likely a model finds the tokens of held-out clips after their captions or classes, and how many nats more without."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from daedal.errors import DaedalError
from daedal.evaluation.blocks import Note
from daedal.evaluation.evaluator import Findings, Tell
from daedal.evaluation.examples.evaluator import ExampleEvaluator
from daedal.evaluation.examples.held_out import Examples
from daedal.evaluation.kinds.clips import ClipSubject, frames_of
from daedal.evaluation.means import Interval, mean_interval, student
from daedal.evaluation.measurement import Measurement, define
from daedal.inference.generator import Generator


class _Nats(NamedTuple):
    """Of the tokens of a clip."""

    after: float
    without: float


class ClipPrediction(ExampleEvaluator):
    """Nats a token, and what captions save."""

    needs, columns = frozenset({"film", "score"}), frozenset({"clip"})
    sizes, share, at_once = (16, 50, 100, 250, 500, 1000), 0.1, 16

    def ask(self, generator: Generator, examples: Examples) -> Sequence[Any]:
        clips, said = frames_of(examples), _said(generator, examples)
        without = generator.token_log_likelihoods(clips)
        after = generator.token_log_likelihoods(clips, said) if any(said) else without
        return [_Nats(*nats) for nats in zip(-after, -without, strict=True)]

    def each(self, subject: Any) -> float:
        if subject.opened is None:
            return float(subject.seconds_a_clip) / 8  # tokens that are read all at once
        seconds: float = subject.seconds_each(type(self).__name__, 1.0, lambda some: self.ask(subject.generator, some))
        return seconds

    def measure(self, subject: Any, within: float, tell: Tell) -> Findings:
        assert isinstance(subject, ClipSubject)
        examples, found = subject.held.some(self.count(subject, within), subject.asked.seed), list[_Nats]()
        for first in range(0, len(examples), self.at_once):
            tell(first / len(examples), "reading held-out clips")
            part = examples.at(np.arange(first, min(first + self.at_once, len(examples))))
            found += self.ask(subject.generator, part)
        layout, said = subject.model.layout, "nothing"
        if any(_said(subject.generator, examples)):
            said = "class" if subject.generator.captions is None else "caption"
        after, without = (_finite(np.array(values)) for values in zip(*found, strict=True))
        how = {"after": said, "tokens": layout.places, "vocabulary": layout.tokens, examples.name: len(examples)}
        about = {"n": len(examples), "pieces": "clips", **subject.about, "data_hash": examples.fingerprint}
        measured = [
            _mean("nats of a clip's token", "clip-token-nats", after / layout.places, (0.0, math.inf), how, about)
        ]
        if said != "nothing":
            saved = _mean(
                f"nats of a clip that a {said} saves",
                "clip-token-nats-saved",
                without - after,
                (-math.inf, math.inf),
                how,
                about,
            )
            measured.append(saved.but(better="higher"))
        none = f"of {layout.tokens:,} tokens that are equally likely each has {math.log(layout.tokens):.3f} nats"
        return Findings(tuple(measured), blocks=(Note(brief=none),))


def _said(generator: Generator, examples: Examples) -> Sequence[str | None]:
    """What is said of examples that the model knows: captions or classes."""
    column = "label" if generator.captions is None else "caption"
    known = generator.captions is not None or generator.classes
    return examples.columns.get(column, ()) if known else ()


def _mean(
    name: str, quantity: str, values: Float[np.ndarray, " clips"], possible: Interval, how: dict[str, Any],
    about: dict[str, Any],
) -> Measurement:  # fmt: skip
    return Measurement(
        name=name, value=float(values.mean()), unit="nats", interval=mean_interval(values, possible),
        interval_method=student("clips"), definition=define(quantity, 1, **how), **about,
    )  # fmt: skip


def _finite(nats: Float[np.ndarray, " clips"]) -> Float[np.ndarray, " clips"]:
    """The same; a model that gives no number for a clip has no mean over clips."""
    if bad := int((~np.isfinite(nats)).sum()):
        raise DaedalError(
            f"The likelihood of {bad:,} of {len(nats):,} held-out clips is NaN or infinite", "Train anew, more slowly"
        )
    return nats
