"""Base of all request bodies: strict types, unknown fields refused, `null` the same as absent.

- a field that we honour says in its description what we do with it: `docs/api.md` is made from that
- a field that only advises is `Annotated[Any, Unused(name, ...), Field(description=...)]`: accepted, and noted in the
  context of the validation, so that the answer can say it
- a field of the official API that we do not honour is `Annotated[Any, Refused(why, ...)]`: only its neutral values pass
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    GetCoreSchemaHandler,
    ValidationInfo,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

MAX_METADATA, MAX_METADATA_KEY, MAX_METADATA_VALUE = 16, 64, 512


@dataclass(frozen=True)
class Refused:
    """A field that we refuse, and why.

    Attributes:
        why: ends the sentence "This server does not support this parameter: ...".
        neutral: values that ask for nothing, so they pass; `null` always does.
    """

    why: str
    neutral: tuple[Any, ...] = field(default=())

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._check)

    def _check(self, value: Any) -> Any:
        if any(value == other and type(value) is type(other) for other in self.neutral):
            return value
        raise refusal(self.why)


@dataclass(frozen=True)
class Unused:
    """A field that only advises: any value passes, and what is not used is noted.

    Attributes:
        name: as the answer tells it, such as "reasoning.effort".
        neutral: values that ask for nothing, or for what is done anyway.
    """

    name: str
    neutral: tuple[Any, ...] = field(default=())

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(self._check)

    def _check(self, value: Any, info: ValidationInfo) -> Any:
        if not any(value == other and type(value) is type(other) for other in self.neutral):
            note_unused(self.name, info)
        return value


def note_unused(name: str, info: ValidationInfo) -> None:
    """Note in the context of a validation, where it has a list, that something was given and is not used."""
    if isinstance(info.context, list) and name not in info.context:
        info.context.append(name)


class Request(BaseModel):
    """A request body, or a part of one.

    Attributes:
        lets_unknown_nulls_pass: where clients give back what other servers said, with fields that mean nothing here.
    """

    lets_unknown_nulls_pass: ClassVar[bool] = False

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, protected_namespaces=())

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        known = cls.model_fields  # one that Python cannot name, such as `async`, has an underscore after it
        return {
            name: value
            for name, value in values.items()
            if value is not None or not (cls.lets_unknown_nulls_pass or name in known or f"{name}_" in known)
        }

    @classmethod
    def refused(cls) -> dict[str, Refused]:
        """The fields that are refused."""
        found = ((name, _refused(info.metadata)) for name, info in cls.model_fields.items())
        return {name: mark for name, mark in found if mark is not None}


def _refused(marks: list[Any]) -> Refused | None:
    return next((mark for mark in marks if isinstance(mark, Refused)), None)


def refusal(why: str) -> PydanticCustomError:
    """For a validator: the field has a value that the official API knows and we do not support."""
    return PydanticCustomError(
        "unsupported_parameter", "This server does not support this parameter: {why}", {"why": why}
    )


def refusing(why: Callable[[str], str | None]) -> Callable[[Any], Any]:
    """For the validator of a field: refuse those of its texts for which there is a reason."""

    def check(value: Any) -> Any:
        reason = why(value) if isinstance(value, str) else None
        if reason is not None:
            raise refusal(reason)
        return value

    return check


def fault(what: str) -> PydanticCustomError:
    """For a validator: the value of the field is wrong."""
    return PydanticCustomError("invalid_value", "{what}", {"what": what})


def _metadata(values: dict[str, str]) -> dict[str, str]:
    if len(values) > MAX_METADATA:
        raise fault(f"At most {MAX_METADATA} keys are allowed")
    if any(len(key) > MAX_METADATA_KEY or len(value) > MAX_METADATA_VALUE for key, value in values.items()):
        raise fault(f"Keys have at most {MAX_METADATA_KEY} characters and values {MAX_METADATA_VALUE}")
    return values


def _name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,128}", value):
        raise fault("A name has 1 to 128 letters, digits, underscores and dashes")
    return value


NOT_USED = "accepted, not used, and named in `x-daedal-unused`"
Metadata = Annotated[dict[str, str], AfterValidator(_metadata)]
"""Up to 16 notes of a caller's own."""
FunctionName = Annotated[
    str, AfterValidator(_name), Field(description="letters, digits, underscores and dashes, at most 128")
]
ModelName = Annotated[str, Field(min_length=1, max_length=256, description="name or alias of a model that is served")]
EndUser = Annotated[
    str,
    Field(max_length=512, description="accepted and not used: we keep no record of end users; the key says who calls"),
]
Identifier = Annotated[str, Field(min_length=1, max_length=256)]


TEXT_OR_OBJECT = Discriminator(lambda value: "Object" if isinstance(value, dict) else "str")
"""Tells a text, whose tag is "str", from an object, whose tag is "Object": what is wrong is said of what was given alone."""


def texts_of(value: Any) -> Iterator[str]:
    """The strings in JSON."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from texts_of(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from texts_of(item)


def bounds(info: FieldInfo) -> dict[str, int]:
    """What a number may be: its "ge", "gt", "le" and "lt"."""
    marks = [*info.metadata]
    for part in get_args(info.annotation):
        for mark in getattr(part, "__metadata__", ()):
            marks.extend(getattr(mark, "metadata", [mark]))
    return {name: getattr(mark, name) for mark in marks for name in ("ge", "gt", "le", "lt") if hasattr(mark, name)}
