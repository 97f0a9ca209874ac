"""Sources -> clean -> deduplicate -> split -> encode -> shards, with a data card; pictures in `daedal.data.images`."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from daedal.data.opened import card_html as card_html
    from daedal.data.opened import open_data as open_data
    from daedal.data.opened import render_card as render_card
    from daedal.data.options import BuildOptions as BuildOptions
    from daedal.data.pipeline import build as build
    from daedal.data.recognise import modality as modality
    from daedal.data.shards import Dataset as Dataset
    from daedal.data.shards import Split as Split
    from daedal.data.windows import Windows as Windows

_HOMES = {
    "BuildOptions": "options",
    "build": "pipeline",
    "Dataset": "shards",
    "Split": "shards",
    "Windows": "windows",
    "card_html": "opened",
    "modality": "recognise",
    "open_data": "opened",
    "render_card": "opened",
}

__all__ = ["BuildOptions", "Dataset", "Split", "Windows", "build", "card_html", "modality", "open_data", "render_card"]


def __getattr__(name: str) -> Any:
    """Each name is imported when it is first used: `daedal --help` pays for none of them."""
    import importlib

    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = importlib.import_module(f"daedal.data.{_HOMES[name]}")
    return getattr(home, name)
