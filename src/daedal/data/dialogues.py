"""Conversations however people write them down -> messages with `role` and `content`, and tools, as the OpenAI API has them.

- messages: `role` and `content`, with `tool_calls`, `name`, `tool_call_id` kept (OpenAI, Transformers, TRL)
- ShareGPT: `from` and `value`; `human`, `gpt`, `system`, `function_call` and `observation`
- Alpaca: `instruction`, `input`, `output`, and `system` and `history` where they are
- a prompt and its answer: `prompt` and `completion`, `question` and `answer`, `instruction` and `response`
- Anthropic's transcripts: `Human: ...` and `Assistant: ...` in one text
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

ROLES = {
    **dict.fromkeys(("system", "developer"), "system"),
    **dict.fromkeys(("user", "human", "prompter"), "user"),
    **dict.fromkeys(("assistant", "gpt", "chatgpt", "bot", "model", "ai", "bing", "bard"), "assistant"),
    **dict.fromkeys(("function_call", "function-call"), "assistant"),
    **dict.fromkeys(("tool", "function", "observation", "ipython"), "tool"),
}
PROMPTS = ("prompt", "instruction", "question", "query", "input", "problem", "user", "human")
ANSWERS = ("completion", "response", "answer", "output", "solution", "assistant", "chosen_response", "gpt", "reply")
LISTS = ("messages", "conversations", "conversation", "dialog", "dialogue", "turns", "chat")
_TRANSCRIPT = re.compile(r"(?:^|\n\n)(Human|Assistant|User|System): ?")
_KEPT = ("name", "tool_calls", "tool_call_id")

Message = dict[str, Any]


def messages_of(value: Any) -> list[Message] | None:
    """The messages of a list of turns, of one turn, or of a transcript; None where these are none."""
    if isinstance(value, str):
        return _transcript(value)
    if isinstance(value, Mapping):
        value = [value]
    if not isinstance(value, Sequence) or not value or not all(isinstance(each, Mapping) for each in value):
        return None
    found = [_message(each) for each in value]
    return None if None in found else [each for each in found if each is not None]


def _message(turn: Mapping[str, Any]) -> Message | None:
    who = next(
        (turn[name] for name in ("role", "from", "speaker", "author", "user") if isinstance(turn.get(name), str)), None
    )
    role = ROLES.get(who.lower()) if who is not None else None
    if role is None:
        return None
    said = next((turn[name] for name in ("content", "value", "text", "message") if turn.get(name) is not None), None)
    if who is not None and who.lower() in ("function_call", "function-call"):
        call = _json(said)
        calls = call if isinstance(call, list) else [call]
        if all(isinstance(each, Mapping) and "name" in each for each in calls):
            return {
                "role": role,
                "content": "",
                "tool_calls": [{"type": "function", "function": dict(each)} for each in calls],
            }
    kept = {name: turn[name] for name in _KEPT if turn.get(name) is not None}
    if "tool_calls" in kept and not _are_calls(kept["tool_calls"]):
        return None
    if said is None and not kept:
        return None
    return {"role": role, "content": _text(said), **kept}


def _are_calls(value: Any) -> bool:
    """Whether calls of tools have what templates write of them."""
    if not isinstance(value, list):
        return False
    calls = [each.get("function", each) if isinstance(each, Mapping) else None for each in value]
    return all(isinstance(call, Mapping) and isinstance(call.get("name"), str) for call in calls)


def _text(content: Any) -> str:
    """The text of content that is one, or parts of which some are."""
    if isinstance(content, list):
        return "".join(
            part if isinstance(part, str) else str(part.get("text") or "")
            for part in content
            if isinstance(part, str | Mapping)
        )
    return content if isinstance(content, str) else "" if content is None else json.dumps(content, ensure_ascii=False)


def _transcript(text: str) -> list[Message] | None:
    marks = list(_TRANSCRIPT.finditer(text))
    if not marks or text[: marks[0].start()].strip():
        return None
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    return [
        {"role": ROLES[mark[1].lower()], "content": text[mark.end() : end].strip()}
        for mark, end in zip(marks, ends, strict=True)
    ]


def conversation_of(row: Mapping[str, Any], asked: Mapping[str, str] | None = None) -> dict[str, Any] | None:
    """The conversation that a row is: its messages, and its tools where it has some. None where it is none.

    Args:
        asked: the columns that hold the `messages`, or the `prompt` and the `answer`, and the `system` message.
    """
    asked = asked or {}
    lowered = {name.lower(): name for name in row}
    names = [asked["messages"]] if "messages" in asked else [lowered[name] for name in LISTS if name in lowered]
    messages = next((found for name in names if (found := messages_of(_json(row.get(name)))) is not None), None)
    if messages is None:
        messages = _single(row, lowered, asked)
    if messages is None:
        return None
    system = row.get(asked.get("system") or lowered.get("system", ""))
    if isinstance(system, str) and system.strip() and messages[0]["role"] != "system":
        messages = [{"role": "system", "content": system}, *messages]
    tools = _json(row.get(lowered.get("tools", "")))
    return {"messages": messages, "tools": tools} if isinstance(tools, list) and tools else {"messages": messages}


def _single(row: Mapping[str, Any], lowered: Mapping[str, str], asked: Mapping[str, str]) -> list[Message] | None:
    """One question, or instruction, and its answer; after earlier ones, where there is a history."""
    prompt = asked.get("prompt") or next((lowered[name] for name in PROMPTS if name in lowered), None)
    answer = asked.get("answer") or next((lowered[name] for name in ANSWERS if name in lowered), None)
    if prompt is None or answer is None or prompt == answer:
        return None
    said, reply = row.get(prompt), row.get(answer)
    before, after = messages_of(said) if not isinstance(said, str) else None, None
    if not isinstance(reply, str):
        after = messages_of(reply)
    if isinstance(said, str):
        after_it = next((lowered[name] for name in ("input", "context") if name in lowered), None)  # Alpaca's, Dolly's
        more = row.get(after_it) if after_it is not None and after_it != prompt else None
        said = f"{said}\n{more}" if isinstance(more, str) and more.strip() else said
        before = [{"role": "user", "content": said}]
    if isinstance(reply, str):
        after = [{"role": "assistant", "content": reply}]
    if before is None or after is None:
        return None
    history = row.get(lowered.get("history", ""))
    past = (
        history
        if isinstance(history, list) and all(isinstance(each, list) and len(each) == 2 for each in history)
        else []
    )
    turns = [
        {"role": role, "content": str(each)}
        for pair in past
        for role, each in zip(("user", "assistant"), pair, strict=True)
    ]
    return [*turns, *before, *after]


def fault(messages: Sequence[Mapping[str, Any]]) -> str | None:
    """Why nothing can be learned from a conversation; None where something can."""
    if not any(
        each["role"] == "assistant" and (each["content"].strip() or each.get("tool_calls")) for each in messages
    ):
        return "no answer in it"
    if any(not each["content"].strip() and not each.get("tool_calls") for each in messages):
        return "an empty turn"
    return None


def _json(value: Any) -> Any:
    """A value; where it is JSON in a text, that."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value
