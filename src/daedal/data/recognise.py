"""Whether sources hold text or pictures, by their names, without reading them whole."""

import os
import tarfile
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Literal

from daedal.data import archives
from daedal.data.filetypes import file_type, inner_name

Modality = Literal["text", "images"]
_LOOKED_AT = 10_000  # files of a folder or members of an archive
_FROM_TAR = 200  # members of a tar archive, which must be unpacked to see them
_TEXT_READERS = frozenset(("text", "html", "jsonl", "json", "csv", "tsv", "document"))


def modality(sources: Sequence[str | Path] | str | Path, otherwise: Modality = "text") -> Modality:
    """What most files in the sources are; `otherwise`, where there is neither text nor a picture to be seen.

    A text file beside a picture that is named like it speaks of the picture, and does not count.
    """
    named = [sources] if isinstance(sources, str | Path) else sources
    seen: Counter[str] = Counter()
    for source in named:
        try:
            seen.update(islice(_kinds(str(source)), _LOOKED_AT))
        except archives.BROKEN:
            continue  # the build will say what is wrong
    if not seen["images"] and not seen["text"]:
        return otherwise
    return "images" if seen["images"] >= seen["text"] else "text"


def _kinds(source: str) -> Iterator[str]:
    """What each file in a source holds: `images`, `text` or `other`."""
    from daedal.data.images.builtin import BUILTINS as PICTURES
    from daedal.data.library import BUILTINS as TEXTS

    if source in TEXTS:
        yield "text"
    elif source.partition(":")[0] in PICTURES:
        yield "images"
    elif source.startswith("hf:"):
        yield _kind_of_hub(source)
    else:
        path = Path(source).expanduser()
        if path.is_dir():
            yield from _kinds_of_names(_below(path))
        elif path.is_file():
            yield from _kinds_of_file(path)


def _below(folder: Path) -> Iterator[tuple[str, Path]]:
    for base, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith("."):
                yield os.path.join(base, name), Path(base, name)


def _kinds_of_names(files: Iterator[tuple[str, Path]]) -> Iterator[str]:
    stems: set[str] = set()
    texts: list[str] = []
    for name, path in islice(files, _LOOKED_AT):
        kind = _kind_of_name(name)
        if kind is None:
            yield from islice(_kinds_of_file(path), _LOOKED_AT)
        elif kind == "images":
            stems.add(name.rpartition(".")[0])
            yield kind
        elif name.lower().endswith((".txt", ".caption")):
            texts.append(name.rpartition(".")[0])
        else:
            yield kind
    yield from ("other" if stem in stems else "text" for stem in texts)


def _kinds_of_file(path: Path) -> Iterator[str]:
    """The kinds of what is in one file: an archive has many."""
    name = path.name
    kind = _kind_of_name(name)
    if kind is not None:
        yield kind
        return
    reader = file_type(name).reader
    if reader == "parquet":
        yield _kind_of_parquet(path)
    elif reader == "zip":
        with zipfile.ZipFile(path) as archive:
            names = (each for each in archive.namelist() if not each.endswith("/"))
            yield from _kinds_of_names((each, Path()) for each in names if _kind_of_name(each) is not None)
    else:
        yield from _kinds_of_packed(path, name)


def _kinds_of_packed(path: Path, name: str) -> Iterator[str]:
    with path.open("rb") as file:
        stream = file
        if file_type(name).reader == "compressed":
            stream = archives.unpack(file_type(name).name, file, archives.Budget(path.stat().st_size))  # type: ignore[assignment]
            name = inner_name(name)
        if file_type(name).reader != "tar":
            yield _kind_of_name(name) or "other"
            return
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            members = (info.name for info in islice(archive, _FROM_TAR) if info.isfile())
            yield from _kinds_of_names((each, Path()) for each in members if _kind_of_name(each) is not None)


def _kind_of_name(name: str) -> str | None:
    """What a file of this name holds; `None` where one must look inside."""
    from daedal.data.images.kinds import kind_of

    kind = kind_of(name)
    if kind in ("zip", "tar", "parquet"):
        return None
    if kind == "compressed":
        inner = inner_name(name)
        return _kind_of_name(inner) if inner != name else "other"
    if kind in ("picture", "idx-images"):
        return "images"
    if kind == "foreign" and file_type(name).name != "XML":  # the build will say how to convert it
        return "images"
    if kind == "idx-labels":
        return "other"
    return "text" if file_type(name).reader in _TEXT_READERS else "other"


def _kind_of_parquet(path: Path) -> str:
    from pyarrow import ArrowException, parquet, types  # type: ignore[import-untyped]

    from daedal.data.images.rows import image_columns
    from daedal.data.tables import text_columns

    try:
        schema = parquet.read_schema(path)
        able = image_columns(schema)
        # a struct is what Hugging Face writes of a picture; bytes alone may also be text
        if able and not any(types.is_struct(schema.field(name).type) for name in able):
            able = sorted(set(able).difference(text_columns(path)))
        return "images" if able else "text"
    except (OSError, ArrowException):
        return "other"


def _kind_of_hub(source: str) -> str:
    """What the hub says of a dataset; `other` where it cannot be asked, and the build will say why."""
    from daedal.data.hub import parse_hub_name

    try:
        import datasets  # type: ignore[import-untyped]

        name = parse_hub_name(source)
        info = datasets.load_dataset_builder(name.name, name.configuration).info
        if info.features is None:  # of a folder of pictures they are known when it is read
            return "images" if info.builder_name == "imagefolder" else "text"
        return "images" if any(isinstance(each, datasets.Image) for each in info.features.values()) else "text"
    except Exception:  # `datasets` raises many kinds
        return "other"
