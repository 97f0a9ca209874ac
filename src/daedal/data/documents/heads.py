"""Lines that are no part of the text: what every page repeats (heads, feet and page numbers), and tables of contents."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from statistics import median

from daedal.data.documents.layout import Column, Run

_LOOKED_AT = 3  # lines at the top of a page, and at its bottom
_LONGEST = 160  # characters
_NEAR = 4.0  # points between the places of the same head on two pages
_NUMBER = re.compile(r"\d+")
_ROMAN = re.compile(r"^[\W_]*[ivxlc]{1,8}[\W_]*$", re.IGNORECASE)
_LEADERS = re.compile(r"(?:\s?[.·…]){4,}\s*[\divxlc]+$", re.IGNORECASE)
_FEWEST_ENTRIES = 3
_WORD = re.compile(r"[^\W\d_]{2,}")


def without_heads(pages: Sequence[list[Column]]) -> tuple[list[list[Column]], int]:
    """The pages without heads and feet, and how many lines these were.

    A line at the edge of a page is one where other pages have the same at the same height, but for the numbers in it
    (three pages; both of two), or where it stands at the height at which most pages have one.
    """
    edges = [_edges(page) for page in pages]
    heights = defaultdict[str, list[float]](list)
    numbers = defaultdict[str, Counter[int]](Counter)
    for place, (top, bottom) in enumerate(edges):
        for line in (*top, *bottom):
            heights[_key(line)].append(line.y0)
            for number in _NUMBER.findall(line.text)[:3]:
                numbers[_key(line)][int(number[:9]) - place] += 1
    needed = min(3, max(2, len(pages)))
    heads = {
        key: middle
        for key, found in heights.items()
        if sum(abs(each - (middle := median(found))) <= _NEAR for each in found) >= needed
        and (_WORD.search(key) or _counts_up(key, numbers[key], len(found)))
    }

    def is_head(line: Run) -> bool:
        middle = heads.get(_key(line))
        return middle is not None and abs(line.y0 - middle) <= _NEAR

    levels = Counter(round(line.y0) for sides in edges for side in sides for line in side[:1] if is_head(line))
    usual = {each + step for each, count in levels.items() if 2 * count > len(pages) > 3 for step in (-1, 0, 1)}
    left_out = 0
    kept = []
    for page, sides in zip(pages, edges, strict=True):
        dropped = set[int]()
        for side in sides:
            for line in side:
                if not is_head(line) and not (line is side[0] and round(line.y0) in usual):
                    break
                dropped.add(id(line))
        left_out += len(dropped)
        columns = [[line for line in column if id(line) not in dropped] for column in page]
        kept.append([column for column in columns if column])
    if not any(kept):  # where all pages say the same, that is the text
        return list(pages), 0
    return kept, left_out


def without_contents(pages: Sequence[list[Column]]) -> tuple[list[list[Column]], int]:
    """The pages without lines that lead by dots to the number of a page, and how many these were."""
    kept = [[[line for line in column if not _LEADERS.search(line.text)] for column in page] for page in pages]
    entries = sum(map(_count, pages)) - sum(map(_count, kept))
    return (kept, entries) if entries >= _FEWEST_ENTRIES and any(map(_count, kept)) else (list(pages), 0)


def _count(page: list[Column]) -> int:
    return sum(map(len, page))


def _edges(page: list[Column]) -> tuple[list[Run], list[Run]]:
    """The lines at the top and at the bottom of a page, from the edge inwards; of a page of few lines each on one side."""
    lines = sorted((line for column in page for line in column), key=lambda line: -line.y0)
    count = min(_LOOKED_AT, (len(lines) + 1) // 2)
    top, bottom = lines[:count], lines[count:][-_LOOKED_AT:][::-1]
    return [line for line in top if len(line.text) <= _LONGEST], [line for line in bottom if len(line.text) <= _LONGEST]


def _key(line: Run) -> str:
    """What a head says, but for the number of the page."""
    text = " ".join(line.text.lower().split())
    return "#" if _ROMAN.match(text) else _NUMBER.sub("#", text)


def _counts_up(key: str, offsets: Counter[int], lines: int) -> bool:
    """Whether numbers alone are those of the pages, not rows of a table."""
    if not offsets:
        return key == "#"  # Roman
    return 2 * max(offsets.values()) >= lines
