"""The sources of pictures that come with Daedal, by name: `digits`, `scenes`, `scenes:5000,objects=1`."""

from collections.abc import Iterator

from daedal.data.images.picture import Picture

NAMES = ("digits", "scenes")


def is_builtin(source: str) -> bool:
    """Whether a source is one of them."""
    return source.partition(":")[0] in NAMES


def read_pictures(source: str, size: int | None, seed: int) -> Iterator[Picture]:
    """The pictures of one."""
    from daedal.data.images.builtin import read_builtin

    return read_builtin(source, size, seed)
