"""What form an answer must have, as chat completions ask for it."""

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from daedal.serving.schema.base import FunctionName, Request, fault, refusal
from daedal.serving.schema.json_schema import JSONSchema

FORMATS = ("text", "json_object", "json_schema")


class NamedSchema(Request):
    """A JSON schema and its name."""

    name: FunctionName = Field(description="for the caller's own use")
    description: str = Field("", max_length=8192, description="accepted; not shown to the model")
    schema_: JSONSchema = Field(
        default_factory=dict, alias="schema", description="JSON schema of the answer, which always follows it"
    )
    strict: bool = Field(
        False, description="closes objects that do not say otherwise; an answer follows the schema in any case"
    )


class ResponseFormat(Request):
    """What form an answer must have."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: NamedSchema | None = None

    @field_validator("type", mode="before")
    @classmethod
    def _known(cls, value: Any) -> Any:
        return known_format(value)

    @model_validator(mode="after")
    def _whole(self) -> "ResponseFormat":
        if (self.type == "json_schema") != (self.json_schema is not None):
            raise fault("A format of type json_schema has json_schema, and no other has it")
        return self

    def constraint(self) -> dict[str, Any] | None:
        """As the wire has it."""
        if self.json_schema is not None:
            return {"kind": "json_schema", "schema": self.json_schema.schema_, "strict": self.json_schema.strict}
        return {"kind": "json_object"} if self.type == "json_object" else None


def known_format(value: Any) -> Any:
    """Refuse by name a type of format that is not for us."""
    if isinstance(value, str) and value not in FORMATS:
        raise refusal(f"a format is one of {', '.join(FORMATS)}")
    return value
