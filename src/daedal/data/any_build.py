"""A build of whatever the sources hold: the kind of example is chosen, and its build is begun."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daedal.data.example_options import ExampleOptions
from daedal.data.kind import OwnBuild, open_kind
from daedal.data.recognition import options_of, recognise
from daedal.families import part

if TYPE_CHECKING:
    from daedal.data.examples import ExampleDataset
    from daedal.data.images.dataset import ImageDataset
    from daedal.data.shards import Dataset


def build_any(
    sources: Sequence[str | Path] | str | Path, out: str | Path, kind: str | None, options: Mapping[str, Any]
) -> "Dataset | ImageDataset | ExampleDataset":
    """Build a data folder of a kind of example.

    Args:
        kind: its name; that of which the sources look most like, unless given.
        options: of the kind, and how to go about it: `workers`, `replace`, `progress`.

    Raises:
        DaedalError: no kind reads the sources, an option is wrong, or the build fails.
    """
    running = {name: options[name] for name in ("workers", "replace", "progress") if name in options}
    asked = {name: value for name, value in options.items() if name not in running}
    chosen = open_kind(kind or recognise(sources, asked))
    how = options_of(chosen, asked)
    if isinstance(chosen, OwnBuild):
        data: Dataset | ImageDataset = part(chosen.build)(sources, out, how, **running)
        return data
    from daedal.data.example_build import build_examples

    assert isinstance(how, ExampleOptions)
    return build_examples(chosen, sources, out, how, guessed=kind is None, **running)
