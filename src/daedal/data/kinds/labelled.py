"""Labelled text: a text, or two, and its class, its classes or its number.

Tables, named or not (SST-2's TSV); folders as classes (IMDB); files of lines that are called after classes (`rt-polarity.neg`).
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

from daedal.data.columns import Labels, Ragged
from daedal.data.document import Example, Lost, Note
from daedal.data.fields import about, guesses, named_split, split_of_name
from daedal.data.filetypes import PACKED, file_type
from daedal.data.kind import Found, Kind, Stratified
from daedal.data.label_survey import LabelledOptions, balance, survey
from daedal.data.label_tables import LabelColumns, columns_of, looks_labelled, nameless_columns
from daedal.data.peek import Sources
from daedal.data.rows import Chosen, Row, Whole, read_chosen
from daedal.data.sources import Item, Named, Unit, plan_units

_NO_CLASSES = frozenset(("unsup", "unlabeled", "unlabelled"))  # IMDB has as many texts without a class again
_NAMES = "classes.txt"  # the names of classes that tables number from 1 (AG News, DBpedia)
_DOCUMENT = re.compile(r"[^.]+|[\d.]+|.*\.te?xt", re.IGNORECASE)
_NUMBERED = re.compile(r"[a-z]*_?\d[\d_-]*(\.txt)?", re.IGNORECASE)
_MANY = 40  # files of a number in folders, from which on they may be texts of classes
_CALLED = re.compile(r"(.*)\.(pos|neg|neu|positive|negative|neutral|ham|spam)", re.DOTALL)


def recognise(sources: Sources) -> float:
    tables = [peek for peek in sources.tables if len(peek.rows) > 1]
    classed = [peek for peek in tables if split_of_name(peek.label) != "test"]
    tables = classed or tables  # GLUE's tests are without classes
    sure = [0.8 if looks_labelled(peek) else 0.7 if nameless_columns(peek.rows) else 0.0 for peek in tables]
    return min(sure, default=0.0) or _called(sources.names) or _folders(sources.names)


def _called(names: Sequence[str]) -> float:
    """How sure it is that files of lines are called after classes: two of one name."""
    stems = Counter(found[1] for name in names if (found := _CALLED.fullmatch(name)))
    return (
        0.9
        if stems
        and stems.total() > 0.5 * len([name for name in names if not about(_file_of(name))])
        and min(stems.values()) > 1
        else 0.0
    )


def _file_of(name: str) -> str:
    return re.split("[/!]", name)[-1]


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


def read(items: Sequence[Item], options: LabelledOptions) -> Iterator[Found]:
    classes = _classes(items)
    for item in items:
        told: set[str] = set()
        outer = (
            0  # folders of its label that are no class: the one that was named, of an archive also one that all is in
        )
        for found in read_chosen(item, options.encoding, lambda rows: columns_of(rows, options.columns)):
            if isinstance(found, Whole) and (called := _CALLED.fullmatch(found.label)):
                for number, line in enumerate(found.text.rstrip("\n").split("\n")):
                    values = {"text": line, "label": called[2]}
                    yield Example(found.label, number, values, split_of_name(found.label))
            elif isinstance(found, Whole):
                outer = outer or _outer(item)
                yield from _file(found, outer)
            elif isinstance(found, Chosen):
                row, columns = found
                names = classes.get(_folder(row.label), [])
                if row.label not in told:
                    told.add(row.label)
                    yield from _tell(row, columns, options, names)
                yield _example(row, columns, names, options)
            else:
                yield found


def _example(row: Row, columns: LabelColumns | None, names: Sequence[str], options: LabelledOptions) -> Found:
    if columns is None:
        return Example(row.label, row.number, {}, split_of_name(row.label))
    label = columns.label_in(row.values, options.separator)
    number = int(label) if isinstance(label, str) and label.isdecimal() else 0
    text, other = columns.text_in(row.values)
    label = names[number - 1] if 0 < number <= len(names) else label
    return Example(row.label, row.number, {"text": text, "label": label, "text_b": other}, split_of_name(row.label))


def _tell(row: Row, columns: LabelColumns | None, options: LabelledOptions, names: Sequence[str]) -> Iterator[Found]:
    if columns is None:
        has = ", ".join(list(row.values)[:20])
        yield Note(f"{row.label} has no text with a class ({has}): --column text=NAME and --column label=NAME choose")
        return
    if len(columns.texts) > 1:
        said = " and ".join(map(repr, columns.texts))
        yield Note(f"text is {said}, a line each (--column text=NAME takes one)")
    if columns.other is not None and "text" not in options.columns:
        yield Note(
            f"two texts are kept apart, text from {columns.texts[0]!r} and text_b from {columns.other!r} "
            "(--column text=NAME takes one)"
        )
    elif len(columns.texts) == 1 and len(columns.labels) == 1:
        yield from guesses(row.label, {"text": columns.texts[0], "label": columns.labels[0]}, options.columns)
    if len(columns.labels) > 1:
        said = ", ".join(columns.labels)
        yield Note(f"classes of a text are those columns of {said} that have 1 (--column label=NAME takes one)")
    elif len(columns.texts) > 1 or columns.other is not None:
        yield from guesses(row.label, {"label": columns.labels[0]}, options.columns)
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


KIND = Kind(
    name="labelled",
    columns={"text": Ragged(), "label": Labels(), "text_b": Ragged(optional=True, omissible=True)},
    key=("text", "label", "text_b"),
    recognise=recognise,
    read=read,
    units=units,
    split=Stratified("label"),
    survey=survey,
    checks=(balance,),
    options=LabelledOptions,
)
