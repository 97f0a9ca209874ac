"""The body of POST /v1/audio/music."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator

from daedal.serving.schema.base import ModelName, Request, fault
from daedal.serving.schema.speech import Seed

MAX_TUNES, MAX_SECONDS = 8, 600


def _bars(value: str) -> str:
    first, _, last = value.partition(":")
    if not all(part.isascii() and part.isdigit() and 0 < len(part) < 7 for part in (first, last or first)):
        raise fault('Bars are written as "3:5" or "4", counted from 1')
    return value


Condition = Annotated[str, Field(min_length=1, max_length=100)]
Midi = Annotated[str, Field(min_length=1, max_length=2**21)]


class MusicRequest(Request):
    """A tune to write."""

    model: ModelName | None = Field(None, description="name of a model; unless given, the only one that composes")
    key: Condition | None = Field(None, description="as C, Ebm or F#, of those that the model was told of")
    metre: Condition | None = Field(None, description="as 4/4 or 6/8")
    instrument: Condition | None = Field(None, description="a family of instruments, as piano or strings")
    style: Condition | None = Field(None, description="the name of a folder that the model learned from")
    seconds: float | None = Field(
        None, gt=0, le=MAX_SECONDS, description="how long, beside what is given of it; as the model wants unless given"
    )
    continue_: Midi | None = Field(None, alias="continue", description="a MIDI file to go on with, in base64")
    harmonise: Midi | None = Field(None, description="a MIDI file whose highest notes are kept, with voices below")
    infill: Midi | None = Field(None, description="a MIDI file some of whose bars are written anew; needs `bars`")
    bars: Annotated[str, AfterValidator(_bars)] | None = Field(
        None, validate_default=True, description='which, as "3:5"'
    )
    n: int = Field(1, ge=1, le=MAX_TUNES, description="how many; more than one with `json`")
    seed: Seed | None = None
    temperature: float | None = Field(None, ge=0, le=100, description="0 takes the likeliest note each time")
    top_k: int | None = Field(None, ge=0, le=2**31, description="only so many of the likeliest codes; 0 for all")
    top_p: float | None = Field(None, ge=0, le=1, description="only as few as hold this much probability")
    response_format: Literal["midi", "wav", "flac", "mp3", "json"] = Field(
        "midi", validate_default=True, description="`json` has MIDI in base64, and of each tune how it was made"
    )

    @field_validator("bars")
    @classmethod
    def _of_a_tune(cls, value: str | None, info: Any) -> str | None:
        if (value is not None) != (info.data.get("infill") is not None) and "infill" in info.data:
            raise fault("Bars are filled in of a tune: give infill and bars")
        return value

    @field_validator("response_format")
    @classmethod
    def _one_file(cls, value: str, info: Any) -> str:
        if value != "json" and info.data.get("n", 1) > 1:
            raise fault("One tune is a file: for several ask for json")
        return value

    @property
    def said(self) -> dict[str, str]:
        """What is said of the tune."""
        found = {name: getattr(self, name) for name in ("key", "metre", "instrument", "style")}
        return {name: value for name, value in found.items() if value is not None}
