"""What is done with the answers to an item before they are scored: steps by lm-eval's names, one after the other."""

import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import regex

from daedal.errors import DaedalError
from daedal.evaluation.tasks.definition import Filters, FilterStep
from daedal.evaluation.tasks.fields import SECONDS

Step = Callable[[list[Any], Mapping[str, Any]], list[Any]]
"""Of the answers to an item, which is given too."""

NONE = Filters(name="none", filter=(FilterStep(function="take_first"),))
_NUMBER = r"#### (\-?[0-9\.\,]+)"


def pipeline(filters: Filters) -> Step:
    """All steps of a pipeline.

    Raises:
        DaedalError: a step or one of its options is not known.
    """
    steps = [(each.function, _step(each)) for each in filters.filter]

    def apply(answers: list[Any], row: Mapping[str, Any]) -> list[Any]:
        for name, step in steps:
            try:
                answers = step(answers, row)
            except (TypeError, ValueError, LookupError, AttributeError, TimeoutError, regex.error) as error:
                raise DaedalError(f"The filter {name} fails at an answer: {error}", "Correct its options") from None
        return answers

    return apply


def _step(step: FilterStep) -> Step:
    if (make := STEPS.get(step.function)) is None:
        raise DaedalError(f"There is no filter {step.function}", f"Choose {', '.join(STEPS)}")
    try:
        return make(**step.options)
    except (TypeError, ValueError) as error:
        raise DaedalError(f"The filter {step.function}: {error}", "Correct its options") from None
    except regex.error as error:
        raise DaedalError(
            f"The filter {step.function} has no regular expression ({error})", "Correct its pattern"
        ) from None


def _each(change: Callable[[Any], Any]) -> Callable[..., Step]:
    """A step that changes each answer by itself."""
    return lambda: lambda answers, row: [change(each) for each in answers]


def _first() -> Step:
    return lambda answers, row: answers[:1]


def _first_k(k: int) -> Step:
    return lambda answers, row: answers[:k]


def _majority() -> Step:
    return lambda answers, row: [Counter(answers).most_common(1)[0][0]]


def _map(mapping_dict: Mapping[Any, Any] | None = None, default_value: Any = None) -> Step:
    known = dict(mapping_dict or {})
    return lambda answers, row: [known.get(each, default_value) for each in answers]


def _regex(regex_pattern: str = _NUMBER, group_select: int = 0, fallback: str = "[invalid]") -> Step:
    pattern = regex.compile(regex_pattern)
    return lambda answers, row: [_found(pattern, each, group_select) or fallback for each in answers]


def _found(pattern: Any, answer: Any, place: int, names: Mapping[str, str] | None = None) -> str:
    """One of the matches; nothing where there is none."""
    try:
        matches = pattern.findall(answer if isinstance(answer, str) else "", timeout=SECONDS)
    except TimeoutError:
        raise DaedalError(
            f"The pattern {pattern.pattern!r} takes too long", "Write one that does not backtrack"
        ) from None
    if not matches:
        return ""
    try:
        match = matches[place]
    except IndexError:
        raise DaedalError(f"group_select is {place}, and there are {len(matches)} matches", "Choose 0 or -1") from None
    if isinstance(match, tuple):
        match = next((each for each in match if each), "")
    match = match.strip()
    return (names or {}).get(match, match)


@cache
def _punctuation() -> dict[int, None]:
    return {code: None for code in range(0x110000) if unicodedata.category(chr(code)).startswith("P")}


def _choice(
    regex_pattern: str = _NUMBER,
    group_select: int = 0,
    fallback: str = "[invalid]",
    ignore_case: bool = False,
    ignore_punctuation: bool = False,
    regexes_to_ignore: Sequence[str] | None = None,
) -> Step:
    """The letter of a choice: by the pattern, by the text of a choice, or by what stands after a colon."""
    pattern = regex.compile(regex_pattern)

    def plain(text: str) -> str:
        for each in regexes_to_ignore or ():
            text = regex.sub(each, "", text, timeout=SECONDS)
        text = text.lower() if ignore_case else text
        return text.translate(_punctuation()) if ignore_punctuation else text

    def apply(answers: list[Any], row: Mapping[str, Any]) -> list[Any]:
        choices = [plain(str(choice).strip()) for choice in row.get("choices") or ()]
        letters = [chr(ord("A") + place) for place in range(len(choices))]
        named = {choice: f"({letter})" for choice, letter in zip(choices, letters, strict=True)}
        texts = regex.compile("|".join(sorted(map(regex.escape, choices), key=len, reverse=True)))
        bare = regex.compile(rf":[\s]*({'|'.join(letters)})")
        return [
            _found(pattern, each, group_select)
            or _found(texts, plain(each), group_select, named)
            or _found(bare, each, group_select, {letter: f"({letter})" for letter in letters})
            or fallback
            for each in answers
        ]

    return apply


STEPS: dict[str, Callable[..., Step]] = {
    "take_first": _first,
    "take_first_k": _first_k,
    "majority_vote": _majority,
    "remove_whitespace": _each(str.strip),
    "lowercase": _each(str.lower),
    "uppercase": _each(str.upper),
    "map": _map,
    "regex": _regex,
    "multi_choice_regex": _choice,
}
