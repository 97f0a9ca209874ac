"""The plans of the families that learn pictures: the run, the pictures, and the shape of the family's own network."""

from typing import Literal

from pydantic import Field

from daedal.models.clip import CLIPShape
from daedal.models.flow import FlowShape
from daedal.models.gan import GANShape
from daedal.models.image import ImageConfig
from daedal.models.vae import VAEShape
from daedal.models.vqvae import VQVAEShape
from daedal.training.plan import Plan


class PicturePlan(Plan, ImageConfig):
    """What the training of every family of image models needs to know."""

    derived = Plan.derived | frozenset(ImageConfig.model_fields)

    condition: Literal["class", "caption"] | None = Field(
        None, description="class, caption: learn the labels or captions, so that they can be asked for"
    )
    flip: bool = Field(False, description="learn every picture mirrored as well")
    shift: int = Field(0, ge=0, le=64, description="learn every picture moved by up to so many pixels")

    @property
    def unit(self) -> str:
        return "pictures"

    def of_model(self) -> str:
        codes = f"codes of {self.codec}, " if self.codec else "pictures of "
        classes = f", {self.classes} classes" if self.classes else ""
        captions = f", captions of up to {self.window} tokens" if self.words else ""
        return f"{self.family}, {codes}{self.width} x {self.height}, {self.channels} channels{classes}{captions}"

    def of_batch(self) -> str:
        return f"{self.batch} pictures"


class ClassPlan(PicturePlan):
    """Of a family that learns no captions."""

    condition: Literal["class"] | None = Field(
        None, description="class: learn the labels, so that a class can be asked for"
    )


class VAEPlan(ClassPlan, VAEShape):
    family: Literal["vae"] = Field("vae", description="what kind of model")


class VQVAEPlan(ClassPlan, VQVAEShape):
    family: Literal["vqvae"] = Field("vqvae", description="what kind of model")


class GANPlan(ClassPlan, GANShape):
    family: Literal["gan"] = Field("gan", description="what kind of model")


class FlowPlan(PicturePlan, FlowShape):
    family: Literal["flow"] = Field("flow", description="what kind of model")


class CLIPPlan(PicturePlan, CLIPShape):
    """A picture is set beside the whole batch, which is therefore learned at once."""

    derived = PicturePlan.derived | {"condition", "micro_batch"}

    family: Literal["clip"] = Field("clip", description="what kind of model")
    condition: Literal["caption"] = Field("caption", description="captions are what it learns")
