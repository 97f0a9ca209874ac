"""The body of POST /v1/moderations."""

from typing import Annotated, Any, Literal

from pydantic import Field, Tag, field_validator

from daedal.serving.schema.base import TEXT_OR_OBJECT, ModelName, Request, refusing

MAX_INPUTS = 1024
_NOT_TEXT = {"image_url": "no model here looks at images"}


class ModerationPart(Request):
    """A part of one input."""

    type: Literal["text"] = Field(description="`text`; `image_url` is refused")
    text: str

    _read = field_validator("type", mode="before")(refusing(_NOT_TEXT.get))


class ModerationRequest(Request):
    """What to moderate."""

    input: list[Annotated[Annotated[str, Tag("str")] | Annotated[ModerationPart, Tag("Object")], TEXT_OR_OBJECT]] = (
        Field(
            min_length=1,
            max_length=MAX_INPUTS,
            description=f"a text; up to {MAX_INPUTS} texts, each of which has a result; or parts, which have one together",
        )
    )
    model: ModelName = Field(
        "omni-moderation-latest",
        description="OpenAI's names, `omni-moderation...` and `text-moderation...`, stand for what moderates here; so do the "
        "name and aliases of the model of `--moderation`, and without one `rules`. Others are not found",
    )

    @field_validator("input", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        return value if isinstance(value, list) else [value]

    @property
    def texts(self) -> list[str]:
        """Of each input."""
        if all(isinstance(each, str) for each in self.input):
            return [each for each in self.input if isinstance(each, str)]
        return ["\n".join(each if isinstance(each, str) else each.text for each in self.input)]
