"""The plans of what learns sounds."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from daedal.models.flow import FlowShape
from daedal.models.listener import ListenerConfig, ListenerShape
from daedal.models.speech import SpeechConfig
from daedal.training.plan import Plan

PRONUNCIATIONS = "a pronouncing dictionary as cmudict: transcripts are said in its phonemes"


class ListenerPlan(Plan, ListenerConfig):
    """Of a listener."""

    derived = Plan.derived | (set(ListenerConfig.model_fields) - set(ListenerShape.model_fields))
    recipe: ClassVar[dict[str, Any]] = {
        "learning_rate": 3e-3, "beta2": 0.98, "weight_decay": 0.05, "ema": 0.99, "cooldown": 0.7,
    }  # fmt: skip

    family: Literal["listener"] = Field("listener", description="what kind of model")
    kind: str = Field("sounds", description="the kind of example that is learned")

    @property
    def unit(self) -> str:
        return "sounds"

    def of_model(self) -> str:
        told = [
            f"{len(self.characters)} characters" if self.characters else "",
            f"{len(self.labels)} classes" if self.labels else "",
            f"{len(self.speakers)} speakers" if self.speakers else "",
        ]
        return (
            f"listener, width {self.width}, depth {self.depth}, {self.bands} bands of {self.rate:,} Hz: "
            f"{', '.join(filter(None, told))}"
        )

    def of_batch(self) -> str:
        return f"{self.batch} sounds"


class SpeechPlan(Plan, SpeechConfig):
    """Of a flow that speaks."""

    derived = Plan.derived | (set(SpeechConfig.model_fields) - set(FlowShape.model_fields) - {"width"})
    recipe: ClassVar[dict[str, Any]] = {
        "batch": 32, "learning_rate": 6e-3, "optimizer": "muon", "muon_learning_rate": 0.01, "weight_decay": 0.01, "ema": 0.999,
        "cooldown": 0.7,
    }  # fmt: skip

    family: Literal["speech"] = Field("speech", description="what kind of model")
    kind: str = Field("sounds", description="the kind of example that is learned")
    width: int = Field(ge=4, le=1024, description="frames that are learned and spoken at once")
    hide_speaker: float = Field(
        0.05, ge=0, le=1, description="share of speakers hidden in training, so that anybody may speak"
    )

    pronunciations: str | None = Field(None, description=PRONUNCIATIONS)

    @property
    def unit(self) -> str:
        return "sounds"

    def of_model(self) -> str:
        said = f"{len(self.characters)} characters" if self.characters else f"{len(self.labels)} classes"
        speakers = f", {len(self.speakers)} speakers" if self.speakers else ""
        seconds = self.width * self.hop / self.rate
        return f"speech, {seconds:.1f} s of {self.height} bands of {self.rate:,} Hz: {said}{speakers}"

    def of_batch(self) -> str:
        return f"{self.batch} sounds"
