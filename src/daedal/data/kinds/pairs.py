"""Pairs of texts: a sentence and its translation, a long text and its summary.

Parallel files, `NAME.de` and `NAME.en`; translation memories; rows with a `translation`, with two columns that are named so, or
without names as Tatoeba's and Anki's; two sentences and a score of how alike they are (STS).
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any

from pydantic import Field

from daedal.data.columns import Numbers, Ragged
from daedal.data.document import Example, Lost, Note
from daedal.data.example_options import ExampleOptions
from daedal.data.fields import Shape, about, both_of, guesses, match, named, require, shaped, split_of_name
from daedal.data.kind import Found, Kind
from daedal.data.memories import ENDS, translations
from daedal.data.numerals import number_of, vary
from daedal.data.parallel import LANGUAGES, aligned, fit, halves_of, language_of, read_halves, together, units, unpacked
from daedal.data.peek import Peek, Sources
from daedal.data.rows import Chosen, Row, Whole, read_chosen
from daedal.data.sources import Item

USUAL = {
    "source": ("source", "src", "source_text", "src_text", "input_text", "original", "document", "article", "complex"),
    "target": (
        "target", "tgt", "trg", "target_text", "tgt_text", "output_text", "translation", "summary", "simple", "highlights",
    ),
    "score": ("score", "similarity", "similarity_score", "relatedness_score", "label", "gold_score"),
}  # fmt: skip
_SIDES = {name: USUAL[name] for name in ("source", "target")}
_SAID = r"(?s).*([^\W\d_]\s+[^\W\d_]|[.!?]|[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u9fff]).*"
_ID, _CODE = ("", r"\d+"), ("", "[a-z]{2,3}(_[a-z]+)?")
_SHAPES: Sequence[Shape] = (
    (_ID, _CODE, ("source", "(?s).+"), _ID, _CODE, ("target", "(?s).+")),  # Tatoeba
    (_ID, ("source", "(?s).+"), _ID, ("target", "(?s).+")),
    (("source", "(?s).+"), ("target", "(?s).+"), ("", "CC-BY.*")),  # Anki
    (*3 * (("", ".*"),), ("", r"\d+"), ("score", r"[0-5](\.\d+)?"), ("source", "(?s).+"), ("target", "(?s).+")),  # STS
    (("source", _SAID), ("target", _SAID)),
)
_COLUMN = re.compile(r"([A-Za-z]{2,10})(?:[-_](?:[A-Za-z]{2}|[A-Z][a-z]{3}|\d{3}|text|sentence))?$")
_WORDS = re.compile(r"[^\W\d_]\s+[^\W\d_]|[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u9fff]{2}")  # or no spaces
_FAR = 4.0  # times as long as the other, from 40 characters on
_FAR_FROM = 40


class PairOptions(ExampleOptions):
    """
    Attributes:
        ratio: pairs of which one side is more than so many times as long as the other, from 40 characters on, are left out.
    """

    ratio: float | None = Field(default=None, gt=1)


def recognise(sources: Sources) -> float:
    halves = halves_of(sources.names)
    files = [name for name in sources.names if not about(re.split("[/!]", name)[-1])]
    if halves and sum(map(len, halves.values())) > 0.5 * len(files) and fit(halves, sources.peeks):
        return 0.95
    if any(name.lower().endswith(ENDS) for name in sources.names):
        return 0.9
    sure = [_sure(peek) for peek in sources.tables]
    return min(sure, default=0.0)


def _sure(peek: Peek) -> float:
    if any(isinstance(row.get("translation"), dict) for row in peek.rows):
        return 0.85
    if len(columns := _columns(peek.rows, {})) < 2 or ("score" in columns and not _scored(peek.rows, columns)):
        return 0.0
    return 0.5 if peek.columns == ("0", "1") and columns["source"] == "0" else 0.85


def _columns(rows: Sequence[Mapping[str, Any]], asked: Mapping[str, str]) -> dict[str, str]:
    """Two columns that are named as pairs are, or after two languages (`en`, `pt_BR`, `de_text`), or look like pairs; or two
    sentences and how alike they are. A score of other pairs is taken where it is asked for."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    score = {name: of for name, of in asked.items() if name == "score" and of in columns}
    chosen = match(columns, _SIDES, asked)
    if len(chosen) == 2:
        return chosen | score
    if not chosen and (both := both_of(columns)) and (of := score.get("score") or named(columns, USUAL["score"])):
        return {"source": both[0], "target": both[1], "score": of}
    languages = [
        name
        for name in columns
        if (code := _COLUMN.match(name)) and code[1].lower() in LANGUAGES and _says([row.get(name) for row in rows])
    ]
    two = {"source": languages[0], "target": languages[1]} if len(languages) == 2 else shaped(rows, _SHAPES)
    return two | score


def _scored(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> bool:
    return vary([row.get(columns["score"]) for row in rows])


def _says(cells: Iterable[Any]) -> bool:
    """Whether a column has text of several words: `id` and `is` are languages, and numbers and answers too."""
    return any(isinstance(cell, str) and _WORDS.search(cell) for cell in cells)


def read(items: Sequence[Item], options: PairOptions) -> Iterator[Found]:
    for found in _read(items, options):
        if isinstance(found, Example) and options.ratio is not None and _far(found.values, options.ratio):
            source, target = (" ".join(str(found.values[name])[:40].split()) for name in _SIDES)
            why = f"a side more than {options.ratio:g} times as long as the other"
            yield Lost(f"{found.label}#{found.row}", why, f"{source!r} and {target!r}", broken=False)
        else:
            yield found


def _far(values: Mapping[str, Any], ratio: float) -> bool:
    """Whether one side is so many times as long as the other; short ones say nothing."""
    short, long = sorted(len(str(values.get(name) or "").strip()) for name in _SIDES)
    return short > 0 and long >= _FAR_FROM and long > ratio * short


def _read(items: Sequence[Item], options: ExampleOptions) -> Iterator[Found]:
    if halves := together(items):
        yield from read_halves(halves, options)
        return
    for item in items:
        yield from _file(item, options)


def _file(item: Item, options: ExampleOptions) -> Iterator[Found]:
    told: set[str] = set()
    waiting: dict[str, dict[str, Whole]] = {}  # members of an archive whose other half has not come
    for found in read_chosen(item, options.encoding, lambda rows: _choose(rows, options)):
        if isinstance(found, Whole) and unpacked(found.label).lower().endswith(ENDS):
            yield from _memory(found, options)
        elif isinstance(found, Whole):
            stem, code = (found.label != item.label and language_of(found.label)) or (found.label, "")
            halves = waiting.setdefault(stem, {})
            halves[code] = found
            if len(halves) == 2:
                codes = sorted(waiting.pop(stem))
                yield from aligned([halves[code] for code in codes], codes, options)
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
            said = {name: values.get(of) for name, of in columns.items()}
            said |= {"score": number_of(said["score"])} if "score" in said else {}
            yield Example(row.label, row.number, said, split_of_name(row.label))
        else:
            yield found
    for whole in (whole for halves in waiting.values() for whole in halves.values()):
        why = "it is no table, and no file of the same name is in another language"
        yield Lost(whole.label, "no pairs", why, broken=False)


def _choose(rows: Sequence[Row], options: ExampleOptions) -> tuple[str | None, dict[str, str]]:
    """The column that holds both, if one does, and the two names."""
    asked = options.columns
    inner = [said for row in rows if isinstance(said := row.values.get("translation"), Mapping)]
    columns = list(dict.fromkeys(name for row in rows for name in row.values))
    if not inner:
        require(rows[0].label, columns, asked, USUAL)
        return None, _columns([row.values for row in rows], asked)
    names = list(dict.fromkeys(str(name) for said in inner for name in said))
    require(f"The translation of {rows[0].label}", names, asked, USUAL)
    return "translation", _first_two(names, asked)


def _first_two(names: Sequence[str], asked: Mapping[str, str]) -> dict[str, str]:
    """Source and target: those that are asked for, else the first names that are free."""
    source = asked.get("source") or next((name for name in names if name != asked.get("target")), "")
    target = asked.get("target") or next((name for name in names if name != source), "")
    return {"source": source, "target": target}


def _chosen(columns: Mapping[str, str]) -> Note:
    return Note(f"source is {columns['source']}, target is {columns['target']} (--column source=NAME chooses)")


def _memory(whole: Whole, options: ExampleOptions) -> Iterator[Found]:
    """Units of a translation memory: the first two languages of each, or those that are asked for."""
    chosen: dict[str, str] = {}
    number = 0
    try:
        for number, said in enumerate(translations(whole.text), 1):
            if not chosen and len(said) > 1:
                chosen = _first_two(list(said), options.columns)
                yield _chosen(chosen)
            values = {name: said.get(of) for name, of in chosen.items()}
            yield Example(whole.label, number - 1, values, split_of_name(whole.label))
    except ValueError as error:
        yield Lost(whole.label, "broken file", f"{error}: the units before it are read", broken=number == 0)


def lengths(examples: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Pairs of which one side is much longer."""
    far, first = 0, ""
    for example in examples:
        if _far(example, _FAR):
            far, first = far + 1, first or f"{example['source'][:40]!r} and {example['target'][:40]!r}"
    if far:
        yield (
            f"{far:,} pairs have a side more than {_FAR:g} times as long as the other, as {first} "
            f"(--set ratio={_FAR:g} leaves them out)"
        )


def untranslated(examples: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Pairs whose sides are the same."""
    same, first = 0, ""
    for example in examples:
        if example["source"].strip() == example["target"].strip():
            same, first = same + 1, first or example["source"]
    if same:
        yield f"{same:,} pairs have the same text on both sides, as {' '.join(first[:40].split())!r}"


def several(examples: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """How many sources have more than one target."""
    counts: Counter[bytes] = Counter()
    for example in examples:
        counts[blake2b(example["source"].encode("utf-8", "replace"), digest_size=16).digest()] += 1
    again = [count for count in counts.values() if count > 1]
    if again:
        yield f"{len(again):,} texts have more than one target, at most {max(again):,}"


def scores(examples: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """What the scores of pairs are, if they have any."""
    found = [example["score"] for example in examples]
    there = [score for score in found if score is not None]
    if there:
        of_all = "" if len(there) == len(found) else f" of {len(there):,} of {len(found):,} pairs"
        yield f"scores{of_all} are from {min(there):g} to {max(there):g}, {sum(there) / len(there):.3g} on average"


KIND = Kind(
    name="pairs",
    columns={"source": Ragged(), "target": Ragged(), "score": Numbers(optional=True, omissible=True)},
    key=("source", "target"),
    recognise=recognise,
    read=read,
    units=units,
    checks=(lengths, untranslated, several, scores),
    options=PairOptions,
)
