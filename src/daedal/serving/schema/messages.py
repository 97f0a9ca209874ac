"""The bodies of Anthropic's POST /v1/messages and POST /v1/messages/count_tokens."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from daedal.serving.schema.base import (
    NOT_USED,
    FunctionName,
    Identifier,
    ModelName,
    Refused,
    Request,
    Unused,
    fault,
    note_unused,
    refusing,
)
from daedal.serving.schema.chat import MAX_MESSAGES
from daedal.serving.schema.content import MAX_PARTS, in_parts
from daedal.serving.schema.json_schema import JSONSchema, ObjectSchema
from daedal.serving.schema.sampling import MinP, TopK, TopP, checked_stops, given_temperature
from daedal.serving.schema.tools import MAX_TOOLS, STRICT, Description, distinct, without_built_in

BLOCKS = ("text", "tool_use", "tool_result")
THOUGHTS = ("thinking", "redacted_thinking")


class CacheControl(Request):
    """A wish that a prefix be cached: all are."""

    type: Literal["ephemeral"]
    ttl: Literal["5m", "1h"] | None = None


Cached = Annotated[CacheControl | None, Field(description="accepted: prefixes are cached by themselves")]


class Block(Request):
    """A block of a message."""

    lets_unknown_nulls_pass: ClassVar[bool] = True

    type: Literal["text", "tool_use", "tool_result"] = Field(description="other types are refused by name")
    text: str | None = Field(None, description="of a text")
    id: Identifier | None = Field(None, description="of a call")
    name: FunctionName | None = Field(None, description="of a call: which tool")
    input: dict[str, Any] | None = Field(None, description="of a call: its arguments")
    tool_use_id: Identifier | None = Field(None, description="of a result: which call it answers")
    content: "list[Block]" = Field(
        default_factory=list, description="of a result: a text or text blocks, each of which begins a line"
    )
    is_error: bool = Field(False, description="of a result: shown to the model as an error")
    cache_control: Cached = None
    caller: Annotated[Any, Refused("the model alone calls tools", ({"type": "direct"},))] = None
    citations: Annotated[Any, Refused("there are no citations")] = None
    toolset_name: Annotated[Any, Refused("there are no toolsets")] = None

    _kinds = field_validator("type", mode="before")(
        refusing(lambda kind: None if kind in BLOCKS else f"no model here reads a block of type {kind[:40]!r}")
    )

    _parts = field_validator("content", mode="before")(in_parts)

    @model_validator(mode="after")
    def _whole(self) -> "Block":
        own = {
            "text": {"text"},
            "tool_use": {"id", "name", "input"},
            "tool_result": {"tool_use_id"},
        }[self.type]
        given = self.model_fields_set & {"text", "id", "name", "input", "tool_use_id", "content", "is_error"}
        if missing := sorted(own - given):
            raise fault(f"A block of type {self.type} needs {', '.join(missing)}")
        if self.type == "tool_result":
            own = own | {"content", "is_error"}
        if strange := sorted(given - own):
            raise fault(f"A block of type {self.type} has no {', '.join(strange)}")
        if any(block.type != "text" for block in self.content):
            raise fault("The content of a tool_result is text")
        return self


class Turn(Request):
    """One turn of a conversation."""

    role: Literal["user", "assistant", "system"]
    content: list[Block] = Field(max_length=MAX_PARTS, description="a text or blocks")

    @field_validator("content", mode="before")
    @classmethod
    def _parts(cls, value: Any, info: ValidationInfo) -> Any:
        """Without what another model thought."""
        parts = in_parts(value)
        if not isinstance(parts, list):
            return parts
        kept = [part for part in parts if not (isinstance(part, dict) and part.get("type") in THOUGHTS)]
        if len(kept) < len(parts):
            note_unused("messages.thinking", info)
        return kept

    @field_validator("content")
    @classmethod
    def _belongs(cls, value: list[Block], info: Any) -> list[Block]:
        speaker = {"tool_use": "assistant", "tool_result": "user"}
        role = info.data.get("role")
        if role and any(speaker.get(block.type, role) != role for block in value):
            raise fault("Calls stand in the assistant's turns and their results in the user's")
        return value


class SystemBlock(Request):
    """A part of the system's text."""

    type: Literal["text"]
    text: str
    cache_control: Cached = None
    citations: Annotated[Any, Refused("there are no citations")] = None


class MessageTool(Request):
    """A tool that the model may call."""

    name: FunctionName
    description: Description = ""
    input_schema: ObjectSchema = Field(description="JSON schema of the arguments, which a call follows")
    type: Literal["custom"] = Field("custom", description="built-in types are left out, and named in `x-daedal-unused`")
    strict: bool = Field(False, description=STRICT)
    eager_input_streaming: bool = Field(False, description="accepted: arguments are streamed as they are written")
    cache_control: Cached = None
    allowed_callers: Annotated[Any, Refused("the model alone calls tools", (["direct"],))] = None
    defer_loading: Annotated[Any, Refused("all tools are shown at once", (False,))] = None
    input_examples: Annotated[Any, Unused("tools.input_examples", ([],)), Field(description=NOT_USED)] = None

    _kinds = field_validator("type", mode="before")(
        refusing(lambda kind: None if kind == "custom" else f"there are no tools of type {kind[:40]!r}")
    )


class MessageToolChoice(Request):
    """Which tools may or must be called."""

    type: Literal["auto", "any", "tool", "none"]
    name: FunctionName | None = Field(None, description="of a choice of type `tool`")
    disable_parallel_tool_use: bool = Field(False, description="at most one call")

    @model_validator(mode="after")
    def _whole(self) -> "MessageToolChoice":
        if (self.type == "tool") != (self.name is not None):
            raise fault("A choice of type tool names it, and no other does")
        return self


class SchemaFormat(Request):
    """JSON after a schema."""

    type: Literal["json_schema"]
    schema_: JSONSchema = Field(alias="schema", description="JSON schema of the answer, which always follows it")


class OutputConfig(Request):
    """How the answer is."""

    format: SchemaFormat | None = None
    effort: Annotated[Any, Unused("output_config.effort"), Field(description=NOT_USED)] = None


class Who(Request):
    """Whom the request is for."""

    user_id: str | None = Field(
        None, max_length=512, description="accepted and not used: we keep no record of end users"
    )


class CountRequest(Request):
    """What to count the tokens of."""

    model: ModelName
    messages: list[Turn] = Field(min_length=1, max_length=MAX_MESSAGES, description="the conversation")
    system: list[SystemBlock] = Field(default_factory=list, max_length=MAX_PARTS, description="a text or text blocks")
    tools: list[MessageTool] = Field(default_factory=list, max_length=MAX_TOOLS, description="tools that can be called")
    tool_choice: MessageToolChoice | None = Field(
        None, description="`auto`, `any`, `tool` or `none`; enforced by a grammar"
    )
    output_config: OutputConfig = Field(default_factory=OutputConfig, description="`format` constrains each token")
    thinking: Annotated[Any, Unused("thinking", ({"type": "disabled"},)), Field(description=NOT_USED)] = None
    context_management: Annotated[Any, Unused("context_management"), Field(description=NOT_USED)] = None
    cache_control: Cached = None
    speed: Annotated[Any, Unused("speed", ("standard",)), Field(description=NOT_USED)] = None
    user_profile_id: Annotated[Any, Refused("there are no user profiles")] = None
    workspace_id: Annotated[Any, Refused("there are no workspaces")] = None

    _parts = field_validator("system", mode="before")(in_parts)

    _had = field_validator("tools", mode="before")(without_built_in)
    _distinct = field_validator("tools")(distinct)


class MessageRequest(CountRequest):
    """A conversation to go on with."""

    max_tokens: int = Field(ge=1, description="tokens at most")
    metadata: Who = Field(default_factory=Who)
    min_p: MinP = 0.0
    stop_sequences: list[str] = Field(default_factory=list, description="texts before which the answer ends")
    stream: bool = Field(False, description="server-sent events, `message_start` to `message_stop`")
    temperature: float = Field(
        1.0, ge=0, le=1, description="0 always takes the most likely token; honoured in every version"
    )
    top_k: TopK = 0
    top_p: TopP = 1.0
    container: Annotated[Any, Refused("there are no containers")] = None
    diagnostics: Annotated[Any, Refused("there are no diagnostics")] = None
    inference_geo: Annotated[Any, Refused("the model runs where this server runs")] = None
    service_tier: Annotated[Any, Unused("service_tier", ("auto", "standard_only")), Field(description=NOT_USED)] = None

    _stops = field_validator("stop_sequences", mode="before")(checked_stops)

    @property
    def form(self) -> dict[str, Any] | None:
        """What form the answer must have, as the wire has it."""
        form = self.output_config.format
        return {"kind": "json_schema", "schema": form.schema_} if form else None

    def sampling(self) -> dict[str, Any]:
        """The wire's options."""
        return {
            "max_tokens": self.max_tokens,
            **given_temperature(self),
            "top_k": self.top_k,
            "top_p": self.top_p,
            "min_p": self.min_p,
            "stop": self.stop_sequences,
        }
