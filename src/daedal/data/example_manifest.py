"""The manifest of a data folder of examples with columns: what was built, from what, how, and what was left out."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from daedal.config import Config
from daedal.data.manifest import Count, DataManifest
from daedal.data.options import SPLITS


class ColumnRecord(Config):
    """A column, and what its values became.

    Attributes:
        stored: rows of ids, numbers of names, sets of these, numbers, arrays, what they are, or that with names in it (tags).
        codec: what made the ids.
        dtype: of the ids, or of the numbers in sets.
        names: of the classes, in the order of their numbers; of the tags.
    """

    stored: Literal["ragged", "classes", "sets", "numbers", "dense", "strings", "tags"]
    codec: str | None = None
    dtype: Literal["uint16", "uint32"] | None = None
    names: tuple[str, ...] = ()


class CodecOfColumns(Config):
    """A codec that columns share."""

    described: str
    vocab_size: int = Field(ge=1)
    fingerprint: str


class ExampleSplitRecord(Config):
    """One split.

    Attributes:
        ids: of each column that has them, and of sets; how many, and how many of them are learned to be said.
        classes: of each column of classes or sets, how many examples have each; of tags, how many words.
        bytes: of text.
    """

    examples: int = Field(ge=0, le=2**40)
    ids: dict[str, int] = Field(default_factory=dict)
    learned: dict[str, int] = Field(default_factory=dict)
    classes: dict[str, tuple[int, ...]] = Field(default_factory=dict)
    bytes: int = Field(ge=0)
    fingerprint: str


class ExampleManifest(DataManifest):
    """Everything about a data folder of examples but their values."""

    format: Literal["daedal-examples"] = "daedal-examples"
    kind: str
    options: dict[str, Any]
    columns: dict[str, ColumnRecord]
    codecs: dict[str, CodecOfColumns]
    splits: dict[str, ExampleSplitRecord]
    mended: tuple[Count, ...] = ()
    encodings: tuple[Count, ...] = ()

    @model_validator(mode="after")
    def _its_parts_fit(self) -> Self:
        if self.splits.keys() != set(SPLITS):
            raise ValueError(f"its splits are not {', '.join(SPLITS)}")
        if not {"near_duplicates", "exact_duplicates"} <= self.options.keys():
            raise ValueError("its options do not say what became of duplicates")
        rows = {name for name, column in self.columns.items() if column.stored in ("ragged", "sets")}
        if any(self.columns[name].dtype is None for name in rows):
            raise ValueError("a column of ids has no dtype")
        for split in self.splits.values():
            if not rows <= split.ids.keys():
                raise ValueError("a split has a column of ids and not how many")
            for name, counts in split.classes.items():
                if name not in self.columns or len(counts) != len(self.columns[name].names):
                    raise ValueError(f"its counts of {name!r} are not of its classes")
        return self
