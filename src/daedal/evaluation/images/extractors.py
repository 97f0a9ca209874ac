"""The extractors of features by name: the FID Inception network, MobileNet, a network trained on the data's own labels, fixed
random features, and whatever a person registers."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from daedal.errors import DaedalError
from daedal.evaluation.images.classifier import ClassifierExtractor
from daedal.evaluation.images.features import Extractor, Request
from daedal.evaluation.images.networks import InceptionExtractor, MobileNetExtractor
from daedal.evaluation.images.random_features import RandomExtractor

if TYPE_CHECKING:
    from daedal.data.images.dataset import ImageDataset

MAKERS: dict[str, Callable[[Request], Extractor]] = {
    "inception": InceptionExtractor.open,
    "mobilenet": MobileNetExtractor.open,
    "classifier": ClassifierExtractor.open,
    "random": lambda request: RandomExtractor(),
}
"""How each extractor is made; another may be added."""


def open_extractor(name: str, request: Request) -> Extractor:
    """The extractor called `NAME` or `NAME@PATH`.

    Raises:
        DaedalError: there is none of this name, or its weights cannot be had.
    """
    kind, _, path = name.partition("@")
    if kind not in MAKERS:
        raise DaedalError(f"There is no extractor called {kind!r}", f"Choose from {', '.join(MAKERS)}")
    if path:
        request = replace(request, path=Path(path))
    return MAKERS[kind](request)


def default_extractor(dataset: "ImageDataset | None") -> str:
    """The one that needs no weights from elsewhere: the data's own classes where it has any, else random features."""
    labelled = dataset is not None and len(dataset.classes) > 1 and dataset.manifest.splits["train"].labelled >= 500
    return "classifier" if labelled else "random"
