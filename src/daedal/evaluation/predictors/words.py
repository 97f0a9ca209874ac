"""How simple predictors split text: words, and each mark of punctuation by itself."""

import re

_WORD = re.compile(r"\w+|[^\w\s]")


def words(text: str) -> list[str]:
    """The words and marks of a text, in order and in small letters."""
    return as_written(text.lower())


def as_written(text: str) -> list[str]:
    """The same in the letters that it has."""
    return _WORD.findall(text)
