"""What pictures say of how they are to be learned: their shades, their classes and captions."""

import hashlib

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from daedal.codecs.caption import CaptionCodec
from daedal.data.images.dataset import ImageDataset, ImageSplit
from daedal.errors import DaedalError

TOKEN_RATE = 0.15
"""The price of a nat of a tokenizer's tokens. At none, two thirds of what a GPT had to learn of scenes was grain."""


_LOOKED_AT = 500


def is_black_and_white(split: ImageSplit) -> bool:
    """Whether pictures are grey and nearly all of their pixels near black or white: then a pixel is a chance, not a shade."""
    pictures = np.asarray(split.images[:_LOOKED_AT])
    return pictures.shape[-1] == 1 and float(np.mean((pictures < 32) | (pictures > 223))) > 0.8


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
