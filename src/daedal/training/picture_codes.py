"""The model that makes codes of pictures, for another to learn; and what a model of pictures is kept with."""

from pathlib import Path
from typing import Any

import torch

from daedal.codecs.caption import CAPTION_CODEC, CaptionCodec
from daedal.codecs.raster import IMAGE_CODEC
from daedal.data.images.dataset import ImageDataset
from daedal.errors import DaedalError
from daedal.families import line
from daedal.files import atomic_folder
from daedal.models.checkpoint import load_model
from daedal.models.coded import Coded
from daedal.models.identity import CODEC, Identity
from daedal.models.image import ImageModel
from daedal.models.own_checkpoint import save_own
from daedal.training.learner import Request
from daedal.training.plan import Plan


def coder(codec: ImageModel) -> Any:
    """What makes codes of pictures."""
    return torch.no_grad()(lambda images: codec.encode(images.to(next(codec.parameters()).device)).cpu())


def open_codec(asked: Request, dataset: ImageDataset) -> ImageModel:
    """The model whose codes are to be learned.

    Raises:
        DaedalError: it is no such model, or of pictures of another size.
    """
    path, wanted = str(asked.codec), line(asked.family).codes_of
    model = load_model(path)
    if not isinstance(model, ImageModel) or isinstance(model, Coded) or model.family != wanted:
        raise DaedalError(
            f"The {model.family} in {path} makes no codes that a {asked.family} learns",
            f"Name the run folder of a {wanted}",
        )
    if model.config.shape != dataset.codec.shape:
        raise DaedalError(
            f"The codec in {path} knows pictures of {model.config.shape} and the data has {dataset.codec.shape} "
            "(channels, height, width)",
            "Train the codec on data of that size",
        )
    return model.requires_grad_(False)


def save_codecs(
    dataset: ImageDataset, codec: ImageModel | None, folder: Path, captions: CaptionCodec | None = None
) -> None:
    """What turns codes into pictures and captions into ids, beside the model of the codes."""
    dataset.codec.save(folder)
    if captions is not None:
        captions.save(folder)
    if codec is not None and not (folder / CODEC).is_dir():
        with atomic_folder(folder / CODEC) as temporary:
            save_own(codec, temporary)
            dataset.codec.save(temporary)


def identity_of(whole: ImageModel, plan: Plan) -> Identity:
    """What a model of pictures is, together with that whose codes it learns."""
    columns: dict[str, str | None] = {"picture": IMAGE_CODEC}
    columns |= {"caption": CAPTION_CODEC} if whole.config.words else {"class": None} if whole.config.classes else {}
    return Identity.of(whole.family, plan.kind, columns, whole.learned_capabilities, plan.codec)
