"""How answers are scored: what each item gives, what items together are, and the interval of that.

Every metric is statistics of items and a function of their sums, so that an interval costs no more than a product of matrices
(`bootstrap.py`), and two models on the same items can be compared item by item.
"""

import json
import math
import string
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
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
from daedal.evaluation.tasks.calibration import calibrated
from daedal.evaluation.tasks.definition import MetricOptions, OutputType
from daedal.evaluation.tasks.fields import SECONDS

Interval = tuple[float, float]
Row = Float[np.ndarray, "items statistics"]


class Chosen(NamedTuple):
    """What a model says of an item with choices.

    Attributes:
        nats: log-likelihood of each choice.
        alone: the same without the question, where a metric needs it.
        free: the same after questions without content, where a metric needs it.
        gold: the numbers of the right ones.
    """

    choices: Sequence[str]
    nats: Float[np.ndarray, " choices"]
    greedy: Sequence[bool]
    gold: tuple[int, ...]
    alone: Float[np.ndarray, " choices"] | None = None
    free: Float[np.ndarray, "inputs choices"] | None = None


class Written(NamedTuple):
    """What a model wrote for an item, filtered.

    Attributes:
        targets: right answers, of which one is enough.
        row: the item.
    """

    answers: Sequence[Any]
    targets: Sequence[str]
    row: Mapping[str, Any]

    @property
    def answer(self) -> str:
        """The first one."""
        found = self.answers[0] if self.answers else ""
        return found if isinstance(found, str) else str(found)


class Predicted(NamedTuple):
    """How likely a text is: an answer after its question, or a whole text."""

    nats: float
    greedy: bool
    text: str


Outcome = Chosen | Written | Predicted


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


# -- choices -----------------------------------------------------------------------------------------------------------


def _column(values: Sequence[float]) -> Row:
    return np.array(values, dtype=np.float64).reshape(-1, 1)


def _accuracy(found: Sequence[Chosen], by: Callable[[Chosen], Float[np.ndarray, " choices"]]) -> Row:
    return _column([float(int(np.argmax(by(each))) in each.gold) for each in found])


def _raw(each: Chosen) -> Float[np.ndarray, " choices"]:
    return each.nats


def _by_characters(each: Chosen) -> Float[np.ndarray, " choices"]:
    found: Float[np.ndarray, " choices"] = each.nats / np.array([len(choice) for choice in each.choices])
    return found


def _by_bytes(each: Chosen) -> Float[np.ndarray, " choices"]:
    found: Float[np.ndarray, " choices"] = each.nats / np.array([len(choice.encode()) for choice in each.choices])
    return found


def _information(each: Chosen) -> Float[np.ndarray, " choices"]:
    assert each.alone is not None
    found: Float[np.ndarray, " choices"] = each.nats - each.alone
    return found


def _without_prejudice(each: Chosen) -> Float[np.ndarray, " choices"]:
    assert each.free is not None
    return calibrated(each.nats, each.free)


def _shares(each: Chosen) -> Float[np.ndarray, " choices"]:
    """The likelihoods of the choices as probabilities."""
    found = np.exp(each.nats - each.nats.max())
    shares: Float[np.ndarray, " choices"] = found / found.sum()
    return shares


def _brier(found: Sequence[Chosen]) -> Row:
    values = []
    for each in found:
        right = np.zeros(len(each.choices))
        right[list(each.gold[:1])] = 1
        values.append(float(((_shares(each) - right) ** 2).sum()))
    return _column(values)


def _true_mass(found: Sequence[Chosen]) -> Row:
    return _column([float(_shares(each)[list(each.gold)].sum()) for each in found])


def _greedy_choice(found: Sequence[Chosen]) -> Row:
    return _column([float(any(each.greedy[place] for place in each.gold)) for each in found])


def _confusion(found: Sequence[Chosen]) -> Row:
    """Of each item a one among pairs of a right and a said choice."""
    classes = max((len(each.choices) for each in found), default=0)
    counts = np.zeros((len(found), classes, classes))
    for place, each in enumerate(found):
        counts[place, each.gold[0], int(np.argmax(each.nats))] = 1
    return counts.reshape(len(found), -1)


def _squared(sums: Float[np.ndarray, "replicates statistics"]) -> Float[np.ndarray, "replicates right said"]:
    classes = math.isqrt(sums.shape[1])
    return sums.reshape(-1, classes, classes)


def _f1_of(table: Float[np.ndarray, "replicates right said"]) -> Float[np.ndarray, "replicates classes"]:
    hits = np.diagonal(table, axis1=1, axis2=2)
    both = table.sum(1) + table.sum(2)
    found: Float[np.ndarray, "replicates classes"] = np.where(both > 0, 2 * hits / np.maximum(both, 1e-300), 0.0)
    return found


def _f1_of_second(sums: Float[np.ndarray, "replicates statistics"]) -> Float[np.ndarray, " replicates"]:
    return _f1_of(_squared(sums))[:, 1]


def _macro_f1(sums: Float[np.ndarray, "replicates statistics"]) -> Float[np.ndarray, " replicates"]:
    found: Float[np.ndarray, " replicates"] = _f1_of(_squared(sums)).mean(1)
    return found


def _mcc(sums: Float[np.ndarray, "replicates statistics"]) -> Float[np.ndarray, " replicates"]:
    """Matthews' correlation, for any number of classes (Gorodkin 2004)."""
    table = _squared(sums)
    right, said, n = table.sum(2), table.sum(1), table.sum((1, 2))
    hits = np.diagonal(table, axis1=1, axis2=2).sum(1)
    above = hits * n - (right * said).sum(1)
    below = np.sqrt((n**2 - (said**2).sum(1)) * (n**2 - (right**2).sum(1)))
    found: Float[np.ndarray, " replicates"] = np.where(below > 0, above / np.maximum(below, 1e-300), 0.0)
    return found


# -- texts that are written --------------------------------------------------------------------------------------------


def _plain(
    text: str,
    regexes_to_ignore: Sequence[str] | None = None,
    ignore_case: bool = False,
    ignore_punctuation: bool = False,
    ignore_numbers: bool = False,
) -> str:
    for pattern in regexes_to_ignore or ():
        text = regex.sub(pattern, "", text, timeout=SECONDS)
    text = text.lower() if ignore_case else text
    text = text.translate(str.maketrans("", "", string.punctuation)) if ignore_punctuation else text
    return text.translate(str.maketrans("", "", string.digits)) if ignore_numbers else text


def _exact(found: Sequence[Written], **options: Any) -> Row:
    return _column(
        [
            float(_plain(each.answer, **options) in {_plain(target, **options) for target in each.targets})
            for each in found
        ]
    )


def _words(text: str) -> list[str]:
    """As SQuAD compares answers (Rajpurkar et al. 2016): without articles, punctuation and case."""
    text = text.lower().translate(str.maketrans("", "", string.punctuation))
    return [word for word in text.split() if word not in ("a", "an", "the")]


def _overlap(one: str, other: str) -> float:
    mine, theirs = _words(one), _words(other)
    if not mine or not theirs:
        return float(mine == theirs)
    both = sum((Counter(mine) & Counter(theirs)).values())
    return 2 * both / (len(mine) + len(theirs))


def _token_f1(found: Sequence[Written]) -> Row:
    return _column([max((_overlap(each.answer, target) for target in each.targets), default=0.0) for each in found])


def _texts(found: Sequence[Written]) -> tuple[list[str], list[str]]:
    return [each.answer for each in found], [each.targets[0] if each.targets else "" for each in found]


def _bleu_counts(found: Sequence[Written]) -> Row:
    from daedal.evaluation.measures import bleu

    return bleu.counts(*_texts(found))


def _bleu(sums: Float[np.ndarray, "replicates statistics"]) -> Float[np.ndarray, " replicates"]:
    from daedal.evaluation.measures import bleu

    return bleu.bleu(sums)


def _chrf_counts(found: Sequence[Written], words: int = 0) -> Row:
    from sacrebleu.metrics.chrf import CHRF

    said, right = _texts(found)
    counted = CHRF(word_order=words)._extract_corpus_statistics(said, [right])
    return np.array(counted, dtype=np.float64)


def _chrf(sums: Float[np.ndarray, "replicates statistics"]) -> Float[np.ndarray, " replicates"]:
    from daedal.evaluation.measures import chrf

    return chrf.chrf(sums)


def _ter_counts(found: Sequence[Written]) -> Row:
    from sacrebleu.metrics.ter import TER

    said, right = _texts(found)
    return np.array(TER()._extract_corpus_statistics(said, [right]), dtype=np.float64)


def _ter(sums: Float[np.ndarray, "replicates statistics"]) -> Float[np.ndarray, " replicates"]:
    """Edits over the length of the references, in per cent; where those are empty, 100 for what is written."""
    edits, length = sums[:, 0], sums[:, 1]
    found: Float[np.ndarray, " n"] = np.where(length > 0, edits / np.maximum(length, 1e-9), edits > 0)
    return 100 * found


def _rouge(found: Sequence[Written], kind: str) -> Row:
    from rouge_score import rouge_scorer  # type: ignore[import-untyped, unused-ignore]

    scorer = rouge_scorer.RougeScorer([kind], use_stemmer=False)
    return _column(
        [
            max((scorer.score(target, each.answer)[kind].fmeasure for target in each.targets), default=0.0)
            for each in found
        ]
    )


def _matches(found: Sequence[Written], pattern: str = "") -> Row:
    wanted = _pattern(pattern)
    return _column([float(wanted.search(each.answer, timeout=SECONDS) is not None) for each in found])


def _pattern(pattern: Any) -> Any:
    if not isinstance(pattern, str) or not pattern:
        raise DaedalError("The metric regex has no pattern", "Add pattern: REGULAR_EXPRESSION")
    try:
        return regex.compile(pattern)
    except regex.error as error:
        raise DaedalError(f"{pattern!r} is no regular expression ({error})", "Correct it") from None


def _fits_schema(found: Sequence[Written], schema: Any = None) -> Row:
    import jsonschema

    if not isinstance(schema, dict):
        raise DaedalError("The metric json_schema has no schema", "Add schema: with a JSON schema")
    try:
        kind = jsonschema.validators.validator_for(schema)
        kind.check_schema(schema)
    except jsonschema.SchemaError as error:
        raise DaedalError(f"schema is no JSON schema: {error.message}", "Correct it") from None
    check = kind(schema)

    def fits(text: str) -> bool:
        try:
            return bool(check.is_valid(json.loads(text)))
        except (ValueError, RecursionError):
            return False

    return _column([float(fits(each.answer)) for each in found])


_NUMERAL = regex.compile(r"[-+]?(?:\d[\d,]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")


def last_number(text: str) -> float | None:
    """The last number in a text, thousands apart by commas or not."""
    found = _NUMERAL.findall(text)
    try:
        return float(found[-1].replace(",", "")) if found else None
    except ValueError:
        return None


def _numeric(found: Sequence[Written], tolerance: float = 1e-6) -> Row:
    values = []
    for each in found:
        said, right = last_number(each.answer), [last_number(target) for target in each.targets]
        near = said is not None and any(
            want is not None and math.isclose(said, want, rel_tol=tolerance, abs_tol=tolerance) for want in right
        )
        values.append(float(near))
    return _column(values)


# -- likelihoods -------------------------------------------------------------------------------------------------------


def _greedy(found: Sequence[Predicted]) -> Row:
    return _column([float(each.greedy) for each in found])


def _nats(found: Sequence[Predicted]) -> Row:
    return _column([each.nats for each in found])


def _per_word(found: Sequence[Predicted]) -> Row:
    return np.array([(each.nats, len(regex.split(r"\s+", each.text))) for each in found], dtype=np.float64)


def _per_byte(found: Sequence[Predicted]) -> Row:
    return np.array([(each.nats, len(each.text.encode())) for each in found], dtype=np.float64)


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
        _of_choices("acc", "the likeliest choice is right", lambda found: _accuracy(found, _raw)),
        _of_choices("acc_norm", "the choice is right that is likeliest by character", lambda f: _accuracy(f, _by_characters)),
        _of_choices("acc_bytes", "the choice is right that is likeliest by byte", lambda f: _accuracy(f, _by_bytes)),
        _of_choices(
            "acc_mutual_info", "the choice is right that the question makes likelier most", lambda f: _accuracy(f, _information)
        ),
        _of_choices(
            "acc_calibrated", "the choice is right that is likeliest beside questions without content",
            lambda f: _accuracy(f, _without_prejudice),
        ),
        _of_choices(
            "brier_score", "squared distance of the choices' probabilities from the right one", _brier, better="lower",
            number=lambda statistics, seed: mean_of(statistics, seed, (0.0, 2.0)), aggregations=("brier_score", "mean"),
        ),
        _of_choices("true_mass", "the probability of all right choices among all", _true_mass),
        _of_choices("exact_match", "a right choice is what greedy decoding writes", _greedy_choice),
        _of_choices("f1", "F1 of the second choice", _confusion, number=_sums(_f1_of_second), aggregations=("f1",), **corpus),
        _of_choices(
            "macro_f1", "mean F1 of the choices", _confusion, number=_sums(_macro_f1), aggregations=("macro_f1",), **corpus
        ),
        _of_choices(
            "mcc", "Matthews' correlation of right and said choices", _confusion, number=_sums(_mcc),
            aggregations=("matthews_corrcoef", "mcc"), **corpus,
        ),
        _of_texts("exact_match", "the answer is the right one", _exact, options=_IGNORE),
        _of_texts("f1", "F1 of words, as SQuAD has it", _token_f1),
        _of_texts("bleu", "BLEU, by sacreBLEU", _bleu_counts, number=_sums(_bleu), aggregations=("bleu",), **corpus),
        _of_texts("chrf", "chrF2, by sacreBLEU", _chrf_counts, number=_sums(_chrf), aggregations=("chrf",), **corpus),
        _of_texts(
            "chrf++", "chrF2++, by sacreBLEU", partial(_chrf_counts, words=2), number=_sums(_chrf), aggregations=("chrf++",),
            **corpus,
        ),
        _of_texts(
            "ter", "edits by the length of the reference, by sacreBLEU", _ter_counts, number=_sums(_ter), better="lower",
            aggregations=("ter",), **corpus,
        ),
        *(
            _of_texts(kind, f"{kind.upper().replace('ROUGE', 'ROUGE-')} F, by rouge-score", partial(_rouge, kind=kind))
            for kind in ("rouge1", "rouge2", "rougeL", "rougeLsum")
        ),
        _of_texts("regex", "the answer matches a pattern", _matches, options=("pattern",)),
        _of_texts("json_schema", "the answer is JSON that fits a schema", _fits_schema, options=("schema",)),
        _of_texts("numeric", "the last number of the answer is the right one", _numeric, options=("tolerance",)),
        Metric("acc", "greedy decoding writes the answer", _AFTER, _greedy, mean_of),
        Metric(
            "perplexity", "of an answer", _AFTER, _nats, _perplexity, "lower", aggregations=("perplexity",), mean=False,
        ),
        Metric(
            "word_perplexity", "of words", _ROLLING, _per_word, lambda s, seed: _ratio(s, seed, _exponential), "lower",
            aggregations=("weighted_perplexity",), unit="per word", mean=False,
        ),
        Metric(
            "byte_perplexity", "of bytes", _ROLLING, _per_byte, lambda s, seed: _ratio(s, seed, _exponential), "lower",
            aggregations=("weighted_perplexity",), unit="per byte", mean=False,
        ),
        Metric(
            "bits_per_byte", "of text", _ROLLING, _per_byte, lambda s, seed: _ratio(s, seed, _bits), "lower",
            aggregations=("bits_per_byte",), unit="bits per byte", mean=False,
        ),
    )  # fmt: skip


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
    if options.aggregation is not None and options.aggregation not in metric.aggregations:
        raise DaedalError(
            f"The metric {metric.name} has no aggregation {options.aggregation}",
            f"Use {' or '.join(metric.aggregations)}",
        )
    return metric
