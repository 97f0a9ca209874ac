"""Preferences: of two answers to a prompt the one that a person chose and the one that was rejected, as reward models and DPO
learn from; or one answer with a thumb up or down, as KTO does."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from daedal.data.columns import Ragged, Strings
from daedal.data.dialogues import PROMPTS, messages_of
from daedal.data.document import Example, Lost
from daedal.data.example_options import ExampleOptions
from daedal.data.fields import named, split_of_name
from daedal.data.kind import Found, Kind
from daedal.data.peek import Peek, Sources
from daedal.data.rows import Row, Whole, read_asked
from daedal.data.sources import Item

_COLUMNS = ("prompt", "chosen", "rejected")
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
    lower = peek.lower()
    if "chosen" in lower and "rejected" in lower:
        return True
    found = [_thumbs(row) for row in peek.rows]
    return bool(found) and None not in found and ("prompt" in lower or "messages" in lower)


def read(items: Sequence[Item], options: ExampleOptions) -> Iterator[Found]:
    for item in items:
        for found in read_asked(item, options, _COLUMNS):
            if isinstance(found, Whole):
                yield Lost(found.label, "no preferences", "it has no rows of them", broken=False)
            elif isinstance(found, Row):
                values = _pair(found.values, options.columns) or _thumbs(found.values) or {}
                yield Example(found.label, found.number, values, split_of_name(found.label))
            else:
                yield found


def _pair(row: Mapping[str, Any], asked: Mapping[str, str]) -> dict[str, Any] | None:
    """A prompt with two answers. Where each is a whole conversation, what both begin with is the prompt."""
    chosen, rejected = (
        row.get(asked.get("chosen") or named(row, ("chosen",)) or ""),
        row.get(asked.get("rejected") or named(row, ("rejected",)) or ""),
    )
    if chosen is None or rejected is None:
        return None
    good, bad = _answer(chosen), _answer(rejected)
    prompt = _prompt(row, asked)
    if prompt is None or (len(good) > 1 and good[: len(prompt)] == prompt) or len(good) > 1 < len(bad):
        common = 0
        while common < min(len(good), len(bad)) - 1 and good[common] == bad[common]:
            common += 1
        prompt, good, bad = good[:common], good[common:], bad[common:]
    return (
        {"prompt": prompt, "chosen": {"messages": [*prompt, *good]}, "rejected": {"messages": [*prompt, *bad]}}
        if prompt
        else None
    )


def _thumbs(row: Mapping[str, Any]) -> dict[str, Any] | None:
    """One answer, and whether it was liked."""
    column, answer = named(row, _THUMBS), named(row, _ANSWERS)
    if column is None or answer is None:
        return None
    said = str(row[column]).strip().lower()
    if said not in _UP | _DOWN:
        return None
    messages, prompt = _answer(row[answer]), _prompt(row, {})
    if len(messages) > 1:
        prompt, messages = messages[:-1], messages[-1:]
    if not prompt or not messages:
        return None
    return {"prompt": prompt, "chosen" if said in _UP else "rejected": {"messages": [*prompt, *messages]}}


def _prompt(row: Mapping[str, Any], asked: Mapping[str, str]) -> list[dict[str, Any]] | None:
    column = asked.get("prompt") or named(row, (*PROMPTS, "conversations", "messages", "context"))
    said = row.get(column) if column else None
    if isinstance(said, str):
        more = row.get("input") if column == "instruction" else None
        said = f"{said}\n{more}" if isinstance(more, str) and more.strip() else said
        return messages_of(said) or ([{"role": "user", "content": said}] if said.strip() else None)
    return messages_of(said)


def _answer(value: Any) -> list[dict[str, Any]]:
    found = messages_of(value)
    return found if found is not None else [{"role": "assistant", "content": str(value)}]


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
    },
    key=("prompt", "chosen", "rejected"),
    recognise=recognise,
    read=read,
    settle=settle,
    together="prompt",
    checks=(lengths,),
)
