"""Tables of labelled texts: which columns are the text, or the two texts, and the label; and what a cell of a label says.

Read by `daedal.data.kinds.labelled`.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from daedal.data.fields import alone, both_of, has_choices, match, named, require
from daedal.data.numerals import vary
from daedal.data.peek import Peek
from daedal.data.rows import Row

USUAL = {
    "text": (
        "text", "sentence", "content", "review", "tweet", "message", "comment", "body", "document", "article", "utterance",
        "review_text", "reviewtext", "comment_text", "headline", "title", "question", "query", "sms",
    ),
    "text_b": (),
    "label": (
        "label", "label_text", "labels", "class", "category", "sentiment", "target", "intent", "topic", "stars", "rating",
        "emotion", "polarity", "fine_label", "coarse_label", "class_name", "gold_label", "tag", "quality", "overall",
    ),
}  # fmt: skip
_SCORES = ("score", "grade", "sentiment_score", "intensity", "complexity", "valence")
_SENTENCE = 4  # words of a text on average, where a table has more than it and its class
_MOST = 0.5  # of the first rows: classes that differ, at most
_WHEN = re.compile(r"\d{4}-\d\d-\d\d|\d\d:\d\d:\d\d|\d\d?/\d\d?/\d{2,4}")  # of a log
_YES, _NO = frozenset(("1", "1.0", "true")), frozenset(("0", "0.0", "false"))
_UNKNOWN = frozenset(("-1",))  # Jigsaw's test split


class LabelColumns(NamedTuple):
    """Where an example's parts stand.

    Attributes:
        texts: the text; it may be of several, a line each.
        other: the second text, where something is said of two.
        labels: one that says the label, or several that say 0 or 1, each of a class of its name.
    """

    texts: tuple[str, ...]
    labels: tuple[str, ...]
    other: str | None = None

    def label_in(self, row: Mapping[str, Any], separator: str | None = None) -> Any:
        """The label of a row: what it says, several classes as a list, which may be empty; None where it has none."""
        if len(self.labels) > 1:
            said = {name: str(row.get(name)).strip().lower() for name in self.labels}
            return [name for name in said if said[name] in _YES] if set(said.values()) <= _YES | _NO else None
        label = row.get(self.labels[0])
        if separator is not None and isinstance(label, str):
            label = [part.strip() for part in label.split(separator) if part.strip()]
        return label[0] if isinstance(label, list) and len(label) == 1 else label  # GoEmotions

    def text_in(self, row: Mapping[str, Any]) -> tuple[Any, Any]:
        """The text of a row and its second one; None where one is missing."""
        texts = [row.get(of) for of in self.texts]
        other = row.get(self.other) if self.other is not None else None
        if None in texts or (self.other is not None and other is None):
            return None, None
        return texts[0] if len(texts) == 1 else "\n".join(map(str, texts)), other


def looks_labelled(peek: Peek) -> bool:
    """Whether a table has names of columns as labelled texts have, and labels in them."""
    if has_choices(peek.columns):  # the class says which of them, and is none of a text
        return False
    chosen = named_columns(peek.rows, {})
    if chosen is None or len(chosen.labels) > 1:
        return chosen is not None
    values = [row.get(chosen.labels[0]) for row in peek.rows]
    if _few(values):
        return True
    own = (*chosen.texts, *chosen.labels)
    return chosen.other is None and alone(peek.columns, own) and vary(values)


def columns_of(rows: Sequence[Row], asked: Mapping[str, str]) -> LabelColumns | None:
    """The columns of a table, by name or by what they hold.

    Raises:
        DaedalError: one that was asked for is not there.
    """
    columns = list(dict.fromkeys(name for row in rows for name in row.values))
    label = asked.get("label", "")
    parts = [label] if label in columns else label.split(",")
    for part in parts:
        require(rows[0].label, columns, {**asked, "label": part} if part else asked, USUAL)
    values = [row.values for row in rows]
    return named_columns(values, asked) or nameless_columns(values)


def named_columns(rows: Sequence[Mapping[str, Any]], asked: Mapping[str, str]) -> LabelColumns | None:
    """The columns of the text, of which there may be two, and of the label."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    chosen = match(columns, USUAL, asked)
    both = both_of(columns) if "text" not in asked else None
    text, other = both or (chosen.get("text"), None)
    other = asked.get("text_b") or other
    if text is None:
        return None
    if (said := asked.get("label")) is not None and said not in columns:
        return LabelColumns((text,), tuple(said.split(",")), other)
    label = chosen.get("label") or (named(columns, ("answer",)) if both else None)  # BoolQ
    flags = _flags(rows, columns, text) if label is None and other is None else ()
    label = label or (None if flags else named(columns, _SCORES))
    labels = (label,) if label is not None else flags
    return LabelColumns((text,), labels, other) if labels else None


def _flags(rows: Sequence[Mapping[str, Any]], columns: Iterable[str], text: str) -> tuple[str, ...]:
    """Columns of 0 and 1, where a table has a text, several of them, and nothing else (Jigsaw's toxic comments)."""
    said = {name: {str(row.get(name)).strip().lower() for row in rows} for name in columns if name != text}
    flags = [name for name, cells in said.items() if cells <= _YES | _NO | _UNKNOWN]
    return tuple(flags) if len(flags) > 1 and alone(columns, (text, *flags)) else ()


def nameless_columns(rows: Sequence[Mapping[str, Any]]) -> LabelColumns | None:
    """The text and the class in a table without names: the columns of several words, and the only one of a few short values."""
    names = [str(number) for number in range(len(rows[0]))] if rows else []
    if len(names) < 2 or any(list(row) != names for row in rows):
        return None
    cells = {name: [str(row[name]) for row in rows] for name in names}
    if len(names) > 2 and any(sum(map(bool, map(_WHEN.search, each))) > 0.9 * len(rows) for each in cells.values()):
        return None
    longest = max(cells, key=lambda name: sum(map(len, cells[name])))
    labels = [
        name
        for name in names
        if name != longest
        and all(0 < len(cell) <= 32 for cell in cells[name])
        and _few(cells[name])
        and (len(set(cells[name])) > 1 or len(names) == 2)  # a file may be sorted by its classes
    ]
    said = [name for name in names if _words(cells[name]) >= 1.5 and name not in labels]
    texts = tuple(said) or ((longest,) if len(names) == 2 else ())
    enough = len(names) == 2 or max((_words(cells[name]) for name in texts), default=0) >= _SENTENCE
    return LabelColumns(texts, (labels[0],)) if enough and len(labels) == 1 else None


def _few(values: Sequence[Any]) -> bool:
    """Whether these are classes, or lists of them: each of them comes again, most of the time."""
    lists = [value if isinstance(value, list) else [value] for value in values if value is not None]
    plain = [str(value) for each in lists for value in each if isinstance(value, str | int | float | bool)]
    whole = len(lists) > 0.9 * len(values) and len(plain) >= sum(map(len, lists)) and len(plain) > 0.9 * len(lists)
    return whole and len(set(plain)) <= max(2, _MOST * len(plain))


def _words(cells: Sequence[str]) -> float:
    return sum(len(cell.split()) for cell in cells) / len(cells)
