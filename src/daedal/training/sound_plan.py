"""The plans of what learns sounds."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from daedal.models.listener import ListenerConfig, ListenerShape
from daedal.training.plan import Plan


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
