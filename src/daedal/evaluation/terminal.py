"""A report in the terminal."""

from typing import TYPE_CHECKING

from daedal.evaluation.measurement import Measurement
from daedal.evaluation.report import EvaluationReport, Sample, copied, counted, shown
from daedal.printable import harmless

if TYPE_CHECKING:
    from rich.console import RenderableType

_BAR = 30


def render(report: EvaluationReport) -> "RenderableType":
    """Tables of the measurements and the baselines, samples, and where the files are."""
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    model, data = report.model, report.data
    head = Text.assemble(
        (harmless(model.name), "bold"),
        f"  {model.architecture}, {model.parameters:,} parameters, context {model.context}\n",
        f"measured on {harmless(data.name)}: {counted(data.documents, 'document')}, {data.bytes:,} bytes, "
        f"{data.tokens:,} tokens",
        *(f"\n{harmless(note)}" for note in data.notes),
        style="default",
    )
    ranking = report.ranking()
    bars = Table(box=box.SIMPLE, pad_edge=False)
    bars.add_column("predictor")
    bars.add_column("bits per byte", justify="right")
    bars.add_column("95 % interval", justify="right")
    bars.add_column("less is better")
    largest = max(measurement.value for _, measurement in ranking)
    for name, measurement in ranking:
        own = name == "this model"
        bar = "█" * max(1, round(_BAR * measurement.value / largest))
        row = (
            Text(harmless(name)),
            f"{measurement.value:.3f}",
            _interval(measurement),
            Text(bar, style="green" if own else "dim"),
        )
        bars.add_row(*row, style="bold" if own else "")
    numbers = Table(box=box.SIMPLE, pad_edge=False)
    for column in ("measurement", "value", "95 % interval", "of"):
        numbers.add_column(column, justify="left" if column == "measurement" else "right")
    own_numbers = [m for m in report.measurements if m.quantity != report.bits_per_byte.quantity]
    copies = report.memorization.measurements if report.memorization else ()
    for measurement in (*own_numbers, *copies):
        unit = "" if measurement.unit in measurement.name or measurement.unit == "per token" else f" {measurement.unit}"
        pieces = "blocks" if measurement.pieces.startswith("blocks") else measurement.pieces
        numbers.add_row(
            measurement.name, f"{measurement.value:.4g}{unit}", _interval(measurement), f"{measurement.n:,} {pieces}"
        )
    parts: list[RenderableType] = [head, bars, numbers]
    if report.overfitting is not None:
        parts.append(Text(report.overfitting + "\n", style="yellow"))
    if report.memorization is not None and report.memorization.samples:
        parts.append(Text(copied(report.memorization).capitalize() + "\n"))
    for sample in _varied(report.samples):
        text = shown(sample)
        parts.append(Text(text[:600] + ("…" if len(text) > 600 else "") + "\n", style="italic"))
    parts.append(Text("Definitions: " + "; ".join(sorted({m.definition for m in report.measurements})), style="dim"))
    if report.written:
        parts.append(Text("\nWritten: " + ", ".join(report.written)))
    return Group(*parts)


def _interval(measurement: Measurement) -> str:
    if measurement.interval is None:
        return ""
    return f"{measurement.interval[0]:.3f} to {measurement.interval[1]:.3f}"


def _varied(samples: tuple[Sample, ...]) -> list[Sample]:
    """One sample from nothing and one from a prompt."""
    return [*[s for s in samples if not s.prompt][:1], *[s for s in samples if s.prompt][:1]]
