"""How answers are scored: what each item gives, what items together are, and the interval of that.

Every metric is statistics of items and a function of their sums, so that an interval costs no more than a product of matrices
(`bootstrap.py`), and two models on the same items can be compared item by item.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Literal, NamedTuple

import numpy as np
import regex
from jaxtyping import Float

from daedal.errors import DaedalError
from daedal.evaluation.bootstrap import bootstrap, method
from daedal.evaluation.intervals import RATIO, ratio_interval
from daedal.evaluation.means import WILSON, mean_interval, student, wilson
from daedal.evaluation.tasks import answers, choices, outcomes
from daedal.evaluation.tasks.definition import MetricOptions, OutputType
from daedal.evaluation.tasks.outcomes import Row

Interval = tuple[float, float]


class Number(NamedTuple):
    """A value with its interval and how that was found."""

    value: float
    interval: Interval | None
    how: str


@dataclass(frozen=True)
class Metric:
    """A metric.

    Attributes:
        of: kinds of task that have it.
        score: the statistics of some outcomes, with the options of the metric.
        number: of statistics, with a seed.
        options: that it knows.
        mean: whether it is the mean of its first statistic.
        says: what it is, in a few words.
    """

    name: str
    says: str
    of: tuple[OutputType, ...]
    score: Callable[..., Row]
    number: Callable[[Row, int], Number]
    better: Literal["higher", "lower"] = "higher"
    options: tuple[str, ...] = ()
    aggregations: tuple[str, ...] = ("mean",)
    unit: str = ""
    mean: bool = True

    def scored(self, found: Any, options: dict[str, Any]) -> Row:
        """The statistics of outcomes.

        Raises:
            DaedalError: an option makes no sense, or a regular expression takes too long.
        """
        try:
            return self.score(found, **options)
        except (TypeError, ValueError, TimeoutError, regex.error) as error:
            if not options:
                raise
            raise DaedalError(f"The metric {self.name} fails: {error}", "Correct its options") from None

    def value(self, statistics: Row) -> float:
        """The value alone."""
        return self.number(statistics, 0).value


# -- numbers of statistics ---------------------------------------------------------------------------------------------


def mean_of(statistics: Row, seed: int, possible: Interval = (0.0, 1.0)) -> Number:
    """The mean of the first statistic: Wilson's interval of a share, Student's of anything else."""
    values = statistics[:, 0]
    mean = float(values.sum() / len(values))
    if np.isin(values, (0.0, 1.0)).all():
        return Number(mean, wilson(float(values.sum()), len(values)), WILSON)
    return Number(mean, mean_interval(values, possible), student("items"))


def bootstrapped(
    statistics: Row, seed: int, measure: Callable[[Float[np.ndarray, "replicates statistics"]], Float[np.ndarray, " n"]]
) -> Number:
    """A function of sums."""
    value = float(measure(statistics.sum(0, keepdims=True))[0])
    return Number(value, bootstrap(statistics, measure, seed=seed), method("items"))


def _ratio(statistics: Row, seed: int, change: Callable[[float], float]) -> Number:
    """A function of nats over what they are counted by."""
    nats, units = -statistics[:, 0], statistics[:, 1]
    interval = ratio_interval(nats, units)
    ends = None if interval is None else (change(interval[0]), change(interval[1]))
    return Number(change(float(nats.sum() / units.sum())), ends, f"{RATIO} over items, 95 %")


def _exponential(nats: float) -> float:
    return math.exp(min(nats, 700.0))


def _bits(nats: float) -> float:
    return nats / math.log(2)


def _perplexity(statistics: Row, seed: int) -> Number:
    found = mean_of(-statistics, seed, (0.0, math.inf))
    ends = None if found.interval is None else (_exponential(found.interval[0]), _exponential(found.interval[1]))
    return Number(_exponential(found.value), ends, f"{student('items')}, of the logarithm")


_CHOICE: tuple[OutputType, ...] = ("multiple_choice",)
_WRITING: tuple[OutputType, ...] = ("generate_until",)
_ROLLING: tuple[OutputType, ...] = ("loglikelihood_rolling",)
_AFTER: tuple[OutputType, ...] = ("loglikelihood",)
_IGNORE = ("regexes_to_ignore", "ignore_case", "ignore_punctuation", "ignore_numbers")


def _of_choices(name: str, says: str, score: Callable[..., Row], **how: Any) -> Metric:
    return Metric(name, says, _CHOICE, score, how.pop("number", mean_of), **how)


def _of_texts(name: str, says: str, score: Callable[..., Row], **how: Any) -> Metric:
    return Metric(name, says, _WRITING, score, how.pop("number", mean_of), **how)


def _sums(measure: Callable[[Any], Any]) -> Callable[[Row, int], Number]:
    return lambda statistics, seed: bootstrapped(statistics, seed, measure)


@cache
def table() -> tuple[Metric, ...]:
    """All metrics."""
    corpus: dict[str, Any] = {"mean": False}
    return (
        _of_choices("acc", "the likeliest choice is right", lambda found: choices.accuracy(found, choices.raw)),
        _of_choices(
            "acc_norm",
            "the choice is right that is likeliest by character",
            lambda f: choices.accuracy(f, choices.by_characters),
        ),
        _of_choices(
            "acc_bytes",
            "the choice is right that is likeliest by byte",
            lambda f: choices.accuracy(f, choices.by_bytes),
        ),
        _of_choices(
            "acc_mutual_info",
            "the choice is right that the question makes likelier most",
            lambda f: choices.accuracy(f, choices.information),
        ),
        _of_choices(
            "acc_calibrated",
            "the choice is right that is likeliest beside questions without content",
            lambda f: choices.accuracy(f, choices.without_prejudice),
        ),
        _of_choices(
            "brier_score",
            "squared distance of the choices' probabilities from the right one",
            choices.brier,
            better="lower",
            number=lambda statistics, seed: mean_of(statistics, seed, (0.0, 2.0)),
            aggregations=("brier_score", "mean"),
        ),
        _of_choices("true_mass", "the probability of all right choices among all", choices.true_mass),
        _of_choices("exact_match", "a right choice is what greedy decoding writes", choices.greedy_choice),
        _of_choices(
            "f1",
            "F1 of the second choice",
            choices.confusion,
            number=_sums(choices.f1_of_second),
            aggregations=("f1",),
            **corpus,
        ),
        _of_choices(
            "macro_f1",
            "mean F1 of the choices",
            choices.confusion,
            number=_sums(choices.macro_f1),
            aggregations=("macro_f1",),
            **corpus,
        ),
        _of_choices(
            "mcc",
            "Matthews' correlation of right and said choices",
            choices.confusion,
            number=_sums(choices.mcc),
            aggregations=("matthews_corrcoef", "mcc"),
            **corpus,
        ),
        _of_texts("exact_match", "the answer is the right one", answers.exact, options=_IGNORE),
        _of_texts("f1", "F1 of words, as SQuAD has it", answers.token_f1),
        _of_texts(
            "bleu",
            "BLEU, by sacreBLEU",
            answers.bleu_counts,
            number=_sums(answers.bleu),
            aggregations=("bleu",),
            **corpus,
        ),
        _of_texts(
            "chrf",
            "chrF2, by sacreBLEU",
            answers.chrf_counts,
            number=_sums(answers.chrf),
            aggregations=("chrf",),
            **corpus,
        ),
        _of_texts(
            "chrf++",
            "chrF2++, by sacreBLEU",
            partial(answers.chrf_counts, words=2),
            number=_sums(answers.chrf),
            aggregations=("chrf++",),
            **corpus,
        ),
        _of_texts(
            "ter",
            "edits by the length of the reference, by sacreBLEU",
            answers.ter_counts,
            number=_sums(answers.ter),
            better="lower",
            aggregations=("ter",),
            **corpus,
        ),
        *(
            _of_texts(
                kind, f"{kind.upper().replace('ROUGE', 'ROUGE-')} F, by rouge-score", partial(answers.rouge, kind=kind)
            )
            for kind in ("rouge1", "rouge2", "rougeL", "rougeLsum")
        ),
        _of_texts("regex", "the answer matches a pattern", answers.matches, options=("pattern",)),
        _of_texts("json_schema", "the answer is JSON that fits a schema", answers.fits_schema, options=("schema",)),
        _of_texts("numeric", "the last number of the answer is the right one", answers.numeric, options=("tolerance",)),
        Metric("acc", "greedy decoding writes the answer", _AFTER, outcomes.greedy, mean_of),
        Metric(
            "perplexity",
            "of an answer",
            _AFTER,
            outcomes.nats,
            _perplexity,
            "lower",
            aggregations=("perplexity",),
            mean=False,
        ),
        Metric(
            "word_perplexity",
            "of words",
            _ROLLING,
            outcomes.per_word,
            lambda s, seed: _ratio(s, seed, _exponential),
            "lower",
            aggregations=("weighted_perplexity",),
            unit="per word",
            mean=False,
        ),
        Metric(
            "byte_perplexity",
            "of bytes",
            _ROLLING,
            outcomes.per_byte,
            lambda s, seed: _ratio(s, seed, _exponential),
            "lower",
            aggregations=("weighted_perplexity",),
            unit="per byte",
            mean=False,
        ),
        Metric(
            "bits_per_byte",
            "of text",
            _ROLLING,
            outcomes.per_byte,
            lambda s, seed: _ratio(s, seed, _bits),
            "lower",
            aggregations=("bits_per_byte",),
            unit="bits per byte",
            mean=False,
        ),
    )


DEFAULTS: dict[OutputType, tuple[str, ...]] = {
    "multiple_choice": ("acc", "acc_norm"),
    "generate_until": ("exact_match",),
    "loglikelihood": ("perplexity", "acc"),
    "loglikelihood_rolling": ("word_perplexity", "byte_perplexity", "bits_per_byte"),
}
"""Of tasks that name none."""


def find(name: str, kind: OutputType) -> Metric:
    """The metric of a name, of a kind of task.

    Raises:
        DaedalError: there is none.
    """
    known = [each for each in table() if kind in each.of]
    for each in known:
        if each.name == name:
            return each
    raise DaedalError(f"{kind} has no metric {name}", f"Choose {', '.join(each.name for each in known)}")


def checked(options: MetricOptions, kind: OutputType) -> Metric:
    """The metric that a task names.

    Raises:
        DaedalError: there is none, or it does not know an option or an aggregation.
    """
    metric = find(options.metric, kind)
    for option in options.options:
        if option not in (*metric.options, "hf_evaluate"):
            known = ", ".join(metric.options) or "none"
            raise DaedalError(f"The metric {metric.name} has no option {option}", f"Its options are: {known}")
        if option in _IGNORE[1:] and not isinstance(options.options[option], bool):
            raise DaedalError(f"{option} is {options.options[option]!r}", "Write true or false")
    if options.aggregation is not None and options.aggregation not in metric.aggregations:
        raise DaedalError(
            f"The metric {metric.name} has no aggregation {options.aggregation}",
            f"Use {' or '.join(metric.aggregations)}",
        )
    return metric
