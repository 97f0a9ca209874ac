"""Text that is made by name, document by document: `python-functions:N` and `in-context:N`. Document `number` is always the
same one. `sources.py` resolves such a name with `resolve_made`, and workers read its parts with `read_made`."""

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

from daedal.data.document import Raw
from daedal.data.library import MADE
from daedal.data.sources import Item, Named, Role
from daedal.errors import DaedalError
from daedal.families import part

_PART = 1000
_MOST = 10_000_000


class _Made(NamedTuple):
    """How a text is made.

    Attributes:
        document: the function that makes one, of its number.
        documents: how many, unless given.
    """

    document: str
    documents: int
    content: Literal["code", "prose"]
    language: str


_HOW = {
    "python-functions": _Made("daedal.data.worlds.functions:document", 4000, "code", "Python"),
    "in-context": _Made("daedal.data.worlds.in_context:document", 100_000, "prose", "in-context games"),
}
assert set(_HOW) == set(MADE)


def resolve_made(source: str, role: Role, leave_out: object = None) -> Named:
    """The source, cut into parts.

    Raises:
        DaedalError: it is misspelt.
    """
    name, colon, said = source.partition(":")
    count = _HOW[name].documents
    if colon:
        if not (said.isascii() and said.isdecimal() and len(said) <= 9 and 1 <= int(said) <= _MOST):
            raise DaedalError(
                f"{source}: {said or 'nothing'} is no number of documents from 1 to {_MOST:,}",
                f"Write {name} or {name}:N",
            )
        count = int(said)
    starts = range(0, count, _PART)
    items = tuple(
        Item(kind="made", label=f"{name}/{first:08d}", path=f"{first}:{min(first + _PART, count)}") for first in starts
    )
    return Named(source=source, role=role, items=items)


def read_made(item: Item) -> Iterator[Raw]:
    """The documents of a part."""
    how = _HOW[item.label.partition("/")[0]]
    document: Callable[[int], str] = part(how.document)
    first, last = map(int, item.path.split(":"))
    for number in range(first, last):
        yield Raw(item.label, number - first, document(number), how.content, how.language)
