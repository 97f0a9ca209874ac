"""The body of POST /v1/audio/speech."""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from daedal.serving.schema.base import ModelName, Refused, Request, fault, refusal

MAX_INPUT = 4096
Seed = Annotated[
    int, Field(ge=0, lt=2**63, description="an extension, from 0 to 2^63 - 1: the same seed gives the same")
]


class SpeechRequest(Request):
    """What is to be said."""

    model: ModelName | None = Field(None, description="name of a model; unless given, the only one that speaks")
    input: str = Field(
        min_length=1,
        max_length=MAX_INPUT,
        description="what is said: classes that the model learned, with spaces between them; of a model that learned "
        "transcripts any text of their characters",
    )
    voice: str | None = Field(
        None,
        min_length=1,
        max_length=256,
        description="a speaker whom the model has heard; anybody unless given. A model that knows no speakers takes any "
        'name, and `x-daedal-unused` has it. Also `{"id": ...}`',
    )
    response_format: Literal["mp3", "opus", "flac", "wav", "pcm", "ogg"] = Field(
        "mp3",
        description="`pcm` is 16 bits, the low byte first, mono, of the rate that the content type tells; `ogg` is Vorbis, an "
        "extension; `aac` is refused",
    )
    stream_format: Literal["audio", "sse"] | None = Field(
        None,
        description="`sse`: events. `audio`: as it comes, a WAV too, whose header then tells no length. Unless given, "
        "`pcm`, `opus` and `ogg` come as they are made, and the others whole",
    )
    seed: Seed | None = None
    guidance: float | None = Field(None, ge=0, le=100, description="an extension: how strongly the prompt is asked for")
    steps: int | None = Field(None, ge=1, le=1000, description="an extension: steps of a flow's solver")
    temperature: float | None = Field(None, gt=0, le=100, description="an extension: under 1 likelier sounds")
    top_k: int | None = Field(None, ge=1, le=2**31, description="an extension: only so many of the likeliest tokens")
    speed: Annotated[Any, Refused("the model speaks as fast as it has learned to", (1, 1.0))] = None
    instructions: Annotated[Any, Refused("a voice is all that the model can be told", ("",))] = None

    @field_validator("voice", mode="before")
    @classmethod
    def _by_id(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        if value.keys() != {"id"}:
            raise fault('A voice is a name, or {"id": name}')
        return value["id"]

    @field_validator("response_format", mode="before")
    @classmethod
    def _written_here(cls, value: Any) -> Any:
        if value == "aac":
            raise refusal("nothing here writes AAC; use mp3 or opus")
        return value
