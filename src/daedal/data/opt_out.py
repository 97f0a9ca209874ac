"""What its authors do not want to be learned: a list of hashes and names that `data build --opt-out FILE` leaves out.

A line is a SHA-256 (`sha256:` and 64 hexadecimal digits, these alone, or a line as `sha256sum` writes it) of a file or of a
document's text, or a name: of a
file, as its path ends (`private/*.txt`), of an address (`https://example.org/blog/*`), or of a host with all below it
(`example.org`); `*`, `?` and `[...]` stand for others. Empty lines and those behind `#` say nothing. It is asked before
anything else is done with a file or a document.

The hash of a text is that of its UTF-8 in Unicode's form NFC, with `\\n` line ends and no white space at its ends: of a text
without such things, what `printf %s TEXT | sha256sum` says.
"""

import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import translate
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from daedal.data.clean import normalise
from daedal.data.document import Example, Raw
from daedal.data.sources import Item, Named
from daedal.errors import DaedalError
from daedal.files import read_bytes

REASON = "opted out"
_MOST = 256 * 2**20
_HASH = re.compile(r"(?:sha256:|\\)?([0-9a-fA-F]{64})(?:[ \t]+\*?\S.*)?|SHA256 \(.*\) = ([0-9a-fA-F]{64})")
_OTHER_HASH = re.compile(
    r"(?i)(?:(?:md5|sha1|sha224|sha256|sha384|sha512|blake2b|blake3):.*|[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{128})"
)
_DEEPEST, _LONGEST, _LONGEST_HOST = 64, 4096, 253
"""Of a name: how many parts and characters are looked at, the first and the last ones; characters of a host (RFC 1035)."""
_WILD = re.compile(r"[*?\[]")


class OptOut:
    """A list that was read.

    Attributes:
        lines: how many say something.
    """

    def __init__(self, text: str, name: str) -> None:
        self._digests: dict[str, int] = {}
        self._names: dict[str, int] = {}
        patterns: list[tuple[str, int]] = []
        self.lines = 0
        for number, line in enumerate(text.splitlines(), 1):
            line = line.strip()
            if not line or line.startswith("#"):
                continue
            self.lines += 1
            if (digest := _HASH.fullmatch(line)) is not None:
                self._digests.setdefault((digest[1] or digest[2]).lower(), number)
            elif _OTHER_HASH.fullmatch(line) or not line.isprintable():
                raise DaedalError(
                    f"Line {number} of {name} is no SHA-256 and no name: {line[:80]!r}",
                    "Write sha256: and 64 hexadecimal digits, or a name such as private/*.txt or example.org",
                )
            elif _WILD.search(line):
                patterns.append((line, number))
            else:
                self._names.setdefault(line, number)
                if "/" not in line:  # hosts come in small letters
                    self._names.setdefault(line.lower(), number)
        self._patterns = [(re.compile(translate(each)), number) for each, number in patterns]
        self._any = re.compile("|".join(translate(each) for each, _ in patterns) or r"(?!)")
        self._name = lru_cache(maxsize=4096)(self._named)

    @property
    def has_hashes(self) -> bool:
        return bool(self._digests)

    def file(self, label: str, path: str = "") -> int | None:
        """The line that names a file, a member of an archive or what lies in a folder of that name."""
        return self._name(label.replace("!", "/")) or (self._name(path) if path else None)

    def address(self, url: str) -> int | None:
        """The line that names an address, or its host."""
        try:
            host = (urlsplit(url if "://" in url else f"//{url}").hostname or "").rstrip(".")
        except ValueError:
            host = ""
        parts = host[-_LONGEST_HOST:].split(".")
        return self._first([url, *(".".join(parts[place:]) for place in range(len(parts)))])

    def digest(self, digest: str) -> int | None:
        """The line of a hash."""
        return self._digests.get(digest)

    def of(self, found: Raw | Example) -> int | None:
        """The line that names a document or an example: its file, its address, or a text in it."""
        if (line := self.file(found.label)) is not None:
            return line
        if isinstance(found, Raw):
            if found.url and (line := self.address(found.url)) is not None:
                return line
            return self.digest(text_hash(found.text)) if self._digests else None
        texts = _texts(found.values) if self._digests else ()
        return next((line for text in texts if (line := self.digest(text_hash(text))) is not None), None)

    def _named(self, name: str) -> int | None:
        if len(name) > _LONGEST:  # no disk has such names, and all runs of the parts of one take its cube
            name = f"{name[: _LONGEST // 2]}/{name[-_LONGEST // 2 :]}"
        parts = name.split("/")
        if len(parts) > _DEEPEST:
            parts = [*parts[: _DEEPEST // 2], *parts[-_DEEPEST // 2 :]]
        ends = ["/".join(parts[place:]) for place in range(len(parts))]
        inner = ["/".join(parts[first:last]) for first in range(len(parts)) for last in range(first + 1, len(parts))]
        return self._first([*ends, *(f"{each}/" for each in inner)])

    def _first(self, names: Sequence[str]) -> int | None:
        for name in names:
            if (line := self._names.get(name)) is not None:
                return line
            if self._patterns and self._any.match(name):
                return next(number for pattern, number in self._patterns if pattern.match(name))
        return None


def text_hash(text: str) -> str:
    """The SHA-256 of a text in its normal form."""
    return hashlib.sha256(unicodedata.normalize("NFC", normalise(text)).strip().encode()).hexdigest()


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list | tuple):
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(each)


def opt_out_list(path: str) -> OptOut:
    """The list in a file.

    Raises:
        DaedalError: it cannot be read, or a line is no hash and no name.
    """
    file = Path(path).expanduser()
    try:
        text = read_bytes(file, _MOST).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DaedalError(f"{path} is no list to opt out: byte {error.start} is no UTF-8", "Save it as UTF-8") from None
    return _read(text, path)


@lru_cache(maxsize=2)  # it is asked for every unit of the sources
def _read(text: str, name: str) -> OptOut:
    return OptOut(text, name)


def without(named: Sequence[Named], listed: OptOut, progress: Callable[[int, int | None], None]) -> list[Named]:
    """The sources without the files that are named in a list, which are told as left out.

    Args:
        progress: told the bytes that were hashed, and of how many.
    """
    total = sum(item.bytes for each in named for item in each.items) if listed.has_hashes else 0
    done = 0
    found: list[Named] = []
    for source in named:
        items, lost = [], list(source.lost)
        for item in source.items:
            line = _line(item, listed)
            if listed.has_hashes:
                done += item.bytes
                progress(done, total)
            if line is None:
                items.append(item)
            else:
                lost.append((item.label, REASON, f"line {line} of the list", item.bytes, False))
        found.append(source.model_copy(update={"items": tuple(items), "lost": tuple(lost)}))
    return found


def _line(item: Item, listed: OptOut) -> int | None:
    on_disk = item.kind == "file" and bool(item.path)
    line = listed.file(item.label, item.path if on_disk else "")
    if line is None and on_disk and listed.has_hashes:
        try:
            with open(item.path, "rb") as file:
                line = listed.digest(hashlib.file_digest(file, "sha256").hexdigest())
        except OSError:  # it is told by who reads it
            return None
    return line
