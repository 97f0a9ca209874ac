"""Tagged words: sentences, and a tag for each of their words, as the names in a text or parts of speech.

Files of columns (CoNLL of 2002 and 2003, CoNLL-U, `word TAG`), and rows of `tokens` and `ner_tags`.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, BinaryIO

from daedal.data.column_files import Layout, layout_of, sentences, sureness
from daedal.data.columns import Tags, Words
from daedal.data.decode import Decoder, is_binary
from daedal.data.document import Coded, Example, Lost, Note
from daedal.data.example_options import ExampleOptions
from daedal.data.fields import guesses, match, require, split_of_name
from daedal.data.filetypes import FileType
from daedal.data.kind import Found, Kind
from daedal.data.peek import Peek, Sources
from daedal.data.plain_text import read_whole
from daedal.data.readers import walk
from daedal.data.rows import Chosen, Read, Row, Whole, read_chosen, rows_in
from daedal.data.sources import Item, read_file
from daedal.data.tag_schemes import Scheme, mended, scheme_of, spans
from daedal.errors import DaedalError

USUAL = {
    "words": ("words", "tokens"),
    "tags": ("tags", "ner_tags", "ner", "labels", "upos", "pos_tags", "pos", "chunk_tags"),
}
_ROWS = frozenset(("jsonl", "json", "parquet"))
_HEAD = 2**16
_SHOWN = 8  # labels of spans
_FILES = {"testa": "validation", "testb": "test"}  # as CoNLL calls them


def recognise(sources: Sources) -> float:
    told = [peek for peek in sources.peeks if peek.rows or peek.whole is not None]
    tables = {peek.label: _sure(peek) for peek in told}
    plain = [peek for peek in told if not tables[peek.label] and peek.type.reader in ("text", "tsv", "none")]
    if len(plain) < len([peek for peek in told if not tables[peek.label]]):
        return 0.0
    texts = {peek.label: peek.whole.text for peek in plain if peek.whole is not None}
    # a file of tabs looks like a table: what parts its sentences is seen in its text
    texts |= dict(_heads(sources.items, {peek.label for peek in plain if peek.rows and _narrow(peek)}))
    sure = [*filter(None, tables.values()), *map(sureness, texts.values())]
    able = [each for each in sure if each]
    return min(able) if len(able) > 0.5 * len(told) else 0.0


def _sure(peek: Peek) -> float:
    columns = match(peek.columns, USUAL, {})
    return 0.95 if len(columns) == 2 and any(_fit(row, columns) for row in peek.rows) else 0.0


def _fit(row: Mapping[str, Any], columns: Mapping[str, str]) -> bool:
    words, tags = row.get(columns["words"]), row.get(columns["tags"])
    return isinstance(words, list) and isinstance(tags, list) and len(words) == len(tags) > 0


def _narrow(peek: Peek) -> bool:
    """Whether the first cells of a table are words."""
    cells = [str(next(iter(row.values()), "")) for row in peek.rows]
    return not any(" " in cell.strip() for cell in cells)


def _heads(items: Iterable[Item], wanted: set[str]) -> Iterator[tuple[str, str]]:
    """How the wanted files begin."""

    def head(label: str, stream: BinaryIO, _: FileType) -> Iterator[tuple[str, str]]:
        if label in wanted:
            yield label, Decoder(None).decode(stream.read(_HEAD))

    for item in items if wanted else ():
        if item.kind == "file" and any(label.split("!")[0] == item.label for label in wanted):
            for found in read_file(item, lambda stream, item=item: walk(item.label, stream, item.bytes, head)):  # type: ignore[misc]
                if not isinstance(found, Lost):
                    yield found


def read(items: Sequence[Item], options: ExampleOptions) -> Iterator[Found]:
    for item in items:
        told: set[str] = set()
        mends = 0
        for found in read_chosen(
            item, options.encoding, partial(_choose, options=options), partial(_rows_or_text, encoding=options.encoding)
        ):
            if isinstance(found, Whole):
                yield from _file(found, options)
            elif isinstance(found, Chosen):
                row, (columns, scheme) = found
                if row.label not in told:
                    told.add(row.label)
                    yield from guesses(row.label, columns, options.columns)
                    yield from _scheme_note(row.label, scheme)
                cells = {name: row.values.get(of) for name, of in columns.items()}
                values, changed = _mended(cells, scheme)
                mends += changed
                yield Example(row.label, row.number, values, _split(row.label))
            else:
                yield found
        if mends:
            yield _mends(item.label, mends)


def _rows_or_text(label: str, stream: BinaryIO, type_: FileType, encoding: str | None) -> Iterator[Read]:
    """Rows where a file has them by its name; else its text, also where its columns look like a table."""
    if type_.reader in _ROWS:
        yield from rows_in(label, stream, type_, encoding)
        return
    data = read_whole(stream)
    if is_binary(data[:8192]):
        yield Lost(label, "binary", "not text by its first bytes", len(data), broken=False)
        return
    decoder = Decoder(encoding)
    yield Whole(label, decoder.decode(data, final=True))
    yield Coded(label, decoder.encoding, decoder.replaced)


def _choose(rows: Sequence[Row], options: ExampleOptions) -> tuple[dict[str, str], Scheme]:
    columns = list(dict.fromkeys(name for row in rows for name in row.values))
    require(rows[0].label, columns, options.columns, USUAL)
    chosen = match(columns, USUAL, options.columns)
    tags = [row.values.get(chosen.get("tags", "")) for row in rows]
    return chosen, scheme_of([list(map(str, each)) for each in tags if isinstance(each, list)])


def _file(whole: Whole, options: ExampleOptions) -> Iterator[Found]:
    """The sentences of a file of columns."""
    layout = layout_of(whole.text, _asked(options))
    if layout is None:
        yield Lost(whole.label, "no tagged words", "its lines have no columns, of which one is a tag", broken=False)
        return
    found = list(sentences(whole.text, layout))
    scheme = scheme_of(each.tags for each in found)
    yield _columns_note(whole.label, layout)
    yield from _scheme_note(whole.label, scheme)
    mends = 0
    for number, sentence in enumerate(found):
        if sentence.broken:
            why = f"{sentence.broken[:60]!r} has not {layout.width} columns"
            yield Lost(f"{whole.label}#{number}", "a broken sentence", why, broken=False)
            continue
        values, changed = _mended({"words": sentence.words, "tags": sentence.tags}, scheme)
        mends += changed
        yield Example(whole.label, number, values, _split(whole.label))
    if mends:
        yield _mends(whole.label, mends)


def _asked(options: ExampleOptions) -> int | None:
    """The number of the column of tags, where it was asked for.

    Raises:
        DaedalError: it is no number.
    """
    asked = options.columns.get("tags")
    if asked is not None and not asked.isdecimal():
        raise DaedalError(
            f"--column tags={asked}: columns of such files have no names", "Number them from 0 on: tags=3"
        )
    return None if asked is None else int(asked)


def _mended(values: dict[str, Any], scheme: Scheme) -> tuple[dict[str, Any], bool]:
    """The values with tags that are whole, and whether some were broken."""
    tags = values.get("tags")
    if not isinstance(tags, list) or None in tags:
        return {**values, "tags": None}, False
    said = list(map(str, tags))
    whole = said if scheme == "plain" else mended(said, scheme) if scheme_of([said]) != "plain" else said
    return {**values, "tags": whole}, whole != said and scheme != "IOB1"


def _columns_note(label: str, layout: Layout) -> Note:
    what = "CoNLL-U" if layout.universal else f"{layout.width} columns"
    return Note(
        f"{label} has {what}: words are column {layout.words}, tags column {layout.tags} (--column tags=NUMBER chooses)"
    )


def _scheme_note(label: str, scheme: Scheme) -> Iterator[Note]:
    said = {"plain": "each tag is of its word alone", "IOB1": "tags are IOB1, and become IOB2"}
    yield Note(f"{label}: {said.get(scheme, f'tags are {scheme}')}")


def _mends(label: str, count: int) -> Note:
    return Note(f"{label}: tags of {count:,} sentences were broken, as I-X after no X, and are mended")


def _split(label: str) -> str | None:
    words = re.split(r"[-_.]", re.split("[/!]", label)[-1].lower())
    return next((_FILES[word] for word in words if word in _FILES), None) or split_of_name(label)


def settle(values: dict[str, Any]) -> dict[str, Any] | str:
    """Words and tags as texts, as many of the one as of the other."""
    words, tags = values["words"], values["tags"]
    if (
        not isinstance(words, list)
        or not isinstance(tags, list)
        or any(isinstance(each, list | dict) for each in words)
    ):
        return "no words with tags"
    if len(words) != len(tags):
        return "more words than tags, or fewer"
    words = ["" if each is None else str(each) for each in words]
    if not all(map(str.strip, words)):
        return "an empty word"
    return {**values, "words": words, "tags": [str(each) for each in tags]}


def names(examples: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """How many words and spans there are, and which sentences are tagged in two ways."""
    labels: Counter[str] = Counter()
    seen: dict[tuple[str, ...], list[str]] = {}
    several: dict[tuple[str, ...], None] = {}
    words = 0
    for example in examples:
        said, tags = tuple(example["words"]), example["tags"]
        words += len(said)
        if scheme_of([tags]) != "plain":
            labels.update(span.label for span in spans(tags))
        if seen.setdefault(said, tags) != tags:
            several[said] = None
    if labels:
        most = ", ".join(f"{label} {count:,}" for label, count in labels.most_common(_SHOWN))
        more = f" and {len(labels) - _SHOWN:,} more" if len(labels) > _SHOWN else ""
        yield f"{words:,} words with {labels.total():,} names: {most}{more}"
    else:
        yield f"{words:,} words"
    if several:
        yield f"{len(several):,} sentences are tagged in two ways, as {' '.join(next(iter(several)))[:60]!r}"


KIND = Kind(
    name="tagged",
    columns={"words": Words(), "tags": Tags()},
    key=("words", "tags"),
    recognise=recognise,
    read=read,
    settle=settle,
    checks=(names,),
)
