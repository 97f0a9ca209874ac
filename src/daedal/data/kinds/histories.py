"""Histories: what each person took, watched or bought, in the order of time, as recommenders learn from.

MovieLens and its kin: a row for each time that a person took something. Where a second table names the items,
those are their names.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import Field

from daedal.data.columns import Numbers, Ragged, Strings
from daedal.data.document import Example, Note
from daedal.data.example_options import ExampleOptions
from daedal.data.fields import guesses, match, require
from daedal.data.kind import Found, InTime, Kind
from daedal.data.peek import Peek, Sources
from daedal.data.rows import Chosen, Row, Whole, read_chosen
from daedal.data.sources import Item, Named, Unit

USUAL = {
    "user": (
        "userid", "user_id", "user", "uid", "reviewerid", "reviewer_id", "visitorid", "visitor_id", "customer_id", "customerid",
        "session_id", "username",
    ),
    "item": (
        "movieid", "movie_id", "itemid", "item_id", "item", "productid", "product_id", "asin", "parent_asin", "bookid",
        "book_id", "isbn", "songid", "song_id", "trackid", "track_id", "artistid", "artist_id", "animeid", "anime_id",
        "business_id", "movie",
    ),
    "rating": ("rating", "stars", "score", "overall", "event_rating"),
    "time": ("timestamp", "time", "unixreviewtime", "unix_review_time", "datetime", "date", "created_at", "ts"),
}  # fmt: skip
_TITLES = ("title", "name", "item_name", "product_title", "movie_title")
_GAP = re.compile(r"::|\t")


class HistoryOptions(ExampleOptions):
    """
    Attributes:
        min_items: histories of fewer are left out.
        min_rating: what was rated lower was not liked, and is left out of a history.
    """

    min_items: int = Field(default=2, ge=1)
    min_rating: float | None = None


def recognise(sources: Sources) -> float:
    if any(
        len(match(peek.columns, USUAL, {})) >= 3 and {"user", "item"} <= match(peek.columns, USUAL, {}).keys()
        for peek in sources.tables
    ):
        return 0.95
    return 0.9 if any(_unnamed(peek) for peek in sources.peeks) else 0.0


def _unnamed(peek: Peek) -> bool:
    """MovieLens's older files: `1::1193::5::978300760`, or the same with tabs."""
    lines = peek.whole.text.split("\n")[:50] if peek.whole is not None else []
    rows = [_GAP.split(line.strip()) for line in lines if line.strip()] or [
        list(map(str, row.values())) for row in peek.rows
    ]
    return bool(rows) and all(
        len(row) == 4 and all(cell.replace(".", "", 1).isdigit() for cell in row) and len(row[3]) >= 9 for row in rows
    )


def units(named: Iterable[Named]) -> list[Unit]:
    """All files of a source are read together: a person's rows may be in any, and the names of items in another."""
    return [Unit(number=number, role=each.role, items=each.items) for number, each in enumerate(named)]


def read(items: Sequence[Item], options: HistoryOptions) -> Iterator[Found]:
    taken: dict[str, list[tuple[float | None, int, str, float | None]]] = defaultdict(list)
    rated = any("rating" in columns for columns in _tables(items, options))
    titles: dict[str, str] = {}
    label = items[0].label if items else ""
    told: set[str] = set()
    low = order = 0
    for item in items:
        for found in read_chosen(item, options.encoding, lambda rows: _choose(rows, options)):
            rows: Iterable[tuple[Mapping[str, Any], Mapping[str, str]]]
            if isinstance(found, Whole):
                label, rows = found.label, _older(found)
            elif not isinstance(found, Chosen):
                yield found
                continue
            elif "user" not in found.choice:
                if {"item", "title"} <= found.choice.keys():
                    cells = found.row.values
                    titles[str(cells.get(found.choice["item"]))] = str(cells.get(found.choice["title"]))
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
                user, thing = values.get(columns["user"]), values.get(columns["item"])
                rating = _number(values.get(columns.get("rating", "")))
                if user is None or thing is None:
                    continue
                if options.min_rating is not None and rating is not None and rating < options.min_rating:
                    low += 1
                    continue
                order += 1
                when = _seconds(values.get(columns.get("time", "")))
                taken[str(user)].append((when, order, str(thing), rating))
    if low:
        yield Note(f"{low:,} rows are rated under {options.min_rating:g} and are in no history")
    again = Counter(titles.values())
    names = {thing: title if again[title] == 1 else f"{title} [{thing}]" for thing, title in titles.items()}
    short = 0
    for number, (user, rows_of) in enumerate(taken.items()):
        rows_of.sort(key=lambda row: (row[0] or 0.0, row[1]))
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
                "last": times[-1],
            },
        )  # fmt: skip
    if short:
        yield Note(
            f"{short:,} histories of fewer than {options.min_items} items are left out (--set min_items=1 keeps them)"
        )


def _tables(items: Sequence[Item], options: ExampleOptions) -> Iterator[dict[str, str]]:
    """The columns of each table of what people took."""
    for peek in Sources.of(items).tables:
        if {"user", "item"} <= (columns := match(peek.columns, USUAL, options.columns)).keys():
            yield columns


def _choose(rows: Sequence[Row], options: ExampleOptions) -> dict[str, str]:
    columns = list(dict.fromkeys(name for row in rows for name in row.values))
    usual = {**USUAL, "title": _TITLES}
    chosen = match(columns, usual, options.columns)
    if "user" in chosen and "item" in chosen:
        require(rows[0].label, columns, options.columns, USUAL)
        chosen.pop("title", None)
        return chosen
    chosen.pop("user", None)
    return chosen


def _older(whole: Whole) -> Iterator[tuple[Mapping[str, Any], Mapping[str, str]]]:
    columns = {name: name for name in ("user", "item", "rating", "time")}
    for line in whole.text.split("\n"):
        cells = _GAP.split(line.strip())
        if len(cells) == 4:
            yield dict(zip(columns, cells, strict=True)), columns


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _seconds(value: Any) -> float | None:
    """A time as seconds since 1970: a number, or a date of ISO 8601."""
    if (number := _number(value)) is not None:
        return number / 1000 if number > 1e11 else number
    try:
        return datetime.fromisoformat(str(value)).timestamp()
    except ValueError:
        return value.timestamp() if isinstance(value, datetime) else None


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
