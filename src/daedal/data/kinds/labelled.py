"""Labelled text: a text and its class. Tables with both columns, named or not (SST-2's TSV), and folders as classes (IMDB)."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from daedal.data.columns import Classes, Ragged
from daedal.data.document import Example, Lost, Note
from daedal.data.example_options import ExampleOptions
from daedal.data.fields import about, both_of, guesses, has_choices, match, named, named_split, require, split_of_name
from daedal.data.filetypes import PACKED, file_type
from daedal.data.kind import Found, Kind, Stratified
from daedal.data.peek import Peek, Sources
from daedal.data.rows import Chosen, Row, Whole, read_chosen
from daedal.data.sources import Item, Named, Unit, plan_units

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
_SENTENCE = 4  # words of a text on average, where a table has more than it and its class
_NO_CLASSES = frozenset(("unsup", "unlabeled", "unlabelled"))  # IMDB has as many texts without a class again
_NAMES = "classes.txt"  # the names of classes that tables number from 1 (AG News, DBpedia)
_MOST = 0.5  # of the first rows: classes that differ, at most
_WHEN = re.compile(r"\d{4}-\d\d-\d\d|\d\d:\d\d:\d\d|\d\d?/\d\d?/\d{2,4}")  # of a log
_DOCUMENT = re.compile(r"[^.]+|[\d.]+|.*\.te?xt", re.IGNORECASE)
_NUMBERED = re.compile(r"[a-z]*_?\d[\d_-]*(\.txt)?", re.IGNORECASE)
_MANY = 40  # files of a number in folders, from which on they may be texts of classes


class _Columns(NamedTuple):
    """Where the text and the class stand; the text may be of several, a line each."""

    texts: tuple[str, ...]
    label: str


def recognise(sources: Sources) -> float:
    tables = [peek for peek in sources.tables if len(peek.rows) > 1]
    classed = [peek for peek in tables if split_of_name(peek.label) != "test"]
    tables = classed or tables  # GLUE's tests are without classes
    sure = [0.8 if _named(peek) else 0.7 if _nameless(peek.rows) else 0.0 for peek in tables]
    return min(sure, default=0.0) or _folders(sources.names)


def _named(peek: Peek) -> bool:
    if has_choices(peek.columns):  # the class says which of them, and is none of a text
        return False
    chosen = _match(peek.columns, {})
    return chosen is not None and _few([row.get(chosen.label) for row in peek.rows])


def _match(columns: Iterable[str], asked: Mapping[str, str]) -> _Columns | None:
    """The columns of the text, which may be two, and of the class."""
    columns = list(columns)
    chosen = match(columns, USUAL, asked)
    both = both_of(columns) if "text" not in asked else None
    label = chosen.get("label") or (named(columns, ("answer",)) if both else None)  # BoolQ
    texts = both or ((chosen["text"],) if "text" in chosen else ())
    return _Columns(texts, label) if texts and label else None


def _few(values: Sequence[Any]) -> bool:
    """Whether these are classes: each of them comes again, most of the time."""
    plain = [str(value) for value in values if isinstance(value, str | int | float | bool)]
    return len(plain) > 0.9 * len(values) and len(set(plain)) <= max(2, _MOST * len(plain))


def _nameless(rows: Sequence[Mapping[str, Any]]) -> _Columns | None:
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
    return _Columns(texts, labels[0]) if enough and len(labels) == 1 else None


def _words(cells: Sequence[str]) -> float:
    return sum(len(cell.split()) for cell in cells) / len(cells)


def _folders(names: Sequence[str]) -> float:
    """How sure it is that texts lie in folders of classes; not more than of text, where these are in no folders of splits."""
    classes: dict[str, Counter[str]] = defaultdict(Counter)
    for name in names:
        *folders, file = re.split("[/!]", name)
        if len(folders) > 1 and _DOCUMENT.fullmatch(file):
            if split_of_name(folders[-2]):
                classes["/".join(folders[:-1])][folders[-1]] += 1
            elif _NUMBERED.fullmatch(file) and not _NUMBERED.fullmatch(folders[-1]):
                classes[""][folders[-1]] += 1
    unsplit = classes.pop("", Counter())
    if any(len(each) > 1 and each.total() > len(each) for each in classes.values()):
        return 0.6
    return 0.3 if len(unsplit) > 1 and unsplit.total() >= max(_MANY, len(names) - len(unsplit)) else 0.0


def units(sources: Iterable[Named]) -> list[Unit]:
    """The names of classes are read with each table of their folder."""
    planned = plan_units(sources)
    names = [item for unit in planned for item in unit.items if item.label.endswith(_NAMES)]

    def beside(unit: Unit) -> tuple[Item, ...]:
        folders = {item.label.rpartition("/")[0] for item in unit.items}
        return tuple(each for each in names if each not in unit.items and each.label.rpartition("/")[0] in folders)

    return [unit.but(items=(*unit.items, *beside(unit))) for unit in planned]


def read(items: Sequence[Item], options: ExampleOptions) -> Iterator[Found]:
    classes = _classes(items)
    for item in items:
        told: set[str] = set()
        outer = (
            0  # folders of its label that are no class: the one that was named, of an archive also one that all is in
        )
        for found in read_chosen(item, options.encoding, lambda rows: _choose(rows, options)):
            if isinstance(found, Whole):
                outer = outer or _outer(item)
                yield from _file(found, outer)
            elif isinstance(found, Chosen):
                row, columns = found
                names = classes.get(_folder(row.label), [])
                if row.label not in told:
                    told.add(row.label)
                    yield from _tell(row, columns, options, names)
                yield _example(row, columns, names)
            else:
                yield found


def _example(row: Row, columns: _Columns | None, names: Sequence[str]) -> Found:
    if columns is None:
        return Example(row.label, row.number, {}, split_of_name(row.label))
    label = row.values.get(columns.label)
    label = label[0] if isinstance(label, list) and len(label) == 1 else label  # GoEmotions
    if isinstance(label, list) and label:
        return Lost(row.label, "several classes", f"row {row.number}: {', '.join(map(str, label[:5]))}", broken=False)
    number = int(label) if isinstance(label, str) and label.isdecimal() else 0
    texts = [row.values.get(of) for of in columns.texts]
    text = None if None in texts else texts[0] if len(texts) == 1 else "\n".join(map(str, texts))
    values = {"text": text, "label": names[number - 1] if 0 < number <= len(names) else label}
    return Example(row.label, row.number, values, split_of_name(row.label))


def _choose(rows: Sequence[Row], options: ExampleOptions) -> _Columns | None:
    columns = dict.fromkeys(name for row in rows for name in row.values)
    require(rows[0].label, columns, options.columns, USUAL)
    return _match(columns, options.columns) or _nameless([row.values for row in rows])


def _tell(row: Row, columns: _Columns | None, options: ExampleOptions, names: Sequence[str]) -> Iterator[Found]:
    if columns is None:
        has = ", ".join(list(row.values)[:20])
        yield Note(f"{row.label} has no text with a class ({has}): --column text=NAME and --column label=NAME choose")
        return
    if len(columns.texts) > 1:
        said = " and ".join(map(repr, columns.texts))
        yield Note(f"text is {said}, a line each (--column text=NAME takes one)")
    one = {"text": columns.texts[0]} if len(columns.texts) == 1 else {}
    yield from guesses(row.label, one | {"label": columns.label}, options.columns)
    if names:
        yield Note(f"the classes of {row.label} have their names from {_NAMES}")


def _folder(label: str) -> str:
    return re.split(r"[/!][^/!]*$", label)[0]


def _classes(items: Sequence[Item]) -> dict[str, list[str]]:
    """The names of classes, in order, by the folder in which there are some."""
    able = [item for item in items if item.label.endswith(_NAMES) or file_type(item.label).reader in PACKED]
    wholes = [peek.whole for peek in Sources.of(able).peeks if peek.whole and peek.label.endswith(_NAMES)]
    return {_folder(whole.label): whole.text.split("\n") for whole in wholes}


def _outer(item: Item) -> int:
    names = [name.split("!", 1)[1] for name in Sources.of([item]).names if "!" in name]
    own = item.label.count("/") if names else 0
    return 1 + own + (len(names) > 1 and len({name.partition("/")[0] for name in names}) == 1)


def _file(whole: Whole, outer: int) -> Iterator[Found]:
    *folders, file = re.split("[/!]", whole.label)
    of = folders[-1] if len(folders) > outer else None
    if of is None or of in _NO_CLASSES or named_split(of) or about(file) or file == _NAMES:
        yield Lost(whole.label, "no class", "it is in no folder of a class", broken=False)
    else:
        split = split_of_name(whole.label) or split_of_name(folders[-2])
        yield Example(whole.label, -1, {"text": whole.text, "label": of}, split)


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
    units=units,
    split=Stratified("label"),
    checks=(two_labels, imbalance),
)
