"""Labelled text: a text and its class. Tables with both columns, named or not (SST-2's TSV), and folders as classes (IMDB)."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from daedal.data.columns import Classes, Ragged
from daedal.data.document import Example, Lost, Note
from daedal.data.example_options import ExampleOptions
from daedal.data.fields import guesses, match, named_split, require, split_of_name
from daedal.data.kind import Found, Kind, Stratified
from daedal.data.peek import Peek, Sources
from daedal.data.rows import Chosen, Row, Whole, read_chosen
from daedal.data.sources import Item

USUAL = {
    "text": (
        "text", "sentence", "content", "review", "tweet", "message", "comment", "body", "document", "article", "utterance",
        "review_text", "comment_text", "headline", "title", "question", "query", "sms",
    ),
    "label": (
        "label", "label_text", "labels", "class", "category", "sentiment", "target", "intent", "topic", "stars", "rating",
        "emotion", "polarity", "fine_label", "coarse_label", "class_name", "gold_label", "tag",
    ),
}  # fmt: skip
_MOST = 0.5  # of the first rows: classes that differ, at most
_SHOWN = 8


def recognise(sources: Sources) -> float:
    tables = [peek for peek in sources.tables if len(peek.rows) > 1]
    if tables:
        sure = [0.8 if _named(peek) else 0.7 if _unnamed(peek) else 0.0 for peek in tables]
        return min(sure) if min(sure) else 0.0
    return 0.6 if _folders(sources.names) else 0.0


def _named(peek: Peek) -> bool:
    chosen = match(peek.columns, USUAL, {})
    return len(chosen) == 2 and _few([row.get(chosen["label"]) for row in peek.rows])


def _unnamed(peek: Peek) -> bool:
    return _two([Row("", 0, row) for row in peek.rows]) is not None


def _few(values: Sequence[Any]) -> bool:
    """Whether these are classes: each of them comes again, most of the time."""
    plain = [str(value) for value in values if isinstance(value, str | int | float | bool)]
    return len(plain) > 0.9 * len(values) and len(set(plain)) <= max(2, _MOST * len(plain))


def _two(rows: Sequence[Row]) -> dict[str, str] | None:
    """The text and the class in a table of two columns without names: the longer one, and the one with few values."""
    if not rows or any(set(row.values) != {"0", "1"} for row in rows):
        return None
    cells = {name: [str(row.values[name]) for row in rows] for name in ("0", "1")}
    text, label = sorted(cells, key=lambda name: -sum(map(len, cells[name])))
    short = max(map(len, cells[label])) <= 32
    return {"text": text, "label": label} if short and _few(cells[label]) else None


def _folders(names: Sequence[str]) -> bool:
    """Whether texts lie in folders of classes within folders of splits."""
    classes: dict[str, set[str]] = defaultdict(set)
    for name in names:
        *folders, file = name.replace("!", "/").split("/")
        if len(folders) >= 2 and file.lower().endswith((".txt", ".text")) and (split := named_split(folders[-2])):
            classes[split].add(folders[-1])
    return any(len(each) > 1 for each in classes.values())


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
                yield Example(row.label, row.number, values, split_of_name(row.label))
            else:
                yield found


def _choose(rows: Sequence[Row], options: ExampleOptions) -> dict[str, str]:
    columns = dict.fromkeys(name for row in rows for name in row.values)
    require(rows[0].label, columns, options.columns, USUAL)
    chosen = match(columns, USUAL, options.columns)
    return chosen if len(chosen) == 2 else _two(rows) or {}


def _tell(row: Row, columns: Mapping[str, str], options: ExampleOptions) -> Iterator[Found]:
    if columns:
        yield from guesses(row.label, columns, options.columns)
    else:
        has = ", ".join(list(row.values)[:20])
        yield Note(f"{row.label} has no text with a class ({has}): --column text=NAME and --column label=NAME choose")


def _file(whole: Whole) -> Iterator[Found]:
    *folders, _ = whole.label.replace("!", "/").split("/")
    if len(folders) > 1 and named_split(folders[-1]) is None:  # the folder that was named is no class
        yield Example(whole.label, -1, {"text": whole.text, "label": folders[-1]}, split_of_name(whole.label))
    else:
        yield Lost(whole.label, "no class", "it is in no folder of a class", broken=False)


def _cell(value: Any) -> str | None:
    return None if value is None else str(value)


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
