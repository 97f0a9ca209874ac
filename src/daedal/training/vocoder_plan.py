"""The plan of a vocoder."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from daedal.models.vocoder import VocoderConfig, VocoderShape
from daedal.training.plan import Plan


class VocoderPlan(Plan, VocoderConfig):
    """Of a vocoder."""

    derived = Plan.derived | (set(VocoderConfig.model_fields) - set(VocoderShape.model_fields))
    recipe: ClassVar[dict[str, Any]] = {
        "batch": 16, "learning_rate": 2e-3, "beta1": 0.8, "beta2": 0.99, "weight_decay": 0.01, "ema": 0.99, "cooldown": 0.7,
    }  # fmt: skip

    family: Literal["vocoder"] = Field("vocoder", description="what kind of model")
    kind: str = Field("sounds", description="the kind of example that is learned")
    seconds: float = Field(0.5, gt=0, le=10, description="seconds of a piece of a recording that is learned at once")

    @property
    def unit(self) -> str:
        return "sounds"

    def of_model(self) -> str:
        return f"vocoder, width {self.width}, depth {self.depth}, {self.bands} bands of {self.rate:,} Hz"

    def of_batch(self) -> str:
        return f"{self.batch} sounds"
