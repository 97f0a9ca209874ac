"""The plan of a GPT that writes clips."""

from typing import Any, Literal

from pydantic import Field

from daedal.training.gpt_plan import CausalPlan, TransformerPlan


class FilmPlan(TransformerPlan, CausalPlan):
    """The training of a GPT on the tokens of clips."""

    derived = TransformerPlan.derived | {"grid", "groups", "window"}

    family: Literal["film"] = Field("film", description="what kind of model")
    kind: str = Field("clips", description="the kind of example that is learned")
    grid: tuple[int, int] = Field(description="rows of all groups together, and columns of tokens that make a clip")
    groups: int = Field(ge=1, description="groups of frames that make a clip")
    window: int = Field(0, ge=0, description="tokens of a caption")
    label_dropout: float = Field(0.1, ge=0, le=1, description="share of captions hidden in training, for guidance")

    @property
    def shape(self) -> dict[str, Any]:
        placed = {"grid": self.grid, "grid_at": self.window, "groups": self.groups}
        return {**super().shape, "context": self.context + self.window, **placed}
