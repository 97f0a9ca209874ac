"""How a model of clips makes them. No PyTorch is imported here: the command line has these options."""

from pydantic import Field

from daedal.models.image_sampling import ImageSampling


class FilmSampling(ImageSampling):
    """How to make clips. A family honours those that its `options` name; the others must be left as they are.

    Attributes:
        temperature: of tokens, of which 0 takes the likeliest; or of all noise.
        guidance: how strongly the prompt is asked for; 1 is as it was learned.
    """

    temperature: float | None = Field(None, ge=0, le=10)
    guidance: float | None = Field(None, ge=0, le=20)
