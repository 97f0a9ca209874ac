"""The plans of a tokenizer of clips, of a GPT that writes them, and of a flow over their codes."""

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field
from torch import Tensor

from daedal.models.filmflow import FilmFlowConfig, FilmFlowShape
from daedal.models.vqvae3d import VQVAE3DShape, colours_of
from daedal.training.gpt_plan import CausalPlan, TransformerPlan
from daedal.training.picture_plan import ClassPlan, Recipe
from daedal.training.plan import Plan

_TOKEN_RATE = 0.05
"""The price of a nat of a clip's tokens, where a token tells three times as many values as one of a picture."""


def ending() -> Any:
    """The field of how often a last frame is told."""
    return Field(0.15, ge=0, le=1, description="share of the steps that tell the last frame before all others")


class VQVAE3DPlan(ClassPlan, VQVAE3DShape):
    """The training of a tokenizer of clips."""

    derived = ClassPlan.derived | {"condition", "flip", "shift"}
    recipe: ClassVar[Recipe] = {
        "batch": 2, "learning_rate": 3e-3, "beta2": 0.99, "optimizer": "muon", "muon_learning_rate": 0.02, "weight_decay": 0.01,
        "ema": 0.995, "cooldown": 0.7,
    }  # fmt: skip

    family: Literal["vqvae3d"] = Field("vqvae3d", description="what kind of model")
    kind: str = Field("clips", description="the kind of example that is learned")
    channels: int = colours_of()

    @classmethod
    def of_pictures(cls, train: Any, codes: Callable[[int], Tensor], given: Mapping[str, Any]) -> dict[str, Any]:
        return {"rate": _TOKEN_RATE} if given.get("quantizer", "fsq") == "fsq" else {}

    @property
    def unit(self) -> str:
        return "clips"

    def of_model(self) -> str:
        return (
            f"vqvae3d, clips of {self.channels // 3} frames of {self.width} x {self.height}, {self.stride} of a group"
        )

    def of_batch(self) -> str:
        return f"{self.batch} clips"


class FilmPlan(TransformerPlan, CausalPlan):
    """The training of a GPT on the tokens of clips."""

    derived = TransformerPlan.derived | {"grid", "groups", "window"}

    family: Literal["film"] = Field("film", description="what kind of model")
    kind: str = Field("clips", description="the kind of example that is learned")
    grid: tuple[int, int] = Field(description="rows of all groups together, and columns of tokens that make a clip")
    groups: int = Field(ge=1, description="groups of frames that make a clip")
    window: int = Field(0, ge=0, description="tokens of a caption")
    label_dropout: float = Field(0.1, ge=0, le=1, description="share of captions hidden in training, for guidance")
    ending: float = ending()

    @property
    def shape(self) -> dict[str, Any]:
        group = math.prod(self.grid) // self.groups
        placed = {"grid": self.grid, "grid_at": group + self.window, "groups": self.groups, "window": self.window}
        return {**super().shape, "context": group + self.context, **placed}


class FilmFlowPlan(Plan, FilmFlowConfig):
    """The training of a flow on the codes of clips."""

    derived = (
        Plan.derived | (set(FilmFlowConfig.model_fields) - set(FilmFlowShape.model_fields)) | {"network", "levels"}
    )
    recipe: ClassVar[Recipe] = {
        "batch": 16, "learning_rate": 6e-3, "optimizer": "muon", "muon_learning_rate": 0.02, "weight_decay": 0.01, "ema": 0.999,
        "cooldown": 0.7,
    }  # fmt: skip

    family: Literal["filmflow"] = Field("filmflow", description="what kind of model")
    kind: str = Field("clips", description="the kind of example that is learned")
    ending: float = ending()

    @property
    def unit(self) -> str:
        return "clips"

    def of_model(self) -> str:
        said = f"{self.classes} classes" if self.classes else f"captions of up to {self.window} tokens"
        codes = f"{self.height // self.groups} x {self.width} codes of {self.codec}"
        return f"filmflow, {self.groups} groups of {codes}, {said if self.classes or self.words else 'nothing said'}"

    def of_batch(self) -> str:
        return f"{self.batch} clips"
