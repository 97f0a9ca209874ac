"""The body of POST /v1/responses, and of POST /v1/responses/input_tokens."""

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from daedal.serving.schema.base import (
    NOT_USED,
    EndUser,
    FunctionName,
    Identifier,
    Metadata,
    ModelName,
    Refused,
    Request,
    Unused,
    fault,
    note_unused,
)
from daedal.serving.schema.base import refusal as refused
from daedal.serving.schema.chat import DEFAULT_TIER, MAX_MESSAGES, MODERATION
from daedal.serving.schema.formats import known_format
from daedal.serving.schema.items import Item, in_items
from daedal.serving.schema.json_schema import JSONSchema, ObjectSchema
from daedal.serving.schema.sampling import MAX_TOP, MinP, RepetitionPenalty, Temperature, TopK, TopP, given_temperature
from daedal.serving.schema.tools import (
    ASYNC,
    MAX_TOOLS,
    STRICT,
    Description,
    distinct,
    function_only,
    spelled_out,
    without_built_in,
)

CONVERSATION = "conversations are not kept; use previous_response_id"
LOGPROBS = "message.output_text.logprobs"
NEVER_THERE = {
    "file_search_call.results", "web_search_call.results", "web_search_call.action.sources",
    "computer_call_output.output.image_url", "code_interpreter_call.outputs", "reasoning.encrypted_content",
}  # fmt: skip


class TextFormat(Request):
    """What form an answer must have."""

    type: Literal["text", "json_object", "json_schema"] = "text"
    name: FunctionName | None = Field(None, description="for the caller's own use")
    description: str = Field("", max_length=8192, description="accepted; not shown to the model")
    schema_: JSONSchema | None = Field(None, alias="schema", description="JSON schema of the answer, which follows it")
    strict: bool = Field(
        False, description="closes objects that do not say otherwise; an answer follows the schema in any case"
    )

    @field_validator("type", mode="before")
    @classmethod
    def _known(cls, value: Any) -> Any:
        return known_format(value)

    @model_validator(mode="after")
    def _whole(self) -> "TextFormat":
        whole = self.name is not None and self.schema_ is not None
        if (self.type == "json_schema") != whole or (self.type != "json_schema" and (self.name or self.schema_)):
            raise fault("A format of type json_schema has a name and a schema, and no other has them")
        return self

    def constraint(self) -> dict[str, Any] | None:
        """As the wire has it."""
        if self.type == "json_schema":
            return {"kind": "json_schema", "schema": self.schema_, "strict": self.strict}
        return {"kind": "json_object"} if self.type == "json_object" else None


class TextConfig(Request):
    """How the text of an answer is."""

    format: TextFormat = Field(
        default_factory=TextFormat, description="`text`, `json_object` or `json_schema`, enforced"
    )
    verbosity: Annotated[Any, Unused("text.verbosity", ("medium",)), Field(description=NOT_USED)] = None


class ResponseTool(Request):
    """A function that the model may call."""

    type: Literal["function"] = Field(
        "function", description="`function`; `custom` and built-in types are left out, and named in `x-daedal-unused`"
    )
    name: FunctionName
    description: Description = ""
    parameters: ObjectSchema = Field(
        default_factory=dict, description="JSON schema of the arguments, which a call follows"
    )
    strict: bool = Field(True, description=f"{STRICT}; told as true unless given")
    output_schema: Annotated[Any, Refused("what tools answer is not checked")] = None
    defer_loading: Annotated[Any, Refused("all tools are shown at once", (False,))] = None
    allowed_callers: Annotated[Any, Refused("the model alone calls tools")] = None
    async_: Annotated[Any, Refused(ASYNC, (False,))] = Field(None, alias="async")

    _functions = field_validator("type", mode="before")(function_only)

    @property
    def binding(self) -> bool:
        """Whether the schema was said to be strict: clients that say nothing send schemas of any kind."""
        return self.strict and "strict" in self.model_fields_set


class ToolReference(Request):
    """One of the tools."""

    type: Literal["function"] = "function"
    name: FunctionName

    _functions = field_validator("type", mode="before")(function_only)


class ResponseToolChoice(Request):
    """Which tools may or must be called."""

    type: Literal["none", "auto", "required", "function", "allowed_tools"]
    name: FunctionName | None = Field(None, description="of a choice of type `function`")
    mode: Literal["auto", "required"] | None = Field(None, description="of a choice of type `allowed_tools`")
    tools: list[ToolReference] = Field(
        default_factory=list, max_length=MAX_TOOLS, description="of a choice of type `allowed_tools`"
    )

    @field_validator("type", mode="before")
    @classmethod
    def _known(cls, value: Any) -> Any:
        if isinstance(value, str) and value not in ("none", "auto", "required", "function", "allowed_tools"):
            raise refused(f"there are no tools of type {value[:40]!r}, only functions")
        return value

    @model_validator(mode="after")
    def _whole(self) -> "ResponseToolChoice":
        if (self.type == "function") != (self.name is not None):
            raise fault("A choice of type function names it, and no other does")
        allowed = self.type == "allowed_tools"
        if allowed != (self.mode is not None) or allowed != bool(self.tools):
            raise fault("A choice of type allowed_tools has mode and tools, and no other has them")
        return self


class Reasoning(Request):
    """How a model reasons: none here does."""

    effort: Annotated[Any, Unused("reasoning.effort", ("none",)), Field(description=NOT_USED)] = None
    summary: Annotated[Any, Unused("reasoning.summary"), Field(description=NOT_USED)] = None
    generate_summary: Annotated[Any, Unused("reasoning.generate_summary"), Field(description=NOT_USED)] = None
    context: Annotated[Any, Unused("reasoning.context", ("auto",)), Field(description=NOT_USED)] = None
    mode: Annotated[Any, Unused("reasoning.mode"), Field(description=NOT_USED)] = None


class ResponseStreamOptions(Request):
    """How a stream is written."""

    include_obfuscation: Annotated[
        Any, Refused("events are not padded with random characters; leave it out or give false", (False,))
    ] = None


class InputRequest(Request):
    """What the model reads."""

    model: ModelName
    input: list[Item] = Field(
        default_factory=list,
        max_length=MAX_MESSAGES,
        description="a text, or items: messages, function calls and outputs",
    )
    instructions: str | None = Field(
        None, description="a system message before everything else; not carried over to the next response"
    )
    parallel_tool_calls: bool = Field(True, description="whether an answer may hold several calls")
    previous_response_id: Identifier | None = Field(None, description="goes on from a stored response of the same key")
    text: TextConfig = Field(default_factory=TextConfig)
    tool_choice: ResponseToolChoice | None = Field(
        None, description="`none`, `auto`, `required`, a function, or `allowed_tools`; enforced by a grammar"
    )
    tools: list[ResponseTool] = Field(default_factory=list, max_length=MAX_TOOLS, description="functions")
    truncation: Literal["auto", "disabled"] = Field(
        "disabled", description="`auto` leaves out the oldest items until the rest fits; `disabled` answers 400"
    )
    reasoning: Reasoning | None = Field(None, description="not used: no model here reasons")
    conversation: Annotated[Any, Refused(CONVERSATION)] = None

    _choice = field_validator("tool_choice", mode="before")(spelled_out)
    _items = field_validator("input", mode="before")(in_items)

    _had = field_validator("tools", mode="before")(without_built_in)
    _distinct = field_validator("tools")(distinct)


class InputTokensRequest(InputRequest):
    """What to count the tokens of."""

    personality: Annotated[Any, Refused("say it in the instructions")] = None


class ResponseRequest(InputRequest):
    """What to answer."""

    include: list[str] = Field(
        default_factory=list,
        max_length=20,
        description=f"`{LOGPROBS}`; what no answer here can hold is accepted, and named in `x-daedal-unused`",
    )
    max_output_tokens: int | None = Field(
        None, ge=1, description="tokens at most; unless given, until the context is full"
    )
    max_tool_calls: int | None = Field(
        None, ge=0, description="accepted: it bounds calls of built-in tools, and there are none"
    )
    metadata: Metadata = Field(default_factory=dict, description="stored with the response and given back")
    min_p: MinP = 0.0
    repetition_penalty: RepetitionPenalty = 1.0
    store: bool = Field(True, description="whether GET and previous_response_id find it later")
    stream: bool = Field(False, description="server-sent events with `sequence_number`")
    stream_options: ResponseStreamOptions | None = None
    temperature: Temperature = 1.0
    top_k: TopK = 0
    top_logprobs: int | None = Field(None, ge=0, le=MAX_TOP, description="the likeliest tokens at each place")
    top_p: TopP = 1.0
    prompt_cache_key: str | None = Field(
        None, max_length=512, description="given back; equal prefixes are found by themselves, within a key"
    )
    safety_identifier: str | None = Field(None, max_length=512, description="given back; not used otherwise")
    user: EndUser | None = None
    access_programs: Annotated[Any, Refused("there are no access programs")] = None
    background: Annotated[Any, Refused("a response is made while its caller waits; use stream", (False,))] = None
    background_options: Annotated[Any, Refused("a response is made while its caller waits")] = None
    client_metadata: Annotated[Any, Unused("client_metadata"), Field(description=f"of Codex: {NOT_USED}")] = None
    context_management: Annotated[Any, Unused("context_management"), Field(description=NOT_USED)] = None
    image: Annotated[Any, Refused("no model here reads images")] = None
    moderation: Annotated[Any, Refused(MODERATION)] = None
    prompt: Annotated[Any, Refused("prompt templates are not kept; write the prompt out")] = None
    prompt_cache_options: Annotated[Any, Unused("prompt_cache_options"), Field(description=NOT_USED)] = None
    prompt_cache_retention: Annotated[
        Any, Unused("prompt_cache_retention", ("in_memory",)), Field(description=NOT_USED)
    ] = None
    service_tier: Annotated[Any, Unused("service_tier", DEFAULT_TIER), Field(description=NOT_USED)] = None

    @field_validator("include")
    @classmethod
    def _includable(cls, value: list[str], info: ValidationInfo) -> list[str]:
        for name in value:
            if name in NEVER_THERE:
                note_unused(f"include.{name}", info)
            if name not in NEVER_THERE and name != LOGPROBS:
                raise refused(f"{name[:60]!r} cannot be included")
        return value

    @property
    def alternatives(self) -> int | None:
        """Of each token, how many likely ones are told; None: no log-probabilities at all."""
        wanted = self.top_logprobs is not None or LOGPROBS in self.include
        return (self.top_logprobs or 0) if wanted else None

    def sampling(self) -> dict[str, Any]:
        """The wire's options but for `max_tokens` and `logprobs`."""
        names = ("top_k", "top_p", "min_p", "repetition_penalty")
        return {**given_temperature(self), **{name: getattr(self, name) for name in names}}
