"""The body of POST /v1/embeddings."""

from typing import Any, Literal

from pydantic import Field, field_validator

from daedal.serving.schema.base import EndUser, ModelName, Request, fault
from daedal.serving.schema.completions import Prompt, checked_prompts, listed_prompts

MAX_INPUTS = 2048


class EmbeddingRequest(Request):
    """Texts to turn into vectors."""

    model: ModelName
    input: Any = Field(
        description=f"a text, a list of texts, a list of token ids, or a list of such lists; at most {MAX_INPUTS}"
    )
    encoding_format: Literal["float", "base64"] = Field("float", description="base64 is of little-endian float32")
    dimensions: int | None = Field(
        None, ge=1, description="the first so many numbers, scaled to length one again; at most the model's own"
    )
    user: EndUser | None = None

    @field_validator("input", mode="before")
    @classmethod
    def _inputs(cls, value: Any) -> list[Prompt]:
        inputs = checked_prompts(listed_prompts(value))
        if len(inputs) > MAX_INPUTS:
            raise fault(f"At most {MAX_INPUTS} inputs are allowed")
        if "" in inputs:
            raise fault("An empty text has no embedding")
        return inputs
