"""The model card: `README.md` in the run folder, with the YAML header that the Hugging Face Hub reads. The second of three
renderers."""

import json
from collections.abc import Sequence

from daedal.evaluation.blocks import Audio, Ranking, Sheet, Table, Texts, cell, sentence
from daedal.evaluation.report import OWN, Report
from daedal.evaluation.terminal import headed, interval, named, value
from daedal.printable import harmless

_PLAN = (
    ("budget", "time budget, s"), ("steps", "steps"), ("batch", "examples a step"), ("context", "context, tokens"),
    ("optimizer", "optimizer"), ("learning_rate", "peak learning rate"), ("precision", "precision"), ("seed", "seed"),
    ("init", "started from"), ("threads", "CPU threads"), ("device", "device"),
)  # fmt: skip
_TEXTS, _CHARACTERS = 4, 800


def model_card(report: Report) -> str:
    """The card, in Markdown."""
    about = report.presentation
    opening = (
        f"{about.what} with {report.model.parameters:,} parameters, trained and measured with Daedal {report.daedal}."
    )
    for ranking in report.rankings:
        own = report.measured(ranking.quantity)
        between = f" (95 % interval {interval(own)})" if own.interval else ""
        if own.name == own.unit:  # a number that says of itself what it is
            opening += f" It predicts held-out {about.data} at **{own.value:.3f} {own.unit}**{between}."
        else:
            opening += f" On held-out {about.data} its {own.name} is **{value(own)}**{between}."
    sheets = [block for block in report.blocks if isinstance(block, Sheet) and block.file in report.files]
    parts = [_header(report), f"# {_inline(report.model.name)}", opening]
    for sheet in sheets[:1]:
        parts += _sheet(sheet)[1:]
    parts += ["## Use", about.use, "## How good it is", f"Measured on {_inline(report.data.says)}."]
    parts += [_ranking(report, block) for block in report.rankings]
    names = tuple(_inline(each.name) for each in report.columns)
    usual = ", ↔ what is usual in the data" if any(each.better == "neither" for each in report.measurements) else ""
    explained = [each for each in report.baselines if each.why]
    rows = [
        (
            _inline(named(own)), f"**{value(own)}**", interval(own), f"{own.n:,} {own.pieces}",
            *("" if each is None else value(each) for each in beside), f"`{own.definition}`".replace("|", "\\|"),
        )
        for own, beside in report.rows()
    ]  # fmt: skip
    parts += [
        _table(("measurement", "value", "95 % interval", "n", *names, "definition"), rows),
        f"↑ more is better{usual}, else less. The definitions are explained, with their formulas, in Daedal's "
        "`docs/measurement.md` and `docs/image-measurement.md`. Beside this card, `report.html` shows more, and "
        "`evaluation.json` holds all numbers with the hashes of the model and the data.",
        *([" ".join(f"*{_inline(each.name)}*: {_inline(each.why)}." for each in explained)] if explained else []),
        *(sentence(_inline(line)) for line in report.notes),
    ]
    for block in report.blocks:
        if isinstance(block, Table) and not block.brief:
            head, cells = map(_inline, block.head), [tuple(_inline(cell(each)) for each in row) for row in block.rows]
            parts += [f"## {block.title}", _inline(block.says), _table(tuple(head), cells)]
        elif isinstance(block, Sheet) and block in sheets[1:]:
            parts += _sheet(block)
        elif isinstance(block, Audio) and block.file in report.files:
            parts += [f"## {block.title}", f"[{block.file}]({block.file})", sentence(_inline(block.says))]
        elif isinstance(block, Texts):
            shown = (_fenced(sample.shown[:_CHARACTERS]) for sample in block.texts[:_TEXTS])
            parts += [f"## {block.title}", sentence(_inline(block.says)), *shown]
    parts += ["## Data", _data(report)]
    if report.plan is not None:
        planned = [(label, _inline(str(report.plan[key]))) for key, label in _PLAN if report.plan.get(key) is not None]
        parts += ["## Training", _table(("value", "of the plan"), planned), "All values: `training/plan.json`."]
        parts += [sentence(report.overfitting)] if report.overfitting is not None else []
    return harmless("\n\n".join([*parts, "## Intended use and limits", about.limits])) + "\n"


def _header(report: Report) -> str:
    """JSON strings are YAML strings, so names from outside cannot break out of the header."""
    about, data = report.presentation, report.data
    licences = [licence for licence in data.licences if licence != "unknown"]
    # one licence that all data has may be named; anything else is for the person who publishes to say
    licence = licences[0] if len(licences) == 1 == len(data.licences) else "unknown"
    lines = [
        "---", *([f"library_name: {about.library}"] if about.library else []), f"pipeline_tag: {about.task}",
        f"license: {json.dumps(licence)}", "tags:", "- daedal", f"- {json.dumps(about.tag)}", "model-index:",
        f"- name: {json.dumps(report.model.name)}", "  results:", "  - task:", f"      type: {about.task}", "    dataset:",
        f"      name: {json.dumps(', '.join(data.sources) or data.name)}", f"      type: {about.data}",
        f"      split: {json.dumps(data.name)}", "    metrics:",
    ]  # fmt: skip
    for own in report.measurements[:4]:
        lines += [
            f"    - type: {own.quantity.split('/')[0]}",
            f"      name: {json.dumps(own.definition)}",
            f"      value: {own.value:.6g}",
        ]
    return "\n".join([*lines, "---"])


def _ranking(report: Report, block: Ranking) -> str:
    rows = []
    for name, measurement in report.ranking(block.quantity):
        bold = "**" if name == OWN else ""
        rows.append((f"{bold}{_inline(name)}{bold}", f"{bold}{measurement.value:.3f}{bold}", interval(measurement)))
    head = ("predictor", headed(report.measured(block.quantity)), "95 % interval")
    return f"{sentence(_inline(block.of))}\n\n" + _table(head, rows)


def _sheet(block: Sheet) -> list[str]:
    return [f"## {block.title}", f"![{block.title}]({block.file})", sentence(_inline(block.says))]


def _data(report: Report) -> str:
    data, lines = report.data, []
    if data.trained:
        lines.append(f"Trained on {_inline(data.trained)}.")
    for name, known in (("Sources", data.sources), ("Languages, as detected", data.languages)):
        if known:
            lines.append(f"{name}: " + ", ".join(map(_inline, known)) + ".")
    lines.append(f"Licence of the data: {', '.join(map(_inline, data.licences)) or 'unknown'}.")
    return " ".join(lines)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ("---",) * len(head), *rows])


def _fenced(text: str) -> str:
    """A block whose fence is longer than any run of backticks in it."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}text\n{text}\n{fence}"


def _inline(text: str) -> str:
    """Text from outside as plain words: nothing in it is Markdown or HTML."""
    return "".join(f"\\{c}" if c in r"\`*{}[]<>#|!~" else c for c in " ".join(text.split()))
