"""The tokenizer of Marian's checkpoints: a SentencePiece model for the source, another for the target, one table of ids.

`source.spm`, `target.spm` and `vocab.json`, as `transformers.MarianTokenizer` opens them. A text may begin with the language
that it is to be translated to, as `>>fra<<`.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from tokenizers import AddedToken, Encoding, Tokenizer, decoders, models

from daedal.codecs.sentencepiece_reader import read_pieces
from daedal.codecs.tokenizer_files import content_of, made
from daedal.errors import DaedalError
from daedal.files import atomic_path, read_json, regular_size

SOURCE, TARGET, TABLE = "source.spm", "target.spm", "vocab.json"
_LARGEST = 64 * 2**20  # bytes of a file
_SPECIAL = {"unk_token": "<unk>", "eos_token": "</s>", "pad_token": "<pad>"}
_LANGUAGE = re.compile(r">>.*?<<", re.DOTALL)


class Marian:
    """The pieces of what is read and of what is written, and their ids.

    Attributes:
        tokenizer: of all pieces by their ids: to decode.
        settings: of `tokenizer_config.json`.
    """

    def __init__(self, files: Mapping[str, bytes], settings: dict[str, Any], where: str) -> None:
        self._files = dict(files)
        try:
            table = json.loads(files[TABLE])
            if not table or not isinstance(table, dict) or sorted(table.values()) != list(range(len(table))):
                raise ValueError(f"the ids of {TABLE} are not 0, 1, 2 ...")
            pieces = sorted(table, key=table.__getitem__)
            self.tokenizer = Tokenizer(models.Unigram([(piece, 0.0) for piece in pieces], unk_id=0))
        except (ValueError, TypeError, RecursionError) as error:
            raise DaedalError(f"{where}/{TABLE} is not a vocabulary ({error})", "Restore it from a copy") from None
        self.settings = {**_SPECIAL, **settings}
        special = [content_of(self.settings[name]) or "" for name in _SPECIAL]
        if missing := [token for token in special if token not in table]:
            raise DaedalError(f"{where}/{TABLE} has no piece {missing[0]}", "Restore it from a copy")
        self.tokenizer.decoder = decoders.Metaspace()
        self.tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
        self._table: dict[str, int] = table
        self._unknown: int = table[special[0]]
        self._source, self._target = (self._side(name, where) for name in (SOURCE, TARGET))

    @staticmethod
    def is_in(folder: Path) -> bool:
        """Whether a folder has these files, and no tokenizer that goes before them."""
        return (folder / SOURCE).exists() and not (folder / "tokenizer.json").exists()

    @classmethod
    def load(cls, folder: Path | str) -> Self:
        """Those of a folder.

        Raises:
            DaedalError: files are missing or damaged, or the two sides have tables of their own.
        """
        folder, files = Path(folder), {}
        for name in (SOURCE, TARGET, TABLE):
            if regular_size(folder / name) > _LARGEST:
                raise DaedalError(f"{folder / name} is too large for a vocabulary", "Restore it from a copy")
            files[name] = (folder / name).read_bytes()
        path = folder / "tokenizer_config.json"
        settings = read_json(path) if path.exists() else {}
        if not isinstance(settings, dict):
            raise DaedalError(f"{path} does not hold a JSON object", "Restore it from a copy")
        if settings.get("separate_vocabs"):
            raise DaedalError(
                f"{folder} has a table of ids for each side", "Take a model with one table for both, or Transformers"
            )
        return cls(files, {"tokenizer_class": "MarianTokenizer", **settings}, str(folder))

    def save(self, folder: Path) -> None:
        """Write the files as they were."""
        for name, content in self._files.items():
            with atomic_path(folder / name) as temporary:
                temporary.write_bytes(content)

    def encode(self, texts: Sequence[str], written: bool = False) -> list[list[int]]:
        """The ids of texts that are read, or of those that are `written`."""
        found = [_LANGUAGE.match(text) for text in texts]
        rest = [text[each.end() :] if each else text for text, each in zip(texts, found, strict=True)]
        encodings = (self._target if written else self._source).encode_batch(rest, add_special_tokens=False)
        codes = [[self._table.get(each[0], self._unknown)] if each else [] for each in found]
        return [code + self._numbers(encoding) for code, encoding in zip(codes, encodings, strict=True)]

    def encode_with_places(self, texts: Sequence[str]) -> list[tuple[list[int], list[tuple[int, int]]]]:
        """The ids of texts that are read, and the characters of each."""
        encodings = self._source.encode_batch(texts, add_special_tokens=False)
        return [(self._numbers(encoding), encoding.offsets) for encoding in encodings]

    def fingerprint(self) -> str:
        """SHA-256 of the files."""
        hashes = (hashlib.sha256(self._files[name]).digest() for name in sorted(self._files))
        return hashlib.sha256(b"".join(hashes)).hexdigest()

    def _numbers(self, encoding: Encoding) -> list[int]:
        return [self._table.get(token, self._unknown) for token in encoding.tokens]

    def _side(self, name: str, where: str) -> Tokenizer:
        wrong = f"{where}/{name} is not a unigram model of SentencePiece"
        return made(lambda: read_pieces(self._files[name]), wrong)
