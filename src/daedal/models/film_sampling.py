"""How a model of clips writes them. No PyTorch is imported here: the command line has these options."""

from pydantic import Field

from daedal.config import Config


class FilmSampling(Config):
    """How clips are written.

    Attributes:
        temperature: of the tokens; 0 takes the likeliest.
        guidance: how strongly the prompt is asked for; 1 is as it was learned.
    """

    temperature: float = Field(0.7, ge=0, le=10)
    guidance: float = Field(2.0, ge=0, le=20)
    top_k: int | None = Field(None, ge=1)
