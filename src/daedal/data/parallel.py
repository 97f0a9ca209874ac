"""Parallel files: the lines of `NAME.de` are those of `NAME.en` in German (Moses), packed or not, in an archive too (OPUS).

Which files belong together is told by their names; read by `daedal.data.kinds.pairs`.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from daedal.data.document import Example, Lost, Note
from daedal.data.example_options import ExampleOptions
from daedal.data.fields import split_of_name
from daedal.data.kind import Found
from daedal.data.peek import Peek
from daedal.data.rows import Row, Whole, read_rows
from daedal.data.sources import Item, Named, Unit, plan_units
from daedal.errors import DaedalError

LANGUAGES = frozenset(
    re.findall(
        "[a-z]+",
        "aa af am ar as az be bg bn br bs ca cs cy da de el en eo es et eu fa fi fil fr ga gl gu ha he hi hr ht hu hy id "
        "ig is it ja jv ka kk km kn ko ku ky la lb lo lt lv mg mi mk ml mn mr ms mt my nb ne nl nn no ny oc or pa pl ps pt "
        "qu ro ru rw sa sd si sk sl sm sn so sq sr st su sv sw ta te tg th tk tl tr tt ug uk ur uz vi wo xh yi yo zh zu "
        "deu eng fra spa ita por rus jpn zho nld pol ces english german french spanish italian portuguese dutch russian "
        "chinese japanese korean arabic hindi polish turkish ",
    )
)
_SEEN_WHOLE = 20_000  # characters: of a longer file only the beginning was looked into
_PACKED = re.compile(r"\.(gz|zst|bz2|xz)$")
_CODE = re.compile(r"(?<=[._-])([A-Za-z]{2,3})(?:[-_](?:[A-Z]{2}|[A-Z][a-z]{3}))?(?=$|[._-])")  # de, pt_BR, zh-Hans


def unpacked(label: str) -> str:
    """A name without the end that says that it is compressed."""
    return _PACKED.sub("", label)


def language_of(label: str) -> tuple[str, str] | None:
    """A name without its language, and that: `train.de.gz` is `train.` and `de`, `val_de.txt` is `val_.txt` and `de`."""
    plain = unpacked(label)
    place = [found for found in _CODE.finditer(plain) if found[1].lower() in LANGUAGES]
    if not place:
        return None
    last = place[-1]
    return plain[: last.start()] + plain[last.end() :], last[0].lower()


def halves_of(labels: Iterable[str]) -> dict[str, dict[str, str]]:
    """Of each name without language that several files have: the files by language."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for label in labels:
        if (parts := language_of(label)) is not None:
            found[parts[0]][parts[1]] = label
    return {stem: languages for stem, languages in found.items() if len(languages) > 1}


def fit(halves: Mapping[str, Mapping[str, str]], peeks: Sequence[Peek]) -> bool:
    """Whether these are parallel files: they are named so, as `train.de` or `test_de.txt` is, or those that were looked into
    have as many lines, as a page and its translation rarely have. What is named so and is not of one length is told when it is
    read."""
    if any(_named(label) for languages in halves.values() for label in languages.values()):
        return True
    wholes = [peek.whole for peek in peeks if peek.whole is not None and len(peek.whole.text) < _SEEN_WHOLE]
    lines = {unpacked(whole.label): whole.text.rstrip().count("\n") for whole in wholes}
    seen = [
        len({lines[label] for label in each.values()}) == 1
        for each in halves.values()
        if all(label in lines for label in each.values())
    ]
    return not seen or any(seen)


def _named(label: str) -> bool:
    """Whether a name says that a file is a half: it ends in a language alone (Moses), or is that of a split."""
    file = re.split("[/!]", unpacked(label))[-1]
    return file.rpartition(".")[2].lower() in LANGUAGES or split_of_name(file) is not None


def units(named: Iterable[Named]) -> list[Unit]:
    """Two files that belong together are read together."""
    planned = []
    alone: list[Named] = []
    for each in named:
        by_label = {unpacked(item.label): item for item in each.items}
        halves = halves_of(by_label)
        taken = {label for languages in halves.values() for label in languages.values()}
        planned += [
            (each.role, tuple(by_label[languages[code]] for code in sorted(languages))) for languages in halves.values()
        ]
        alone.append(each.but(items=tuple(item for item in each.items if unpacked(item.label) not in taken)))
    pairs = [
        Unit(number=number, role=role, items=items)
        for number, (role, items) in enumerate(sorted(planned, key=lambda pair: pair[1][0].label))
    ]
    return pairs + [unit.but(number=unit.number + len(pairs)) for unit in plan_units(alone)]


def together(items: Sequence[Item]) -> dict[str, Item]:
    """The files by language, where they are of one name."""
    parts = [language_of(item.label) for item in items]
    of_one = len(items) > 1 and None not in parts and len({part[0] for part in parts if part}) == 1
    return {part[1]: item for part, item in zip(parts, items, strict=True) if part} if of_one else {}


def read_halves(found: Mapping[str, Item], options: ExampleOptions) -> Iterator[Found]:
    """Pairs of lines in the two languages that are asked for, of those that there are; else in the first two.

    Raises:
        DaedalError: one that was asked for is not there.
    """
    asked = {name: code for name, code in options.columns.items() if name in ("source", "target")}
    for name, code in asked.items():
        if code not in found:
            first = next(iter(found.values())).label
            raise DaedalError(f"--column {name}={code}: {first} has no half in it", f"Choose from {', '.join(found)}")
    two = sorted([*asked.values(), *(code for code in found if code not in asked.values())][:2])
    for code in found.keys() - set(two):
        yield Lost(
            found[code].label, "a third language", "--column source=LANGUAGE and target=LANGUAGE choose", broken=False
        )
    halves: list[Whole] = []
    for code in two:
        for each in read_rows(found[code], options.encoding):
            if isinstance(each, Whole):
                halves.append(each)
            elif not isinstance(each, Row):
                yield each
    if len(halves) == 2:
        yield from aligned(halves, two, options)
    else:
        first, second = (found[code].label for code in two)
        yield Lost(first, "halves that do not fit", f"{first} and {second} are not both text")


def aligned(halves: Sequence[Whole], languages: Sequence[str], options: ExampleOptions) -> Iterator[Found]:
    """The lines of two texts as pairs; which language is the source can be said."""
    asked = options.columns
    if asked.get("source") == languages[1] or asked.get("target") == languages[0]:
        halves, languages = halves[::-1], languages[::-1]
    texts = [[line.removesuffix("\r") for line in half.text.split("\n")] for half in halves]
    while all(lines and not lines[-1].strip() for lines in texts):
        for lines in texts:
            lines.pop()
    if len(texts[0]) != len(texts[1]):  # one side may end in more empty lines
        for lines in texts:
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
