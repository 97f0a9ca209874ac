"""The body of POST /v1/audio/transcriptions, a form."""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from daedal.serving.schema.base import NOT_USED, ModelName, Refused, Request, Unused, refusal

LISTS = (
    "timestamp_granularities",
    "include",
    "keywords",
    "languages",
    "known_speaker_names",
    "known_speaker_references",
)
"""Fields that a form may have several times."""
_LIKELIEST = "the model tells what it heard, and no other guesses"


class TranscriptionRequest(Request):
    """A recording to listen to. A form: `file` is a file."""

    model: ModelName | None = Field(None, description="name of a model; unless given, the only one that listens")
    response_format: Literal["json", "text", "srt", "vtt", "verbose_json"] = Field(
        "json", description="`verbose_json` has all that is known: `diarized_json` is refused"
    )
    timestamp_granularities: list[Literal["word", "segment"]] = Field(
        default_factory=list,
        description="of `verbose_json`: words with their times, segments, or both; segments unless given",
    )
    stream: bool = Field(False, description="the words as events; the model hears the whole recording before the first")
    language: str | None = Field(
        None,
        max_length=35,
        description="accepted, given back in `verbose_json`: the model knows what it was trained on",
    )
    prompt: Annotated[Any, Unused("prompt", ("",)), Field(description=NOT_USED)] = None
    temperature: Annotated[Any, Unused("temperature", (0, 0.0)), Field(description=NOT_USED)] = None
    chunking_strategy: Annotated[Any, Unused("chunking_strategy", ("auto",)), Field(description=NOT_USED)] = None
    keywords: Annotated[Any, Unused("keywords"), Field(description=NOT_USED)] = None
    languages: Annotated[Any, Unused("languages"), Field(description=NOT_USED)] = None
    include: Annotated[Any, Refused(_LIKELIEST, ([],))] = None
    known_speaker_names: Annotated[Any, Refused("speakers are those that the model was trained on", ([],))] = None
    known_speaker_references: Annotated[Any, Refused("speakers are those that the model was trained on", ([],))] = None

    @field_validator("response_format", mode="before")
    @classmethod
    def _known(cls, value: Any) -> Any:
        if value == "diarized_json":
            raise refusal("one speaker is told for a whole recording, in verbose_json")
        return value
