"""A report of prompt tests in the terminal: one row for each case, and why those that did not pass did not."""

from typing import TYPE_CHECKING

from daedal.evaluation.prompt_tests.outcome import Outcome, TestReport
from daedal.printable import harmless, printable

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

_ROWS, _REASONS, _LETTERS = 40, 3, 160
_STYLE = {"passed": "green", "unsure": "yellow", "failed": "red"}


def render(report: TestReport, written: tuple[str, ...] = ()) -> "RenderableType":
    """What passed, what did not and why, and the share of samples that pass for each model and prompt."""
    from rich.console import Group
    from rich.text import Text

    first = sorted(report.outcomes, key=lambda each: ("failed", "unsure", "passed").index(each.status))
    parts: list[RenderableType] = [Text(printable(report.name), style="bold"), _cases(first[:_ROWS])]
    if len(first) > _ROWS:
        parts.append(Text(f"and {len(first) - _ROWS:,} more, which the report has\n"))
    parts += [_why(each) for each in first[:_ROWS] if each.status != "passed" or each.flaky]
    parts += [Text(f"{printable(each.name)}: {each.shown().strip()}") for each in report.measurements]
    if report.likeness is not None:
        parts.append(Text(f"similar: {printable(report.likeness)}", style="dim"))
    if report.cost is not None:
        parts.append(Text(f"cost: {report.cost:.4f} dollars"))
    parts.append(Text(f"\n{report.sentence}", style="bold"))
    if written:
        parts.append(Text("Written: " + ", ".join(written)))
    return Group(*parts)


def share(each: Outcome) -> str:
    """How many samples passed, of how many that might have differed."""
    return f"{each.passes} of {len(each.samples)}" + (" (greedy)" if each.same else "")


def between(each: Outcome) -> str:
    """The interval of the share, in percent; nothing where there is no chance in it."""
    low, high = each.interval
    return "" if each.same else f"{low:.0%} to {high:.0%}"


def _cases(outcomes: list[Outcome]) -> "Table":
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE, pad_edge=False)
    for head in ("case", "prompt", "model"):
        table.add_column(head, overflow="fold")
    for head in ("samples", "95 % interval", "target"):
        table.add_column(head, justify="right")
    table.add_column("")
    for each in outcomes:
        said = f"{each.status}{', flaky' if each.flaky else ''}"
        names = (Text(printable(name)) for name in (each.case, each.prompt, each.model))
        table.add_row(*names, share(each), between(each), f"{each.target:.0%}", Text(said, style=_STYLE[each.status]))
    return table


def _why(each: Outcome) -> "RenderableType":
    from rich.text import Text

    reasons = each.reasons[:_REASONS]
    bad = next((sample for sample in each.samples if not sample.passed), None)
    text = Text.assemble((printable(each.name), "bold"))
    for reason in reasons:
        text.append(f"\n  {_cut(reason)}")
    if bad is not None:
        text.append(f"\n  answered: {_cut(bad.text)!r}", style="italic")
    text.append("\n")
    return text


def _cut(text: str) -> str:
    text = harmless(text)
    return text if len(text) <= _LETTERS else text[: _LETTERS - 1] + "…"
