"""The plan of a GPT that goes on with conversations: supervised fine-tuning, of all weights or by a LoRA."""

from typing import Literal

from pydantic import Field

from daedal.training.gpt_plan import CausalPlan, SizePlan, TransformerPlan
from daedal.training.plan import Prediction


class LoRAPlan(SizePlan):
    """Of what may learn by thin matrices beside frozen ones."""

    lora: int = Field(
        0, ge=0, le=4096, description="rank of the thin matrices that learn beside frozen ones; 0: all weights learn"
    )
    lora_alpha: float = Field(32.0, gt=0, le=1e6, description="what their product is multiplied by, times the rank")
    lora_targets: str = Field(
        "",
        max_length=2000,
        description="the layers that have them, by name and with commas between; all of the blocks unless given",
    )

    @property
    def targets(self) -> tuple[str, ...]:
        """The layers that are asked for; none for all."""
        return tuple(name.strip() for name in self.lora_targets.split(",") if name.strip())

    @property
    def four_bit(self) -> bool:
        """Whether the frozen matrices are in four bits."""
        return False

    def of_lora(self) -> str:
        """What is beside the model, if anything is."""
        return f"; a LoRA of rank {self.lora} on {self.lora_targets or 'all layers of its blocks'}" if self.lora else ""

    def expects(self, predicted: Prediction) -> str:
        told = super().expects(predicted)
        return told.replace(" parameters,", " parameters that learn,", 1) if self.lora else told


class TuningPlan(LoRAPlan, TransformerPlan, CausalPlan):
    """Of what a GPT is made into that has learned already."""

    qlora: bool = Field(False, description="put the frozen matrices into four bits; --lora is 16 unless given")

    @property
    def four_bit(self) -> bool:
        return self.qlora

    def of_model(self) -> str:
        return super().of_model() + self.of_lora() + (", beside matrices of four bits" if self.qlora else "")


class ChatPlan(TuningPlan):
    """Of one that learns to answer."""

    derived = TuningPlan.derived | {"length"}

    family: Literal["chat"] = Field("chat", description="what kind of model")
    kind: str = Field("chat", description="the kind of example that is learned")
    learn: Literal["answers", "all"] = Field(
        "answers", description="learn what the assistant says, or all that is said"
    )
    length: float = Field(gt=0, description="tokens of a pack, on average")

    @property
    def seen_per_step(self) -> int:
        return max(1, round(self.batch * self.length))

    def of_batch(self) -> str:
        return f"{self.batch} packs of at most {self.context} tokens"
