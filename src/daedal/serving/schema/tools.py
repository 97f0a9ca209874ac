"""Tools that a model may call, as chat completions describe them."""

import re
from typing import Annotated, Any, Literal, Protocol, TypeVar

from pydantic import Field, ValidationInfo, field_validator

from daedal.serving.schema.base import FunctionName, Request, fault, note_unused, refusal
from daedal.serving.schema.json_schema import ObjectSchema

MAX_TOOLS, MAX_DESCRIPTION = 128, 32_768
ASYNC = "an answer ends with its calls, and waits for what they give"
_BUILT_IN = re.compile(
    r"(custom|namespace|web_search|web_fetch|file_search|code_interpreter|code_execution|computer|image_generation|"
    r"local_shell|shell|bash|text_editor|memory|apply_patch|mcp|tool_search|programmatic_tool_calling)(_\w{1,40})?",
    re.ASCII,
)
"""Types of tools that other servers run themselves, with a date after them or not, and those that take free text."""
CUSTOM = "custom tools take free text; describe the tool as a function with a JSON schema"

STRICT = "closes objects that do not say otherwise, and refuses what cannot be enforced, which is left out otherwise"

Description = Annotated[str, Field(max_length=MAX_DESCRIPTION, description="shown to the model")]


class FunctionDefinition(Request):
    """A function that the model may call."""

    name: FunctionName
    description: Description = ""
    parameters: ObjectSchema = Field(
        default_factory=dict, description="JSON schema of the arguments, which a call follows"
    )
    strict: bool = Field(False, description=STRICT)


def without_built_in(value: Any, info: ValidationInfo) -> Any:
    """Of a list of tools those that can be had: the others are left out, and noted."""
    if not isinstance(value, list) or len(value) > MAX_TOOLS:  # too many are refused, and none of them is named
        return value
    kept = []
    for tool in value:
        kind = tool.get("type") if isinstance(tool, dict) else None
        if isinstance(kind, str) and (kind != "custom" or "input_schema" not in tool) and _BUILT_IN.fullmatch(kind):
            note_unused(f"tools.{kind}", info)
        else:
            kept.append(tool)
    return kept


def function_only(value: Any) -> Any:
    """Of a tool's type: only functions, and the others by name."""
    if value != "function" and isinstance(value, str):
        raise refusal(CUSTOM if value == "custom" else f"there are no tools of type {value[:40]!r}, only functions")
    return value


class Tool(Request):
    """One tool."""

    type: Literal["function"] = Field(
        description="`function`; `custom` and built-in types are left out, and named in `x-daedal-unused`"
    )
    function: FunctionDefinition

    _functions = field_validator("type", mode="before")(function_only)


class FunctionChoice(Request):
    """The name of a function."""

    name: FunctionName


class AllowedTool(Request):
    """A reference to one of the tools."""

    type: Literal["function"] = "function"
    function: FunctionChoice

    _functions = field_validator("type", mode="before")(function_only)


class AllowedTools(Request):
    """Some of the tools."""

    mode: Literal["auto", "required"] = Field(description="whether a call must be made")
    tools: list[AllowedTool] = Field(min_length=1, max_length=MAX_TOOLS)


class ToolChoice(Request):
    """Which tools may or must be called."""

    type: Literal["none", "auto", "required", "function", "allowed_tools"]
    function: FunctionChoice | None = Field(None, validate_default=True)
    allowed_tools: AllowedTools | None = Field(None, validate_default=True)

    @field_validator("type", mode="before")
    @classmethod
    def _known(cls, value: Any) -> Any:
        if value == "custom":
            raise refusal(CUSTOM)
        return value

    @field_validator("function", "allowed_tools")
    @classmethod
    def _belongs(cls, value: Any, info: Any) -> Any:
        if "type" in info.data and (value is not None) != (info.data["type"] == info.field_name):
            raise fault(f"A choice of type {info.field_name} has this, and no other does")
        return value


def spelled_out(value: Any) -> Any:
    """`"auto"` means `{"type": "auto"}`."""
    if isinstance(value, str):
        if value not in ("none", "auto", "required"):
            raise fault("A tool choice is none, auto, required or an object")
        return {"type": value}
    return value


class Named(Protocol):
    """A tool that has a name."""

    name: str


T = TypeVar("T", bound=Named)


def distinct(tools: list[T]) -> list[T]:
    """Refuse two tools of one name."""
    if len({tool.name for tool in tools}) < len(tools):
        raise fault("Two tools have the same name")
    return tools
