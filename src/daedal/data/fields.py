"""Which column of a table is which column of an example: as asked for, else by usual names."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from daedal.data.document import Note
from daedal.errors import DaedalError

_SPLITS = {
    "train": "train", "training": "train",
    "val": "validation", "valid": "validation", "validation": "validation", "dev": "validation",
    "test": "test", "testing": "test", "t10k": "test",
}  # fmt: skip
# entailment (RTE, SNLI), paraphrases (MRPC), whether a passage answers (BoolQ, QNLI)
_BOTH = (
    ("premise", "hypothesis"), ("sentence1", "sentence2"), ("question1", "question2"), ("text1", "text2"), ("text_a", "text_b"),
    ("#1_string", "#2_string"), ("question", "sentence"), ("question", "passage"), ("question", "context"),
    ("query", "passage"),
)  # fmt: skip
_CHOICES = re.compile(r"(ans|answer|choice|option|ending)_?\d|(choices|options|endings|answer_info)$", re.IGNORECASE)
_COUNTS = re.compile(r"|.*_?(id|idx|index|guid|uuid)|unnamed: \d+", re.IGNORECASE)
_ABOUT = re.compile(r"_?(readme|licen[cs]e|copying|notice|changes|about)\b", re.IGNORECASE)


def named_split(name: str) -> str | None:
    """The split that is called so."""
    return _SPLITS.get(name.lower())


def split_of_folders(folders: Sequence[str]) -> str | None:
    """The split that a folder of a path is called like: the innermost one that is."""
    return next((split for folder in reversed(folders) if (split := named_split(folder))), None)


def split_of_name(path: str) -> str | None:
    """The split that a word of a file's name is, as in `t10k-images` or `train-00000-of-00001.parquet`, or else its folder.
    Members of archives follow after `!`."""
    *folders, file = re.split(r"[/!]", path)
    words = re.split(r"[-_.]", file.lower())
    return next((_SPLITS[word] for word in words if word in _SPLITS), None) or split_of_folders(folders)


def named(columns: Iterable[str], usual: Iterable[str]) -> str | None:
    """The first of the usual names that a table has, whatever its case; spaces and dashes are underscores."""
    known = _lowered(tuple(columns))
    return next((known[name] for name in usual if name in known), None)


@lru_cache(maxsize=256)  # it is asked of every row
def _lowered(columns: tuple[str, ...]) -> dict[str, str]:
    return {re.sub(r"[\s-]+", "_", name.strip().lower()): name for name in reversed(columns)}


def match(columns: Iterable[str], usual: Mapping[str, Iterable[str]], asked: Mapping[str, str]) -> dict[str, str]:
    """For each column of an example that of the table, where there is one."""
    columns = list(columns)
    chosen = {name: asked.get(name) or named(columns, names) for name, names in usual.items()}
    return {name: column for name, column in chosen.items() if column is not None and column in columns}


Shape = Sequence[tuple[str, str]]
"""The columns of a table without names: what each is of an example, or nothing, and the pattern of its cells."""


def shaped(rows: Sequence[Mapping[str, Any]], shapes: Iterable[Shape]) -> dict[str, str]:
    """For each column of an example that of a table without names, whose rows look like one of `shapes`; else none."""
    rows = rows[:50]
    for shape in shapes:
        fit = (
            list(row) == [str(place) for place in range(len(shape))]
            and all(re.fullmatch(of, str(cell)) for (_, of), cell in zip(shape, row.values(), strict=True))
            for row in rows
        )
        if rows and sum(fit) >= 0.9 * len(rows):
            return {name: str(place) for place, (name, _) in enumerate(shape) if name}
    return {}


def both_of(columns: Iterable[str]) -> tuple[str, str] | None:
    """Two columns of texts of which something is said together: whether one follows from the other, or answers it."""
    columns = list(columns)
    found = ((named(columns, (one,)), named(columns, (other,))) for one, other in _BOTH)
    return next(((one, other) for one, other in found if one is not None and other is not None), None)


def has_choices(columns: Iterable[str]) -> bool:
    """Whether a table has answers to choose from."""
    columns = list(columns)
    return any(map(_CHOICES.match, columns)) or {"a", "b", "c", "d"} <= {name.lower() for name in columns}


def alone(columns: Iterable[str], own: Iterable[str]) -> bool:
    """Whether a table has but the columns of an example, and such as number its rows."""
    others = set(columns) - set(own)
    return all(
        _COUNTS.fullmatch(name.strip()) or named_split(name) or name.strip().lower() == "split" for name in others
    )


def about(name: str) -> bool:
    """Whether a file of this name tells of others."""
    return _ABOUT.match(name) is not None


def require(label: str, columns: Iterable[str], asked: Mapping[str, str], known: Iterable[str]) -> None:
    """Refuse columns that were asked for and are not there.

    Raises:
        DaedalError: the example has no such column, or the table has not.
    """
    columns, known = list(columns), list(known)
    for name, column in asked.items():
        if name not in known:
            raise DaedalError(f"--column {name}={column}: there is no {name}", f"Choose from {', '.join(known)}")
        if column not in columns:
            raise DaedalError(f"{label} has no column {column!r}", f"It has {', '.join(columns[:20]) or 'none'}")


def guesses(label: str, chosen: Mapping[str, str], asked: Mapping[str, str]) -> Iterator[Note]:
    """Word of columns that were guessed by other names than their own."""
    guessed = [f"{name} from {column!r}" for name, column in chosen.items() if name not in asked and name != column]
    if guessed:
        yield Note(f"{', '.join(guessed)} (guessed; --column {next(iter(chosen))}=NAME chooses)")
