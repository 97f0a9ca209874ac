"""The families of image models by name: what a person may choose, the whole configuration, the model."""

from importlib import import_module
from typing import NamedTuple

from daedal.config import Config
from daedal.models.image import ImageConfig, ImageModel

IMAGE_FAMILIES = {"vae": "VAE", "vqvae": "VQVAE", "gan": "GAN", "flow": "Flow", "clip": "CLIP"}
"""The name of each family, and of its classes: `VAE`, `VAEShape`, `VAEConfig` in `models/vae.py`."""


class ImageFamily(NamedTuple):
    shape: type[Config]
    config: type[ImageConfig]
    model: type[ImageModel]


def image_family(name: str) -> ImageFamily:
    """A family's classes; only its own file is imported."""
    module, stem = import_module(f"daedal.models.{name}"), IMAGE_FAMILIES[name]
    return ImageFamily(getattr(module, f"{stem}Shape"), getattr(module, f"{stem}Config"), getattr(module, stem))
