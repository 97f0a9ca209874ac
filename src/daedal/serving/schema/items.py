"""What the input of a response is made of: messages, function calls and what functions answered.

Items of an earlier answer can be given back as they came, so what answers carry (`id`, `status`, `annotations`) is accepted.
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from daedal.serving.schema.base import (
    NOT_USED,
    FunctionName,
    Identifier,
    Refused,
    Request,
    Unused,
    fault,
    note_unused,
    refusing,
)
from daedal.serving.schema.content import ECHOED, MAX_PARTS, PARSED
from daedal.serving.schema.tools import ASYNC

NOT_TEXT = {
    "input_image": "no model here reads images",
    "input_file": "no model here reads files; put the text itself into the message",
    "input_audio": "messages of /v1/chat/completions may hold audio, where a listener is served",
}
KINDS = ("message", "function_call", "function_call_output", "item_reference")


class ItemPart(Request):
    """A part of a message."""

    lets_unknown_nulls_pass: ClassVar[bool] = True

    type: Literal["input_text", "output_text", "text", "refusal"] = Field(
        "input_text", description="`input_image`, `input_file` and `input_audio` are refused"
    )
    text: str = ""
    refusal: str = Field("", description="what the assistant said in refusing; shown to the model as its words")
    annotations: list[Any] = Field(default_factory=list, description=ECHOED)
    logprobs: list[Any] = Field(default_factory=list, description=ECHOED)
    parsed: Any = Field(None, description=PARSED)
    prompt_cache_breakpoint: Annotated[Any, Unused("prompt_cache_breakpoint"), Field(description=NOT_USED)] = None

    _read = field_validator("type", mode="before")(refusing(NOT_TEXT.get))


class Item(Request):
    """One item of the input."""

    lets_unknown_nulls_pass: ClassVar[bool] = True

    type: Literal["message", "function_call", "function_call_output", "item_reference"] = Field(
        "message", description="other types are refused by name"
    )
    id: str | None = Field(None, max_length=256, description="of an earlier item; what an `item_reference` refers to")
    status: Literal["in_progress", "completed", "incomplete"] | None = Field(None, description="accepted, not shown")
    role: Literal["user", "assistant", "system", "developer"] | None = Field(
        None, description="of a message; `developer` is the same as `system`"
    )
    content: list[ItemPart] = Field(
        default_factory=list, description="of a message: a text or text parts, each of which begins a line"
    )
    phase: Annotated[Any, Refused("turns have no phases", ("final_answer",))] = None
    call_id: Identifier | None = Field(None, description="of a function call and its output")
    name: FunctionName | None = Field(None, description="of a function call")
    arguments: str | None = Field(None, description="of a function call: JSON")
    output: list[ItemPart] | None = Field(None, description="of a function's output: a text or text parts")
    namespace: Annotated[Any, Refused("functions have no namespaces")] = None
    caller: Annotated[Any, Refused("the model alone calls tools")] = None
    async_: Annotated[Any, Refused(ASYNC, (False,))] = Field(None, alias="async")
    parsed_arguments: Any = Field(None, description=PARSED)

    _kinds = field_validator("type", mode="before")(
        refusing(lambda kind: None if kind in KINDS else f"there are no items of type {kind[:40]!r}")
    )

    @field_validator("content", "output", mode="before")
    @classmethod
    def _parts(cls, value: Any) -> Any:
        if isinstance(value, list) and len(value) > MAX_PARTS:
            raise fault(f"At most {MAX_PARTS} parts are allowed")
        return [{"type": "input_text", "text": value}] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _whole(self) -> "Item":
        needed = {
            "message": {"role", "content"},
            "function_call": {"call_id", "name", "arguments"},
            "function_call_output": {"call_id", "output"},
            "item_reference": {"id"},
        }[self.type]
        given = self.model_fields_set
        if missing := sorted(needed - given):
            raise fault(f"An item of type {self.type} needs {', '.join(missing)}")
        named = {"role", "content", "call_id", "name", "arguments", "output"}
        if self.type == "function_call_output":
            needed = needed | {"name"}
        if strange := sorted((given & named) - needed):
            raise fault(f"An item of type {self.type} has no {', '.join(strange)}")
        return self


def in_items(value: Any, info: ValidationInfo) -> Any:
    """A text is the same as one message of the user. What another model thought is left out, and noted."""
    if isinstance(value, str):
        return [{"role": "user", "content": value}]
    if not isinstance(value, list):
        return value
    kept = [item for item in value if not (isinstance(item, dict) and item.get("type") == "reasoning")]
    if len(kept) < len(value):
        note_unused("input.reasoning", info)
    return kept
