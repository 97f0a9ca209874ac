"""Sources -> clean -> deduplicate -> split -> encode -> shards, with a data card; pictures in `daedal.data.images`."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from daedal.data.any_build import build as build
    from daedal.data.card import card_html as card_html
    from daedal.data.card import render_card as render_card
    from daedal.data.folder import open_data as open_data
    from daedal.data.options import BuildOptions as BuildOptions
    from daedal.data.recognise import modality as modality
    from daedal.data.shards import Dataset as Dataset
    from daedal.data.shards import Split as Split
    from daedal.data.windows import Windows as Windows

_HOMES = {
    "BuildOptions": "options",
    "build": "any_build",
    "Dataset": "shards",
    "Split": "shards",
    "Windows": "windows",
    "card_html": "card",
    "modality": "recognise",
    "open_data": "folder",
    "render_card": "card",
}

__all__ = ["BuildOptions", "Dataset", "Split", "Windows", "build", "card_html", "modality", "open_data", "render_card"]


def __getattr__(name: str) -> Any:
    """Each name is imported when it is first used: `daedal --help` pays for none of them."""
    import importlib

    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = importlib.import_module(f"daedal.data.{_HOMES[name]}")
    return getattr(home, name)
