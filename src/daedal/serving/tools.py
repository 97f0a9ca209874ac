"""Tools that a model may call: how they are shown to it, and how its calls are told from its words.

Calls are written as Hermes and Qwen models write them, each `<tool_call>` and `</tool_call>` around a line of JSON with `name`
and `arguments`. A model whose template has no place for tools is told of them, and of this form, in a system message.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from daedal.inference.enforced_schema import EnforcedSchema
from daedal.serving.errors import ApiError

CALL, END_OF_CALL = "<tool_call>", "</tool_call>"
Mode = Literal["none", "auto", "required"]
Turn = dict[str, Any]


@dataclass(frozen=True)
class Function:
    """A function that the model may call.

    Attributes:
        strict: whether arguments must follow all of the schema, with objects closed; what cannot be enforced is left out
            otherwise.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    strict: bool = False

    def shown(self) -> dict[str, Any]:
        """As chat templates take it."""
        described = {"name": self.name, "description": self.description, "parameters": self.parameters or NO_ARGUMENTS}
        return {"type": "function", "function": described}

    @cached_property
    def enforced(self) -> EnforcedSchema:
        """What its arguments follow: an object, whether or not the schema says so; without properties, `{}`."""
        schema = {**(self.parameters or NO_ARGUMENTS), "type": "object"}
        other = schema.keys() & {"additionalProperties", "patternProperties", "allOf", "anyOf", "oneOf", "$ref"}
        nothing = schema.get("properties") == {} and not other
        return EnforcedSchema.of(schema, closed=self.strict or nothing)


NO_ARGUMENTS: Mapping[str, Any] = {"type": "object", "properties": {}}


@dataclass(frozen=True)
class Toolbox:
    """What an answer may call.

    Attributes:
        functions: those that the model is shown.
        callable: names of those that it may call now.
        mode: whether it may or must.
        several: whether one answer may hold several calls.
    """

    functions: tuple[Function, ...] = ()
    callable: tuple[str, ...] = ()
    mode: Mode = "none"
    several: bool = True

    @classmethod
    def choose(
        cls,
        functions: Sequence[Function],
        mode: str | None,
        names: Sequence[str] | None = None,
        several: bool = True,
        param: str = "tool_choice",
    ) -> "Toolbox":
        """
        Args:
            mode: "none", "auto", "required", or "function" to call the one that `names` has; None is "auto".
            names: only these may be called; None: all.

        Raises:
            ApiError: the choice asks for what is not there.
        """
        known = [function.name for function in functions]
        if mode in (None, "none", "auto") and not names and not functions:
            return cls()
        if mode == "none":
            return cls()
        if not functions:
            raise ApiError(400, "A tool choice needs tools", param=param, code="invalid_value")
        for name in names or ():
            if name not in known:
                raise ApiError(400, f"There is no tool {name!r}", param=param, code="invalid_value")
        allowed = tuple(known if names is None else names)
        must = mode in ("required", "function")
        return cls(tuple(functions), allowed, "required" if must else "auto", several and mode != "function")

    @property
    def called(self) -> list[Function]:
        """The functions that may be called."""
        return [function for function in self.functions if function.name in self.callable]


def conversation(turns: Sequence[Turn], tools: Toolbox, native: bool) -> dict[str, Any]:
    """The wire's prompt for a conversation.

    Args:
        turns: each with `role` and `content`; an assistant's may have `tool_calls`, a tool's has `tool_call_id`.
        native: whether the model's own template shows tools and calls.
    """
    shown = [function.shown() for function in tools.functions]
    if native:
        return {
            "messages": [_with_objects(turn) for turn in turns],
            "tools": shown or None,
            "add_generation_prompt": True,
        }
    messages = _in_words(turns)
    if shown:
        messages = _instructed(messages, _INSTRUCTIONS.format(tools="\n".join(map(_line, shown))))
    return {"messages": messages, "tools": None, "add_generation_prompt": True}


_INSTRUCTIONS = """# Tools

You may call one or more functions to assist with the user query.

You are provided with function signatures within <tools></tools> XML tags:
<tools>
{tools}
</tools>

For each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:
<tool_call>
{{"name": <function-name>, "arguments": <args-json-object>}}
</tool_call>"""
"""As the templates of Qwen models have it, which many small models were trained on."""


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _instructed(messages: list[Turn], text: str) -> list[Turn]:
    if messages and messages[0]["role"] == "system":
        first = {**messages[0], "content": f"{messages[0]['content']}\n\n{text}".strip()}
        return [first, *messages[1:]]
    return [{"role": "system", "content": text}, *messages]


def _with_objects(turn: Turn) -> Turn:
    """Templates write arguments as JSON themselves."""
    if not turn.get("tool_calls"):
        return turn
    return {**turn, "tool_calls": [_call_with_object(call) for call in turn["tool_calls"]]}


def _call_with_object(call: Mapping[str, Any]) -> dict[str, Any]:
    function = call["function"]
    return {**call, "function": {**function, "arguments": arguments_of(function["arguments"])}}


def arguments_of(text: str) -> Any:
    """The arguments of a call as an object; as they are if they are not one."""
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return text
    return found if isinstance(found, dict) else text


def _in_words(turns: Sequence[Turn]) -> list[Turn]:
    """Calls and their results as text: templates without tools know neither."""
    messages: list[Turn] = []
    after_result = False
    for turn in turns:
        content = str(turn.get("content") or "")
        if turn["role"] == "tool":
            result = f"<tool_response>\n{content}\n</tool_response>"
            if after_result:
                messages[-1] = {**messages[-1], "content": f"{messages[-1]['content']}\n{result}"}
            else:
                messages.append({"role": "user", "content": result})
            after_result = True
            continue
        after_result = False
        calls = [_written(call["function"]) for call in turn.get("tool_calls") or ()]
        rest = {name: value for name, value in turn.items() if name != "tool_calls"}
        messages.append({**rest, "content": "\n".join(filter(None, [content, *calls]))})
    return messages


def _written(function: Mapping[str, Any]) -> str:
    call = {"name": function["name"], "arguments": arguments_of(function["arguments"])}
    return f"{CALL}\n{_line(call)}\n{END_OF_CALL}"
