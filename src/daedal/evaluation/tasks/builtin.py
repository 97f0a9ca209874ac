"""Tasks that need no file: made here, the same at every time. Others add theirs to `BUILTIN`."""

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from daedal.evaluation.tasks.definition import Definition
from daedal.evaluation.tasks.task import Row, Task

_COUNT = 300
_NOUNS = (
    ("author", "authors"), ("child", "children"), ("dog", "dogs"), ("farmer", "farmers"), ("friend", "friends"),
    ("girl", "girls"), ("king", "kings"), ("mouse", "mice"), ("neighbour", "neighbours"), ("woman", "women"),
)  # fmt: skip
_VERBS = (
    ("is", "are"), ("was", "were"), ("has", "have"), ("does", "do"), ("sings", "sing"), ("knows", "know"), ("laughs", "laugh"),
)  # fmt: skip
_AFTER = {
    "is": "here", "was": "here", "has": "a house", "does": "the work", "sings": "well", "knows": "the way", "laughs": "aloud",
}  # fmt: skip
_NEAR = ("", "near the lake", "of the town", "behind the wall", "from the north")
_SERIES = (
    ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"),
    ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    tuple("abcdefghijklmnopqrstuvwxyz"),
)  # fmt: skip


def _agreement(draw: Random) -> Iterator[Row]:
    while True:
        singular, plural = draw.choice(_NOUNS)
        one, many = draw.choice(_VERBS)
        several = draw.random() < 0.5
        subject = " ".join(part for part in ("The", plural if several else singular, draw.choice(_NEAR)) if part)
        right, wrong = (many, one) if several else (one, many)
        yield {
            "sentence_good": f"{subject} {right} {_AFTER[one]}.",
            "sentence_bad": f"{subject} {wrong} {_AFTER[one]}.",
        }


def _sums(draw: Random) -> Iterator[Row]:
    while True:
        one, other = draw.randrange(100), draw.randrange(100)
        yield {"question": f"{one} + {other} =", "answer": str(one + other)}


def _series(draw: Random) -> Iterator[Row]:
    while True:
        series = draw.choice(_SERIES)
        start = draw.randrange(len(series) - 3)
        right = series[start + 3]
        choices = [right, *draw.sample([each for each in series if each not in series[start : start + 4]], 3)]
        draw.shuffle(choices)
        yield {
            "question": ", ".join(series[start : start + 3]) + ",",
            "choices": choices,
            "answer": choices.index(right),
        }


def _distinct(rows: Iterator[Row], count: int) -> list[Row]:
    """The first that differ."""
    found: dict[str, Row] = {}
    while len(found) < count:
        row = next(rows)
        found.setdefault(repr(sorted((name, repr(value)) for name, value in row.items() if name != "choices")), row)
    return list(found.values())


def _made(name: str, rows: Callable[[Random], Iterator[Row]], count: int, **fields: Any) -> Callable[[], Task]:
    """A task whose examples are of the same kind, and no items."""

    def make() -> Task:
        definition = Definition.parse(
            {
                "task": name, "test_split": "test", "training_split": "train", "fewshot_config": {"sampler": "balanced"},
                **fields,
            },
            name,
        )  # fmt: skip

        def read() -> dict[str, list[Row]]:
            found = _distinct(rows(Random(0)), count + count // 4)
            return {"test": found[:count], "train": found[count:]}

        return Task(definition, read, origin="built in")

    return make


BUILTIN: dict[str, Callable[[], Task]] = {
    "agreement": _made(
        "agreement", _agreement, _COUNT, output_type="multiple_choice", doc_to_text="", doc_to_target=0,
        doc_to_choice="{{[sentence_good, sentence_bad]}}", metric_list=[{"metric": "acc"}],
        metadata={"says": "minimal pairs: does the verb agree with its subject, whatever stands between"},
    ),
    "series": _made(
        "series", _series, 120, output_type="multiple_choice", doc_to_text="question", doc_to_target="answer",
        doc_to_choice="choices", fewshot_delimiter="\n", metric_list=[{"metric": "acc"}, {"metric": "acc_norm"}],
        metadata={"says": "what comes next: days, months, numbers, letters"},
    ),
    "sums": _made(
        "sums", _sums, _COUNT, output_type="generate_until", doc_to_text="question", doc_to_target="answer",
        fewshot_delimiter="\n", generation_kwargs={"until": ["\n"], "max_gen_toks": 8}, metric_list=[{"metric": "numeric"}],
        metadata={"says": "sums of two numbers below 100"},
    ),
}  # fmt: skip
"""Every built-in task, by its name. `a/b` belongs to the group `a`."""
