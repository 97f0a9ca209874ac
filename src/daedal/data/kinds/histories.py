"""Histories: what each person took, watched or bought, in the order of time, as recommenders learn from.

MovieLens and its kin: a row for each time that a person took something. Where a second table names the items,
those are their names.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import Field

from daedal.data.columns import Numbers, Ragged, Strings
from daedal.data.document import Example, Lost, Note
from daedal.data.example_options import ExampleOptions
from daedal.data.fields import guesses, named, require
from daedal.data.kind import Found, InTime, Kind
from daedal.data.numerals import number_of
from daedal.data.peek import Peek, Sources
from daedal.data.ratings import FILM, USUAL, columns_of, id_of, netflix, seconds_of, titled
from daedal.data.rows import Chosen, Row, Whole, read_chosen
from daedal.data.sources import Item, Named, Unit


class HistoryOptions(ExampleOptions):
    """
    Attributes:
        min_items: histories of fewer are left out.
        min_rating: what was rated lower was not liked, and is left out of a history.
    """

    min_items: int = Field(default=2, ge=1)
    min_rating: float | None = None


def recognise(sources: Sources) -> float:
    found = {peek.label: columns_of(peek.rows, {}) for peek in sources.tables}
    named = [peek for peek in sources.tables if {"user", "item"} <= found[peek.label].keys()]
    if any(len(found[peek.label]) >= 3 for peek in named):  # reviews with a rating are labelled text as well
        return 0.8 if all("rating" in found[peek.label] and _reviews(peek) for peek in named) else 0.95
    return 0.9 if any(peek.whole and FILM.match(peek.whole.text) for peek in sources.peeks) else 0.0


def _reviews(peek: Peek) -> bool:
    column = named(peek.columns, ("text", "review", "reviewtext", "review_text", "review_body", "comment", "content"))
    said = [str(row.get(column) or "") for row in peek.rows] if column else []
    return sum(" " in each.strip() for each in said) > 0.5 * len(peek.rows)


def units(named: Iterable[Named]) -> list[Unit]:
    """All files of a source are read together: a person's rows may be in any, and the names of items in another."""
    return [Unit(number=number, role=each.role, items=each.items) for number, each in enumerate(named)]


def read(items: Sequence[Item], options: HistoryOptions) -> Iterator[Found]:
    taken: dict[str, list[tuple[float | None, int, str, float | None]]] = defaultdict(list)
    rated = any("rating" in columns for columns in _tables(items, options))
    titles: dict[str, str] = {}
    label = items[0].label if items else ""
    told: set[str] = set()
    low = order = again = timeless = 0
    for item in items:
        for found in read_chosen(item, options.encoding, lambda rows: _choose(rows, options)):
            rows: Iterable[tuple[Mapping[str, Any], Mapping[str, str]]]
            if isinstance(found, Whole):
                label, rows = found.label, list(netflix(found.text))
                if not rows:
                    yield Lost(label, "no histories", "it is no table", broken=False)
            elif not isinstance(found, Chosen):
                yield found
                continue
            elif "user" not in found.choice:
                if found.row.label not in told:
                    told.add(found.row.label)
                    if "title" not in found.choice:
                        why = f"it has no user and item ({', '.join(list(found.row.values)[:20])})"
                        yield Lost(found.row.label, "no histories", why, broken=False)
                if "title" in found.choice and (thing := titled(found.row, found.choice)) is not None:
                    titles[id_of(found.row.values.get(thing))] = str(found.row.values.get(found.choice["title"]))
                continue
            else:
                label, rows = found.row.label, [(found.row.values, found.choice)]
                first = label not in told
                told.add(label)
                if rated and "rating" not in found.choice:  # what was tagged or seen too, beside a table of ratings
                    if first:
                        yield Note(f"{label} has no ratings, and another table has: it is in no history")
                    continue
                if first:
                    yield from guesses(label, found.choice, options.columns)
            for values, columns in rows:
                user, thing = id_of(values.get(columns["user"])), id_of(values.get(columns["item"]))
                rating = number_of(values.get(columns.get("rating", "")))
                if not user or not thing:
                    yield Lost(label, "no user or item", "a row without", broken=False)
                    continue
                if values.get(columns.get("act", "")) == "play":  # Steam tells of what was bought again
                    continue
                if options.min_rating is not None and rating is not None and rating < options.min_rating:
                    low += 1
                    continue
                order += 1
                when = seconds_of(values.get(columns.get("time", "")))
                timeless += when is None and values.get(columns.get("time", "")) is not None
                taken[user].append((when, order, thing, rating))
    if low:
        yield Note(f"{low:,} rows are rated under {options.min_rating:g} and are in no history")
    alike = Counter(titles.values())
    names = {thing: title if alike[title] == 1 else f"{title} [{thing}]" for thing, title in titles.items()}
    short = 0
    for number, (user, rows_of) in enumerate(taken.items()):
        timed = all(row[0] is not None for row in rows_of)
        rows_of.sort(key=lambda row: (row[0] or 0.0 if timed else 0.0, row[1]))
        once = {(row[0], row[2] if row[0] is not None else row[1]): row for row in reversed(rows_of)}
        again += len(rows_of) - len(once)  # MovieLens 100K has its rows again in its folds
        rows_of = list(reversed(once.values()))
        if len(rows_of) < options.min_items:
            short += 1
            continue
        times = [row[0] for row in rows_of]
        yield Example(
            label, number,
            {
                "user": user,
                "items": [names.get(row[2], row[2]) for row in rows_of],
                "ratings": [row[3] for row in rows_of] if any(row[3] is not None for row in rows_of) else None,
                "times": times if None not in times else None,
                "last": max((time for time in times if time is not None), default=None),
            },
        )  # fmt: skip
    if again:
        yield Note(f"{again:,} rows say again what a person took at a time, and count once")
    if timeless:
        yield Note(
            f"{timeless:,} rows have a time that is none: their histories are in the order of the rows, without times"
        )
    if short:
        yield Note(
            f"{short:,} histories of fewer than {options.min_items} items are left out (--set min_items=1 keeps them)"
        )


def _tables(items: Sequence[Item], options: ExampleOptions) -> Iterator[dict[str, str]]:
    """The columns of each table of what people took."""
    for peek in Sources.of(items).tables:
        if {"user", "item"} <= (columns := columns_of(peek.rows, options.columns)).keys():
            yield columns


def _choose(rows: Sequence[Row], options: ExampleOptions) -> dict[str, str]:
    chosen = columns_of([row.values for row in rows], options.columns)
    if {"user", "item"} <= chosen.keys():
        require(rows[0].label, dict.fromkeys(name for row in rows for name in row.values), options.columns, USUAL)
    return chosen


def spread(examples: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """How many items there are, and how often they were taken."""
    counts: Counter[str] = Counter()
    for example in examples:
        counts.update(example["items"])
    if counts:
        once = sum(count == 1 for count in counts.values())
        most, times = counts.most_common(1)[0]
        yield f"{len(counts):,} items, {once:,} of them taken once, most often {most!r} ({times:,} times)"


KIND = Kind(
    name="histories",
    columns={
        "user": Strings(),
        "items": Ragged(codec="items", structured=True, near=False),
        "ratings": Strings(structured=True, optional=True),
        "times": Strings(structured=True, optional=True),
        "last": Numbers(optional=True),
    },
    key=("user", "items"),
    recognise=recognise,
    read=read,
    units=units,
    split=InTime("last"),
    checks=(spread,),
    options=HistoryOptions,
)
