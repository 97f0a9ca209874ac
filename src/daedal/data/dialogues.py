"""Conversations however people write them down -> messages with `role` and `content`, and tools, as the OpenAI API has them.

- messages: `role` and `content`, with `tool_calls`, `name`, `tool_call_id` kept (OpenAI, Transformers, TRL)
- ShareGPT: `from` and `value`; `human`, `gpt`, `system`, `function_call` and `observation`
- Alpaca: `instruction`, `input`, `output`, and `system` and `history` where they are
- a prompt and its answer: `prompt` and `completion`, `question` and `answer`, `instruction` and `response`
- Anthropic's transcripts: `Human: ...` and `Assistant: ...` in one text; Claude's exports, and ChatGPT's
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from daedal.data.fields import named
from daedal.data.message_trees import Message, shown

ROLES = {
    **dict.fromkeys(("system", "developer"), "system"),
    **dict.fromkeys(("user", "human", "prompter"), "user"),
    **dict.fromkeys(("assistant", "gpt", "chatgpt", "bot", "model", "ai", "bing", "bard"), "assistant"),
    **dict.fromkeys(("function_call", "function-call"), "assistant"),
    **dict.fromkeys(("tool", "function", "observation", "ipython"), "tool"),
}
PROMPTS = ("prompt", "instruction", "question", "query", "input", "problem", "user", "human")
ANSWERS = ("completion", "response", "answer", "output", "solution", "assistant", "chosen_response", "gpt", "reply")
LISTS = ("messages", "conversations", "conversation", "dialog", "dialogue", "turns", "chat", "chat_messages", "items")
_WHO = ("role", "from", "speaker", "author", "user", "sender")
_TRANSCRIPT = re.compile(r"(?:^|\n\n)(Human|Assistant|User|System): ?")
_KEPT = ("name", "tool_calls", "tool_call_id")


def messages_of(value: Any) -> list[Message] | None:
    """The messages of a list of turns, of one turn, or of a transcript; None where these are none."""
    if isinstance(value, str):
        return _transcript(value)
    if isinstance(value, Mapping):
        value = [value]
    if not isinstance(value, Sequence) or not value or not all(isinstance(each, Mapping) for each in value):
        return None
    found = [message for each in value for message in _messages(each)]
    return None if None in found else [each for each in found if each is not None]


def _messages(turn: Mapping[str, Any]) -> Iterator[Message | None]:
    """The message that a turn is; or two, where it has what each side said by its name."""
    said = [name for name in turn if name.lower() in ROLES]
    if len(said) > 1 and turn.keys().isdisjoint(("role", "from", "sender")):
        yield from ({"role": ROLES[name.lower()], "content": _text(turn[name])} for name in said)
    else:
        yield _message(turn)


def _message(turn: Mapping[str, Any]) -> Message | None:
    author = turn.get("author")  # ChatGPT's has a role
    turn = {**turn, **author} if isinstance(author, Mapping) else turn
    who = next((turn[name] for name in _WHO if isinstance(turn.get(name), str)), None)
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
    content = content["parts"] if isinstance(content, Mapping) and isinstance(content.get("parts"), list) else content
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
    names = [asked["messages"]] if "messages" in asked else [name for each in LISTS if (name := named(row, (each,)))]
    messages = next((found for name in names if (found := messages_of(_json(row.get(name)))) is not None), None)
    if messages is None:
        messages = messages_of(shown(row)) or _single(row, asked)
    if messages is None:
        return None
    system = row.get(asked.get("system") or named(row, ("system",)) or "")
    if isinstance(system, str) and system.strip() and messages[0]["role"] != "system":
        messages = [{"role": "system", "content": system}, *messages]
    tools = _json(row.get(named(row, ("tools",)) or ""))
    return {"messages": messages, "tools": tools} if isinstance(tools, list) and tools else {"messages": messages}


def _single(row: Mapping[str, Any], asked: Mapping[str, str]) -> list[Message] | None:
    """One question, or instruction, and its answer; after earlier ones, where there is a history."""
    answer = asked.get("answer") or named(row, ANSWERS)
    if answer is None or answer == (asked.get("prompt") or named(row, PROMPTS)):
        return None
    before, after = prompt_of(row, asked), answer_of(row.get(answer))
    if before is None or after is None:
        return None
    history = row.get(named(row, ("history",)) or "")
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


def prompt_of(row: Mapping[str, Any], asked: Mapping[str, str], more: Sequence[str] = ()) -> list[Message] | None:
    """What an answer is to: a text, with what it is about where that has a column (Alpaca's, Dolly's), or messages.

    Args:
        more: other names that its column may have.
    """
    column = asked.get("prompt") or named(row, (*PROMPTS, *more))
    said = row.get(column or "")
    if not isinstance(said, str):
        return messages_of(said)
    about = next((name for each in ("input", "context") if (name := named(row, (each,))) not in (None, column)), None)
    text = row.get(about or "")
    if turns := _transcript(said):
        return turns if turns[-1]["content"] or len(turns) == 1 else turns[:-1]  # it ends with whose turn it is
    return [{"role": "user", "content": f"{said}\n{text}" if isinstance(text, str) and text.strip() else said}]


def answer_of(value: Any) -> list[Message] | None:
    """An answer as messages: a text, one with other ways to say it (TriviaQA), or messages."""
    if isinstance(value, Mapping) and named(value, _WHO) is None:
        value = value.get(named(value, ("value",)) or "", value)
    return [{"role": "assistant", "content": value}] if isinstance(value, str) else messages_of(value)


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
