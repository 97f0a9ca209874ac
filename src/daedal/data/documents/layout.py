"""Runs of characters on a page -> lines in columns, in the order in which they are read.

A gutter is a strip of the page that hardly any run crosses and that has lines of text on both sides. Runs that cross it
(a title, a wide figure's caption) cut the page into bands; of each band the left side is read first, then the right,
and each may have a gutter of its own. Cells of a table are shorter than lines of text, so rows stay together.
"""

import itertools
import unicodedata
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

_MOST = 5_000  # runs: a page with more is a drawing or a table
_TRIED = 50  # strips that may be a gutter
_DEEPEST = 3  # eight columns
_MARGIN = 0.15  # of the width: there is no gutter so near the edge
_FEWEST = 4  # lines on each side of a gutter
_SHORTEST = 12  # characters that the median line on each side has, and a cell of a table has not
_CELL = 2.0  # of a line's height: a wider gap parts cells of a table, and becomes a tab
_CROSSING = 0.5  # runs that cross a gutter, for each of the smaller side


class Run(NamedTuple):
    """Characters that stand closely together on a line, or a whole line; in points from the lower left."""

    text: str
    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def height(self) -> float:
        """From the deepest to the highest of what its font can draw."""
        return self.y1 - self.y0


Column = list[Run]
"""Lines, from the top of the page to its bottom."""


def columns_of(runs: Sequence[Run]) -> list[Column]:
    """The columns of a page in the order in which they are read."""
    return _read(list(runs), 0)


def _read(runs: list[Run], depth: int) -> list[Column]:
    gutter = _gutter(runs) if depth < _DEEPEST else None
    if gutter is None:
        return [_lines(runs)] if runs else []
    columns = list[Column]()
    crossing = sorted((run for run in runs if run.x0 < gutter < run.x1), key=lambda run: -run.y1)
    rest = [run for run in runs if not run.x0 < gutter < run.x1]
    wide = list[Run]()
    for run in crossing:
        above = [each for each in rest if each.y0 >= run.y0 + 0.5 * run.height]
        if above:
            columns += [_lines(wide)] if wide else []
            columns += _sides(above, gutter, depth)
            wide = []
            rest = [each for each in rest if each.y0 < run.y0 + 0.5 * run.height]
        wide.append(run)
    columns += [_lines(wide)] if wide else []
    return columns + (_sides(rest, gutter, depth) if rest else [])


def _sides(runs: list[Run], gutter: float, depth: int) -> list[Column]:
    left = [run for run in runs if run.x1 <= gutter]
    right = [run for run in runs if run.x1 > gutter]
    return [column for side in (left, right) for column in _read(side, depth + 1)]


def _gutter(runs: list[Run]) -> float | None:
    """Where a gutter is, in points from the left; the one that fewest runs cross, and of these the widest."""
    if not 2 * _FEWEST <= len(runs) <= _MOST:
        return None
    begin, end = min(run.x0 for run in runs), max(run.x1 for run in runs)
    low, high = begin + _MARGIN * (end - begin), end - _MARGIN * (end - begin)
    least = 0.5 * median(run.height for run in runs)
    edges = sorted([(run.x0, 1) for run in runs] + [(run.x1, -1) for run in runs])
    strips, crossed = list[tuple[int, float, float]](), 0
    for (x, step), (after, _) in itertools.pairwise(edges):
        crossed += step
        a, b = max(x, low), min(after, high)
        if b - a >= least:
            strips.append((crossed, a - b, (a + b) / 2))
    return next((middle for _, _, middle in sorted(strips)[:_TRIED] if _parts(runs, middle)), None)


def _parts(runs: list[Run], gutter: float) -> bool:
    """Whether there is text in columns on both sides, rather than a table or a list with its numbers."""
    left = [run for run in runs if run.x1 <= gutter]
    right = [run for run in runs if run.x0 >= gutter]
    fewer = min(len(left), len(right))
    if fewer < _FEWEST or len(runs) - len(left) - len(right) > _CROSSING * fewer:
        return False
    if any(median(len(run.text) for run in side) < _SHORTEST for side in (left, right)):
        return False
    top = min(max(run.y1 for run in left), max(run.y1 for run in right))
    bottom = max(min(run.y0 for run in left), min(run.y0 for run in right))
    return all(sum(bottom <= (run.y0 + run.y1) / 2 <= top for run in side) >= 2 for side in (left, right))


def _lines(runs: list[Run]) -> Column:
    """Runs that stand beside each other as one line."""
    lines = list[list[Run]]()
    for run in sorted(runs, key=lambda run: (-(run.y0 + run.y1), run.x0)):
        if lines and _beside(lines[-1][0], run):
            lines[-1].append(run)
        else:
            lines.append([run])
    return [_joined(line) for line in lines]


def _beside(one: Run, other: Run) -> bool:
    shared = min(one.y1, other.y1) - max(one.y0, other.y0)
    return shared > 0.5 * min(one.height, other.height)


def _joined(line: list[Run]) -> Run:
    if len(line) == 1:
        return line[0]
    leftwards = sum(_is_leftwards(run.text) for run in line) * 2 > len(line)
    ordered = sorted(line, key=lambda run: run.x0, reverse=leftwards)
    tallest = max(line, key=lambda run: (len(run.text), run.height))
    text = ordered[0].text
    for before, run in itertools.pairwise(ordered):
        gap = max(run.x0 - before.x1, before.x0 - run.x1)
        text += ("\t" if gap > _CELL * tallest.height else " ") + run.text
    return Run(text, min(run.x0 for run in line), tallest.y0, max(run.x1 for run in line), tallest.y1)


def _is_leftwards(text: str) -> bool:
    return any(unicodedata.bidirectional(letter) in ("R", "AL") for letter in text[:20])
