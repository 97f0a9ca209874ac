"""Statistics of items whose answers are written, and what sums of them are."""

import json
import math
import string
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import regex
from jaxtyping import Float

from daedal.errors import DaedalError
from daedal.evaluation.tasks.fields import SECONDS
from daedal.evaluation.tasks.outcomes import Row, Written, column


def plain(
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


def exact(found: Sequence[Written], **options: Any) -> Row:
    return column(
        [
            float(plain(each.answer, **options) in {plain(target, **options) for target in each.targets})
            for each in found
        ]
    )


def words(text: str) -> list[str]:
    """As SQuAD compares answers (Rajpurkar et al. 2016): without articles, punctuation and case."""
    text = text.lower().translate(str.maketrans("", "", string.punctuation))
    return [word for word in text.split() if word not in ("a", "an", "the")]


def overlap(one: str, other: str) -> float:
    mine, theirs = words(one), words(other)
    if not mine or not theirs:
        return float(mine == theirs)
    both = sum((Counter(mine) & Counter(theirs)).values())
    return 2 * both / (len(mine) + len(theirs))


def token_f1(found: Sequence[Written]) -> Row:
    return column([max((overlap(each.answer, target) for target in each.targets), default=0.0) for each in found])


def texts(found: Sequence[Written]) -> tuple[list[str], list[str]]:
    return [each.answer for each in found], [each.targets[0] if each.targets else "" for each in found]


def bleu_counts(found: Sequence[Written]) -> Row:
    from daedal.evaluation.measures import bleu

    return bleu.counts(*texts(found))


def bleu(sums: Float[np.ndarray, "replicates statistics"]) -> Float[np.ndarray, " replicates"]:
    from daedal.evaluation.measures import bleu

    return bleu.bleu(sums)


def chrf_counts(found: Sequence[Written], words: int = 0) -> Row:
    from sacrebleu.metrics.chrf import CHRF

    said, right = texts(found)
    counted = CHRF(word_order=words)._extract_corpus_statistics(said, [right])
    return np.array(counted, dtype=np.float64)


def chrf(sums: Float[np.ndarray, "replicates statistics"]) -> Float[np.ndarray, " replicates"]:
    from daedal.evaluation.measures import chrf

    return chrf.chrf(sums)


def ter_counts(found: Sequence[Written]) -> Row:
    from sacrebleu.metrics.ter import TER

    said, right = texts(found)
    return np.array(TER()._extract_corpus_statistics(said, [right]), dtype=np.float64)


def ter(sums: Float[np.ndarray, "replicates statistics"]) -> Float[np.ndarray, " replicates"]:
    """Edits over the length of the references, in per cent; where those are empty, 100 for what is written."""
    edits, length = sums[:, 0], sums[:, 1]
    found: Float[np.ndarray, " n"] = np.where(length > 0, edits / np.maximum(length, 1e-9), edits > 0)
    return 100 * found


def rouge(found: Sequence[Written], kind: str) -> Row:
    from rouge_score import rouge_scorer  # type: ignore[import-untyped, unused-ignore]

    scorer = rouge_scorer.RougeScorer([kind], use_stemmer=False)
    return column(
        [
            max((scorer.score(target, each.answer)[kind].fmeasure for target in each.targets), default=0.0)
            for each in found
        ]
    )


def matches(found: Sequence[Written], pattern: str = "") -> Row:
    wanted = compiled(pattern)
    return column([float(wanted.search(each.answer, timeout=SECONDS) is not None) for each in found])


def compiled(pattern: Any) -> Any:
    if not isinstance(pattern, str) or not pattern:
        raise DaedalError("The metric regex has no pattern", "Add pattern: REGULAR_EXPRESSION")
    try:
        return regex.compile(pattern)
    except regex.error as error:
        raise DaedalError(f"{pattern!r} is no regular expression ({error})", "Correct it") from None


def fits_schema(found: Sequence[Written], schema: Any = None) -> Row:
    import jsonschema
    import referencing

    if not isinstance(schema, dict):
        raise DaedalError("The metric json_schema has no schema", "Add schema: with a JSON schema")
    try:
        kind = jsonschema.validators.validator_for(schema)
        kind.check_schema(schema)
    except jsonschema.SchemaError as error:
        raise DaedalError(f"schema is no JSON schema: {error.message}", "Correct it") from None
    check = kind(schema, registry=referencing.Registry())  # which fetches nothing from elsewhere

    def fits(text: str) -> bool:
        try:
            return bool(check.is_valid(json.loads(text)))
        except (ValueError, RecursionError):
            return False
        except referencing.exceptions.Unresolvable as error:
            raise DaedalError(f"schema refers to {error.ref}, which is not in it", "Write it out there") from None

    return column([float(fits(each.answer)) for each in found])


NUMERAL = regex.compile(r"[-+]?(?:\d[\d,]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")


def last_number(text: str) -> float | None:
    """The last number in a text, thousands apart by commas or not."""
    found = NUMERAL.findall(text)
    try:
        return float(found[-1].replace(",", "")) if found else None
    except ValueError:
        return None


def numeric(found: Sequence[Written], tolerance: float = 1e-6) -> Row:
    if isinstance(tolerance, bool) or not isinstance(tolerance, int | float) or not 0 <= tolerance < math.inf:
        raise DaedalError(f"The metric numeric has no tolerance {tolerance!r:.40}", "Give a number from 0 on")
    values = []
    for each in found:
        said, right = last_number(each.answer), [last_number(target) for target in each.targets]
        near = said is not None and any(
            want is not None and math.isclose(said, want, rel_tol=tolerance, abs_tol=tolerance) for want in right
        )
        values.append(float(near))
    return column(values)
