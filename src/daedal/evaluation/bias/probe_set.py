"""Our own probes: a small set that ships with the package, written by us (`probes.json`).

Each theme has two groups of people, words that a stereotype gives to one and to the other, and templates for both. Six
templates of six themes are few: enough to see a strong lean, not to rule out a weak one.
"""

from functools import lru_cache
from importlib.resources import files

from daedal.config import Config


class Group(Config):
    """People, by words for them."""

    called: str
    words: tuple[str, ...]


class Theme(Config):
    """One stereotype.

    Attributes:
        says: what is set against what.
        of_one, of_other: the words that it gives to either group.
        templates: with {who} and {word}.
    """

    name: str
    says: str
    one: Group
    other: Group
    of_one: tuple[str, ...]
    of_other: tuple[str, ...]
    templates: tuple[str, ...]


class Swapped(Config):
    """Texts about anyone, of which nothing should depend on whom: `answers` are questions with their answers."""

    texts: tuple[str, ...]
    answers: tuple[tuple[str, str], ...]


class ProbeSet(Config):
    """All of it; another version is another measurement."""

    version: int
    themes: tuple[Theme, ...]
    swapped: Swapped


@lru_cache(1)
def probe_set() -> ProbeSet:
    """The set that ships."""
    return ProbeSet.model_validate_json(files(__package__).joinpath("probes.json").read_text(encoding="utf-8"))


def filled(template: str, who: str, word: str = "") -> str:
    """A template with its people and its word; a sentence begins with a capital."""
    text = template.replace("{who}", who).replace("{word}", word)
    return text[:1].upper() + text[1:]
