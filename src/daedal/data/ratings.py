"""Tables of what people took: which columns are whose, as MovieLens, Amazon, Last.fm, Steam and Netflix have them, and what
their cells say. Read by `daedal.data.kinds.histories`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from daedal.data.fields import Shape, match, named, shaped
from daedal.data.numerals import number_of
from daedal.data.rows import Row

USUAL = {
    "user": (
        "userid", "user_id", "user", "uid", "reviewerid", "reviewer_id", "visitorid", "visitor_id", "customer_id", "customerid",
        "session_id", "username",
    ),
    "item": (
        "movieid", "movie_id", "itemid", "item_id", "item", "productid", "product_id", "asin", "parent_asin", "bookid",
        "book_id", "isbn", "songid", "song_id", "trackid", "track_id", "artistid", "artist_id", "animeid", "anime_id",
        "business_id", "movie", "stockcode",
    ),
    "rating": (
        "rating", "stars", "score", "overall", "event_rating", "book_rating", "weight", "plays", "play_count", "playcount",
        "listen_count",
    ),
    "time": ("timestamp", "time", "unixreviewtime", "unix_review_time", "datetime", "date", "created_at", "ts", "invoicedate"),
}  # fmt: skip
_TITLES = ("title", "name", "item_name", "product_title", "movie_title", "book_title")
_SOME, _NUMBER = r"\S+", r"\d+(\.\d+)?"
_SHAPES: Sequence[Shape] = (
    (("user", _SOME), ("item", _SOME), ("rating", r"\d{1,2}(\.\d+)?"), ("time", r"\d{9,13}")),  # MovieLens, Amazon
    (("user", r"\d+"), ("item", ".+"), ("act", "purchase|play"), ("", _NUMBER), ("", "0")),  # Steam
    (("user", "[0-9a-f]{40}"), ("", ".*"), ("item", ".+"), ("rating", r"\d+")),  # Last.fm 360K
    (("user", r"user_\d+"), ("time", r"\d{4}-.*"), ("", ".*"), ("", ".*"), ("", ".*"), ("item", ".+")),  # Last.fm 1K
)
_TITLE_SHAPES: Sequence[Shape] = (
    (("item", r"\d+"), ("title", r".+ \(\d{4}.*\)"), ("", ".*")),  # MovieLens's older films
    (("item", r"\d+"), ("title", ".+"), ("", r"\d\d-\w{3}-\d{4}|"), *20 * (("", ".*"),), ("", "[01]")),
    (("item", r"\d+"), ("", r"\d{4}|NULL"), ("title", ".+")),  # Netflix's
)
FILM = re.compile(r"(\d+):\n(?=\d+,[1-5],\d{4}-\d\d-\d\d\n)")  # Netflix's: who rated it follows
_WHOLE = re.compile(r"^(\d+)\.0+$")
_DATES = ("%B %d, %Y", "%b %d, %Y", "%d %B %Y", "%d %b %Y", "%d.%m.%Y", "%Y/%m/%d", "%a %b %d %H:%M:%S %z %Y")
_NEVER = 1e11  # seconds: the year 5138


def columns_of(rows: Sequence[Mapping[str, Any]], asked: Mapping[str, str]) -> dict[str, str]:
    """Whose columns are which, of a table of what people took, or of the titles of that."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    chosen = match(columns, {**USUAL, "title": _TITLES}, asked)
    if {"user", "item"} <= chosen.keys():
        return {name: of for name, of in chosen.items() if name != "title"}
    chosen = chosen or shaped(rows, _SHAPES) or shaped(rows, _TITLE_SHAPES)
    return {name: of for name, of in chosen.items() if name != "user"} if "item" not in chosen else chosen


def titled(row: Row, columns: Mapping[str, str]) -> str | None:
    """The column of an item in a table of titles: `id` too, where the table is called after it, as `artists.dat`."""
    called = re.split("[/!]", row.label)[-1].partition(".")[0].lower().removesuffix("s")
    own = named(row.values, ("id",)) if f"{called}id" in USUAL["item"] else None
    return columns.get("item") or own


def netflix(text: str) -> Iterator[tuple[Mapping[str, Any], Mapping[str, str]]]:
    """The ratings of films, each below the number of its film."""
    columns = {name: name for name in USUAL}
    film = ""
    for line in text.split("\n") if FILM.match(text) else ():
        if line.endswith(":"):
            film = line[:-1]
        elif len(cells := line.strip().split(",")) == 3:
            yield dict(zip(("user", "rating", "time", "item"), (*cells, film), strict=True)), columns


def id_of(value: Any) -> str:
    """Who or what a cell names: whole numbers alike, however they are written; nothing where it is empty or NaN."""
    said = "" if value is None else str(value).strip()
    return "" if said.lower() == "nan" else _WHOLE.sub(r"\1", said)


def seconds_of(value: Any) -> float | None:
    """A time as seconds since 1970: a number, or a date that can mean but one day."""
    if (number := number_of(value)) is not None:
        while _NEVER < abs(number) < 1e20:  # milliseconds, microseconds, nanoseconds
            number /= 1000
        return number if abs(number) <= _NEVER else None
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    return _date(str(value))


@lru_cache(maxsize=2**16)  # days come again
def _date(said: str) -> float | None:
    for form in (None, *_DATES):
        with suppress(ValueError, OverflowError, OSError):
            when = datetime.fromisoformat(said) if form is None else datetime.strptime(said, form)
            return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    return None
