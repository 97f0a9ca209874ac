"""A data folder of whatever kind, opened; and its card."""

from pathlib import Path
from typing import TYPE_CHECKING

from daedal.data.manifest import MANIFEST
from daedal.data.shards import Dataset
from daedal.files import read_json

if TYPE_CHECKING:
    from rich.console import RenderableType

    from daedal.data.examples import ExampleDataset
    from daedal.data.images.dataset import ImageDataset


def open_data(folder: str | Path) -> "Dataset | ImageDataset | ExampleDataset":
    """Open the folder that a build wrote.

    Raises:
        DaedalError: it is no data folder, or damaged.
    """
    path = Path(folder) / MANIFEST
    values = read_json(path) if path.is_file() else None
    of = values.get("format") if isinstance(values, dict) else None
    if of == "daedal-images":
        from daedal.data.images.dataset import ImageDataset

        return ImageDataset.open(folder)
    if of == "daedal-examples":
        from daedal.data.examples import ExampleDataset

        return ExampleDataset.open(folder)
    return Dataset.open(folder)


def kind_of(dataset: "Dataset | ImageDataset | ExampleDataset") -> str:
    """The kind of a folder's examples."""
    if isinstance(dataset, Dataset):
        return "text"
    return "pictures" if dataset.manifest.format == "daedal-images" else dataset.manifest.kind


def render_card(dataset: "Dataset | ImageDataset | ExampleDataset") -> "RenderableType":
    """The data card as something that a rich console prints."""
    if isinstance(dataset, Dataset):
        from daedal.data.card import render_card as of_text

        return of_text(dataset)
    from daedal.data.images.dataset import ImageDataset

    if isinstance(dataset, ImageDataset):
        from daedal.data.images.card import render_card as of_pictures

        return of_pictures(dataset)
    from daedal.data.example_card import render_card as of_examples

    return of_examples(dataset)


def card_html(dataset: "Dataset | ImageDataset | ExampleDataset") -> str:
    """The data card as a page of HTML."""
    if isinstance(dataset, Dataset):
        from daedal.data.page import card_html as of_text

        return of_text(dataset)
    from daedal.data.images.dataset import ImageDataset

    if isinstance(dataset, ImageDataset):
        from daedal.data.images.page import card_html as of_pictures

        return of_pictures(dataset)
    from daedal.data.example_card import card_html as of_examples

    return of_examples(dataset)
