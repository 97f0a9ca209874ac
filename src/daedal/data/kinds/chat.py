"""Conversations, of which a model learns what the assistant says: messages, ShareGPT, Alpaca, prompts with completions."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from daedal.data.chat_exports import Said, busiest, conversations, is_export, messages_in, slack_message
from daedal.data.columns import Ragged
from daedal.data.dialogues import conversation_of, fault
from daedal.data.document import Example, Lost, Note
from daedal.data.example_options import ExampleOptions
from daedal.data.fields import split_of_name
from daedal.data.kind import Found, Kind
from daedal.data.peek import Peek, Sources
from daedal.data.rows import Row, Whole, read_rows
from daedal.data.sources import Item


def recognise(sources: Sources) -> float:
    sure = [_sure(peek) for peek in sources.tables]
    if not sure:
        sure = [0.9 if is_export(peek.whole) else 0.0 for peek in sources.peeks if peek.whole is not None]
    return min(sure, default=0.0)


def _sure(peek: Peek) -> float:
    if {"chosen", "rejected"} & peek.lower().keys():
        return 0.0
    if {"type", "text", "ts"} <= set(peek.columns):
        return 0.8
    found = [conversation_of(row) for row in peek.rows]
    if sum(each is not None for each in found) < 0.8 * len(found):
        return 0.0
    turns = [len(each["messages"]) for each in found if each is not None]
    usual = {"instruction", "messages", "conversations", "completion"} & peek.lower().keys()
    return 0.9 if max(turns) > 2 or usual else 0.75


def read(items: Sequence[Item], options: ExampleOptions) -> Iterator[Found]:
    for item in items:
        slack: list[Said] = []
        for found in read_rows(item, options.encoding):
            if isinstance(found, Whole):
                if messages := messages_in(found):
                    yield from _export(found.label, messages, options)
                else:
                    yield Lost(found.label, "no conversations", "it has no rows of them", broken=False)
            elif isinstance(found, Row):
                if {"type", "ts"} <= found.values.keys():
                    slack += [said] if (said := slack_message(found.values)) is not None else []
                    continue
                conversation = conversation_of(found.values, options.columns)
                split = found.values.get("split")
                of = split_of_name(split) if isinstance(split, str) else split_of_name(found.label)
                yield Example(found.label, found.number, {"conversation": conversation}, of)
            else:
                yield found
        if slack:
            yield from _export(item.label, slack, options)


def _export(label: str, messages: Sequence[Said], options: ExampleOptions) -> Iterator[Found]:
    assistant = options.columns.get("assistant") or busiest(messages)
    yield Note(f"the assistant is {assistant!r} (--column assistant=NAME chooses whose messages are learned)")
    for number, conversation in enumerate(conversations(messages, assistant)):
        yield Example(label, number, {"conversation": conversation})


def settle(values: dict[str, Any]) -> dict[str, Any] | str:
    return fault(values["conversation"]["messages"]) or values


def facts(examples: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Turns, system messages and tools."""
    turns: Counter[int] = Counter()
    system = tools = last = 0
    for example in examples:
        conversation = example["conversation"]
        roles = [each["role"] for each in conversation["messages"]]
        turns[roles.count("assistant")] += 1
        system += "system" in roles
        tools += bool(conversation.get("tools")) or "tool" in roles
        last += roles[-1] != "assistant"
    if turns:
        several = sum(count for answers, count in turns.items() if answers > 1)
        yield f"{several:,} of {sum(turns.values()):,} conversations have more than one answer, at most {max(turns):,}"
    for count, what in (
        (system, "begin with a system message"),
        (tools, "have tools"),
        (last, "end with a turn that is no answer"),
    ):
        if count:
            yield f"{count:,} {what}"


KIND = Kind(
    name="chat",
    columns={"conversation": Ragged(codec="chat", structured=True)},
    key=("conversation",),
    recognise=recognise,
    read=read,
    settle=settle,
    checks=(facts,),
)
