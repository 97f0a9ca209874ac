"""How to compose: what a person may choose."""

from pydantic import Field

from daedal.config import Config


class ComposeOptions(Config):
    """How a tune is written.

    Attributes:
        seconds: how long it is to be, beside what is given of it; as long as the model wants, but no longer than two minutes,
            unless given.
        temperature: 0 takes the likeliest code each time; 1 is the model's own distribution.
        top_k: only so many of the likeliest codes; 0 for all.
        top_p: only as few of the likeliest codes as hold this much probability.
    """

    seconds: float | None = Field(None, gt=0, le=1800)
    temperature: float = Field(1.0, ge=0, le=100)
    top_k: int = Field(0, ge=0)
    top_p: float = Field(1.0, ge=0, le=1)
