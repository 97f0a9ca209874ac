"""Conversations, of which a model learns what the assistant says: messages, ShareGPT, Alpaca, prompts with completions."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from daedal.data.chat_exports import Said, busiest, chats_in, conversations, is_about, is_export, slack_message
from daedal.data.columns import Ragged
from daedal.data.dialogues import conversation_of, fault
from daedal.data.document import Example, Lost, Note
from daedal.data.example_options import ExampleOptions
from daedal.data.fields import has_choices, named, split_of_name
from daedal.data.kind import Found, Kind
from daedal.data.message_trees import Trees, of_tree
from daedal.data.peek import Peek, Sources
from daedal.data.rows import Row, Whole, read_rows
from daedal.data.sources import Item, Named, Unit, plan_units

_DAY = re.compile(r"(^|/)\d{4}-\d{2}-\d{2}\.json$")  # a day of a channel in a folder of Slack's


def recognise(sources: Sources) -> float:
    tables = [peek for peek in sources.tables if not is_about(peek.label)]
    sure = [_sure(peek) for peek in tables]
    if not sure:
        sure = [0.9 if is_export(peek.whole) else 0.0 for peek in sources.peeks if peek.whole is not None]
    return min(sure, default=0.0)


def _sure(peek: Peek) -> float:
    if named(peek.columns, ("chosen", "rejected")):
        return 0.0
    if of_tree(peek.columns):
        return 0.9
    if {"type", "text", "ts"} <= set(peek.columns):
        return 0.8
    found = [conversation_of(row) for row in peek.rows]
    if sum(each is not None for each in found) < 0.5 * len(found) or has_choices(peek.columns):
        return 0.0
    turns = [len(each["messages"]) for each in found if each is not None]
    usual = named(peek.columns, ("instruction", "messages", "conversations", "completion", "mapping", "chat_messages"))
    return 0.9 if max(turns) > 2 or usual else 0.75


def read(items: Sequence[Item], options: ExampleOptions) -> Iterator[Found]:
    slack: dict[str, list[Said]] = {}
    for item in items:
        about: set[str] = set()
        trees: dict[str, Trees] = defaultdict(Trees)
        for found in read_rows(item, options.encoding):
            if isinstance(found, Whole):
                if any(chats := chats_in(found)):
                    yield from _export(found.label, chats, options)
                else:
                    yield Lost(found.label, "no conversations", "it has no rows of them", broken=False)
            elif isinstance(found, Row):
                if of_tree(found.values):
                    trees[found.label].add(found.values)
                    continue
                if {"type", "ts"} <= found.values.keys():
                    if (said := slack_message(found.values)) is not None:
                        slack.setdefault(found.label.rpartition("/")[0], []).append(said)
                    continue
                if is_about(found.label):
                    if found.label not in about:
                        about.add(found.label)
                        yield Lost(found.label, "no conversations", "it tells of them", broken=False)
                    continue
                conversation = conversation_of(found.values, options.columns)
                split = found.values.get("split")
                of = split_of_name(split) if isinstance(split, str) else split_of_name(found.label)
                yield Example(found.label, found.number, {"conversation": conversation}, of)
            else:
                yield found
        for label, found_trees in trees.items():
            yield Note(f"of each tree of messages in {label} the way of the best answers is taken")
            for number, messages in enumerate(found_trees.conversations()):
                yield Example(label, number, {"conversation": {"messages": messages}}, split_of_name(label))
    if slack:
        yield from _export(items[0].label, list(slack.values()), options)


def _export(label: str, chats: Sequence[Sequence[Said]], options: ExampleOptions) -> Iterator[Found]:
    assistant = options.columns.get("assistant") or busiest(said for chat in chats for said in chat)
    yield Note(f"the assistant is {assistant!r} (--column assistant=NAME chooses whose messages are learned)")
    for number, conversation in enumerate(each for chat in chats for each in conversations(chat, assistant)):
        yield Example(label, number, {"conversation": conversation})


def units(sources: Iterable[Named]) -> list[Unit]:
    """The days of Slack's channels are read together, since one person is the assistant in all."""
    sources, days = list(sources), list[Unit]()
    for each in sources:
        if slack := tuple(item for item in each.items if _DAY.search(item.label)):
            days.append(Unit(number=len(days), role=each.role, items=slack))
    alone = [each.but(items=tuple(item for item in each.items if not _DAY.search(item.label))) for each in sources]
    return days + [unit.but(number=unit.number + len(days)) for unit in plan_units(alone)]


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
        said = f"{several:,} of {sum(turns.values()):,} conversations have more than one answer, at most {max(turns):,}"
        yield said if several else "no conversation has more than one answer"
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
    units=units,
    settle=settle,
    checks=(facts,),
)
