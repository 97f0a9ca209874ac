"""How words are said: a pronouncing dictionary in the format of Carnegie Mellon's (Weide 1998), as a person points to it.

- a line for each word: `SEVEN  S EH1 V AH0 N`; `SEVEN(2)`, or `SEVEN 2 S EH1 V AH0 N`, says it another way, and the first way
  is taken; lines that begin with `;;;` or `#` are notes
- a text becomes symbols: the phonemes of each word that is known, the letters of each that is not, a space between words
"""

import io
import lzma
import os
import re
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from daedal.errors import DaedalError
from daedal.files import read_bytes, write_text

PRONUNCIATIONS = "pronunciations.txt"
_LARGEST = 2**26  # bytes
_DAMAGED = (OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error, lzma.LZMAError)
"""What reading an archive raises; RuntimeError where it is encrypted."""
_MOST = 500_000  # words
_LONGEST = 100  # phonemes of a word
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*|\S")
_VARIANT = re.compile(r"(?P<word>\S+?)(?:\((?P<number>\d+)\))?\s+(?:(?P<counter>\d+)\s+)?(?P<said>[A-Za-z].*)")
_NOTE = (";;;", "#")


class Pronunciations:
    """Words, in small letters, and the phonemes of each."""

    def __init__(self, words: Mapping[str, tuple[str, ...]]) -> None:
        self.words = dict(words)

    def spell(self, text: str) -> list[str]:
        """The symbols of a text (`plain`): phonemes, letters, spaces."""
        symbols: list[str] = []
        for word in text.split():
            symbols += [" "] if symbols else []
            for part in _WORD.findall(word):
                symbols += self.words.get(part, tuple(part))
        return symbols

    def unknown(self, text: str) -> list[str]:
        """The words of a text that are spelled."""
        return [word for word in _WORD.findall(text) if word[0].isalpha() and word not in self.words]

    @classmethod
    def read(cls, path: Path | str) -> Self:
        """A dictionary in a file, or the largest file of a ZIP archive.

        Raises:
            DaedalError: it cannot be read, is too large, or has no line that says how a word is said.
        """
        path = Path(path).expanduser()
        data = read_bytes(path, _LARGEST)
        data = _unpacked(data, path) if path.suffix.lower() == ".zip" else data
        words: dict[str, tuple[str, ...]] = {}
        strange = 0
        for line in data.decode("utf-8-sig", "replace").splitlines():
            if not line.strip() or line.startswith(_NOTE):
                continue
            found = _VARIANT.fullmatch(line.strip()) if line.isprintable() or "\t" in line else None
            said = () if found is None else tuple(found["said"].split("#")[0].lower().split())
            if found is None or len(said) > _LONGEST:
                strange += 1
            else:
                words.setdefault(found["word"].lower(), said)
        if strange > len(words) or not any(len(said) > 1 for said in words.values()):
            raise DaedalError(
                f"{path} says of no word how it is said", "Name a dictionary with lines as SEVEN  S EH1 V AH0 N"
            )
        if len(words) > _MOST:
            raise DaedalError(f"{path} has {len(words):,} words", f"Give one of at most {_MOST:,}")
        return cls(words)

    def save(self, folder: Path) -> None:
        """Write `pronunciations.txt`: all words, since a prompt may have those that no transcript had."""
        lines = (f"{word}  {' '.join(said)}\n" for word, said in sorted(self.words.items()))
        write_text(folder / PRONUNCIATIONS, "".join(lines))

    @classmethod
    def load(cls, folder: Path) -> Self | None:
        """What `save` wrote; None where there is none.

        Raises:
            DaedalError: it is damaged.
        """
        path = folder / PRONUNCIATIONS
        return cls.read(path) if os.path.lexists(path) else None


def spelled(text: str, said: Pronunciations | None) -> list[str]:
    """The symbols of a text: as it is said, or its characters."""
    return list(text) if said is None else said.spell(text)


def _unpacked(packed: bytes, path: Path) -> bytes:
    """The largest file of an archive."""
    try:
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            files = [each for each in archive.infolist() if not each.is_dir()]
            if not files:
                raise DaedalError(f"{path} is an empty archive", "Name a pronouncing dictionary")
            with archive.open(max(files, key=lambda each: each.file_size)) as file:
                data = file.read(_LARGEST + 1)
    except _DAMAGED as error:
        raise DaedalError(f"{path} cannot be unpacked ({error})", "Name a pronouncing dictionary") from None
    if len(data) > _LARGEST:
        raise DaedalError(f"{path} holds more than {_LARGEST:,} bytes", "Give a smaller dictionary")
    return data
