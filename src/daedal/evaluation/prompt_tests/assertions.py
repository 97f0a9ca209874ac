"""What a test of a prompt asserts of an answer, by the names that promptfoo gave: `contains`, `is-json`, `llm-rubric` ...

Each kind is one entry of `KINDS`: what its value must be, the threshold that its score must reach, and the function that
scores. `not-` before a name turns it round.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, NamedTuple, Protocol

import regex

from daedal.config import Config
from daedal.errors import DaedalError
from daedal.prompting.respondent import Reply

_SECONDS_OF_A_PATTERN = 1.0
_MOST_STARTS = 1000  # of JSON that are tried in an answer
NOT = "not-"


class Verdict(Config):
    """What a judge says of an answer.

    Attributes:
        score: 0 to 1.
        reason: in the judge's own words.
    """

    passed: bool
    score: float
    reason: str


class Answer(NamedTuple):
    """What is judged.

    Attributes:
        text: as the transform left it.
        reply: the answer as it came, with its seconds and its cost.
    """

    text: str
    reply: Reply


class Judges(Protocol):
    """Who is asked where rules are not enough. Both are told before what they will be asked, so that they answer together."""

    likeness: str

    def similar(self, one: str, other: str) -> float:
        """0 to 1, by the measure that `likeness` names."""
        ...

    def verdict(self, judge: str | None, rubric: str, text: str) -> Verdict: ...


class Scored(NamedTuple):
    """A score from 0 to 1, or in the kind's own unit where less is better; and why, where there is something to say.

    Attributes:
        refused: it does not pass, whatever the score.
    """

    score: float
    reason: str = ""
    refused: bool = False


Value = Any
Score = Callable[[Answer, Value, Judges], Scored]


class Kind(NamedTuple):
    """A kind of assertion.

    Attributes:
        value: what it must be; "schema" may be left out.
        threshold: what the score must reach, unless the test says otherwise; None where it has to say.
        most: the score must not be above the threshold, as with milliseconds.
        settable: whether a test may set the threshold.
    """

    score: Score
    value: Literal["text", "texts", "any", "pattern", "schema", "none"]
    threshold: float | None = 1.0
    most: bool = False
    settable: bool = False


class Check(Config):
    """What became of one assertion.

    Attributes:
        score: 0 to 1; what is measured in another unit has 1 where it passes.
        weight: of the score in the test's; 0: it is told and decides nothing.
    """

    type: str
    value: Any
    passed: bool
    score: float
    reason: str
    weight: float
    metric: str | None = None


def check(
    name: str,
    value: Value,
    threshold: float | None,
    answer: Answer,
    judges: Judges,
    weight: float = 1.0,
    metric: str | None = None,
) -> Check:
    """Hold an answer against an assertion."""
    turned, kind = name.startswith(NOT), KINDS[name.removeprefix(NOT)]
    limit = kind.threshold if threshold is None else threshold
    assert limit is not None, "the suite refuses an assertion that lacks its threshold"
    scored = kind.score(answer, value, judges)
    met = not scored.refused and (scored.score <= limit if kind.most else scored.score >= limit)
    share = float(met) if kind.most else scored.score
    passed = met != turned
    reason = scored.reason or _told(name, value, passed)
    if kind.settable and limit:
        reason += f" ({'at most' if kind.most else 'at least'} {limit:g} {'is too much' if turned else 'is asked'})"
    return Check(
        type=name, value=value, passed=passed, score=1 - share if turned else share, reason=reason, weight=weight,
        metric=metric,
    )  # fmt: skip


def _told(name: str, value: Value, passed: bool) -> str:
    return f"{name}: {json.dumps(value, ensure_ascii=False)}" + ("" if passed else " does not hold")


def _folded(text: str) -> str:
    return text.casefold()


def _contains(fold: bool) -> Score:
    change = _folded if fold else str
    return lambda answer, value, judges: Scored(float(change(value) in change(answer.text)))


def _contains_of(combine: Callable[[Iterator[bool]], bool], fold: bool) -> Score:
    change = _folded if fold else str

    def score(answer: Answer, value: Value, judges: Judges) -> Scored:
        text = change(answer.text)
        missing = [each for each in value if change(each) not in text]
        return Scored(
            float(combine(change(each) in text for each in value)),
            f"not in it: {', '.join(map(repr, missing))}" if missing else "",
        )

    return score


def _starts_with(answer: Answer, value: Value, judges: Judges) -> Scored:
    return Scored(float(answer.text.startswith(value)))


def _regex(answer: Answer, value: Value, judges: Judges) -> Scored:
    try:
        found = regex.search(value, answer.text, timeout=_SECONDS_OF_A_PATTERN)
    except TimeoutError:
        return Scored(0.0, f"the pattern {value!r} took more than {_SECONDS_OF_A_PATTERN:g} s")
    return Scored(float(found is not None))


def _equals(answer: Answer, value: Value, judges: Judges) -> Scored:
    if isinstance(value, str):
        return Scored(float(answer.text == value))
    try:
        return Scored(float(_same(loads(answer.text), value)))
    except ValueError:
        return Scored(0.0, "the answer is no JSON")


def _same(one: Any, other: Any) -> bool:
    """Whether two values of JSON are equal; to Python, `true` is 1."""
    match one, other:
        case dict(), dict():
            return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
        case list(), list():
            return len(one) == len(other) and all(map(_same, one, other))
        case (bool(), _) | (_, bool()):
            return one is other
        case _:
            return bool(one == other)


def loads(text: str) -> Any:
    """JSON as RFC 8259 has it: no NaN, no Infinity.

    Raises:
        ValueError: it is none.
    """
    try:
        return json.loads(text, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _fits(value: Any, schema: Any) -> str:
    """What is wrong with a value by a schema; empty where nothing is."""
    if schema is None:
        return ""
    from jsonschema.exceptions import best_match

    found = best_match(_validator(schema).iter_errors(value))
    return "" if found is None else f"{found.json_path}: {found.message}"[:500]


def _validator(schema: Any) -> Any:
    from jsonschema.validators import validator_for
    from referencing import Registry

    kind = validator_for(schema)
    return kind(schema, registry=Registry())  # an empty one fetches nothing


def check_schema(schema: Any) -> None:
    """Raises:
    DaedalError: it is no JSON schema, or one that names others, which are not fetched.
    """
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import validator_for

    if isinstance(schema, bool):
        return
    if not isinstance(schema, dict):
        raise DaedalError("The value of is-json is no JSON schema", "Give an object, as {type: object}, or no value")
    try:
        validator_for(schema).check_schema(schema)
    except SchemaError as error:
        raise DaedalError(f"This is no JSON schema: {error.json_path}: {error.message}", "Correct it") from None


def _is_json(answer: Answer, value: Value, judges: Judges) -> Scored:
    try:
        found = loads(answer.text)
    except ValueError as error:
        return Scored(0.0, f"no JSON: {error}")
    wrong = _broken(found, value)
    return Scored(float(not wrong), wrong or "JSON" + (" that fits the schema" if value is not None else ""))


def _broken(found: Any, schema: Any) -> str:
    from referencing.exceptions import Unresolvable

    try:
        return _fits(found, schema)
    except Unresolvable as error:
        return f"the schema names what is not in it: {error}"
    except RecursionError:
        return "nested too deeply for the schema"


def _contains_json(answer: Answer, value: Value, judges: Judges) -> Scored:
    decoder, wrong = json.JSONDecoder(parse_constant=_no_number), "no object and no list of JSON in it"
    starts = [place for place, letter in enumerate(answer.text) if letter in "{["]
    for start in starts[:_MOST_STARTS]:
        try:
            found, _ = decoder.raw_decode(answer.text, start)
        except (ValueError, RecursionError):
            continue
        wrong = _broken(found, value)
        if not wrong:
            return Scored(1.0, "JSON in it")
    return Scored(0.0, wrong)


def _similar(answer: Answer, value: Value, judges: Judges) -> Scored:
    best = max((judges.similar(each, answer.text), each) for each in value)
    return Scored(best[0], f"{best[0]:.3f} similar to {best[1]!r} by {judges.likeness}")


def _levenshtein(answer: Answer, value: Value, judges: Judges) -> Scored:
    found = distance(answer.text, value)
    return Scored(found, f"{found} letters to change")


def distance(one: str, other: str) -> int:
    """Letters to insert, delete or replace (Levenshtein 1966), a row of the table at a time."""
    import numpy as np

    if len(one) < len(other):
        one, other = other, one
    letters = np.array([ord(each) for each in other], dtype=np.int64)
    places = np.arange(len(other) + 1)
    row = places.copy()
    for number, letter in enumerate(one, 1):
        best = np.concatenate(([number], np.minimum(row[:-1] + (letters != ord(letter)), row[1:] + 1)))
        row = np.minimum.accumulate(best - places) + places  # a run of insertions
    return int(row[-1])


def _rouge(answer: Answer, value: Value, judges: Judges) -> Scored:
    found = unigram_f1(answer.text, value)
    return Scored(found, f"{found:.3f} of F1 over words")


def unigram_f1(text: str, reference: str) -> float:
    """ROUGE-1: F1 over words without case (Lin 2004)."""
    from collections import Counter

    one, other = (Counter(regex.findall(r"\w+", each.casefold())) for each in (text, reference))
    shared = (one & other).total()
    return 2 * shared / (one.total() + other.total()) if shared else 0.0


def _bleu(answer: Answer, value: Value, judges: Judges) -> Scored:
    from sacrebleu import sentence_bleu

    found = sentence_bleu(answer.text, [value], use_effective_order=True)
    return Scored(found.score / 100, f"BLEU {found.score / 100:.3f}")


def _latency(answer: Answer, value: Value, judges: Judges) -> Scored:
    found = answer.reply.seconds * 1000
    return Scored(found, f"{found:.0f} ms" + (", when it was first asked" if answer.reply.remembered else ""))


def _cost(answer: Answer, value: Value, judges: Judges) -> Scored:
    if answer.reply.cost is None:
        return Scored(float("inf"), "what it costs is not known, as no prices were given")
    return Scored(answer.reply.cost, f"{answer.reply.cost:.6f} dollars")


def _rubric(answer: Answer, value: Value, judges: Judges) -> Scored:
    found = judges.verdict(value["judge"], value["rubric"], answer.text)
    return Scored(found.score, found.reason, refused=not found.passed)


KINDS: Mapping[str, Kind] = {
    "contains": Kind(_contains(False), "text"),
    "icontains": Kind(_contains(True), "text"),
    "contains-any": Kind(_contains_of(any, False), "texts"),
    "contains-all": Kind(_contains_of(all, False), "texts"),
    "icontains-any": Kind(_contains_of(any, True), "texts"),
    "icontains-all": Kind(_contains_of(all, True), "texts"),
    "starts-with": Kind(_starts_with, "text"),
    "regex": Kind(_regex, "pattern"),
    "equals": Kind(_equals, "any"),
    "is-json": Kind(_is_json, "schema"),
    "contains-json": Kind(_contains_json, "schema"),
    "similar": Kind(_similar, "texts", 0.75, settable=True),
    "levenshtein": Kind(_levenshtein, "text", 5, most=True, settable=True),
    "rouge-n": Kind(_rouge, "text", 0.75, settable=True),
    "bleu": Kind(_bleu, "text", 0.5, settable=True),
    "latency": Kind(_latency, "none", None, most=True, settable=True),
    "cost": Kind(_cost, "none", None, most=True, settable=True),
    "llm-rubric": Kind(_rubric, "text", 0.0, settable=True),
}


JUDGED = ("similar", "llm-rubric")
"""Kinds that ask judges."""


def check_pattern(pattern: str) -> None:
    """Raises:
    DaedalError: it is no regular expression.
    """
    try:
        regex.compile(pattern)
    except regex.error as error:
        raise DaedalError(f"{pattern!r} is no regular expression: {error}", "Correct it") from None
