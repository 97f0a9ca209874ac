"""The report as one HTML page that needs nothing else: no script, no font, no picture from elsewhere. The third of three
renderers."""

import base64
from collections.abc import Iterable, Sequence
from html import escape
from typing import assert_never

from daedal.evaluation import charts
from daedal.evaluation.blocks import (
    Audio,
    Beside,
    Block,
    Lines,
    Note,
    Numbers,
    Ranking,
    Sample,
    Sheet,
    Table,
    Texts,
    cell,
    sentence,
)
from daedal.evaluation.measurement import Measurement
from daedal.evaluation.report import OWN, Report
from daedal.evaluation.terminal import interval, named, value
from daedal.printable import harmless

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2024; --soft: #60646c; --line: #d9dce1; --paper: #fff; --panel: #f5f6f8;
  --own: #2f6f4f; --other: #b9bec6; --train: #8fa0b5; --mark: #f6e3a6; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --soft: #a0a6ae; --line: #34383f; --paper: #16181b;
  --panel: #1f2226; --own: #5fbf8f; --other: #4a5059; --train: #71839c; --mark: #5b4d1c; } }
* { box-sizing: border-box; }
body { font: 16px/1.55 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 54rem;
  margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
h1 { font-size: 1.6rem; margin: 0; overflow-wrap: anywhere; } h2 { font-size: 1.15rem; margin: 2.6rem 0 .6rem; }
p { margin: .4rem 0; } .soft { color: var(--soft); }
.headline { display: flex; flex-wrap: wrap; gap: .8rem 2.6rem; margin: 1.6rem 0 .4rem; }
.headline b { display: block; font-size: 2rem; line-height: 1.2; font-weight: 650; font-variant-numeric: tabular-nums; }
.headline span { color: var(--soft); font-size: .9rem; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
th { color: var(--soft); font-weight: 500; } td, th { padding: .38rem .9rem .38rem 0; text-align: left;
  vertical-align: top; border-bottom: 1px solid var(--line); }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
code { font: .82rem/1.4 ui-monospace, monospace; color: var(--soft); overflow-wrap: anywhere; }
pre { font: .86rem/1.5 ui-monospace, monospace; background: var(--panel); border-radius: 6px; padding: .8rem 1rem;
  margin: .7rem 0; white-space: pre-wrap; overflow-wrap: anywhere; max-height: 24rem; overflow-y: auto; }
pre b { font-weight: 650; color: var(--own); } mark { background: var(--mark); color: inherit; border-radius: 2px; }
.scroll { overflow-x: auto; } svg { max-width: 100%; height: auto; display: block; }
svg text { font: 13px system-ui, sans-serif; fill: var(--ink); } svg text.tick { font-size: 12px; fill: var(--soft); }
svg text.own { font-weight: 650; } rect.own { fill: var(--own); } rect.other { fill: var(--other); }
.whisker { stroke: var(--ink); stroke-width: 1.6; opacity: .7; } .grid { stroke: var(--line); }
.baseline { stroke: var(--soft); stroke-dasharray: 5 4; opacity: .75; fill: none; }
.train { stroke: var(--train); stroke-width: 1.2; fill: none; }
.validation { stroke: var(--own); stroke-width: 2.2; fill: none; }
.validation-dot { fill: var(--own); }
img { max-width: 100%; height: auto; display: block; margin: .7rem 0; border-radius: 6px; background: #fff;
  image-rendering: pixelated; }
"""


def report_page(report: Report) -> str:
    """The page; everything in it that came from outside is escaped."""
    model, data = report.model, report.data
    first = [report.measured(quantity) for quantity in report.presentation.headlines if report.has(quantity)]
    body = [
        f"<h1>{escape(model.name)}</h1>",
        _soft(model.says),
        '<div class="headline">', *map(_headline, first), "</div>",
        _soft(f"Measured on {data.says}."), *(_soft(sentence(note)) for note in data.notes),
    ]  # fmt: skip
    for block in report.blocks:
        body += _block(report, block)
    body += ["<h2>All measurements</h2>", _measurements(report)]
    body += [_soft(f"{each.name}: {each.why}.") for each in report.baselines if each.why]
    body += [_soft(sentence(f"Not measured: {line}")) for line in report.missing]
    if report.curve is not None:
        name = report.curve.name.replace("_", " ")
        quantity = name.replace(" ", "-")
        ranked = any(block.quantity == quantity for block in report.rankings)
        ranking = report.ranking(quantity) if ranked else []
        lines = [(each, m.value) for each, m in ranking if each != OWN and "with" not in each]
        body += [
            "<h2>Training</h2>",
            _soft(f"{name[:1].upper()}{name[1:]} as it was logged while training. The thin line is what was learned from, the "
                  "strong one the validation split."),
            charts.curve(report.curve.train, report.curve.validation, lines, f"{name} over the steps of training"),
        ]  # fmt: skip
    if report.overfitting is not None:
        body.append(f"<p>{escape(report.overfitting)}</p>")
    methods = "; ".join(sorted({m.interval_method for m in report.measurements if m.interval_method}))
    weights = f"Weights <code>{model.hash[:16]}</code>, " if model.hash else ""
    body.append(
        f'<p class="soft">Intervals: {escape(methods or "none, for too little data")}. {weights}'
        f"data <code>{data.hash[:16]}</code>; measured in {report.seconds:.1f} s by Daedal {escape(report.daedal)}.</p>"
    )
    about = [
        ("measured on", data.says), ("trained on", data.trained), ("sources", ", ".join(data.sources)),
        ("languages, as detected", ", ".join(data.languages)), ("licences", ", ".join(data.licences)),
    ]  # fmt: skip
    body += ["<h2>Data</h2>", _table((), [row for row in about if row[1]])]
    if report.plan is not None:
        hidden = ("why", "predicted", "data")
        values = [(key, str(each)) for key, each in report.plan.items() if key not in hidden and each is not None]
        body += [
            "<details><summary><h2 style='display:inline-block'>Plan</h2></summary>", _table((), values), "</details>",
        ]  # fmt: skip
    return html_page(f"{model.name}: evaluation", body)


def html_page(title: str, body: Iterable[str], style: str = "") -> str:
    """A page that loads nothing and runs nothing.

    Args:
        body: HTML, in which everything that came from outside is escaped.
        style: beside that of all pages.
    """
    allowed = "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'"
    return harmless(
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{allowed}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}{style}</style>\n</head>\n<body>\n"
        + "\n".join(body)
        + "\n</body>\n</html>\n"
    )


def _block(report: Report, block: Block) -> list[str]:
    match block:
        case Note():
            return [_soft(sentence(block.brief))]
        case Numbers():
            return []  # in the table of all
        case Ranking():
            ranking = report.ranking(block.quantity)
            says = sentence(block.of)
            if any(each.interval is not None for _, each in ranking):
                says += " The line across a bar is its 95 % interval."
            bars = charts.bars(ranking, OWN, block.of)
            which = f": {report.measured(block.quantity).name}" if len(report.rankings) > 1 else ""
            return [f"<h2>Beside its baselines{escape(which)}</h2>", _soft(says), bars]
        case Table():
            return [f"<h2>{escape(block.title)}</h2>", _soft(block.says), _table(block.head, block.rows)]
        case Lines():
            return [
                f"<h2>{escape(block.title)}</h2>",
                _soft(block.says),
                charts.lines(block.lines, block.across, block.title),
            ]
        case Sheet():
            if block.file not in report.files:
                return []
            data = base64.b64encode(report.files[block.file]).decode()
            kind = block.file.rpartition(".")[2]
            image = f'<img alt="{escape(block.title)}" src="data:image/{kind};base64,{data}">'
            return [f"<h2>{escape(block.title)}</h2>", _soft(sentence(block.says)), image]
        case Audio():
            if block.file not in report.files:
                return []
            data = base64.b64encode(report.files[block.file]).decode()
            player = f'<audio controls src="data:audio/wav;base64,{data}"></audio>'
            return [f"<h2>{escape(block.title)}</h2>", _soft(sentence(block.says)), player]
        case Texts():
            says = (
                f"{sentence(block.says)} Green: what it goes on from. Yellow: its longest copy from the training text."
            )
            shown = (f"<pre>{_marked(sample)}</pre>" for sample in block.texts)
            return [f"<h2>{escape(block.title)}</h2>", _soft(says), *shown]
        case Beside():
            return [f"<h2>{escape(block.title)}</h2>", _soft(block.says), _beside(block)]
        case _:
            assert_never(block)


def _beside(block: Beside) -> str:
    """Two answers in a row, under what was asked."""
    lines = [f"<tr><th>{escape(harmless(block.one))}</th><th>{escape(harmless(block.other))}</th></tr>"]
    for pair in block.pairs:
        told = f' <span class="soft">{escape(pair.verdict)}</span>' if pair.verdict else ""
        answers = "".join(f"<td><pre>{escape(harmless(said))}</pre></td>" for said in (pair.one, pair.other))
        lines.append(
            f'<tr><td colspan="2"><pre><b>{escape(harmless(pair.prompt))}</b></pre>{told}</td></tr><tr>{answers}</tr>'
        )
    return f'<div class="scroll"><table>{"".join(lines)}</table></div>'


def _soft(text: str) -> str:
    return f'<p class="soft">{escape(text)}</p>'


def _headline(measurement: Measurement) -> str:
    between = f", {interval(measurement)}" if measurement.interval else ""
    return f"<div><b>{escape(value(measurement))}</b><span>{escape(measurement.name + between)}</span></div>"


def _marked(sample: Sample) -> str:
    """A sample with its prompt and its longest copy set off."""
    prompt = escape(harmless(sample.prompt))
    before, copied, after = sample.text.partition(sample.copied) if sample.copied else (sample.text, "", "")
    mark = f"<mark>{escape(harmless(copied))}</mark>" if copied else ""
    return (f"<b>{prompt}</b>" if prompt else "") + escape(harmless(before)) + mark + escape(harmless(after))


def _measurements(report: Report) -> str:
    """All numbers beside the baselines', each with its definition below its name; those of ranked baselines in rows."""
    names = "".join(f'<th class="number">{escape(each.name)}</th>' for each in report.columns)
    lines = [
        f'<tr><th>measurement</th><th class="number">value</th><th class="number">95 % interval</th><th>of</th>{names}</tr>'
    ]
    rows = [(named(own), own, beside) for own, beside in report.rows()]
    if report.rankings:
        rows += [
            (named(m.but(name=f"{m.name}, {each.name}")), m, []) for each in report.baselines for m in each.measurements
        ]
    for name, own, beside in rows:
        others = "".join(f'<td class="number">{"" if m is None else escape(value(m))}</td>' for m in beside)
        lines.append(
            f'<tr><td>{escape(name)}<br><code>{escape(own.definition)}</code></td><td class="number">{escape(value(own))}</td>'
            f'<td class="number">{escape(interval(own))}</td><td>{own.n:,} {escape(own.pieces)}</td>{others}</tr>'
        )
    return f'<div class="scroll"><table>{"".join(lines)}</table></div>'


def _table(head: Sequence[str], rows: Iterable[Sequence[str | int | float]]) -> str:
    rows = list(rows)
    kinds = ["" if isinstance(each, str) else ' class="number"' for each in (rows[0] if rows else head)]
    lines = ["".join(f"<th{kind}>{escape(text)}</th>" for kind, text in zip(kinds, head, strict=True))] if head else []
    for row in rows:
        kinds = ["" if isinstance(each, str) else ' class="number"' for each in row]
        lines.append("".join(f"<td{kind}>{escape(cell(each))}</td>" for kind, each in zip(kinds, row, strict=True)))
    return '<div class="scroll"><table>' + "".join(f"<tr>{line}</tr>" for line in lines) + "</table></div>"
