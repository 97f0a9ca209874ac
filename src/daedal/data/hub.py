"""Rows of a Hugging Face dataset, streamed: `hf:name`, `hf:name:split`, `hf:name#configuration:split`."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from daedal.data.document import Event
from daedal.data.stop import StoppedError
from daedal.data.tables import rows_of
from daedal.errors import DaedalError


class HubName(NamedTuple):
    """What a `hf:` source names; without a split, `train` of text and all of examples with columns."""

    name: str
    configuration: str | None
    split: str | None


def parse_hub_name(source: str) -> HubName:
    """Take `hf:name#configuration:split` apart.

    Raises:
        DaedalError: it names no dataset.
    """
    rest = source.removeprefix("hf:")
    ends = [match.start() for match in re.finditer("[#:]", rest)] + [len(rest)]
    end = next((end for end in reversed(ends) if Path(rest[:end]).is_dir()), ends[0])  # a folder may have # in its name
    configuration, _, split = rest[end:].partition(":")
    name, configuration = rest[:end], configuration.removeprefix("#")
    if not name.strip():
        raise DaedalError(f"{source!r} names no dataset", "Write hf:owner/name or hf:owner/name:split")
    return HubName(name, configuration or None, split or None)


def read_hub(source: str, field: str | None) -> Iterator[Event]:
    """Documents of a hub dataset.

    Raises:
        DaedalError: `datasets` is not installed, there is no network, or no such dataset, split or field.
    """
    with open_hub(source) as splits:
        for label, rows in splits.items():
            yield from rows_of(label, iter(rows), field, "hub dataset")


@contextmanager
def open_hub(source: str, every: bool = False) -> Iterator[dict[str, Any]]:
    """The split that a `hf:` source names, by its label, as a stream; what `datasets` raises while it is read becomes one line.

    Args:
        every: all splits, where none is named.

    Raises:
        DaedalError: `datasets` is not installed, there is no network, or no such dataset or split.
    """
    wanted = parse_hub_name(source)
    try:
        import datasets  # type: ignore[import-untyped]
    except ImportError:
        raise DaedalError(
            f"{source} needs the package `datasets`", "Install it with: pip install 'daedal[hub]'"
        ) from None
    try:
        split = wanted.split or (None if every else "train")
        if _is_saved(Path(wanted.name)):
            data = datasets.load_from_disk(wanted.name)
            data = data[split] if split and isinstance(data, dict) else data
        else:
            data = datasets.load_dataset(wanted.name, wanted.configuration, split=split, streaming=True)
        yield {f"{source}/{name}": each for name, each in data.items()} if isinstance(data, dict) else {source: data}
    except DaedalError:
        raise
    except Exception as error:  # `datasets` raises many kinds, of its own and of its transports
        line = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise StoppedError(
            f"{source} cannot be read ({type(error).__name__}: {line})",
            "Check the name, the split and the network; log in with `hf auth login` where the dataset is gated",
        ) from None


def _is_saved(folder: Path) -> bool:
    """Whether `datasets` saved a folder, which it opens otherwise than one of files."""
    return any((folder / name).is_file() for name in ("state.json", "dataset_dict.json"))


def hub_licence(source: str) -> str | None:
    """The licence that the dataset declares, where the hub can be asked."""
    try:
        import datasets

        wanted = parse_hub_name(source)
        licence = datasets.load_dataset_builder(wanted.name, wanted.configuration).info.license
    except Exception:  # not knowing the licence is no reason to fail
        return None
    return (licence if isinstance(licence, str) else json.dumps(licence)) or None
