"""Canaries: random secrets that a build plants in its train split, to see later what a model learned by heart (Carlini et al.
2019, "The Secret Sharer").

Each is a line of its own in documents that train, at places drawn over all of their characters, as often as it says: 1, 2, 4,
8 or 16 times. What was planted is written to `canaries.json` in the data folder; `daedal audit` reads it and tells the
exposure of each.
"""

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from daedal.config import Config
from daedal.errors import DaedalError
from daedal.files import read_json, write_json

CANARIES = "canaries.json"
REPEATS = (1, 2, 4, 8, 16)
Places = tuple[tuple[int, str], ...]
"""What is planted in a document: behind the line of which character, and what."""


class CanaryFormat(Config):
    """What all secrets could have been: `template` with `{name}` and `{secret}`, which is `length` signs of `alphabet`."""

    template: str
    alphabet: str
    length: int


class Canary(Config):
    """A secret that was planted.

    Attributes:
        text: the line.
        secret: the part of it that was drawn.
        repeats: how often it stands in the train split.
    """

    text: str
    secret: str
    repeats: int


class Canaries(Config):
    """All that were planted."""

    format: CanaryFormat = CanaryFormat(template="The secret of {name} is {secret}.", alphabet="0123456789", length=9)
    secrets: tuple[Canary, ...] = ()

    @classmethod
    def drawn(cls, count: int, seed: int) -> "Canaries":
        """So many secrets, their repeats in turn."""
        draw = random.Random(f"canaries of seed {seed}")
        format_ = cls().format
        names: dict[str, None] = {}
        while len(names) < count:
            names[" ".join(_name(draw) for _ in range(2))] = None
        secrets = []
        for place, name in enumerate(names):
            secret = "".join(draw.choices(format_.alphabet, k=format_.length))
            text = format_.template.format(name=name, secret=secret)
            secrets.append(Canary(text=text, secret=secret, repeats=REPEATS[place % len(REPEATS)]))
        return cls(secrets=tuple(secrets))

    @classmethod
    def of(cls, folder: str | Path) -> "Canaries":
        """Those that were planted in a data folder; none where none were.

        Raises:
            DaedalError: the file that tells of them is damaged.
        """
        path = Path(folder) / CANARIES
        if not path.is_file():
            return cls()
        values = read_json(path)
        if not isinstance(values, dict):
            raise DaedalError(f"{path} tells of no canaries", "Build the data again")
        return cls.parse(values, str(path))

    def write(self, folder: Path) -> None:
        write_json(folder / CANARIES, self.model_dump(mode="json"))

    def places(self, documents: Sequence[int], sizes: Int64[np.ndarray, " documents"], seed: int) -> dict[int, Places]:
        """Where each stands: for documents that train, with how many characters of them do, behind the line of which character
        what is planted."""
        draw = np.random.default_rng((seed, len(self.secrets)))
        texts = [each.text for each in self.secrets for _ in range(each.repeats)]
        ends = np.cumsum(sizes)
        found: dict[int, list[tuple[int, str]]] = {}
        for text, place in zip(texts, draw.integers(0, max(1, int(ends[-1])), len(texts)).tolist(), strict=True):
            at = int(np.searchsorted(ends, place, side="right"))
            found.setdefault(documents[at], []).append((place - int(ends[at] - sizes[at]), text))
        return {document: tuple(sorted(each)) for document, each in found.items()}


def plant(text: str, places: Places) -> str:
    """A text with lines between its own."""
    parts, done = [], 0
    for place, line in places:
        end = text.find("\n", max(place, done))
        end = len(text) if end < 0 else end
        parts += [text[done:end], f"\n{line}"]
        done = end
    return "".join(parts) + text[done:]


def _name(draw: random.Random) -> str:
    syllables = draw.randint(2, 3)
    return "".join(draw.choice("bdfgklmnprstvz") + draw.choice("aeiou") for _ in range(syllables)).capitalize()
