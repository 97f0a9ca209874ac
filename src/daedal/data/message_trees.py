"""Trees of messages, of which a conversation is one way down: ChatGPT's exports and OpenAssistant's rows.

Read by `daedal.data.kinds.chat` and, since answers to one message are ranked, by `daedal.data.kinds.preferences`.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

_COLUMNS = frozenset(("message_id", "parent_id", "text", "role"))
_ROLES = {"prompter": "user", "assistant": "assistant"}
_UNRANKED = float("inf")

Message = dict[str, Any]


def of_tree(columns: Iterable[str]) -> bool:
    """Whether a row of these columns is a message of a tree."""
    return set(columns) >= _COLUMNS


class Trees:
    """OpenAssistant's messages, row by row; those that were deleted or rejected are left out with all that follow on them."""

    def __init__(self) -> None:
        self._after: dict[str | None, list[Mapping[str, Any]]] = defaultdict(list)

    def add(self, row: Mapping[str, Any]) -> None:
        """A message."""
        if row.get("role") in _ROLES and not row.get("deleted") and row.get("review_result") is not False:
            parent = row["parent_id"]
            self._after[parent if isinstance(parent, str) and parent else None].append(row)

    def conversations(self) -> Iterator[list[Message]]:
        """Of each tree the way that takes the best message at each step, to the last answer on it."""
        for root in self._after[None]:
            way = [root]
            while following := self._ranked(way[-1]):
                way.append(following[0])
            yield [_message(each) for each in (way if way[-1]["role"] == "assistant" else way[:-1])]

    def preferences(self) -> Iterator[tuple[list[Message], Message, Message]]:
        """Of answers that were ranked the best with each of the others, after all that was said before."""
        ways = [[root] for root in reversed(self._after[None])]
        while ways:
            way = ways.pop()
            following = self._ranked(way[-1])
            ranked = [_message(each) for each in following if _rank(each) < _UNRANKED and each["role"] == "assistant"]
            for worse in ranked[1:]:
                yield [_message(each) for each in way], ranked[0], worse
            ways += [[*way, each] for each in reversed(following)]

    def _ranked(self, row: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        return sorted(self._after.get(row["message_id"], ()), key=_rank)


def _rank(row: Mapping[str, Any]) -> float:
    rank = row.get("rank")
    return float(rank) if isinstance(rank, int | float) and rank == rank else _UNRANKED  # a table has NaN


def _message(row: Mapping[str, Any]) -> Message:
    return {"role": _ROLES[row["role"]], "content": str(row["text"])}


def shown(row: Mapping[str, Any]) -> list[Mapping[str, Any]] | None:
    """The messages of ChatGPT's export that were last on the screen; None where a row is none."""
    nodes, place = row.get("mapping"), row.get("current_node")
    if not isinstance(nodes, Mapping) or not all(isinstance(node, Mapping) for node in nodes.values()):
        return None
    place = place if place in nodes else next(reversed(nodes), None)
    way: dict[Any, Any] = {}
    while place in nodes and place not in way:
        way[place] = nodes[place].get("message")
        place = nodes[place].get("parent")
    return [each for each in reversed(way.values()) if isinstance(each, Mapping) and _is_said(each)]


def _is_said(message: Mapping[str, Any]) -> bool:
    """Whether a message was said to the other side, and is no call of a tool, or thought."""
    content = message.get("content")
    parts = content.get("parts") if isinstance(content, Mapping) else None
    return (
        isinstance(parts, list)
        and any(isinstance(part, str) and part.strip() for part in parts)
        and message.get("recipient") in (None, "all")
        and message.get("weight") != 0
    )
