"""Whether sources hold text or pictures, by their names, without reading them whole."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

from daedal.data.filetypes import file_type
from daedal.data.library import is_builtin_text
from daedal.data.peek import Sources
from daedal.data.sources import resolve
from daedal.errors import DaedalError

Modality = Literal["text", "images"]
_TEXT_READERS = frozenset(("text", "html", "jsonl", "json", "csv", "tsv", "document"))


def modality(sources: Sources | Sequence[str | Path] | str | Path, otherwise: Modality = "text") -> Modality:
    """What most files in the sources are; `otherwise`, where there is neither text nor a picture to be seen.

    A text file beside a picture that is named like it speaks of the picture, and does not count.
    """
    if not isinstance(sources, Sources):
        named = []
        for source in [sources] if isinstance(sources, str | Path) else sources:
            with suppress(DaedalError):  # the build will say what is wrong
                named.append(resolve(str(source), "train"))
        sources = Sources(named)
    seen = Counter(_kinds(sources))
    if not seen["images"] and not seen["text"]:
        return otherwise
    return "images" if seen["images"] >= seen["text"] else "text"


def _kinds(sources: Sources) -> Iterator[str]:
    """What each file in the sources holds: `images`, `text` or `other`."""
    if named := {source.partition(":")[0] for source in sources.given if is_builtin_text(source)}:
        # each is one, however many files it has
        yield from ("text" for _ in named)
        sources = Sources.of([item for item in sources.items if item.label.partition("/")[0] not in named])
    stems: set[str] = set()
    texts: list[str] = []
    for item in sources.items:
        if item.kind == "pictures":
            yield "images"
        elif item.kind == "hub":
            yield _kind_of_hub(item.path)
        elif file_type(item.label).name == "Parquet":
            yield _kind_of_parquet(Path(item.path))
    for name in sources.names:
        kind = _kind_of_name(name)
        if kind == "images":
            stems.add(name.rpartition(".")[0])
        elif name.lower().endswith((".txt", ".caption")):
            texts.append(name.rpartition(".")[0])
            continue
        yield kind
    yield from ("other" if stem in stems else "text" for stem in texts)


def _kind_of_name(name: str) -> str:
    """What a file of this name holds."""
    from daedal.data.images.kinds import kind_of

    kind = kind_of(name)
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
