"""Baselines of a task: what no language model is needed for, scored by the same metrics on the same items."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from daedal.evaluation.ngram import KneserNey
from daedal.evaluation.tasks.items import ItemResults, Scored
from daedal.evaluation.tasks.metrics import Number
from daedal.evaluation.tasks.outcomes import Chosen, Outcome, Written
from daedal.evaluation.tasks.run import Job
from daedal.evaluation.tasks.task import Item

_BY_CHOICE = ("acc", "acc_norm", "acc_bytes", "acc_mutual_info")
_BYTES, _END, _ORDER = 257, 256, 5
_BEFORE = 64  # bytes of a question that an n-gram model is told
_WORD = re.compile(r"\w+")


class Simple(NamedTuple):
    """A baseline and its numbers, by the names of the metrics."""

    name: str
    why: str
    numbers: Mapping[str, Number]


def simple_baselines(job: Job, result: ItemResults, seed: int) -> list[Simple]:
    """Those that a task has: of choices chance, the commonest place, the longest choice, the one whose words stand in the
    question, and an n-gram model of the examples; of answers the commonest one of the examples."""
    if job.task.definition.output_type == "multiple_choice":
        return _of_choices(job, result, seed)
    if job.task.definition.output_type == "generate_until":
        return _of_answers(job, result, seed)
    return []


def _of_choices(job: Job, result: ItemResults, seed: int) -> list[Simple]:
    names = [name for name in result.scores if name in _BY_CHOICE]
    if not names:
        return []
    chance = float(np.mean([len(set(item.gold)) / len(item.choices) for item in job.items]))
    commonest = Counter(item.gold[0] for item in job.items).most_common(1)[0][0]
    rules: list[tuple[str, str, Callable[[Item], list[float]]]] = [
        (
            "majority",
            "the place where the right choice stands most often in these items",
            lambda item: [float(place == commonest) for place in range(len(item.choices))],
        ),
        ("longest", "the choice with the most characters", lambda item: [float(len(each)) for each in item.choices]),
        ("overlap", "the choice of whose words most stand in the question", _overlapping),
    ]
    if len({tuple(item.gold) for item in job.items}) == 1:
        rules = rules[1:]  # the right choice always stands first, as in minimal pairs, and nobody is told so
    found = [Simple("chance", "a choice at random", {name: Number(chance, None, "") for name in names})]
    for name, why, worth in rules:
        hits = np.array([[_expected(worth(item), item.gold)] for item in job.items])
        numbers = {each: result.scores[each].metric.number(hits, seed) for each in names}
        found.append(Simple(name, why, numbers))
    if not job.task.pool_is_measured and (ngram := _ngram(job)) is not None:
        why = f"a {_ORDER}-gram model over bytes, learned from the examples that shots are drawn from"
        kept = {name: result.scores[name] for name in names if name != "acc_mutual_info"}
        found.append(Simple("n-gram", why, _scored(kept, ngram, job, seed)))
    return found


def _scored(scores: Mapping[str, Scored], outcomes: Sequence[Outcome], job: Job, seed: int) -> dict[str, Number]:
    """The numbers of outcomes by the task's own metrics."""
    options = {metric.name: chosen for metric, chosen, _ in job.task.metrics}
    return {
        name: scored.metric.number(scored.metric.scored(outcomes, options[scored.metric.name]), seed)
        for name, scored in scores.items()
    }


def _expected(worth: Sequence[float], gold: Sequence[int]) -> float:
    """How often a choice of the greatest worth is right, one of several at random."""
    best = [place for place, each in enumerate(worth) if each == max(worth)]
    return sum(place in gold for place in best) / len(best)


def _overlapping(item: Item) -> list[float]:
    """Which part of the words of each choice stands in the question."""
    asked = set(_WORD.findall(item.asked[0].lower())) if not item.several_questions else set()
    parts = []
    for choice in item.choices:
        words = _WORD.findall(choice.lower())
        parts.append(sum(word in asked for word in words) / max(1, len(words)))
    return parts


def _ngram(job: Job) -> list[Chosen] | None:
    """What an n-gram model says that has read the examples."""
    task = job.task
    between = task.definition.target_delimiter
    examples = [_text(task.fields.text(row, True), between, task.answer_of(row)) for row in task.pool]
    learned = np.concatenate([_bytes(text) for text in examples]) if examples else np.zeros(0, dtype=np.int64)
    if len(examples) < 2 or any(item.several_questions for item in job.items):
        return None
    model = KneserNey(learned, _BYTES, _END, _ORDER)
    texts, lengths = [], []
    for item in job.items:
        before = f"{item.asked[0]}{between}".encode()[-_BEFORE:].decode("utf-8", "ignore")
        for choice in item.choices:
            texts.append(_bytes(before + choice))
            lengths.append(len(choice.encode()))
    likelihoods = model.log_probabilities(np.concatenate(texts))
    ends = np.cumsum([len(text) for text in texts]) - 1  # of the end of each text, which is no part of it
    sums = np.concatenate([[0.0], np.cumsum(likelihoods)])
    nats = sums[ends] - sums[ends - np.array(lengths)]
    found, start = [], 0
    for item in job.items:
        own = nats[start : start + len(item.choices)]
        start += len(item.choices)
        found.append(Chosen(item.choices, own, (False,) * len(item.choices), item.gold))
    return found


def _text(question: str | int, between: str, answer: str) -> str:
    return f"{str(question)[-_BEFORE:]}{between}{answer}"


def _bytes(text: str) -> np.ndarray:
    return np.array([*text.encode("utf-8", "surrogatepass"), _END], dtype=np.int64)


def _of_answers(job: Job, result: ItemResults, seed: int) -> list[Simple]:
    answers = [answer for row in job.task.pool if (answer := job.task.answer_of(row))]
    if not answers or job.task.pool_is_measured:
        return []
    commonest = Counter(answers).most_common(1)[0][0]
    numbers: dict[str, Number] = {}
    for filters, apply in job.task.filters:
        outcomes = [Written(apply([commonest], item.row), item.targets, item.row) for item in job.items]
        of_filter = {name: each for name, each in result.scores.items() if each.filter in ("", filters.name)}
        numbers |= _scored(of_filter, outcomes, job, seed)
    return [Simple("majority", "the commonest answer of the examples", numbers)]
