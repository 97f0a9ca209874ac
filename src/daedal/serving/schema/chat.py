"""The body of POST /v1/chat/completions."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator

from daedal.serving.schema.base import (
    NOT_USED,
    FunctionName,
    Identifier,
    Metadata,
    Refused,
    Request,
    Unused,
    fault,
    refusal,
)
from daedal.serving.schema.content import PARSED, TextPart, in_parts
from daedal.serving.schema.formats import ResponseFormat
from daedal.serving.schema.sampling import MAX_TOP, Sampled
from daedal.serving.schema.tools import MAX_TOOLS, Tool, ToolChoice, distinct, spelled_out, without_built_in

MAX_MESSAGES, MAX_CALLS = 10_000, 128
SPEECH = "no model here speaks"
MODERATION = "what moderates is settled when the server starts"
DEFAULT_TIER = ("auto", "default")


class FunctionCall(Request):
    """A call that the model made: of which function, with which arguments."""

    lets_unknown_nulls_pass: ClassVar[bool] = True

    name: FunctionName
    arguments: str = Field(description="JSON")
    parsed_arguments: Any = Field(None, exclude=True, description=PARSED)


class ToolCall(Request):
    """A call in an assistant's turn."""

    lets_unknown_nulls_pass: ClassVar[bool] = True

    id: Identifier
    type: Literal["function"] = "function"
    function: FunctionCall


class Message(Request):
    """One turn of a conversation."""

    lets_unknown_nulls_pass: ClassVar[bool] = True

    role: Literal["developer", "system", "user", "assistant", "tool"] = Field(
        description="`developer` is the same as `system`; `function` is refused"
    )
    content: list[TextPart] = Field(
        default_factory=list, validate_default=True, description="a text or text parts, each of which begins a line"
    )
    name: str | None = Field(None, max_length=256, description="given to the model's chat template, which may show it")
    tool_calls: list[ToolCall] = Field(
        default_factory=list, max_length=MAX_CALLS, description="of an assistant's turn: the calls that it made"
    )
    tool_call_id: Identifier | None = Field(
        None, validate_default=True, description="of a tool's turn: which call it answers"
    )
    refusal: str | None = Field(None, description="of an assistant's turn: shown to the model as its words")
    parsed: Any = Field(None, description=PARSED)
    annotations: list[Any] = Field(
        default_factory=list, max_length=0, description="accepted empty, as answers carry it; anything in it is refused"
    )
    audio: Annotated[Any, Refused(SPEECH)] = None
    function_call: Annotated[Any, Refused("use tool_calls")] = None

    @field_validator("role", mode="before")
    @classmethod
    def _roles(cls, value: Any) -> Any:
        if value == "function":
            raise refusal("use a message of role tool")
        return value

    _parts = field_validator("content", mode="before")(in_parts)

    @field_validator("content")
    @classmethod
    def _said(cls, value: list[TextPart], info: Any) -> list[TextPart]:
        if not value and info.data.get("role", "assistant") != "assistant":
            raise fault("Only an assistant's turn can be without content")
        if info.data.get("role", "user") != "user" and any(part.type == "input_audio" for part in value):
            raise fault("Only a user's turn has input_audio")
        return value

    @field_validator("tool_calls", "refusal", "parsed")
    @classmethod
    def _assistant_only(cls, value: Any, info: Any) -> Any:
        if value and info.data.get("role", "assistant") != "assistant":
            raise fault("Only an assistant's turn has this")
        return value

    @field_validator("tool_call_id")
    @classmethod
    def _answers(cls, value: str | None, info: Any) -> str | None:
        if (value is not None) != (info.data.get("role") == "tool") and "role" in info.data:
            raise fault("A turn of role tool says which call it answers, and no other turn does")
        return value


class ChatRequest(Sampled):
    """A conversation to go on with."""

    messages: list[Message] = Field(
        min_length=1, max_length=MAX_MESSAGES, description="the conversation, written out by the model's chat template"
    )
    logprobs: bool = Field(False, description="log-probabilities of the tokens, by the model's own distribution")
    max_completion_tokens: int | None = Field(
        None, ge=1, description="tokens at most; unless given, until the model ends or its context is full"
    )
    max_tokens: int | None = Field(None, ge=1, description="the older name of `max_completion_tokens`")
    metadata: Metadata = Field(default_factory=dict, description="given back in the answer; not stored")
    modalities: Annotated[Any, Refused("answers are text", (["text"],))] = None
    parallel_tool_calls: bool = Field(True, description="whether an answer may hold several calls")
    response_format: ResponseFormat | None = Field(
        None, description="`json_object` and `json_schema` constrain each token, so a finished answer is always valid"
    )
    tool_choice: ToolChoice | None = Field(
        None,
        description="`none`, `auto`, `required`, a function, or `allowed_tools`; enforced by a grammar. With `none` the "
        "tools are not shown to the model; `auto` unless given",
    )
    tools: list[Tool] = Field(
        default_factory=list,
        max_length=MAX_TOOLS,
        description="shown by the model's own template, or in a system message where it has none for tools",
    )
    top_logprobs: int | None = Field(
        None, ge=0, le=MAX_TOP, description="the likeliest tokens at each place; needs `logprobs`"
    )
    prompt_cache_key: str | None = Field(
        None,
        max_length=512,
        description="accepted and not needed: equal prefixes are found by themselves, within a key",
    )
    safety_identifier: str | None = Field(
        None, max_length=512, description="accepted and not used: we keep no record of end users"
    )
    audio: Annotated[Any, Refused(SPEECH)] = None
    function_call: Annotated[Any, Refused("use tool_choice", ("none",))] = None
    functions: Annotated[Any, Refused("use tools")] = None
    moderation: Annotated[Any, Refused(MODERATION)] = None
    prediction: Annotated[Any, Unused("prediction"), Field(description=NOT_USED)] = None
    prompt_cache_options: Annotated[Any, Unused("prompt_cache_options"), Field(description=NOT_USED)] = None
    prompt_cache_retention: Annotated[
        Any, Unused("prompt_cache_retention", ("in_memory",)), Field(description=NOT_USED)
    ] = None
    reasoning_effort: Annotated[Any, Unused("reasoning_effort", ("none",)), Field(description=NOT_USED)] = None
    service_tier: Annotated[Any, Unused("service_tier", DEFAULT_TIER), Field(description=NOT_USED)] = None
    store: Annotated[Any, Unused("store", (False,)), Field(description=NOT_USED)] = None
    verbosity: Annotated[Any, Unused("verbosity", ("medium",)), Field(description=NOT_USED)] = None
    web_search_options: Annotated[Any, Unused("web_search_options"), Field(description=NOT_USED)] = None

    _choice = field_validator("tool_choice", mode="before")(spelled_out)

    _had = field_validator("tools", mode="before")(without_built_in)

    @field_validator("tools")
    @classmethod
    def _distinct(cls, value: list[Tool]) -> list[Tool]:
        distinct([tool.function for tool in value])
        return value

    @field_validator("max_tokens")
    @classmethod
    def _one_limit(cls, value: int | None, info: Any) -> int | None:
        if None not in (value, other := info.data.get("max_completion_tokens")) and value != other:
            raise fault("max_tokens and max_completion_tokens differ; give one of them")
        return value

    @field_validator("top_logprobs")
    @classmethod
    def _with_logprobs(cls, value: int | None, info: Any) -> int | None:
        if value is not None and not info.data.get("logprobs", True):
            raise fault("top_logprobs needs logprobs: true")
        return value

    @property
    def form(self) -> dict[str, Any] | None:
        """What form the answer must have, as the wire has it."""
        return self.response_format.constraint() if self.response_format else None

    @property
    def limit(self) -> int | None:
        return self.max_completion_tokens or self.max_tokens

    @property
    def alternatives(self) -> int | None:
        """Of each token, how many likely ones are told; None: no log-probabilities at all."""
        return (self.top_logprobs or 0) if self.logprobs else None
