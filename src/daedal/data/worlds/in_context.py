"""Games to be learned from their examples: `in-context:N` is text of N documents, each a run of
`input -> output` of one function.

    linear    7 -> 24          a number times a, plus b: 200 pairs of a and b
    words     cow -> red       two kinds of things and a label for each
    letters   k t r -> s u l   letters are rearranged in one of twelve ways and changed in one of four

- which function it is is never said: only the examples before tell, so that a model that is right has learned it from them
- one function in ten is held out: documents have none of those, and the tasks `in-context/linear`, `in-context/words` and
  `in-context/letters` no others
- document `number` is always the same
"""

import hashlib
from collections.abc import Callable
from random import Random
from typing import NamedTuple

from daedal.data.filetypes import words

IN_CONTEXT = "in-context"
GAMES = ("linear", "words", "letters")
ARROW = " ->"
"""Behind an input; a space and the output follow."""

_EXAMPLES = 10  # of a document
_ONE_IN = 10
_FACTORS, _OFFSETS, _NUMBERS = range(10), range(20), range(20)
_KINDS = {
    "animal": "cow dog cat horse sheep goat mouse lion bear wolf fox hen duck frog",
    "plant": "oak rose fern moss tulip pine reed vine lily birch grass ivy elm wheat",
    "tool": "saw axe drill spade rake nail screw rope file brush hammer wrench lever pump",
    "food": "bread soup cheese rice cake egg salt honey butter pie jam bean nut corn",
    "cloth": "hat coat shoe glove scarf sock shirt belt cap boot dress cloak vest robe",
    "music": "drum harp flute horn bell lute organ fiddle pipe song hymn waltz tune chord",
}
_LABELS = sorted(
    words(
        "red blue green black white grey brown pink gold silver one two three four north south east west up down left right "
        "hot cold big small old new fast slow"
    )
)
_THINGS = {kind: names.split() for kind, names in _KINDS.items()}
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_ARRANGED: dict[str, Callable[[list[str]], list[str]]] = {
    "as they are": lambda s: s,
    "reversed": lambda s: s[::-1],
    "sorted": sorted,
    "first to the end": lambda s: [*s[1:], s[0]],
    "last to the front": lambda s: [s[-1], *s[:-1]],
    "ends exchanged": lambda s: [s[-1], *s[1:-1], s[0]],
    "each twice": lambda s: [each for one in s for each in (one, one)],
    "the first": lambda s: s[:1],
    "the last": lambda s: s[-1:],
    "without the first": lambda s: s[1:],
    "without the last": lambda s: s[:-1],
    "first and last": lambda s: [s[0], s[-1]],
}
_CHANGED: dict[str, Callable[[str], str]] = {
    "unchanged": lambda c: c,
    "in capitals": str.upper,
    "the next": lambda c: _LETTERS[(_LETTERS.index(c) + 1) % 26],
    "the one before": lambda c: _LETTERS[(_LETTERS.index(c) - 1) % 26],
}


class Function(NamedTuple):
    """What is to be learned from examples.

    Attributes:
        name: what it does, in words.
        draw: gives an input and its output.
    """

    name: str
    draw: Callable[[Random], tuple[str, str]]

    @property
    def held_out(self) -> bool:
        """Whether no document has it: by a hash of its name."""
        return hashlib.sha256(f"games/{self.name}".encode()).digest()[0] % _ONE_IN == 0

    def examples(self, count: int, draw: Random) -> list[tuple[str, str]]:
        """Inputs that differ, with their outputs."""
        found: dict[str, str] = {}
        while len(found) < count:
            found.setdefault(*self.draw(draw))
        return list(found.items())


def function(game: str, draw: Random, held_out: bool = False) -> Function:
    """One of those of a game, held-out ones alone or none of them."""
    while True:
        found = _MAKERS[game](draw)
        if found.held_out == held_out:
            return found


def _linear(draw: Random) -> Function:
    a, b = draw.choice(_FACTORS), draw.choice(_OFFSETS)

    def pair(draw: Random) -> tuple[str, str]:
        x = draw.choice(_NUMBERS)
        return str(x), str(a * x + b)

    return Function(f"{a} x + {b}", pair)


def _words(draw: Random) -> Function:
    kinds, labels = sorted(draw.sample(sorted(_THINGS), 2)), draw.sample(_LABELS, 2)

    def pair(draw: Random) -> tuple[str, str]:
        which = draw.randrange(2)
        return draw.choice(_THINGS[kinds[which]]), labels[which]

    named = (f"{kind} is {label}" for kind, label in zip(kinds, labels, strict=True))
    return Function(", ".join(named), pair)


def _letters(draw: Random) -> Function:
    arrange, change = draw.choice(list(_ARRANGED)), draw.choice(list(_CHANGED))

    def pair(draw: Random) -> tuple[str, str]:
        letters = draw.sample(_LETTERS, draw.randint(3, 5))
        return " ".join(letters), " ".join(map(_CHANGED[change], _ARRANGED[arrange](letters)))

    return Function(f"{arrange}, {change}", pair)


_MAKERS: dict[str, Callable[[Random], Function]] = {"linear": _linear, "words": _words, "letters": _letters}


def document(number: int) -> str:
    """A document: examples of a function that is not held out, a line each."""
    draw = Random(f"{IN_CONTEXT}/{number}")
    found = function(draw.choice(GAMES), draw)
    return "".join(f"{one}{ARROW} {other}\n" for one, other in found.examples(_EXAMPLES, draw))
