"""Pairs of texts: a sentence and its translation, a long text and its summary.

Parallel files, `NAME.de` and `NAME.en`; TMX; rows with a `translation`, or with two columns that are named so.
"""

import io
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

from daedal.data.columns import Ragged
from daedal.data.document import Example, Lost, Note
from daedal.data.example_options import ExampleOptions
from daedal.data.fields import guesses, match, require, split_of_name
from daedal.data.kind import Found, Kind
from daedal.data.peek import Peek, Sources
from daedal.data.rows import Chosen, Row, Whole, read_chosen, read_rows
from daedal.data.sources import Item, Named, Unit, plan_units
from daedal.errors import DaedalError

USUAL = {
    "source": ("source", "src", "source_text", "src_text", "input_text", "original", "document", "article", "complex"),
    "target": (
        "target", "tgt", "trg", "target_text", "tgt_text", "output_text", "translation", "summary", "simple", "highlights",
    ),
}  # fmt: skip
_LANGUAGES = frozenset(
    re.findall(
        "[a-z]+",
        "aa af am ar as az be bg bn br bs ca cs cy da de el en eo es et eu fa fi fil fr ga gl gu ha he hi hr ht hu hy id "
        "ig is it ja jv ka kk km kn ko ku ky la lb lo lt lv mg mi mk ml mn mr ms mt my nb ne nl nn no ny oc or pa pl ps pt "
        "qu ro ru rw sa sd si sk sl sm sn so sq sr st su sv sw ta te tg th tk tl tr tt ug uk ur uz vi wo xh yi yo zh zu "
        "deu eng fra spa ita por rus jpn zho nld pol ces ",
    )
)
_PACKED = re.compile(r"\.(gz|zst|bz2|xz)$")
_CODE = re.compile(r"(?<=[._-])([A-Za-z]{2,3})(?:[-_](?:[A-Z]{2}|[A-Z][a-z]{3}))?(?=$|[._-])")  # de, pt_BR, zh-Hans
_COLUMN = re.compile(r"([A-Za-z]{2,3})(?:[-_](?:[A-Za-z]{2}|[A-Z][a-z]{3}|\d{3}|text|sentence))?$")
_WORDS = re.compile(r"[^\W\d_]\s+[^\W\d_]|[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u9fff]{2}")  # or no spaces
_TMX_DEPTH = 50
_FAR = 4.0  # times as long as the other, from 40 characters on
_FAR_FROM = 40


def recognise(sources: Sources) -> float:
    members = [peek.label for peek in sources.peeks if "!" in peek.label]
    halves = _halves(sources.names) or _halves(members)  # of a zip of OPUS, which has a licence and the like too
    if halves and (sum(map(len, halves.values())) > 0.5 * len(sources.names)) and _fit(halves, sources.peeks):
        return 0.95
    if any(name.lower().endswith(".tmx") for name in sources.names):
        return 0.9
    tables = sources.tables
    return 0.85 if tables and all(_has_pairs(peek) for peek in tables) else 0.0


def _fit(halves: Mapping[str, Mapping[str, str]], peeks: Sequence[Peek]) -> bool:
    """Whether halves that were looked into have as many lines: a page and its translation rarely have."""
    lines = {
        _PACKED.sub("", peek.label): peek.whole.text.rstrip().count("\n") for peek in peeks if peek.whole is not None
    }
    seen = [
        len({lines[label] for label in each.values()}) == 1
        for each in halves.values()
        if all(label in lines for label in each.values())
    ]
    return not seen or any(seen)


def _has_pairs(peek: Peek) -> bool:
    if any(isinstance(row.get("translation"), dict) for row in peek.rows):
        return True
    return len(_columns(peek.rows, {})) == 2


def _columns(rows: Sequence[Mapping[str, Any]], asked: Mapping[str, str]) -> dict[str, str]:
    """Two columns that are named as pairs are, or after two languages: `en`, `pt_BR`, `zh-Hans`, `de_text`."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    chosen = match(columns, USUAL, asked)
    if len(chosen) == 2:
        return chosen
    languages = [
        name
        for name in columns
        if (code := _COLUMN.match(name)) and code[1].lower() in _LANGUAGES and _says([row.get(name) for row in rows])
    ]
    return {"source": languages[0], "target": languages[1]} if len(languages) == 2 else {}


def _says(cells: Iterable[Any]) -> bool:
    """Whether a column has text of several words: `id` and `is` are languages, and numbers and answers too."""
    said = [cell for cell in cells if cell is not None]
    return any(isinstance(cell, str) and _WORDS.search(cell) for cell in said)


def _language(label: str) -> tuple[str, str] | None:
    """A name without its language, and that: `train.de.gz` is `train.` and `de`, `val_de.txt` is `val_.txt` and `de`."""
    plain = _PACKED.sub("", label)
    place = [found for found in _CODE.finditer(plain) if found[1].lower() in _LANGUAGES]
    if not place:
        return None
    last = place[-1]
    return plain[: last.start()] + plain[last.end() :], last[0].lower()


def _halves(labels: Iterable[str]) -> dict[str, dict[str, str]]:
    """Of each name without language that several files have: the files by language."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for label in labels:
        if (parts := _language(label)) is not None:
            found[parts[0]][parts[1]] = label
    return {stem: languages for stem, languages in found.items() if len(languages) > 1}


def units(named: Iterable[Named]) -> list[Unit]:
    """Two files that belong together are read together."""
    named = list(named)
    planned = []
    alone: list[Named] = []
    for each in named:
        by_label = {_PACKED.sub("", item.label): item for item in each.items}
        halves = _halves(by_label)
        taken = {label for languages in halves.values() for label in languages.values()}
        planned += [
            (each.role, tuple(by_label[languages[code]] for code in sorted(languages))) for languages in halves.values()
        ]
        rest = tuple(item for item in each.items if _PACKED.sub("", item.label) not in taken)
        alone.append(each.but(items=rest))
    pairs = [
        Unit(number=number, role=role, items=items)
        for number, (role, items) in enumerate(sorted(planned, key=lambda pair: pair[1][0].label))
    ]
    return pairs + [unit.but(number=unit.number + len(pairs)) for unit in plan_units(alone)]


def read(items: Sequence[Item], options: ExampleOptions) -> Iterator[Found]:
    languages = [_language(item.label) for item in items]
    if len(items) > 1 and len({language and language[0] for language in languages}) == 1 and languages[0] is not None:
        yield from _two_of(dict(zip([language[1] for language in languages if language], items, strict=True)), options)
        return
    for item in items:
        if _PACKED.sub("", item.label).lower().endswith(".tmx"):
            yield from _tmx(item, options)
        else:
            yield from _rows(item, options)


def _members(waiting: dict[str, dict[str, Whole]], found: Whole, options: ExampleOptions) -> Iterator[Found]:
    """A member of an archive: with its other half, once that has come."""
    stem, code = _language(found.label) or ("", "")
    halves = waiting.setdefault(stem, {})
    halves[code] = found
    if stem and len(halves) == 2:
        (first, one), (second, other) = sorted(waiting.pop(stem).items())
        yield from _lines((one, other), (first, second), options)


def _two_of(found: dict[str, Item], options: ExampleOptions) -> Iterator[Found]:
    """The two languages that are asked for, of those that there are; else the first two."""
    asked = [code for name in ("source", "target") if (code := options.columns.get(name)) in found]
    for name in ("source", "target"):
        if (code := options.columns.get(name)) is not None and code not in found:
            first = next(iter(found.values())).label
            raise DaedalError(f"--column {name}={code}: {first} has no half in it", f"Choose from {', '.join(found)}")
    two = sorted([*asked, *(code for code in found if code not in asked)][:2])
    for code in found.keys() - set(two):
        yield Lost(
            found[code].label, "a third language", "--column source=LANGUAGE and target=LANGUAGE choose", broken=False
        )
    yield from _parallel([found[code] for code in two], two, options)


def _parallel(items: Sequence[Item], languages: Sequence[str], options: ExampleOptions) -> Iterator[Found]:
    """Lines of two files; which language is the source can be said."""
    halves: list[Whole] = []
    for item in items:
        for found in read_rows(item, options.encoding):
            if isinstance(found, Whole):
                halves.append(found)
            elif not isinstance(found, Row):
                yield found
    if len(halves) == 2:
        yield from _lines(halves, languages, options)
    else:
        yield Lost(items[0].label, "halves that do not fit", f"{items[0].label} and {items[1].label} are not both text")


def _lines(halves: Sequence[Whole], languages: Sequence[str], options: ExampleOptions) -> Iterator[Found]:
    asked = options.columns
    if asked.get("source") == languages[1] or asked.get("target") == languages[0]:
        halves, languages = halves[::-1], languages[::-1]
    texts = [half.text.split("\n") for half in halves]
    texts = [[line.removesuffix("\r") for line in lines] for lines in texts]
    for lines in texts:  # one side may end in more empty lines
        while lines and not lines[-1].strip():
            lines.pop()
    label = halves[0].label
    if len(texts[0]) != len(texts[1]):
        counts = " and ".join(f"{len(lines):,}" for lines in texts)
        yield Lost(label, "halves that do not fit", f"{label} and {halves[1].label} have {counts} lines")
        return
    yield Note(f"source is {languages[0]}, target is {languages[1]} (--column source={languages[1]} turns them)")
    for number, (source, target) in enumerate(zip(*texts, strict=True)):
        yield Example(label, number, {"source": source, "target": target}, split_of_name(label))


def _rows(item: Item, options: ExampleOptions) -> Iterator[Found]:
    told: set[str] = set()
    waiting: dict[str, dict[str, Whole]] = {}
    for found in read_chosen(item, options.encoding, lambda rows: _choose(rows, options)):
        if isinstance(found, Whole) and found.label != item.label and _language(found.label):
            yield from _members(waiting, found, options)
        elif isinstance(found, Whole):
            yield from _alone(found)
        elif isinstance(found, Chosen):
            row, (inner, columns) = found
            if row.label not in told:
                told.add(row.label)
                if inner is None:
                    yield from guesses(row.label, columns, options.columns)
                elif columns:
                    yield _chosen(columns)
            values = row.values if inner is None else row.values.get(inner)
            values = values if isinstance(values, Mapping) else {}
            yield Example(
                row.label, row.number, {name: values.get(of) for name, of in columns.items()}, split_of_name(row.label)
            )
        else:
            yield found
    for halves in waiting.values():
        for whole in halves.values():
            yield from _alone(whole)


def _alone(whole: Whole) -> Iterator[Found]:
    why = "it is no table, and no file of the same name is in another language"
    yield Lost(whole.label, "no pairs", why, broken=False)


def _choose(rows: Sequence[Row], options: ExampleOptions) -> tuple[str | None, dict[str, str]]:
    """The column that holds both, if one does, and the two names."""
    asked = options.columns
    inner = next(
        (row.values["translation"] for row in rows if isinstance(row.values.get("translation"), Mapping)), None
    )
    columns = list(dict.fromkeys(name for row in rows for name in row.values))
    if inner is None:
        require(rows[0].label, columns, asked, USUAL)
        return None, _columns([row.values for row in rows], asked)
    names = [str(name) for name in inner]
    require(f"The translation of {rows[0].label}", names, asked, USUAL)
    return "translation", _first_two(names, asked)


def _first_two(names: Sequence[str], asked: Mapping[str, str]) -> dict[str, str]:
    """Source and target: those that are asked for, else the first names that are free."""
    source = asked.get("source") or next((name for name in names if name != asked.get("target")), "")
    target = asked.get("target") or next((name for name in names if name != source), "")
    return {"source": source, "target": target}


def _chosen(columns: Mapping[str, str]) -> Note:
    return Note(f"source is {columns['source']}, target is {columns['target']} (--column source=NAME chooses)")


def _tmx(item: Item, options: ExampleOptions) -> Iterator[Found]:
    """Translation units of a TMX file: the first two languages of each, or those that are asked for. Entities are refused."""
    for found in read_rows(item, options.encoding):
        if not isinstance(found, Whole):
            yield from () if isinstance(found, Row) else (found,)
        elif "<!ENTITY" in found.text[:100_000]:
            yield Lost(found.label, "broken file", "it declares entities of its own, which are not read")
        else:
            yield from _units_of_tmx(found, options)


def _units_of_tmx(whole: Whole, options: ExampleOptions) -> Iterator[Found]:
    asked, number, chosen = options.columns, 0, dict[str, str]()
    depth = 0
    try:
        for event, element in ElementTree.iterparse(io.StringIO(whole.text), ("start", "end")):
            depth += 1 if event == "start" else -1
            if depth > _TMX_DEPTH:
                yield Lost(whole.label, "broken file", "its elements lie too deep in each other")
                return
            if event == "start" or element.tag != "tu":
                continue
            said = {
                str(next((value for name, value in each.attrib.items() if name.endswith("lang")), "")): "".join(seg.itertext())
                for each in element.iter("tuv") for seg in each.iter("seg")
            }  # fmt: skip
            names = list(said)
            if not chosen and len(names) > 1:
                chosen = _first_two(names, asked)
                yield _chosen(chosen)
            yield Example(
                whole.label, number, {name: said.get(of) for name, of in chosen.items()}, split_of_name(whole.label)
            )
            number += 1
            element.clear()
    except ElementTree.ParseError as error:
        yield Lost(whole.label, "broken file", f"{error}: the units before it are read", broken=number == 0)


def lengths(examples: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Pairs of which one side is much longer."""
    far, first = 0, ""
    for example in examples:
        short, long = sorted((len(example["source"]), len(example["target"])))
        if long >= _FAR_FROM and long > _FAR * short:
            far, first = far + 1, first or f"{example['source'][:40]!r} and {example['target'][:40]!r}"
    if far:
        yield f"{far:,} pairs have a side more than {_FAR:g} times as long as the other, as {first}"


def untranslated(examples: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Pairs whose sides are the same."""
    same = sum(example["source"].strip() == example["target"].strip() for example in examples)
    if same:
        yield f"{same:,} pairs have the same text on both sides"


KIND = Kind(
    name="pairs",
    columns={"source": Ragged(), "target": Ragged()},
    key=("source", "target"),
    recognise=recognise,
    read=read,
    units=units,
    checks=(lengths, untranslated),
)
