"""The body of POST /v1/moderations."""

from typing import Any

from pydantic import Field

from daedal.serving.schema.base import ModelName, Request


class ModerationRequest(Request):
    """What to moderate."""

    input: Any = Field(description="a text or a list; read once there is a moderation model")
    model: ModelName = Field("omni-moderation-latest", description="no moderation model is loaded: the answer is 404")
