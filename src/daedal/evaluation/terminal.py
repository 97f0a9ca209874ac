"""A report in the terminal: the first of three renderers."""

from typing import TYPE_CHECKING

from daedal.evaluation.blocks import Beside, Ranking, Table, Texts, cell, sentence
from daedal.evaluation.measurement import Measurement
from daedal.evaluation.report import OWN, Report
from daedal.printable import harmless

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table as Grid

_BAR, _ROWS, _CHARACTERS = 30, 20, 600
_BESIDE, _NAME = 2, 23  # columns of baselines that leave room for all digits and units; characters of names beside more
_NOTHING = 1e-12  # of an end of an interval, which arithmetic leaves of 0
_BESIDE_SHOWN = 4  # answers of two models
_LINE = 88  # characters of a line, but for those between columns


def render(report: Report) -> "RenderableType":
    """Rankings, the other measurements beside the baselines, what blocks show, and where the files are."""
    from rich.console import Group
    from rich.text import Text

    head = Text.assemble(
        (harmless(report.model.name), "bold"),
        f"  {harmless(report.model.says)}\nmeasured on {harmless(report.data.says)}",
        *(f"\n{harmless(note)}" for note in report.data.notes),
    )
    parts: list[RenderableType] = [head, *(_bars(report, each) for each in report.rankings), _numbers(report)]
    if report.overfitting is not None:
        parts.append(Text(report.overfitting + "\n", style="yellow"))
    parts += [Text(sentence(harmless(line)) + "\n") for line in report.notes]
    for block in report.blocks:
        if isinstance(block, Table) and not block.brief:
            parts += [
                Text.assemble((harmless(block.title), "bold"), f"\n{harmless(block.says)}".rstrip()),
                _table(block),
            ]
        elif isinstance(block, Texts):
            for sample in block.varied:
                text = sample.shown
                cut = text[:_CHARACTERS] + ("…" if len(text) > _CHARACTERS else "")
                parts.append(Text(cut + "\n", style="italic"))
        elif isinstance(block, Beside):
            parts += [Text.assemble((harmless(block.title), "bold"), f"\n{harmless(block.says)}"), _beside(block)]
    parts += [Text(f"Not measured: {harmless(line)}", style="yellow") for line in report.missing]
    parts.append(Text("Definitions: " + "; ".join(sorted({m.definition for m in report.measurements})), style="dim"))
    if report.written:
        parts.append(Text("\nWritten: " + ", ".join(report.written)))
    return Group(*parts)


def _bars(report: Report, block: Ranking) -> "Grid":
    from rich.text import Text

    ranking = report.ranking(block.quantity)
    own = report.measured(block.quantity)
    better = "more" if own.better == "higher" else "less"
    bars = _grid("predictor", headed(own), "95 % interval", f"{better} is better")
    bars.columns[-1].justify = "left"
    largest = max(0.0, *(measurement.value for _, measurement in ranking)) or 1.0
    names, ends = (max(map(len, each)) for each in ([n for n, _ in ranking], [interval(m) for _, m in ranking]))
    longest = max(_BAR // 3, min(_BAR, _LINE - names - len(headed(own)) - ends))
    for name, measurement in ranking:
        bar = "█" * max(1, round(longest * measurement.value / largest))
        row = (f"{measurement.value:.3f}", interval(measurement), Text(bar, style="green" if name == OWN else "dim"))
        bars.add_row(Text(harmless(name)), *row, style="bold" if name == OWN else "")
    return bars


def _numbers(report: Report) -> "Grid":
    beside = [harmless(each.name) for each in report.columns]
    numbers = _grid("measurement", "value", "95 % interval", *(beside or ["of"]))
    many = len(beside) > _BESIDE
    if many:
        numbers.columns[0].overflow, numbers.columns[0].width, numbers.columns[2].no_wrap = "fold", _NAME, True
    for own, others in report.rows(ranked=False):
        pieces = "blocks" if own.pieces.startswith("blocks") else own.pieces
        if many:
            figures = ["" if each is None else f"{each.value:.3g}" for each in (own, *others)]
            numbers.add_row(named(own), figures[0], interval(own, 3), *figures[1:])
            continue
        last = ["" if each is None else value(each) for each in others] if beside else [f"{own.n:,} {pieces}"]
        numbers.add_row(named(own), value(own), interval(own), *last)
    return numbers


def _table(block: Table) -> "Grid":
    rows = _grid(*map(harmless, block.head))
    for at, column in enumerate(rows.columns):
        if block.rows and isinstance(block.rows[0][at], str):
            column.justify = "left"
    for row in block.rows[:_ROWS]:
        rows.add_row(*(harmless(cell(each)) for each in row))
    return rows


def _beside(block: Beside) -> "Grid":
    """The first answers of two models."""
    rows = _grid("prompt", harmless(block.one), harmless(block.other), *(["judged"] if block.pairs[0].verdict else []))
    for column in rows.columns:
        column.justify, column.overflow = "left", "fold"
    for pair in block.pairs[:_BESIDE_SHOWN]:
        said = (_start(text) for text in (pair.prompt, pair.one, pair.other))
        rows.add_row(*said, *([pair.verdict] if pair.verdict else []), end_section=True)
    return rows


def _start(text: str) -> str:
    text = harmless(text)
    return text if len(text) <= _CHARACTERS // 2 else f"{text[: _CHARACTERS // 2]}…"


def _grid(first: str, *others: str) -> "Grid":
    from rich import box
    from rich.table import Table as Grid

    grid = Grid(box=box.SIMPLE, pad_edge=False)
    grid.add_column(first)
    for column in others:
        grid.add_column(column, justify="right")
    return grid


def named(measurement: Measurement) -> str:
    """A name with an arrow where more is better, or what is usual in the data; it never stands on a line alone."""
    return measurement.name + {"lower": "", "higher": "\u00a0↑", "neither": "\u00a0↔"}[measurement.better]


def headed(measurement: Measurement) -> str:
    """A name over a column of values, with their unit where it does not say it."""
    name, unit = measurement.name, measurement.unit
    return name if unit in name else f"{name}, {unit}"


def value(measurement: Measurement) -> str:
    """A value, with its unit where its name does not say it."""
    unit = measurement.unit
    unit = "" if unit in measurement.name or unit == "per token" else measurement.counted
    return f"{measurement.value:.4g} {unit}".strip()


def interval(measurement: Measurement, digits: int = 4) -> str:
    """An interval in so many digits, or nothing."""
    ends = (0.0 if abs(end) < _NOTHING else end for end in measurement.interval or ())
    return " to ".join(f"{end:#.{digits}g}".rstrip(".") for end in ends)
