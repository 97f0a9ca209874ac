"""The plan of a GPT that composes."""

from typing import Any, Literal

from pydantic import Field

from daedal.training.gpt_plan import CausalPlan, TransformerPlan


class TunePlan(TransformerPlan, CausalPlan):
    """The training of a GPT on tunes."""

    derived = TransformerPlan.derived | {"grid", "window"}

    family: Literal["music"] = Field("music", description="what kind of model")
    kind: str = Field("tunes", description="the kind of example that is learned")
    grid: tuple[int, int] | None = Field(None, description="steps of a window and voices of each, where codes are such")
    window: int = Field(0, ge=0, description="ids of what is said of a tune")
    transpose: int = Field(6, ge=0, le=24, description="semitones by which tunes are moved up or down, at most")
    tempo: int = Field(2, ge=0, le=8, description="steps of 8 % by which tunes are made faster or slower, at most")
    label_dropout: float = Field(
        0.1, ge=0, le=1, description="share of keys, metres, instruments and styles hidden in training"
    )

    @property
    def shape(self) -> dict[str, Any]:
        placed = {} if self.grid is None else {"grid": self.grid, "grid_at": self.window}
        return {**super().shape, "context": self.context + self.window, **placed}
