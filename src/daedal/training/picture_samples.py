"""Pictures that a model draws while it is trained, on a sheet that a person looks at."""

from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from daedal.codecs.raster import to_image
from daedal.codecs.sheet import grid, pairs
from daedal.data.images.dataset import ImageDataset
from daedal.files import atomic_path, make_folder
from daedal.models.image import ImageModel
from daedal.nn.noise import Noise

SAMPLES, _COLUMNS = 32, 8


def draw(model: ImageModel, device: torch.device, seed: int) -> Tensor:
    """New pictures, of each class in turn where there are classes."""
    classes = model.config.classes
    labels = torch.arange(SAMPLES, device=device) % classes if classes else None
    return model.to(device).sample(Noise(seed, 0, SAMPLES, device), labels)


def save_sheet(pictures: Tensor, dataset: ImageDataset, path: Path) -> str:
    """Write pictures side by side as a PNG file; says where."""
    return _save(grid(_images(pictures, dataset), _COLUMNS, scale=1, gap=0), path)


def save_pairs(above: Tensor, below: Tensor, dataset: ImageDataset, path: Path) -> str:
    """Write pictures, each above another, as a PNG file; says where."""
    return _save(pairs(_images(above, dataset), _images(below, dataset), _COLUMNS, scale=1, gap=0), path)


def _images(pictures: Tensor, dataset: ImageDataset) -> list[Image.Image]:
    return [to_image(pixels) for pixels in dataset.codec.decode_batch(pictures.float().cpu())]


def _save(sheet: Image.Image, path: Path) -> str:
    path = path.with_suffix(".png")
    make_folder(path.parent)
    with atomic_path(path) as temporary:
        sheet.save(temporary, format="PNG")
    return str(path)
