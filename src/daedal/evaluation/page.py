"""The report as one HTML page that needs nothing else: no script, no font, no picture from elsewhere."""

from collections.abc import Iterable, Sequence
from html import escape

from daedal.evaluation import charts
from daedal.evaluation.measurement import Measurement
from daedal.evaluation.memorization import Copy
from daedal.evaluation.report import EvaluationReport, Sample, counted, shown
from daedal.printable import harmless

STYLE = """
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
"""


def report_page(report: EvaluationReport) -> str:
    """The page; everything in it that came from outside is escaped."""
    model, data, bits = report.model, report.data, report.bits_per_byte
    loss = report.measured("nats-per-token")
    body = [
        f"<h1>{escape(model.name)}</h1>",
        f'<p class="soft">{escape(model.architecture)}, {model.parameters:,} parameters, depth {model.depth}, width '
        f"{model.width}, context {model.context}, {escape(model.codec)} codec of {model.vocab_size:,} tokens</p>",
        '<div class="headline">',
        *(_headline(f"{m.value:.3f}", m.unit, m) for m in (bits, loss)),
        _headline(f"{report.measured('perplexity').value:.1f}", "perplexity per token", None),
        "</div>",
        f'<p class="soft">Measured on the {escape(data.name)} text: {counted(data.documents, "document")}, '
        f"{data.bytes:,} bytes, {data.tokens:,} tokens.</p>",
        "<h2>Beside its baselines</h2>",
        "<p class='soft'>Bits per byte of the same text; less is better. The line across a bar is its 95 % interval.</p>",
        charts.bars(report.ranking(), "this model"),
    ]
    if report.curve is not None:
        lines = [(each.name, each.bits_per_byte.value) for each in report.baselines if "with" not in each.name]
        body += [
            "<h2>Training</h2>",
            '<p class="soft">Bits per byte as they were logged while training: the ends of documents counted, whole windows. '
            "The thin line is the training text, the strong one the validation text.</p>",
            charts.curve(report.curve.train, report.curve.validation, lines),
        ]
    if report.overfitting is not None:
        body.append(f"<p>{escape(report.overfitting)}</p>")
    if report.samples:
        how = ", ".join(f"{key} {value}" for key, value in report.sampling.items())
        body += ["<h2>What it writes</h2>", f'<p class="soft">The first ones drawn, not chosen: {escape(how)}. Green: the '
                 "held-out text that it goes on from. Yellow: its longest copy from the training text.</p>"]  # fmt: skip
        body += _samples(report)
    if report.memorization is not None:
        body += ["<h2>What it copies</h2>", _copies(report)]
    copies = report.memorization.measurements if report.memorization else ()
    body += [
        "<h2>All measurements</h2>",
        _measurements(
            [
                *((m, "") for m in (*report.measurements, *copies)),
                *(
                    (m, each.name)
                    for each in report.baselines
                    for m in (each.bits_per_byte, each.loss)
                    if m is not None
                ),
            ]
        ),
        f"<p class='soft'>{escape(bits.interval_method or 'No intervals: too little text')}. "
        f"Weights <code>{model.hash[:16]}</code>, data <code>{data.hash[:16]}</code>; measured in {report.seconds:.1f} s by "
        f"Daedal {escape(report.daedal)}.</p>",
        "<h2>Data</h2>",
        _table((), _data(report)),
    ]
    if report.plan is not None:
        rows = [
            (key, str(value))
            for key, value in report.plan.items()
            if key not in ("why", "predicted", "data") and value is not None
        ]
        body += [
            "<details><summary><h2 style='display:inline-block'>Plan</h2></summary>",
            _table((), rows),
            "</details>",
        ]
    return harmless(
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(model.name)}: evaluation</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(body)
        + "\n</body>\n</html>\n"
    )


def _headline(value: str, unit: str, measurement: Measurement | None) -> str:
    between = ""
    if measurement is not None and measurement.interval is not None:
        between = f", {measurement.interval[0]:.3f} to {measurement.interval[1]:.3f}"
    return f"<div><b>{escape(value)}</b><span>{escape(unit + between)}</span></div>"


def _samples(report: EvaluationReport) -> list[str]:
    memorized = report.memorization.samples if report.memorization else ()
    copies = dict(zip((s.text for s in report.samples if s.text), memorized, strict=False))
    return [f"<pre>{_marked(sample, copies.get(sample.text))}</pre>" for sample in report.samples]


def _marked(sample: Sample, copy: Copy | None) -> str:
    """A sample with its prompt and its longest copy set off."""
    prompt = escape(shown(Sample(prompt=sample.prompt, text="")))
    place = sample.text.find(copy.text) if copy is not None and copy.characters else -1
    if copy is None or place < 0:
        text = escape(shown(Sample(prompt="", text=sample.text)))
    else:
        cut = (sample.text[:place], copy.text, sample.text[place + len(copy.text) :])
        before, inside, after = (escape(shown(Sample(prompt="", text=part))) for part in cut)
        text = f"{before}<mark>{inside}</mark>{after}"
    return (f"<b>{prompt}</b>" if prompt else "") + text


def _copies(report: EvaluationReport) -> str:
    assert report.memorization is not None
    rows = [
        (
            f"{number}",
            f"{copy.characters}",
            f"{copy.tokens}",
            f"document {copy.document:,}, byte {copy.offset:,}",
            copy.text[:120],
        )
        for number, copy in enumerate(report.memorization.samples, 1)
    ]
    longest = max((copy.characters for copy in report.memorization.held_out), default=0)
    return (
        f'<p class="soft">The longest run of characters that each sample shares with the training text. Held-out text of '
        f"the same length shares up to {longest} characters: people repeat each other too.</p>"
        + _table(("sample", "characters", "tokens", "where in the training text", "run"), rows)
    )


def _measurements(rows: Sequence[tuple[Measurement, str]]) -> str:
    """All numbers, each with its definition below its name."""
    lines = [
        '<tr><th>measurement</th><th class="number">value</th><th class="number">95 % interval</th><th>of</th></tr>'
    ]
    for measurement, whose in rows:
        name = escape(f"{measurement.name}, {whose}" if whose else measurement.name)
        value = f"{measurement.value:.4g}" if abs(measurement.value) < 1e5 else f"{measurement.value:.3g}"
        interval = f"{measurement.interval[0]:.3f} to {measurement.interval[1]:.3f}" if measurement.interval else ""
        lines.append(
            f'<tr><td>{name}<br><code>{escape(measurement.definition)}</code></td><td class="number">{value}</td>'
            f'<td class="number">{interval}</td><td>{measurement.n:,} {escape(measurement.pieces)}</td></tr>'
        )
    return f'<div class="scroll"><table>{"".join(lines)}</table></div>'


def _data(report: EvaluationReport) -> list[tuple[str, ...]]:
    data = report.data
    rows = [
        (
            "measured on",
            f"{data.name}: {counted(data.documents, 'document')}, {data.bytes:,} bytes, {data.tokens:,} tokens",
        ),
        (
            "trained on",
            f"{counted(data.train_documents, 'document')}, {data.train_bytes:,} bytes, {data.train_tokens:,} tokens",
        ),
        ("sources", ", ".join(data.sources)),
        ("languages, as detected", ", ".join(data.languages)),
        ("licences", ", ".join(data.licences)),
    ]
    return [row for row in rows if row[1] and (row[0] != "trained on" or data.train_bytes)]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    def cell(text: str, place: int, tag: str) -> str:
        name = head[place] if head else ""
        kind = ' class="number"' if name in ("characters", "tokens") else ""
        inner = f"<code>{escape(text)}</code>" if tag == "td" and name == "run" else escape(text)
        return f"<{tag}{kind}>{inner}</{tag}>"

    lines = ["".join(cell(text, place, "th") for place, text in enumerate(head))] if head else []
    lines += ["".join(cell(text, place, "td") for place, text in enumerate(row)) for row in rows]
    return '<div class="scroll"><table>' + "".join(f"<tr>{line}</tr>" for line in lines) + "</table></div>"
