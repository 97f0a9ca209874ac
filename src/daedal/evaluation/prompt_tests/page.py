"""A report of prompt tests as one HTML page that needs nothing else: cases in rows, models and prompts in columns, and every
answer below."""

import json
from html import escape

from daedal.evaluation.page import html_page
from daedal.evaluation.prompt_tests.assertions import Check
from daedal.evaluation.prompt_tests.outcome import Outcome, Sample, TestReport
from daedal.evaluation.prompt_tests.terminal import between, share

_MOST_SAMPLES = 2000  # that a page shows; the JSON has all
_COLOUR = {"passed": "#2f8f5b", "unsure": "#b58900", "failed": "#c0392b"}
_STYLE = """.passed, .unsure, .failed { font-weight: 650; }
summary { cursor: pointer; margin: .5rem 0; overflow-wrap: anywhere; }
""" + "".join(f".{status} {{ color: {colour}; }} " for status, colour in _COLOUR.items())


def page(report: TestReport) -> str:
    """The page; everything in it that came from outside is escaped."""
    counts = "".join(
        f'<div><b class="{status}">{len(report.of(status)):,}</b><span>{status}</span></div>'
        for status in ("passed", "unsure", "failed")
    )
    flaky = f"<div><b>{len(report.flaky):,}</b><span>flaky</span></div>"
    body = [
        f"<h1>{_text(report.name)}</h1>",
        f'<div class="headline">{counts}{flaky}</div>',
        '<p class="soft">A case passes where the share of its samples that pass reaches its target, fails where the 95 % '
        "interval of that share excludes the target, and is unsure between. Flaky: some samples passed and some did not.</p>",
        _matrix(report),
        "<h2>Samples that pass</h2>",
        _numbers(report),
    ]  # fmt: skip
    body += ["<h2>Answers</h2>"]
    shown = 0
    for number, each in enumerate(report.outcomes):
        if shown < _MOST_SAMPLES:
            body.append(_details(number, each))
        shown += len(each.samples)
    if shown > _MOST_SAMPLES:
        body.append(
            f'<p class="soft">The page shows about {_MOST_SAMPLES:,} of {shown:,} answers; the JSON has all.</p>'
        )
    models = "; ".join(f"{_text(each.name)} <code>{_text(each.identity[:16])}</code>" for each in report.models)
    judges = "; ".join(f"{_text(each.name)} <code>{_text(each.identity[:16])}</code>" for each in report.judges)
    foot = [
        f"Models: {models}.", f"Judges: {judges}." if judges else "",
        f"<code>similar</code> measures {_text(report.likeness)}." if report.likeness else "",
        f"Cost: {report.cost:.4f} dollars." if report.cost is not None else "",
        f"Tests <code>{_text(report.file_hash[:16])}</code>, seed {report.seed}; asked in {report.seconds:.1f} s by Daedal "
        f"{_text(report.daedal)}.",
    ]  # fmt: skip
    body.append(f'<p class="soft">{" ".join(filter(None, foot))}</p>')
    return html_page(f"{report.name}: prompt tests", body, _STYLE)


def _matrix(report: TestReport) -> str:
    heads = "".join(f"<th>{_text(prompt)}<br>{_text(model)}</th>" for model, prompt in report.pairs)
    # cases may share a name: they stand in the same order for each model and prompt
    columns = [
        [(number, each) for number, each in enumerate(report.outcomes) if (each.model, each.prompt) == pair]
        for pair in report.pairs
    ]
    rows = []
    for row in zip(*columns, strict=True):
        cells = "".join(
            f'<td><a class="{each.status}" href="#o{number}">{each.status}</a>{" flaky" if each.flaky else ""}<br>'
            f'<span class="soft">{share(each)}{f", {between(each)}" if between(each) else ""}</span></td>'
            for number, each in row
        )
        rows.append(f"<tr><td>{_text(row[0][1].case)}</td>{cells}</tr>")
    return f'<div class="scroll"><table><tr><th>case</th>{heads}</tr>{"".join(rows)}</table></div>'


def _numbers(report: TestReport) -> str:
    rows = "".join(
        f"<tr><td>{_text(each.name)}<br><code>{_text(each.definition)}</code></td>"
        f'<td class="number">{_text(each.shown().strip())}</td><td>{each.n:,} {_text(each.pieces)}</td></tr>'
        for each in report.measurements
    )  # fmt: skip
    head = '<tr><th>measurement</th><th class="number">value [95 %]</th><th>of</th></tr>'
    return f'<div class="scroll"><table>{head}{rows}</table></div>'


def _details(number: int, each: Outcome) -> str:
    asked = (
        each.asked if isinstance(each.asked, str) else "\n\n".join(f"{m['role']}: {m['content']}" for m in each.asked)
    )
    samples = "".join(_answer(sample) for sample in each.samples)
    opened = " open" if each.status == "failed" else ""
    return (
        f'<details id="o{number}"{opened}><summary><span class="{each.status}">{each.status}</span>'
        f"{' flaky' if each.flaky else ''} {_text(each.name)}, {share(each)}</summary>"
        f"<pre><b>{_text(asked)}</b></pre>{samples}</details>"
    )  # fmt: skip


def _answer(sample: Sample) -> str:
    said = "passed" if sample.passed else "failed"
    judged = "" if sample.judged is None else f'<p class="soft">judged as</p><pre>{_text(sample.judged)}</pre>'
    checks = "".join(map(_check, sample.checks))
    cost = "" if sample.cost is None else f", {sample.cost:.6f} dollars"
    return (
        f'<pre>{_text(sample.text)}</pre>{judged}<p class="soft"><span class="{said}">{said}</span>, score {sample.score:.3f}, '
        f"{sample.seconds * 1000:.0f} ms, {sample.completion_tokens:,} tokens, ended by {_text(sample.finish_reason)}{cost}</p>"
        f"<ul>{checks}</ul>"
    )  # fmt: skip


def _check(each: Check) -> str:
    said = "passed" if each.passed else "failed"
    told = "" if each.weight else ", decides nothing"
    value = _text(json.dumps(each.value, ensure_ascii=False)[:300])
    return f'<li><span class="{said}">{_text(each.type)}</span> <code>{value}</code> {_text(each.reason)}{told}</li>'


def _text(text: str) -> str:
    return escape(text)
