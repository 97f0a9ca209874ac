"""What a model of pictures learns of a data folder: pixels or codes, classes, captions; and what of them it keeps."""

import hashlib
from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from daedal.codecs.caption import CAPTION_CODEC, CaptionCodec
from daedal.codecs.raster import IMAGE_CODEC
from daedal.data.images.dataset import ImageDataset, ImageSplit
from daedal.errors import DaedalError
from daedal.families import line
from daedal.models.checkpoint import load_model
from daedal.models.coded import Coded
from daedal.models.identity import Identity
from daedal.models.image import ImageModel


def coder(codec: ImageModel, encode: Callable[[Tensor], Tensor] | None = None) -> Callable[[Tensor], Tensor]:
    """What makes codes of pictures: by the codec's own `encode`, unless given."""
    make = encode or codec.encode
    return torch.no_grad()(lambda images: make(images.to(next(codec.parameters()).device)).cpu())


def open_codec(path: str, family: str, dataset: ImageDataset) -> ImageModel:
    """The model whose codes a family is to learn.

    Raises:
        DaedalError: it is no such model, or of pictures of another size.
    """
    model, wanted = load_model(path), line(family).codes_of
    if not isinstance(model, ImageModel) or isinstance(model, Coded) or model.family != wanted:
        raise DaedalError(
            f"The {model.family} in {path} makes no codes that a {family} learns",
            f"Name the run folder of a {wanted}",
        )
    if model.config.shape != dataset.codec.shape:
        raise DaedalError(
            f"The codec in {path} knows pictures of {model.config.shape} and the data has {dataset.codec.shape} "
            "(channels, height, width)",
            "Train the codec on data of that size",
        )
    return model.requires_grad_(False)


def identity_of(whole: ImageModel, kind: str, codec: str | None = None) -> Identity:
    """What a model of pictures is, together with that whose codes it learns; `codec` where that is a run of its own."""
    columns: dict[str, str | None] = {"picture": IMAGE_CODEC}
    columns |= {"caption": CAPTION_CODEC} if whole.config.words else {"class": None} if whole.config.classes else {}
    return Identity.of(whole.family, kind, columns, whole.learned_capabilities, codec)


def classes_of(dataset: ImageDataset, condition: str | None) -> tuple[str, ...]:
    """The classes that a model is to know.

    Raises:
        DaedalError: they are asked for, and the pictures have none.
    """
    if condition != "class":
        return ()
    if not dataset.classes:
        raise DaedalError(
            f"The pictures in {dataset.folder} have no labels",
            "Build the data with --labels, or leave --condition away",
        )
    return dataset.classes


def require_captions(dataset: ImageDataset) -> None:
    """
    Raises:
        DaedalError: none of the pictures to learn has a caption.
    """
    if not any(dataset.split("train").captions):
        raise DaedalError(f"None of the pictures in {dataset.folder} has a caption", "Build the data with --captions")


def captions_of(dataset: ImageDataset, condition: str | None, window: int | None = None) -> CaptionCodec | None:
    """The captions that a model is to know.

    Args:
        window: ids of a caption; as many as the longest has, unless given.

    Raises:
        DaedalError: they are asked for, and the pictures have none.
    """
    return CaptionCodec.train(dataset.split("train").captions, window) if condition == "caption" else None


def labels_of(
    split: ImageSplit, classes: tuple[str, ...], captions: CaptionCodec | None
) -> Int[Tensor, "pictures *window"] | None:
    """What conditions the pictures of a split: the ids of their captions, or their classes."""
    if captions is not None:
        return captions.encode(split.captions)
    return torch.from_numpy(np.array(split.labels)) if classes else None


def fingerprint_of_pictures(split: ImageSplit, captioned: bool) -> str:
    """SHA-256 of what is learned of a split: its pixels and labels, and its captions where they are learned."""
    if not captioned:
        return split.fingerprint
    return hashlib.sha256("\0".join((split.fingerprint, *split.captions)).encode()).hexdigest()
