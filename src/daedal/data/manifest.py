"""The manifest of a data folder: what was built, from what, how, and what was left out. Written as `manifest.json`.

All kinds have the fields of `DataManifest`; those of examples with columns and of pictures have manifests of their own.
"""

from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

from pydantic import Field

from daedal.config import Config
from daedal.data.licence_ledger import LicenceLedger
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


class Format(NamedTuple):
    """A form that data folders have.

    Attributes:
        holds: what is in them, in a word.
        home: what opens them, as `module:NAME`.
    """

    holds: str
    home: str


FORMATS = {
    "daedal-data": Format("text", "daedal.data.shards:Dataset"),
    "daedal-images": Format("pictures", "daedal.data.images.dataset:ImageDataset"),
    "daedal-examples": Format("examples with columns", "daedal.data.examples:ExampleDataset"),
}
"""By the name that a manifest says."""


class DataManifest(Config):
    """What the manifests of all kinds say.

    Attributes:
        request: hash of the options and of the sources' names, sizes and times: the same request is not built twice.
        licences: of the sources, file by file; none in folders of older builds: see `daedal.data.licences.licence_ledger`.
        canaries: how many secrets were planted, to see later what a model of this learned by heart.
    """

    format: str
    version: Literal[1] = 1
    fingerprint: str
    request: str
    made_with: dict[str, str]
    options: Any
    sources: tuple[SourceRecord, ...]
    splits: dict[str, Any]
    split_by: str
    dropped: tuple[Dropped, ...] = ()
    duplicates: Duplicates = Duplicates()
    licences: LicenceLedger = LicenceLedger()
    canaries: int = Field(default=0, ge=0)
    notes: tuple[str, ...] = ()


class Manifest(DataManifest):
    """Everything about a data folder of text but its tokens."""

    format: Literal["daedal-data"] = "daedal-data"
    options: BuildOptions
    codec: CodecRecord
    splits: dict[str, SplitRecord]
    mended: tuple[Count, ...] = ()
    encodings: tuple[Count, ...] = ()
    file_types: tuple[Count, ...] = ()
    languages: tuple[Count, ...] = ()
    lengths: tuple[Count, ...] = ()  # documents by length in bytes, the name being the lower border (powers of two)


M = TypeVar("M", bound=DataManifest)


def values_of(folder: Path) -> dict[str, Any]:
    """What the manifest of a data folder says, as JSON has it.

    Raises:
        DaedalError: it is no data folder.
    """
    path = folder / MANIFEST
    if not path.is_file():
        what = f"is not a data folder: it has no {MANIFEST}" if folder.is_dir() else "is not a folder"
        raise DaedalError(f"{folder} {what}", "Give a folder that `daedal data build` wrote")
    values = read_json(path)
    if not isinstance(values, dict) or values.get("format") not in FORMATS:
        raise DaedalError(f"{path} is not the manifest of a data folder", "Build the data again")
    return values


def read_manifest(folder: Path, wanted: type[M]) -> M:
    """The manifest of a data folder.

    Raises:
        DaedalError: it is no data folder, holds something else than is wanted, or its manifest is damaged.
    """
    values = values_of(folder)
    mine = wanted.model_fields["format"].default
    if values["format"] != mine:
        holds, asked = FORMATS[values["format"]].holds, FORMATS[mine].holds
        raise DaedalError(f"{folder} holds {holds}, not {asked}", f"Give a data folder that was built from {asked}")
    return wanted.parse(values, str(folder / MANIFEST))
