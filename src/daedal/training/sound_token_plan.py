"""The plans of a tokenizer of sounds, and of a GPT over its codes."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from daedal.models.sayable import Sayable
from daedal.models.soundtokens import SoundTokensConfig, SoundTokensShape
from daedal.training.gpt_plan import CausalPlan, TransformerPlan
from daedal.training.plan import Plan
from daedal.training.sound_plan import PRONUNCIATIONS


class SoundTokensPlan(Plan, SoundTokensConfig):
    """Of a tokenizer of sounds."""

    derived = Plan.derived | (set(SoundTokensConfig.model_fields) - set(SoundTokensShape.model_fields))
    recipe: ClassVar[dict[str, Any]] = {
        "batch": 16, "learning_rate": 3e-3, "beta2": 0.98, "weight_decay": 0.01, "ema": 0.99, "cooldown": 0.6,
    }  # fmt: skip

    family: Literal["soundtokens"] = Field("soundtokens", description="what kind of model")
    kind: str = Field("sounds", description="the kind of example that is learned")
    seconds: float = Field(0.5, gt=0, le=60, description="seconds of a recording that are learned at once")

    @property
    def unit(self) -> str:
        return "sounds"

    def of_model(self) -> str:
        return (
            f"soundtokens, {self.books} books of {self.levels} codes, {self.per_second:.1f} times a second, width "
            f"{self.width}, {self.bands} bands of {self.rate:,} Hz"
        )

    def of_batch(self) -> str:
        return f"{self.batch} sounds of {self.seconds:g} s"


class SoundGPTPlan(TransformerPlan, CausalPlan, Sayable):
    """Of a GPT on the codes of sounds."""

    derived = TransformerPlan.derived | {"books", "codes", "words", "window", "length"} | set(Sayable.model_fields)

    family: Literal["soundgpt"] = Field("soundgpt", description="what kind of model")
    kind: str = Field("sounds", description="the kind of example that is learned")
    books: int = Field(ge=1, description="codes of a step")
    codes: int = Field(ge=2, description="codes of a book")
    words: int = Field(0, ge=0, description="ids of what is said")
    window: int = Field(0, ge=0, description="ids of the longest thing that is said")
    length: int = Field(ge=1, description="steps of the longest sound")
    label_dropout: float = Field(0.1, ge=0, le=1, description="share of what is said hidden in training, for guidance")
    hide_speaker: float = Field(
        0.15, ge=0, le=1, description="share of speakers hidden in training, so that anybody may speak"
    )

    pronunciations: str | None = Field(None, description=PRONUNCIATIONS)

    @property
    def shape(self) -> dict[str, Any]:
        names = ("books", "codes", "words", "window", "length", *Sayable.model_fields)
        return {**super().shape, **{name: getattr(self, name) for name in names}}
