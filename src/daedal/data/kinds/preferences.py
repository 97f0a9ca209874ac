"""Preferences: of two answers to a prompt the one that a person chose and the one that was rejected, as reward models and DPO
learn from; or one answer with a thumb up or down, as KTO does."""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from daedal.data.columns import Numbers, Ragged, Strings
from daedal.data.dialogues import answer_of, messages_of, prompt_of
from daedal.data.document import Example, Lost
from daedal.data.example_options import ExampleOptions
from daedal.data.fields import guesses, named, split_of_name
from daedal.data.kind import Found, Kind
from daedal.data.message_trees import Message, Trees, of_tree
from daedal.data.peek import Peek, Sources
from daedal.data.rows import Row, Whole, read_asked
from daedal.data.sources import Item

_COLUMNS = ("prompt", "chosen", "rejected", "better")
_TWO = (  # two answers, what says which of them is better, and its values where it is the first and where the second
    ("response_0", "response_1", "better_response_id", ("0",), ("1",)),  # PKU-SafeRLHF
    ("human_ref_a", "human_ref_b", "labels", ("1",), ("0",)),  # SHP
    ("conversation_a", "conversation_b", "winner", ("model_a",), ("model_b",)),  # the arena of LMSYS
    ("response_a", "response_b", "winner", ("model_a", "a"), ("model_b", "b")),
)
_SCORES = ("overall_score", "score", "rating", "fine_grained_score")
_GOOD_SCORES = ("score_chosen", "chosen_score", "chosen_rating", "chosen-rating")
_BAD_SCORES = ("score_rejected", "rejected_score", "rejected_rating", "rejected-rating")
_THUMBS = ("thumb", "thumbs", "feedback", "vote", "liked", "preferred", "desirable", "is_good", "label")
_ANSWERS = ("completion", "response", "answer", "output", "messages")
_UP = frozenset(("1", "true", "yes", "up", "good", "like", "liked", "positive", "desirable", "+1", "👍", "thumbs_up"))
_DOWN = frozenset(
    ("0", "-1", "false", "no", "down", "bad", "dislike", "disliked", "negative", "undesirable", "👎", "thumbs_down")
)


def recognise(sources: Sources) -> float:
    tables = sources.tables
    return 0.95 if tables and all(_is(peek) for peek in tables) else 0.0


def _is(peek: Peek) -> bool:
    if any(_two(row, {}) for row in peek.rows):
        return True
    found = [_thumbs(row) for row in peek.rows]
    return bool(found) and None not in found and named(peek.columns, ("prompt", "messages")) is not None


def read(items: Sequence[Item], options: ExampleOptions) -> Iterator[Found]:
    for item in items:
        trees: dict[str, Trees] = defaultdict(Trees)
        for found in read_asked(item, options, _COLUMNS):
            if isinstance(found, Whole):
                yield Lost(found.label, "no preferences", "it has no rows of them", broken=False)
            elif isinstance(found, Row):
                if of_tree(found.values):
                    trees[found.label].add(found.values)
                    continue
                better = options.columns.get("better") or named(found.values, [each[2] for each in _TWO])
                if not found.number and better and not named(found.values, ("chosen",)):
                    yield from guesses(found.label, {"better": better}, options.columns)
                two = _two(found.values, options.columns)
                if two == ():
                    why = f"row {found.number}: neither answer is said to be better"
                    yield Lost(found.label, "no preference", why, broken=False)
                    continue
                values = _pair(found.values, two, options.columns) if two else _thumbs(found.values)
                if values and two:
                    values["margin"] = two[2] if len(two) > 2 else _margin(found.values)
                yield Example(found.label, found.number, values or {}, split_of_name(found.label))
            else:
                yield found
        for label, each in trees.items():
            for number, (prompt, good, bad) in enumerate(each.preferences()):
                yield Example(label, number, _compared(prompt, [good], [bad]), split_of_name(label))


def _two(row: Mapping[str, Any], asked: Mapping[str, str]) -> tuple[Any, ...] | None:
    """The chosen answer and the rejected one, and the difference of their scores where they have some; nothing where neither is
    better, None where there are no two."""
    chosen = row.get(asked.get("chosen") or named(row, ("chosen",)) or "")
    rejected = row.get(asked.get("rejected") or named(row, ("rejected",)) or "")
    if chosen is not None and rejected is not None:
        return chosen, rejected
    for first, second, usual, one, other in _TWO:
        names = named(row, (first,)), named(row, (second,)), asked.get("better") or named(row, (usual,))
        if None not in names:
            good, bad, better = (row[str(name)] for name in names)
            said = str(better).lower()
            return (good, bad) if said in one else (bad, good) if said in other else ()
    return _scored(row.get(named(row, ("completions",)) or ""))


def _scored(answers: Any) -> tuple[Any, ...] | None:
    """The best and the worst of answers with scores (UltraFeedback)."""
    if not isinstance(answers, list) or len(answers) < 2 or not all(isinstance(each, Mapping) for each in answers):
        return None
    scored = [(each.get(named(each, _SCORES) or ""), each.get(named(each, _ANSWERS) or "")) for each in answers]
    if not all(isinstance(score, int | float) and isinstance(said, str) for score, said in scored):
        return None
    worst, best = min(scored, key=lambda each: each[0]), max(scored, key=lambda each: each[0])
    return (best[1], worst[1], float(best[0] - worst[0])) if best[0] > worst[0] else ()


def _margin(row: Mapping[str, Any]) -> float | None:
    """By how much the chosen answer is better, where a row says it: a margin, or the scores of both."""
    said = row.get(named(row, ("margin",)) or "")
    if said is None:
        good, bad = (row.get(named(row, names) or "") for names in (_GOOD_SCORES, _BAD_SCORES))
        if not all(isinstance(each, int | float) for each in (good, bad)):
            return None
        said = float(good) - float(bad)  # type: ignore[arg-type]
    return float(said) if isinstance(said, int | float) and math.isfinite(said) and said >= 0 else None


def _pair(row: Mapping[str, Any], two: Sequence[Any], asked: Mapping[str, str]) -> dict[str, Any] | None:
    """A prompt with two answers. Where each is a whole conversation, what both begin with is the prompt."""
    good, bad = (answer_of(each) or answer_of(str(each)) or [] for each in map(_transcribed, two[:2]))
    prompt = _prompt(row, asked)
    if prompt is None or (len(good) > 1 and good[: len(prompt)] == prompt) or len(good) > 1 < len(bad):
        common = 0
        while common < min(len(good), len(bad)) - 1 and good[common] == bad[common]:
            common += 1
        prompt, good, bad = good[:common], good[common:], bad[common:]
    return _compared(prompt, good, bad) if prompt else None


def _compared(prompt: list[Message], good: list[Message], bad: list[Message]) -> dict[str, Any]:
    return {"prompt": prompt, "chosen": {"messages": [*prompt, *good]}, "rejected": {"messages": [*prompt, *bad]}}


def _thumbs(row: Mapping[str, Any]) -> dict[str, Any] | None:
    """One answer, and whether it was liked."""
    column, answer = named(row, _THUMBS), named(row, _ANSWERS)
    if column is None or answer is None:
        return None
    said = str(row[column]).strip().lower()
    if said not in _UP | _DOWN:
        return None
    messages, prompt = answer_of(_transcribed(row[answer])), _prompt(row, {})
    if messages and len(messages) > 1:
        prompt, messages = messages[:-1], messages[-1:]
    if not prompt or not messages:
        return None
    return {"prompt": prompt, "chosen" if said in _UP else "rejected": {"messages": [*prompt, *messages]}}


def _prompt(row: Mapping[str, Any], asked: Mapping[str, str]) -> list[Message] | None:
    return prompt_of(row, asked, ("conversations", "messages", "history", "context"))


def _transcribed(value: Any) -> Any:
    """An answer; of a transcript its messages."""
    return messages_of(value) or value


def settle(values: dict[str, Any]) -> dict[str, Any] | str:
    chosen, rejected = values["chosen"], values["rejected"]
    if chosen is None and rejected is None:
        return "no answer"
    if chosen == rejected:
        return "chosen equals rejected"
    for each in (chosen, rejected):
        if each is not None and not any(
            message["content"].strip() for message in each["messages"][len(values["prompt"]) :]
        ):
            return "an empty answer"
    return values


def lengths(examples: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Whether the longer answer wins: a judge of these may learn no more than that."""
    longer = pairs = thumbs = 0
    for example in examples:
        if example["chosen"] is None or example["rejected"] is None:
            thumbs += 1
            continue
        sizes = [
            sum(len(message["content"]) for message in example[name]["messages"]) for name in ("chosen", "rejected")
        ]
        pairs, longer = pairs + 1, longer + (sizes[0] > sizes[1])
    if pairs:
        yield f"of {pairs:,} pairs the longer answer is the chosen one in {longer / pairs:.0%}"
    if thumbs:
        yield f"{thumbs:,} answers stand alone, with a thumb up or down"


KIND = Kind(
    name="preferences",
    columns={
        "prompt": Strings(structured=True, near=False),
        "chosen": Ragged(codec="chat", structured=True, optional=True),
        "rejected": Ragged(codec="chat", structured=True, optional=True),
        "margin": Numbers(optional=True, omissible=True),
    },
    key=("prompt", "chosen", "rejected"),
    recognise=recognise,
    read=read,
    settle=settle,
    together="prompt",
    checks=(lengths,),
)
