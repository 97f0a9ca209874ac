"""Labelled text: a text and its class. Tables with both columns, named or not (SST-2's TSV), and folders as classes (IMDB)."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from daedal.data.columns import Classes, Ragged
from daedal.data.document import Example, Lost, Note
from daedal.data.example_options import ExampleOptions
from daedal.data.fields import guesses, match, named, named_split, require, split_of_name
from daedal.data.kind import Found, Kind, Stratified
from daedal.data.peek import Peek, Sources
from daedal.data.rows import Chosen, Row, Whole, read_chosen
from daedal.data.sources import Item

USUAL = {
    "text": (
        "text", "sentence", "content", "review", "tweet", "message", "comment", "body", "document", "article", "utterance",
        "review_text", "reviewtext", "comment_text", "headline", "title", "question", "query", "sms",
    ),
    "label": (
        "label", "label_text", "labels", "class", "category", "sentiment", "target", "intent", "topic", "stars", "rating",
        "emotion", "polarity", "fine_label", "coarse_label", "class_name", "gold_label", "tag", "quality", "overall",
    ),
}  # fmt: skip
# what a class is of are both: entailment (RTE, SNLI), paraphrases (MRPC), whether a passage answers (BoolQ, QNLI)
_BOTH = (
    ("premise", "hypothesis"), ("sentence1", "sentence2"), ("question1", "question2"), ("text1", "text2"), ("text_a", "text_b"),
    ("#1_string", "#2_string"), ("question", "sentence"), ("question", "passage"), ("question", "context"),
    ("query", "passage"),
)  # fmt: skip
_CHOICES = re.compile(
    r"(ans|answer|choice|option|ending)_?\d|(choices|options|endings|answers|answer_info)$", re.IGNORECASE
)
_NO_CLASSES = frozenset(("unsup", "unlabeled", "unlabelled"))  # IMDB has as many texts without a class again
_MOST = 0.5  # of the first rows: classes that differ, at most


def recognise(sources: Sources) -> float:
    tables = [peek for peek in sources.tables if len(peek.rows) > 1]
    classed = [peek for peek in tables if split_of_name(peek.label) != "test"]
    tables = classed or tables  # GLUE's tests are without classes
    if tables:
        sure = [0.8 if _named(peek) else 0.7 if _unnamed(peek) else 0.0 for peek in tables]
        return min(sure)
    return 0.6 if _folders(sources.names) else 0.0


def _named(peek: Peek) -> bool:
    if any(map(_CHOICES.match, peek.columns)):  # the class says which of them, and is none of a text
        return False
    chosen = _match(peek.columns, {})
    return {"text", "label"} <= chosen.keys() and _few([row.get(chosen["label"]) for row in peek.rows])


def _unnamed(peek: Peek) -> bool:
    return _nameless([Row("", 0, row) for row in peek.rows]) is not None


def _match(columns: Iterable[str], asked: Mapping[str, str]) -> dict[str, str]:
    """The columns of the text and of the class; `second`, where the text is of two."""
    columns = list(columns)
    chosen = match(columns, USUAL, asked)
    both = next(
        (pair for one, other in _BOTH if None not in (pair := (named(columns, [one]), named(columns, [other])))), None
    )
    if both is not None and "text" not in asked:
        chosen["text"], chosen["second"] = both  # type: ignore[assignment]
    return chosen


def _few(values: Sequence[Any]) -> bool:
    """Whether these are classes: each of them comes again, most of the time."""
    plain = [str(value) for value in values if isinstance(value, str | int | float | bool)]
    return len(plain) > 0.9 * len(values) and len(set(plain)) <= max(2, _MOST * len(plain))


def _nameless(rows: Sequence[Row]) -> dict[str, str] | None:
    """The text and the class in a table without names: the longest column, and the only one of a few short values."""
    names = [str(number) for number in range(len(rows[0].values))] if rows else []
    if len(names) < 2 or any(list(row.values) != names for row in rows):
        return None
    cells = {name: [str(row.values[name]) for row in rows] for name in names}
    text = max(cells, key=lambda name: sum(map(len, cells[name])))
    labels = [
        name
        for name in names
        if name != text
        and all(0 < len(cell) <= 32 for cell in cells[name])
        and _few(cells[name])
        and len(set(cells[name])) > 1
    ]
    if len(names) == 2 and not labels:  # a file may be sorted by its classes
        labels = [name for name in names if name != text and max(map(len, cells[name])) <= 32 and _few(cells[name])]
    says = len(names) == 2 or sum(" " in cell.strip() for cell in cells[text]) > 0.5 * len(rows)
    return {"text": text, "label": labels[0]} if says and len(labels) == 1 else None


def _folders(names: Sequence[str]) -> bool:
    """Whether texts lie in folders of classes within folders of splits."""
    classes: dict[str, Counter[str]] = defaultdict(Counter)
    for name in names:
        *folders, file = name.replace("!", "/").split("/")
        if len(folders) >= 2 and file.lower().endswith((".txt", ".text")) and (split := named_split(folders[-2])):
            classes[split][folders[-1]] += 1
    return any(len(each) > 1 and each.total() > len(each) for each in classes.values())


def read(items: Sequence[Item], options: ExampleOptions) -> Iterator[Found]:
    for item in items:
        told: set[str] = set()
        for found in read_chosen(item, options.encoding, lambda rows: _choose(rows, options)):
            if isinstance(found, Whole):
                yield from _file(found)
            elif isinstance(found, Chosen):
                row, columns = found
                if row.label not in told:
                    told.add(row.label)
                    yield from _tell(row, columns, options)
                values = {name: _cell(row.values.get(of)) for name, of in columns.items()}
                if second := values.pop("second", None):
                    values["text"] = f"{values['text']}\n{second}" if values["text"] else None
                yield Example(row.label, row.number, values, split_of_name(row.label))
            else:
                yield found


def _choose(rows: Sequence[Row], options: ExampleOptions) -> dict[str, str]:
    columns = dict.fromkeys(name for row in rows for name in row.values)
    require(rows[0].label, columns, options.columns, USUAL)
    chosen = _match(columns, options.columns)
    return chosen if {"text", "label"} <= chosen.keys() else _nameless(rows) or {}


def _tell(row: Row, columns: Mapping[str, str], options: ExampleOptions) -> Iterator[Found]:
    if "second" in columns:
        yield Note(f"text is {columns['text']!r} and {columns['second']!r}, a line each (--column text=NAME takes one)")
    if columns:
        yield from guesses(
            row.label,
            {name: of for name, of in columns.items() if "second" not in columns or name == "label"},
            options.columns,
        )
    else:
        has = ", ".join(list(row.values)[:20])
        yield Note(f"{row.label} has no text with a class ({has}): --column text=NAME and --column label=NAME choose")


def _file(whole: Whole) -> Iterator[Found]:
    *folders, _ = whole.label.replace("!", "/").split("/")
    if (
        len(folders) > 1 and folders[-1] not in _NO_CLASSES and named_split(folders[-1]) is None
    ):  # the folder that was named is no class
        yield Example(whole.label, -1, {"text": whole.text, "label": folders[-1]}, split_of_name(whole.label))
    else:
        yield Lost(whole.label, "no class", "it is in no folder of a class", broken=False)


def _cell(value: Any) -> Any:
    """A cell; of a list of one, as of GoEmotions' classes, that."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def two_labels(examples: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Texts that have two classes."""
    seen: dict[str, set[str]] = defaultdict(set)
    for example in examples:
        seen[example["text"]].add(example["label"])
    several = [text for text, labels in seen.items() if len(labels) > 1]
    if several:
        yield f"{len(several):,} texts have more than one class, as {' '.join(several[0][:60].split())!r}"


def imbalance(examples: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Classes that have much fewer texts than others."""
    counts = Counter(example["label"] for example in examples)
    if len(counts) == 1:
        yield f"all texts are of one class, {next(iter(counts))!r}: there is nothing to learn"
    elif counts and counts.most_common()[-1][1] * 10 < counts.most_common()[0][1]:
        most, least = counts.most_common()[0], counts.most_common()[-1]
        yield f"classes are of very different size: {most[0]!r} has {most[1]:,} texts, {least[0]!r} {least[1]:,}"


KIND = Kind(
    name="labelled",
    columns={"text": Ragged(), "label": Classes()},
    key=("text", "label"),
    recognise=recognise,
    read=read,
    split=Stratified("label"),
    checks=(two_labels, imbalance),
)
