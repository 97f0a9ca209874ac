"""A build of whatever the sources hold: the kind of example is chosen, and its build is begun."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from daedal.data.example_build import build_examples
from daedal.data.example_options import ExampleOptions
from daedal.data.examples import ExampleDataset
from daedal.data.images.dataset import ImageDataset
from daedal.data.images.options import ImageOptions
from daedal.data.images.pipeline import build as build_pictures
from daedal.data.kind import open_kind
from daedal.data.options import BuildOptions
from daedal.data.pipeline import build as build_text
from daedal.data.recognition import options_of, recognise
from daedal.data.request import resolve_all
from daedal.data.shards import Dataset
from daedal.data.sources import resolve


def build_any(
    sources: Sequence[str | Path] | str | Path, out: str | Path, kind: str | None, options: Mapping[str, Any]
) -> Dataset | ImageDataset | ExampleDataset:
    """Build a data folder of a kind of example.

    Args:
        kind: its name; that of which the sources look most like, unless given.
        options: of the kind, and how to go about it: `workers`, `replace`, `progress`.

    Raises:
        DaedalError: no kind reads the sources, an option is wrong, or the build fails.
    """
    running = {name: options[name] for name in ("workers", "replace", "progress") if name in options}
    asked = {name: value for name, value in options.items() if name not in running}
    guessed = kind is None
    kind = kind or recognise(sources, asked)
    chosen = options_of(kind, asked)
    if isinstance(chosen, BuildOptions):
        return build_text(sources, out, chosen, **running)
    if isinstance(chosen, ImageOptions):
        return build_pictures(sources, out, chosen, **running)
    assert isinstance(chosen, ExampleOptions)
    named = resolve_all(sources, chosen, Path(out).expanduser().absolute(), resolve, ())
    return build_examples(open_kind(kind), named, out, chosen, guessed=guessed, **running)
