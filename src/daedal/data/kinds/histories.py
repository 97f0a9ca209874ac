"""Histories: what each person took, watched or bought, in the order of time, as recommenders learn from.

MovieLens and its kin: a row for each time that a person took something. Where a second table names the items,
those are their names.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import Field

from daedal.data.columns import Numbers, Ragged, Strings
from daedal.data.document import Example, Lost, Note
from daedal.data.example_options import ExampleOptions
from daedal.data.fields import guesses, match, named, require
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
_NEVER = 1e11  # seconds: the year 5138
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
    named = [peek for peek in sources.tables if len(_of(peek)) >= 3 and {"user", "item"} <= _of(peek).keys()]
    if named:  # reviews with a rating are labelled text as well
        return 0.8 if all("rating" in _of(peek) and _reviews(peek) for peek in named) else 0.95
    return 0.9 if any(_unnamed(peek) for peek in sources.peeks) else 0.0


def _of(peek: Peek) -> dict[str, str]:
    return match(peek.columns, USUAL, {})


def _reviews(peek: Peek) -> bool:
    column = named(peek.columns, ("text", "review", "reviewtext", "review_text", "review_body", "comment", "content"))
    said = [str(row.get(column) or "") for row in peek.rows] if column else []
    return sum(" " in each.strip() for each in said) > 0.5 * len(peek.rows)


def _unnamed(peek: Peek) -> bool:
    """MovieLens's older files: `1::1193::5::978300760`, or the same with tabs; Amazon's, with commas."""
    if peek.whole is None:
        return _ratings(peek.rows)
    lines = [line.strip() for line in peek.whole.text.split("\n")[:50]]
    return _ratings(
        [
            dict(zip("0123", cells, strict=False)) if len(cells := _GAP.split(line)) == 4 else {}
            for line in lines
            if line
        ]
    )


def _ratings(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether rows without names are of a user, an item, a rating and a time in seconds."""
    return bool(rows) and all(
        list(row) == list("0123")
        and all(str(cell) and " " not in str(cell) for cell in row.values())
        and re.fullmatch(r"\d{1,2}(\.\d+)?", str(row["2"])) is not None
        and re.fullmatch(r"\d{9,13}", str(row["3"])) is not None
        for row in rows
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
    low = order = again = timeless = 0
    for item in items:
        for found in read_chosen(item, options.encoding, lambda rows: _choose(rows, options)):
            rows: Iterable[tuple[Mapping[str, Any], Mapping[str, str]]]
            if isinstance(found, Whole):
                titles |= _older_titles(found)
                label, rows = found.label, _older(found)
            elif not isinstance(found, Chosen):
                yield found
                continue
            elif "user" not in found.choice:
                if found.row.label not in told:
                    told.add(found.row.label)
                    if "title" not in found.choice:
                        why = f"it has no user and item ({', '.join(list(found.row.values)[:20])})"
                        yield Lost(found.row.label, "no histories", why, broken=False)
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
                if user in (None, "") or thing in (None, ""):
                    yield Lost(label, "no user or item", "a row without", broken=False)
                    continue
                if options.min_rating is not None and rating is not None and rating < options.min_rating:
                    low += 1
                    continue
                order += 1
                when = _seconds(values.get(columns.get("time", "")))
                timeless += when is None and values.get(columns.get("time", "")) is not None
                taken[str(user)].append((when, order, str(thing), rating))
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
        if {"user", "item"} <= (columns := match(peek.columns, USUAL, options.columns)).keys():
            yield columns


def _choose(rows: Sequence[Row], options: ExampleOptions) -> dict[str, str]:
    columns = list(dict.fromkeys(name for row in rows for name in row.values))
    usual = {**USUAL, "title": _TITLES}
    chosen = match(columns, usual, options.columns)
    if not options.columns and _ratings([row.values for row in rows[:50]]):
        return dict(zip(USUAL, "0123", strict=True))
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


def _older_titles(whole: Whole) -> dict[str, str]:
    """MovieLens's items: `1::Toy Story (1995)::Animation`, or with bars."""
    if re.split(r"[/!]", whole.label)[-1] not in ("movies.dat", "u.item"):
        return {}
    cells = [re.split(r"::|\|", line) for line in whole.text.split("\n")]
    return {each[0]: each[1] for each in cells if len(each) > 2}


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _seconds(value: Any) -> float | None:
    """A time as seconds since 1970: a number, or a date of ISO 8601."""
    if (number := _number(value)) is not None:
        while _NEVER < abs(number) < 1e20:  # milliseconds, microseconds, nanoseconds
            number /= 1000
        return number if abs(number) <= _NEVER else None
    try:
        when = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError, OSError):
        return None


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
