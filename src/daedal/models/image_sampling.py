"""How to draw pictures: what a person may choose. Imports no PyTorch, so that the command line knows it at once."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from daedal.config import Config

if TYPE_CHECKING:
    from torch import Tensor


class ImageSampling(Config):
    """How to draw pictures. A family honours those that its `options` name; the others must be left as they are."""

    steps: int | None = Field(None, ge=1, le=10_000, description="steps of the solver; fewer are faster")
    solver: Literal["euler", "heun", "rk4"] | None = Field(None, description="how the flow is followed")
    churn: float | None = Field(
        None, ge=0, le=100, description="fresh noise before each step, in steps back; 0 for none"
    )
    guidance: float | None = Field(
        None,
        ge=0,
        le=1000,
        description="how strongly the class or prompt is asked for; 1 as learned; 2 for prompts to tokens",
    )
    truncation: float | None = Field(None, ge=0, le=1, description="0 draws the average picture, 1 every kind")
    temperature: float | None = Field(
        None, gt=0, le=1000, description="under 1 likelier pictures, over 1 stranger ones; 0.7 for prompts to tokens"
    )
    top_k: int | None = Field(None, ge=1, le=2**24, description="draw from so many of the likeliest tokens")

    def scaled(self, noise: "Tensor") -> "Tensor":
        """Noise at the temperature that was chosen."""
        return noise if self.temperature is None else self.temperature * noise
