"""Sources of pictures -> one size and mode -> deduplicate -> split -> arrays, with a data card."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from daedal.data.images.dataset import ImageDataset as ImageDataset
    from daedal.data.images.dataset import ImageSplit as ImageSplit
    from daedal.data.images.options import ImageOptions as ImageOptions
    from daedal.data.images.picture import Picture as Picture
    from daedal.data.images.picture_build import build as build

_HOMES = {
    "ImageDataset": "dataset",
    "ImageSplit": "dataset",
    "ImageOptions": "options",
    "Picture": "picture",
    "build": "picture_build",
}

__all__ = ["ImageDataset", "ImageOptions", "ImageSplit", "Picture", "build"]


def __getattr__(name: str) -> Any:
    """Each name is imported when it is first used: `daedal --help` pays for none of them."""
    import importlib

    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"daedal.data.images.{_HOMES[name]}"), name)
