"""A small network that learns the labels of a folder of pictures: its features measure pictures like those, and it tells
which class a sample shows. The recipe is fixed, so the same data gives the same network, whose hash every number of it
names."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from safetensors.torch import load_file, save
from torch import Tensor, nn

from daedal.errors import DaedalError
from daedal.evaluation.images.features import Features, Pictures, Request, as_planes
from daedal.files import atomic_path, cache_folder

if TYPE_CHECKING:
    from daedal.data.images.dataset import ImageDataset

RECIPE = 1
"""A number of its own for each way of training: another recipe is another network."""
FEATURES = 64
VIEWS = 60_000
_WIDTHS = (32, 48, 64, 64, 64, 64)
_BATCH, _RATE, _DECAY, _SHIFT = 128, 4e-3, 0.02, 14
_COARSEST, _SEEN = 8, 32


class Classifier(nn.Module):
    """Convolutions of stride two down to eight pixels, then 64 features, then the classes. Pictures of more than 32 pixels are
    averaged over squares first."""

    def __init__(self, channels: int, height: int, width: int, classes: int) -> None:
        super().__init__()
        self.shrink = max(1, -(-max(height, width) // _SEEN))
        height, width = -(-height // self.shrink), -(-width // self.shrink)
        stages: list[nn.Module] = []
        for outputs in _WIDTHS:
            stages += [nn.Conv2d(channels, outputs, 3, 2, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
            channels, height, width = outputs, (height + 1) // 2, (width + 1) // 2
            if max(height, width) <= _COARSEST:
                break
        self.stages = nn.Sequential(*stages)
        self.features = nn.Linear(channels * height * width, FEATURES)
        self.classes = nn.Linear(FEATURES, classes)

    def forward(self, x: Float[Tensor, "batch c h w"]) -> tuple[Float[Tensor, "batch 64"], Float[Tensor, "batch k"]]:
        """Features and logits of pictures from -1 to 1."""
        if self.shrink > 1:
            x = F.avg_pool2d(x, self.shrink, ceil_mode=True)
        features = F.relu(self.features(self.stages(x).flatten(1)))
        return features, self.classes(features)


class ClassifierExtractor:
    """A trained classifier as an extractor."""

    name, title = "classifier", "classifier"

    def __init__(self, network: Classifier, names: tuple[str, ...], views: int) -> None:
        self._network = network.eval()
        self.names = names
        self.fingerprint = hashlib.sha256(save(dict(network.state_dict()))).hexdigest()
        self.conditions = {"network": self.fingerprint[:8], "views": str(views), "resize": "none"}
        self.note = (
            f"Features of a small network trained on the {len(names)} labels of this data: good to compare models of this "
            "data, not Inception FID."
        )

    @classmethod
    def open(cls, request: Request) -> Self:
        """From the cache, or trained now."""
        dataset = request.dataset
        if dataset is None or len(dataset.classes) < 2:
            raise DaedalError("A classifier learns labels, and this data has none", "Use --extractor random")
        views = request.views or VIEWS
        raster = dataset.codec
        kept = _kept(dataset, views)
        if kept.is_file():
            network = Classifier(*raster.shape, len(dataset.classes))
            try:
                network.load_state_dict(load_file(kept))
            except (RuntimeError, OSError, ValueError):
                raise DaedalError(f"{kept} is damaged", "Remove it, to train it again") from None
        else:
            network = train_classifier(dataset, views, request.progress)
            with atomic_path(kept) as temporary:
                temporary.write_bytes(save(dict(network.state_dict())))
        return cls(network, dataset.classes, views)

    @staticmethod
    def is_ready(dataset: "ImageDataset", views: int = VIEWS) -> bool:
        """Whether it need not be trained."""
        return _kept(dataset, views).is_file()

    @torch.inference_mode()
    def __call__(self, pictures: Pictures) -> Features:
        return Features(*self._network(as_planes(pictures) / 127.5 - 1))


def train_classifier(
    dataset: "ImageDataset", views: int = VIEWS, progress: Callable[[float], None] | None = None
) -> Classifier:
    """A network that was shown `views` labelled training pictures, each moved by up to a fourteenth of its side: AdamW, the
    rate up over a fifth of the views and down to nothing.

    Raises:
        DaedalError: there are too few labelled pictures.
    """
    split = dataset.split("train")
    labelled = np.flatnonzero(split.labels >= 0)
    if len(labelled) < 2 * len(dataset.classes):
        raise DaedalError(
            f"A classifier of {len(dataset.classes)} classes needs {2 * len(dataset.classes)} labelled pictures, and there "
            f"are {len(labelled)}",
            "Use --extractor random",
        )
    network = Classifier(*dataset.codec.shape, len(dataset.classes))
    _initialise(network, torch.Generator().manual_seed(RECIPE))
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    draw = np.random.Generator(np.random.Philox(RECIPE))
    steps = max(1, views // _BATCH)
    optimizer = torch.optim.AdamW(network.parameters(), lr=_RATE, weight_decay=_DECAY, betas=(0.9, 0.99))
    order = np.concatenate([draw.permutation(labelled) for _ in range(-(-steps * _BATCH // len(labelled)))])
    network.train()
    for step in range(steps):
        share = step / steps
        optimizer.param_groups[0]["lr"] = _RATE * min(share / 0.2 + 0.05, (1 - share) / 0.8, 1.0)
        chosen = np.sort(order[step * _BATCH : (step + 1) * _BATCH])
        x = as_planes(np.asarray(split.images[chosen])) / 127.5 - 1
        most = min(x.shape[2:]) // _SHIFT
        down, along = draw.integers(-most, most + 1, size=2).tolist()
        x = x.roll((down, along), (2, 3)).contiguous(memory_format=torch.channels_last)
        _, logits = network(x)
        loss = F.cross_entropy(logits, torch.from_numpy(split.labels[chosen]), label_smoothing=0.05)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if progress is not None and step % 20 == 0:
            progress(step / steps)
    network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return network.eval()


def accuracy(extractor: ClassifierExtractor, features: Features, labels: np.ndarray) -> tuple[int, int]:
    """How many labelled pictures it tells right, and of how many."""
    assert features.logits is not None
    known = labels >= 0
    said = features.logits.argmax(1).numpy()
    return int((said[known] == labels[known]).sum()), int(known.sum())


def _initialise(network: Classifier, generator: torch.Generator) -> None:
    for parameter in network.parameters():
        if parameter.ndim > 1:
            nn.init.kaiming_normal_(parameter, nonlinearity="relu", generator=generator)
    for layer in (network.features, network.classes):
        nn.init.zeros_(layer.bias)


def _kept(dataset: "ImageDataset", views: int) -> Path:
    what = json.dumps([RECIPE, dataset.split("train").fingerprint, dataset.classes, dataset.codec.shape, views])
    return cache_folder() / "classifiers" / f"{hashlib.sha256(what.encode()).hexdigest()[:32]}.safetensors"
