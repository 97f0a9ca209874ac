"""Items of responses: as turns of a conversation for the model, and as they are kept and given back."""

from collections.abc import Mapping, Sequence
from typing import Any

from daedal.serving.answers import new_id
from daedal.serving.errors import ApiError
from daedal.serving.schema.content import joined
from daedal.serving.schema.items import Item

Kept = dict[str, Any]
"""An item as JSON: what the store has and what the API gives."""


def kept(item: Item) -> Kept:
    """An item of a request as the API gives it back."""
    if item.type == "function_call":
        return _call(item.id or new_id("fc_"), item.call_id or "", item.name or "", item.arguments or "")
    if item.type == "function_call_output":
        output = joined(item.output or [])
        own = {"id": item.id or new_id("fco_"), "type": item.type, "call_id": item.call_id, "output": output}
        return {**own, "status": "completed"}
    text = joined(item.content)
    part = {"type": "input_text", "text": text} if item.role != "assistant" else output_text(text)
    own = {"id": item.id or new_id("msg_"), "type": "message", "role": item.role}
    return {**own, "status": "completed", "content": [part]}


def _call(id: str, call_id: str, name: str, arguments: str, status: str = "completed") -> Kept:
    return {
        "id": id,
        "type": "function_call",
        "status": status,
        "call_id": call_id,
        "name": name,
        "arguments": arguments,
    }


def new_call(name: str) -> Kept:
    """A call that is about to be written."""
    return _call(new_id("fc_"), new_id("call_"), name, "", "in_progress")


def new_message() -> Kept:
    """A message that is about to be written."""
    return {"id": new_id("msg_"), "type": "message", "status": "in_progress", "role": "assistant", "content": []}


def output_text(text: str, logprobs: Sequence[Any] = ()) -> dict[str, Any]:
    """Words of the model."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": list(logprobs)}


def resolved(items: Sequence[Item], before: Sequence[Kept]) -> list[Kept]:
    """The items of a request, references among them replaced by what they refer to.

    Args:
        before: items of the conversation so far.

    Raises:
        ApiError: there is no such item in the conversation.
    """
    known = {item["id"]: item for item in before}
    found: list[Kept] = []
    for place, item in enumerate(items):
        if item.type != "item_reference":
            found.append(kept(item))
            continue
        referred = known.get(item.id)
        if referred is None:
            message = (
                "No item with this id is in the conversation; only items of previous_response_id can be referred to"
            )
            raise ApiError(404, message, param=f"input[{place}].id", code="item_not_found")
        found.append(referred)
    return found


def turns(items: Sequence[Kept]) -> list[dict[str, Any]]:
    """Items as chat templates take them: calls stand in the assistant's turn that they follow."""
    made: list[dict[str, Any]] = []
    for item in items:
        if item["type"] == "message":
            role = "system" if item["role"] == "developer" else item["role"]
            made.append({"role": role, "content": "".join(part["text"] for part in item["content"])})
        elif item["type"] == "function_call":
            if not made or made[-1]["role"] != "assistant":
                made.append({"role": "assistant", "content": ""})
            made[-1].setdefault("tool_calls", []).append(_as_turn(item))
        else:
            made.append({"role": "tool", "content": item["output"], "tool_call_id": item["call_id"]})
    return made


def _as_turn(item: Mapping[str, Any]) -> dict[str, Any]:
    function = {"name": item["name"], "arguments": item["arguments"]}
    return {"id": item["call_id"], "type": "function", "function": function}
