"""A built data folder, opened: what those of all kinds have in common. What its splits hold is said in `shards`, `examples` and
`images.dataset`."""

from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

from daedal.data.kind import Kind, open_kind
from daedal.data.manifest import FORMATS, DataManifest, read_manifest, values_of
from daedal.errors import DaedalError
from daedal.families import part

M = TypeVar("M", bound=DataManifest)
S = TypeVar("S")


class DataFolder(Generic[M, S]):
    """A manifest, codecs and up to three splits."""

    manifest_type: ClassVar[type[DataManifest]]

    def __init__(self, folder: Path, manifest: M) -> None:
        self.folder, self.manifest = folder, manifest
        self._splits: dict[str, S] = {}

    @classmethod
    def open(cls, folder: str | Path) -> Self:
        """Open the folder that a build wrote.

        Raises:
            DaedalError: it is no data folder, holds examples of another kind, or is damaged.
        """
        return cls(Path(folder), read_manifest(Path(folder), cls.manifest_type))  # type: ignore[arg-type]

    @cached_property
    def kind(self) -> Kind:
        """What its examples are."""
        return open_kind(self.kind_name)

    @property
    def kind_name(self) -> str:
        """The name of their kind."""
        return FORMATS[self.manifest.format].holds

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the codecs and of everything that is encoded."""
        return self.manifest.fingerprint

    def split(self, name: str) -> S:
        """A split by name: `train`, `validation` or `test`.

        Raises:
            DaedalError: there is none of this name, or its files are damaged.
        """
        names = self.manifest.splits
        if name not in names:
            raise DaedalError(f"There is no split called {name!r}", f"Choose from {', '.join(names)}")
        if name not in self._splits:
            self._splits[name] = self._open(name)
        return self._splits[name]

    def _open(self, name: str) -> S:
        raise NotImplementedError

    def whole(self) -> bool:
        """Whether all of its files are there."""
        try:
            return all(self.split(name) is not None for name in self.manifest.splits)
        except DaedalError:
            return False


def open_data(folder: str | Path) -> Any:
    """Open the folder that a build wrote, whatever its kind.

    Raises:
        DaedalError: it is no data folder, or damaged.
    """
    opened: type[DataFolder[Any, Any]] = part(FORMATS[values_of(Path(folder))["format"]].home)
    return opened.open(folder)
