"""A report of a model of images in the terminal."""

from typing import TYPE_CHECKING

from daedal.evaluation.images.report import ImageReport
from daedal.evaluation.measurement import Measurement
from daedal.printable import harmless

if TYPE_CHECKING:
    from rich.console import RenderableType


def render(report: ImageReport) -> "RenderableType":
    """A table of the measurements beside the baselines, the classes, and where the files are."""
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    model, data = report.model, report.data
    head = Text.assemble(
        (harmless(model.name), "bold"),
        f"  {model.family}, {model.parameters:,} parameters, {model.width} x {model.height} x {model.channels}\n",
        f"measured against {harmless(data.name)}: {data.used:,} of {data.pictures:,} pictures"
        + (f", by {report.sampling['pictures']:,} samples" if report.sampling else ""),
        style="default",
    )
    numbers = Table(box=box.SIMPLE, pad_edge=False)
    numbers.add_column("measurement")
    for column in ("", "value", "95 % interval", *(each.name for each in report.baselines)):
        numbers.add_column(column, justify="right")
    for own, beside in report.rows():
        numbers.add_row(
            own.name, "↑" if own.better == "higher" else "↓", value(own), interval(own),
            *("" if each is None else value(each) for each in beside),
        )  # fmt: skip
    parts: list[RenderableType] = [head, numbers]
    if report.note:
        parts.append(Text(report.note, style="bold"))
    if report.classes:
        rows = Table(box=box.SIMPLE, pad_edge=False)
        rows.add_column("class")
        for column in (f"share of {data.name}", "share of samples", "right, of asked for"):
            rows.add_column(column, justify="right")
        for row in report.classes[:20]:
            rows.add_row(harmless(row.name), f"{row.reference:.3f}", f"{row.samples:.3f}", row.told)
        parts.append(rows)
    if report.overfitting is not None:
        parts.append(Text(report.overfitting, style="yellow"))
    parts += [Text(f"Not measured: {line}", style="yellow") for line in report.missing]
    parts.append(Text("Definitions: " + "; ".join(m.definition for m in report.measurements), style="dim"))
    if report.written:
        parts.append(Text("\nWritten: " + ", ".join(report.written)))
    return Group(*parts)


def value(measurement: Measurement) -> str:
    """A value with its unit."""
    return f"{measurement.value:.4g} {measurement.unit}".strip()


def interval(measurement: Measurement) -> str:
    """An interval, or nothing."""
    if measurement.interval is None:
        return ""
    return f"{measurement.interval[0]:.4g} to {measurement.interval[1]:.4g}"
