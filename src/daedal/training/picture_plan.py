"""The plans of the families that learn pictures: the run, the pictures, and the shape of the family's own network."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field
from torch import Tensor

from daedal.data.images.dataset import ImageSplit
from daedal.models.clip import CLIPShape
from daedal.models.flow import FlowShape
from daedal.models.gan import GANShape
from daedal.models.image import ImageConfig
from daedal.models.vae import VAEShape
from daedal.models.vqvae import VQVAEShape
from daedal.training.picture_traits import is_black_and_white
from daedal.training.plan import Plan

Recipe = Mapping[str, Any]
_TOKEN_RATE = 0.15
"""The price of a nat of a tokenizer's tokens. At none, two thirds of what a GPT had to learn of scenes was grain."""


class PicturePlan(Plan, ImageConfig):
    """What the training of every family of image models needs to know."""

    derived = Plan.derived | frozenset(ImageConfig.model_fields)

    kind: str = Field("pictures", description="the kind of example that is learned")
    condition: Literal["class", "caption"] | None = Field(
        None, description="class, caption: learn the labels or captions, so that they can be asked for"
    )
    flip: bool = Field(False, description="learn every picture mirrored as well")
    shift: int = Field(0, ge=0, le=64, description="learn every picture moved by up to so many pixels")

    recipe: ClassVar[Recipe] = {"batch": 32, "learning_rate": 2e-3}
    """Values for pictures of up to 32 pixels a side, when nobody says otherwise. From our runs (docs/log.md)."""

    @classmethod
    def for_side(cls, side: int) -> dict[str, Any]:
        """The recipe for pictures of so many pixels a side."""
        return dict(cls.recipe)

    @classmethod
    def of_pictures(cls, train: ImageSplit, codes: Callable[[int], Tensor], given: Mapping[str, Any]) -> dict[str, Any]:
        """Values that follow from the pictures to learn.

        Args:
            codes: what a model sees of the first so many.
        """
        return {}

    @property
    def unit(self) -> str:
        return "pictures"

    def of_model(self) -> str:
        codes = f"codes of {self.codec}, " if self.codec else "pictures of "
        classes = f", {self.classes} classes" if self.classes else ""
        captions = f", captions of up to {self.window} tokens" if self.words else ""
        channels = f"{self.channels} channel{'s' * (self.channels != 1)}"
        return f"{self.family}, {codes}{self.width} x {self.height}, {channels}{classes}{captions}"

    def of_batch(self) -> str:
        return f"{self.batch} pictures"


class ClassPlan(PicturePlan):
    """Of a family that learns no captions."""

    condition: Literal["class"] | None = Field(
        None, description="class: learn the labels, so that a class can be asked for"
    )


class VAEPlan(ClassPlan, VAEShape):
    recipe: ClassVar[Recipe] = {
        "batch": 64, "learning_rate": 4e-3, "beta2": 0.99, "weight_decay": 0.0, "ema": 0.999, "cooldown": 0.7,
    }  # fmt: skip

    family: Literal["vae"] = Field("vae", description="what kind of model")

    @classmethod
    def of_pictures(cls, train: ImageSplit, codes: Callable[[int], Tensor], given: Mapping[str, Any]) -> dict[str, Any]:
        return {"likelihood": "bernoulli"} if is_black_and_white(train) else {}


class VQVAEPlan(ClassPlan, VQVAEShape):
    recipe: ClassVar[Recipe] = {
        "batch": 16, "learning_rate": 4e-3, "beta2": 0.99, "weight_decay": 0.01, "ema": 0.999, "cooldown": 0.7,
    }  # fmt: skip

    family: Literal["vqvae"] = Field("vqvae", description="what kind of model")

    @classmethod
    def of_pictures(cls, train: ImageSplit, codes: Callable[[int], Tensor], given: Mapping[str, Any]) -> dict[str, Any]:
        return {"rate": _TOKEN_RATE} if given.get("quantizer", "fsq") == "fsq" else {}


class GANPlan(ClassPlan, GANShape):
    recipe: ClassVar[Recipe] = {
        "batch": 32, "learning_rate": 2e-3, "beta1": 0.0, "beta2": 0.99, "weight_decay": 0.0, "clip": 0.0, "ema": 0.998,
        "cooldown": 0.5,
    }  # fmt: skip

    family: Literal["gan"] = Field("gan", description="what kind of model")

    @classmethod
    def for_side(cls, side: int) -> dict[str, Any]:
        """The rate falls with the side: at 64 pixels twice as much let the game run away."""
        return {**cls.recipe, "learning_rate": cls.recipe["learning_rate"] * min(1.0, 32 / side)}


class FlowPlan(PicturePlan, FlowShape):
    recipe: ClassVar[Recipe] = {
        "batch": 32, "learning_rate": 6e-3, "optimizer": "muon", "muon_learning_rate": 0.01, "weight_decay": 0.01, "ema": 0.999,
        "cooldown": 0.7,
    }  # fmt: skip

    family: Literal["flow"] = Field("flow", description="what kind of model")

    @classmethod
    def of_pictures(cls, train: ImageSplit, codes: Callable[[int], Tensor], given: Mapping[str, Any]) -> dict[str, Any]:
        return {"deviation": round(float(codes(500).std()), 3)}


class CLIPPlan(PicturePlan, CLIPShape):
    """A picture is set beside the whole batch, which is therefore learned at once."""

    derived = PicturePlan.derived | {"condition", "micro_batch"}
    recipe: ClassVar[Recipe] = {
        "batch": 128, "learning_rate": 3e-3, "optimizer": "muon", "muon_learning_rate": 0.02, "beta2": 0.99,
        "weight_decay": 0.05, "ema": 0.999, "cooldown": 0.7,
    }  # fmt: skip

    family: Literal["clip"] = Field("clip", description="what kind of model")
    condition: Literal["caption"] = Field("caption", description="captions are what it learns")
