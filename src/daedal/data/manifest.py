"""The manifest of a data folder: what was built, from what, how, and what was left out. Written as `manifest.json`."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from daedal.config import Config
from daedal.data.options import BuildOptions
from daedal.errors import DaedalError
from daedal.files import read_json

MANIFEST = "manifest.json"
DOCUMENTS = "documents.parquet"


class SplitRecord(Config):
    """One split: its size, and the hash of its tokens and document borders."""

    documents: int = Field(ge=0)
    tokens: int = Field(ge=0)
    bytes: int = Field(ge=0)
    characters: int = Field(ge=0)
    shards: int = Field(ge=0)
    fingerprint: str


class CodecRecord(Config):
    """The codec that the tokens were made with."""

    kind: str
    vocab_size: int = Field(ge=1)
    eos_id: int = Field(ge=0)
    dtype: Literal["uint16", "uint32"]
    fingerprint: str


class SourceRecord(Config):
    """One source as it was named, and what it held."""

    source: str
    split: Literal["train", "validation", "test"]  # train: its documents are drawn into the splits
    files: int
    bytes: int
    licence: str | None = None


class Dropped(Config):
    """What was left out for one reason, with a few examples."""

    reason: str
    count: int
    bytes: int
    examples: tuple[str, ...] = ()


class Duplicates(Config):
    """How many documents were found more than once, with examples of near duplicates."""

    exact: int = 0
    near: int = 0
    clusters: int = 0
    largest_cluster: int = 0
    held_out: int = 0  # train documents that also occur in a validation or test file
    examples: tuple[str, ...] = ()


class Count(Config):
    """A name and how often it occurs."""

    name: str
    count: int


class Manifest(Config):
    """Everything about a data folder but its tokens."""

    format: Literal["daedal-data"] = "daedal-data"
    version: Literal[1] = 1
    fingerprint: str
    request: str  # hash of the options and of the sources' names, sizes and times: the same request is not built twice
    made_with: dict[str, str]
    options: BuildOptions
    sources: tuple[SourceRecord, ...]
    codec: CodecRecord
    splits: dict[str, SplitRecord]
    split_by: str
    dropped: tuple[Dropped, ...] = ()
    duplicates: Duplicates = Duplicates()
    mended: tuple[Count, ...] = ()
    encodings: tuple[Count, ...] = ()
    file_types: tuple[Count, ...] = ()
    languages: tuple[Count, ...] = ()
    lengths: tuple[Count, ...] = ()  # documents by length in bytes, the name being the lower border (powers of two)
    notes: tuple[str, ...] = ()


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a data folder.

    Raises:
        DaedalError: it is no data folder, or its manifest is damaged.
    """
    if not folder.is_dir():
        raise DaedalError(f"{folder} is not a folder", "Give a folder that `daedal data build` wrote")
    if not (folder / MANIFEST).is_file():
        raise DaedalError(
            f"{folder} is not a data folder: it has no {MANIFEST}", "Give a folder that `daedal data build` wrote"
        )
    values = read_json(folder / MANIFEST)
    if isinstance(values, dict) and values.get("format") == "daedal-images":
        raise DaedalError(f"{folder} holds pictures, not text", "Give a data folder that was built from text")
    if not isinstance(values, dict) or values.get("format") != "daedal-data":
        raise DaedalError(f"{folder / MANIFEST} is not the manifest of a data folder", "Build the data again")
    return Manifest.parse(values, str(folder / MANIFEST))
