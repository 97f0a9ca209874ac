"""What a message says: text, alone or in parts. Parts that are not text are refused by name."""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal, Protocol

from pydantic import Field, field_validator

from daedal.serving.schema.base import NOT_USED, Request, Unused, fault, refusing

MAX_PARTS = 1000
NOT_TEXT = {
    "image_url": "no model here reads images",
    "file": "no model here reads files; put the text itself into the message",
}
PARSED = "what a client read out of an earlier answer: accepted; the model is shown the text itself"
ECHOED = "of an earlier answer: accepted, not shown"


class InputAudio(Request):
    """A recording in a message."""

    data: str = Field(min_length=1, description="the file in base64")
    format: Literal["wav", "mp3", "flac", "ogg", "opus"] = Field(
        description="what it is: the file itself says it better"
    )


class TextPart(Request):
    """A part of a message."""

    lets_unknown_nulls_pass: ClassVar[bool] = True

    type: Literal["text", "refusal", "input_audio"] = Field(
        description="`text`, `refusal` of an assistant's turn, or `input_audio`; `image_url` and `file` are refused"
    )
    text: str = ""
    refusal: str = Field("", description="what the assistant said in refusing; shown to the model as its words")
    input_audio: InputAudio | None = Field(
        None,
        validate_default=True,
        description="of a part of that type: a listener that is served beside the model says what is said in it",
    )
    role: Literal["assistant"] | None = Field(None, description=ECHOED)
    annotations: list[Any] = Field(default_factory=list, description=ECHOED)
    tool_calls: list[Any] = Field(default_factory=list, description=f"{ECHOED}: the turn has them")
    cache_control: Annotated[Any, Unused("cache_control"), Field(description=NOT_USED)] = None
    prompt_cache_breakpoint: Annotated[Any, Unused("prompt_cache_breakpoint"), Field(description=NOT_USED)] = None

    _read = field_validator("type", mode="before")(refusing(NOT_TEXT.get))

    @field_validator("text", "refusal", "input_audio")
    @classmethod
    def _belongs(cls, value: Any, info: Any) -> Any:
        if value is None and info.data.get("type") == "input_audio":
            raise fault("A part of this type holds a recording")
        if value and info.data.get("type", info.field_name) != info.field_name:
            raise fault(f"Only a part of type {info.field_name!r} has this")
        return value


def in_parts(value: Any) -> Any:
    """A text is the same as one part that holds it."""
    if isinstance(value, str):
        return [{"type": "text", "text": value}]
    if isinstance(value, list) and len(value) > MAX_PARTS:
        raise fault(f"At most {MAX_PARTS} parts are allowed")
    if value is not None and not isinstance(value, list):
        raise fault("Content is a text or a list of parts")
    return value


class Said(Protocol):
    """A part that has a text, or that of a refusal."""

    text: str
    refusal: str


def joined(parts: Sequence[Said]) -> str:
    """The text of all parts, each on lines of its own."""
    return "\n".join(part.text or part.refusal for part in parts)
