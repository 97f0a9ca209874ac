"""The report of a model of images as one HTML page that needs nothing else: its pictures are in it."""

import base64
from collections.abc import Sequence
from html import escape

from daedal.evaluation import charts
from daedal.evaluation.images.report import NEIGHBOURS, RECONSTRUCTIONS, SAMPLES, ImageReport
from daedal.evaluation.images.terminal import interval, value
from daedal.evaluation.page import STYLE
from daedal.printable import harmless

_MORE = """
img { max-width: 100%; height: auto; display: block; margin: .7rem 0; border-radius: 6px; background: #fff; }
img.small { image-rendering: pixelated; }
"""
_HEADLINES = (
    "fid",
    "kid",
    "precision",
    "recall",
    "bits-per-dimension",
    "reconstruction-psnr",
    "text-recall-1",
    "picture-recall-1",
)
_SHEETS = (
    (SAMPLES, "What it draws", "The first ones drawn, not chosen."),
    (NEIGHBOURS, "What it copies", "The samples that are nearest to a training picture, each above that picture. If both are "
     "the same picture, the model has copied it."),
    (RECONSTRUCTIONS, "What comes back", "Held-out pictures, each above what comes back through the model's latents."),
)  # fmt: skip


def image_report_page(report: ImageReport) -> str:
    """The page; everything in it that came from outside is escaped."""
    model, data = report.model, report.data
    body = [
        f"<h1>{escape(model.name)}</h1>",
        f'<p class="soft">{escape(model.family)}, {model.parameters:,} parameters, pictures of {model.width} x {model.height} '
        f"pixels and {model.channels} channels</p>",
        '<div class="headline">',
        *(_headline(report, quantity) for quantity in _HEADLINES if report.has(quantity)),
        "</div>",
        f'<p class="soft">Measured against {data.used:,} of the {data.pictures:,} {escape(data.name)} pictures. '
        f"{escape(report.note)}</p>",
    ]
    for name, title, what in _SHEETS:
        if name in report.pictures:
            body += [f"<h2>{title}</h2>", f'<p class="soft">{what}</p>', _image(report.pictures[name], title)]
    body += ["<h2>All measurements</h2>", _measurements(report)]
    body += [f'<p class="soft">{escape(each.name)}: {escape(each.why)}.</p>' for each in report.baselines]
    body += [f'<p class="soft">Not measured: {escape(line)}.</p>' for line in report.missing]
    if report.classes:
        head = ("class", f"share of {data.name}", "share of samples", "right, of asked for")
        rows = [(row.name, f"{row.reference:.3f}", f"{row.samples:.3f}", row.told) for row in report.classes]
        body += ["<h2>Classes</h2>", '<p class="soft">As the classifier sees them.</p>', _table(head, rows)]
    if report.curve is not None:
        name = report.curve.name.replace("_", " ")
        body += [
            "<h2>Training</h2>",
            f'<p class="soft">{escape(name)} as it was logged while training.</p>',
            charts.curve(report.curve.train, report.curve.validation, [], f"{name} over the steps of training"),
        ]
    if report.overfitting is not None:
        body.append(f"<p>{escape(report.overfitting)}</p>")
    methods = sorted({m.interval_method for m in report.measurements if m.interval_method})
    body.append(
        f"<p class='soft'>Intervals: {escape('; '.join(methods))}. Weights <code>{model.hash[:16]}</code>, data "
        f"<code>{data.hash[:16]}</code>; measured in {report.seconds:.1f} s by Daedal {escape(report.daedal)}.</p>"
    )
    if report.plan is not None:
        hidden = ("why", "predicted", "data")
        values = [(key, str(amount)) for key, amount in report.plan.items() if key not in hidden and amount is not None]
        body += [
            "<details><summary><h2 style='display:inline-block'>Plan</h2></summary>",
            _table((), values),
            "</details>",
        ]
    return harmless(
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(model.name)}: evaluation</title>\n<style>{STYLE}{_MORE}</style>\n</head>\n<body>\n"
        + "\n".join(body)
        + "\n</body>\n</html>\n"
    )


def _headline(report: ImageReport, quantity: str) -> str:
    own = report.measured(quantity)
    between = f", {interval(own)}" if own.interval else ""
    return f"<div><b>{escape(value(own))}</b><span>{escape(own.name + between)}</span></div>"


def _image(data: bytes, title: str) -> str:
    return f'<img class="small" alt="{escape(title)}" src="data:image/png;base64,{base64.b64encode(data).decode()}">'


def _measurements(report: ImageReport) -> str:
    """All numbers beside the baselines', each with its definition below its name."""
    names = "".join(f'<th class="number">{escape(each.name)}</th>' for each in report.baselines)
    lines = [f'<tr><th>measurement</th><th class="number">value</th><th class="number">95 % interval</th>{names}</tr>']
    for own, beside in report.rows():
        arrow = "↑" if own.better == "higher" else "↓"
        others = "".join(f'<td class="number">{"" if m is None else escape(value(m))}</td>' for m in beside)
        lines.append(
            f"<tr><td>{escape(own.name)} {arrow}<br><code>{escape(own.definition)}</code></td>"
            f'<td class="number">{escape(value(own))}</td><td class="number">{escape(interval(own))}</td>{others}</tr>'
        )
    return f'<div class="scroll"><table>{"".join(lines)}</table></div>'


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["".join(f"<th>{escape(text)}</th>" for text in head)] if head else []
    lines += ["".join(f"<td>{escape(text)}</td>" for text in row) for row in rows]
    return '<div class="scroll"><table>' + "".join(f"<tr>{line}</tr>" for line in lines) + "</table></div>"
