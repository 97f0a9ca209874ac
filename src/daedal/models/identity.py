"""What a model folder says of itself: its family, the kind of example and the columns that it learned, and what it can do.

Training writes it beside every checkpoint as `daedal.json`; whoever opens, measures or serves a model reads it here, without
PyTorch. A folder that does not have it, a plain Hugging Face checkpoint or a run of an older version, is recognised here too.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field

from daedal import __version__
from daedal.config import Config
from daedal.errors import DaedalError
from daedal.families import line, table
from daedal.files import read_json, write_json
from daedal.models.formats import family_of

IDENTITY = "daedal.json"
LONGEST_NAME = 4096
"""Characters of what names a base, at most."""
CODEC = "codec"
"""The folder of a run that holds the model whose codes the run learned."""
OWN = "daedal-"
"""How the `model_type` of the networks begins that no other program knows; the family's name follows."""
_FORMAT: Literal[1] = 1
# What the families of texts have learned where a folder does not say: a kind, its columns of text and its others
_OF_TEXTS: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "gpt": ("text", ("text",), ()),
    "bert": ("text", ("text",), ()),
    "classifier": ("labelled", ("text",), ("label",)),
    "tagger": ("tagged", ("words",), ("tags",)),
    "answerer": ("questions", ("question", "context"), ("answers",)),
    "embedder": ("pairs", ("source", "target"), ()),
    "translator": ("pairs", ("source", "target"), ()),
    "reward": ("preferences", ("chosen", "rejected"), ()),
}
# The same of families of other artifacts, with the file of the codec
_OF_OTHERS: dict[str, tuple[str, dict[str, str | None]]] = {
    "music": ("tunes", {"tune": "tune_codec.json"}),
    "recommender": ("histories", {"items": "items.json"}),
    "vqvae3d": ("clips", {"clip": "clip_codec.json"}),  # as the `codec/` of a film
}
_File = Annotated[str, Field(pattern=r"^\w[\w.-]*$", max_length=100)]


class Base(Config):
    """What a LoRA was put beside.

    Attributes:
        name: its folder, or its id on the Hugging Face Hub.
        weights: SHA-256 of its weight files; None where nobody wrote it down.
        bits: of a weight of its matrices, where they were 4.
    """

    name: str = Field(min_length=1, max_length=LONGEST_NAME)
    weights: str | None = None
    bits: Literal[4] | None = None


class Identity(Config):
    """What a model is.

    Attributes:
        made_with: the version of Daedal that wrote it; None where none did.
        family: a line of `daedal.families`.
        kind: of example.
        columns: those that were learned, with the file of the codec of each; None where their values are numbers of classes.
        capabilities: what it can do with what it learned; none where the folder does not say.
        codec: the name of the run whose codes it learned, which is kept in `codec/`.
        base: what the weights in the folder, a LoRA, belong to.
    """

    format: Literal[1] = _FORMAT
    made_with: str | None = __version__
    family: str
    kind: str
    columns: dict[str, _File | None]
    capabilities: tuple[str, ...] = ()
    codec: str | None = None
    base: Base | None = None

    @classmethod
    def of(
        cls,
        family: str,
        kind: str,
        columns: Mapping[str, str | None],
        capabilities: Iterable[str],
        codec: str | None = None,
    ) -> Self:
        """That of a model of this version; `codec` is where the run is whose codes it learned."""
        name = None if codec is None else Path(codec).name
        return cls(
            family=family, kind=kind, columns=dict(columns), capabilities=tuple(sorted(capabilities)), codec=name
        )

    def write(self, folder: Path) -> None:
        """
        Raises:
            DaedalError: the disk is full or the folder cannot be written.
        """
        write_json(folder / IDENTITY, self.model_dump(exclude=None if self.base else {"base"}))


def identify(folder: Path) -> Identity:
    """What a model folder is.

    Raises:
        DaedalError: what it says of itself is damaged, or of a family or a format that this version does not know.
    """
    path = folder / IDENTITY
    if not os.path.lexists(path):
        return _recognised(folder)
    values = read_json(path)
    if not isinstance(values, dict):
        raise DaedalError(f"{path} does not say what the model is", "Restore it from a copy, or train again")
    if (written := values.get("format")) != _FORMAT:
        raise DaedalError(f"{path} is of format {written!r:.20}, and this version knows {_FORMAT}", "Update Daedal")
    return _known(Identity.parse(values, str(path)), path)


def _recognised(folder: Path) -> Identity:
    """What a folder is that does not say so, by its configuration and its codec."""
    from daedal.codecs.raster import IMAGE_CODEC

    if not (folder / "config.json").exists() and (folder / "adapter_config.json").exists():
        raise DaedalError(
            f"{folder} holds a LoRA that another program wrote, and no model",
            f"Merge it with its base first: daedal merge {folder} --out MERGED",
        )
    path = folder / "config.json"
    values = read_json(path)
    name = str(values.get("model_type", "")) if isinstance(values, dict) else ""
    if (folder / IMAGE_CODEC).is_file() and not name.startswith(OWN):
        family = "gpt"
    else:
        family = name.removeprefix(OWN) if name.startswith(OWN) else family_of(values, str(path))
    columns: dict[str, str | None] = {"picture": IMAGE_CODEC}
    of = "pictures"
    if family in _OF_TEXTS and not (folder / IMAGE_CODEC).is_file():
        of, texts, others = _OF_TEXTS[family]
        columns = dict.fromkeys(texts, "tokenizer.json") | dict.fromkeys(others)
    of, columns = _OF_OTHERS.get(family, (of, columns))
    codec = CODEC if (folder / CODEC).is_dir() else None
    return _known(Identity(made_with=None, family=family, kind=of, columns=columns, codec=codec), path)


def _known(identity: Identity, path: Path) -> Identity:
    if identity.family not in table():
        raise DaedalError(
            f"{path}: there is no family {identity.family[:50]!r}",
            f"It is of another version or package; this one knows {', '.join(table())}",
        )
    if identity.kind not in line(identity.family).learns:
        raise DaedalError(f"{path}: a {identity.family} learns no {identity.kind[:50]!r}", "Restore it from a copy")
    return identity
