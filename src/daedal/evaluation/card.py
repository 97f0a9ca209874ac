"""The model card: `README.md` in the run folder, with the YAML header that the Hugging Face Hub reads. The second of three
renderers."""

import json
from collections.abc import Sequence
from pathlib import Path

from daedal.data.languages import CODES
from daedal.data.licence_terms import UNKNOWN, hub_header
from daedal.evaluation.accounts import Accounts
from daedal.evaluation.blocks import Audio, Ranking, Sheet, Table, Texts, cell, sentence
from daedal.evaluation.report import OWN, Report
from daedal.evaluation.terminal import headed, interval, named, value
from daedal.printable import harmless

_PLAN = (
    ("budget", "time budget, s"), ("steps", "steps"), ("batch", "examples a step"), ("context", "context, tokens"),
    ("optimizer", "optimizer"), ("learning_rate", "peak learning rate"), ("precision", "precision"), ("seed", "seed"),
    ("init", "started from"), ("threads", "CPU threads"), ("device", "device"),
)  # fmt: skip
_TEXTS, _CHARACTERS, _RISKS = 4, 800, 24


def model_card(report: Report, accounts: Accounts | None = None) -> str:
    """The card, in Markdown.

    Args:
        accounts: what the model answers for beside how good it is.
    """
    accounts = accounts or Accounts()
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
    parts = [_header(report, accounts), f"# {inline(report.model.name)}", opening]
    for sheet in sheets[:1]:
        parts += _sheet(sheet)[1:]
    parts += ["## Use", about.use, "## How good it is", f"Measured on {inline(report.data.says)}."]
    parts += [_ranking(report, block) for block in report.rankings]
    names = tuple(inline(each.name) for each in report.columns)
    usual = ", ↔ what is usual in the data" if any(each.better == "neither" for each in report.measurements) else ""
    explained = [each for each in report.baselines if each.why]
    rows = [
        (
            inline(named(own)), f"**{value(own)}**", interval(own), f"{own.n:,} {own.pieces}",
            *("" if each is None else value(each) for each in beside), f"`{own.definition}`".replace("|", "\\|"),
        )
        for own, beside in report.rows()
    ]  # fmt: skip
    parts += [
        markdown_table(("measurement", "value", "95 % interval", "n", *names, "definition"), rows),
        f"↑ more is better{usual}, else less. The definitions are explained, with their formulas, in Daedal's "
        "`docs/measurement.md` and `docs/image-measurement.md`. Beside this card, `report.html` shows more, and "
        "`evaluation.json` holds all numbers with the hashes of the model and the data.",
        *([" ".join(f"*{inline(each.name)}*: {inline(each.why)}." for each in explained)] if explained else []),
        *(sentence(inline(line)) for line in report.notes),
    ]
    for block in report.blocks:
        if isinstance(block, Table) and not block.brief:
            head, cells = map(inline, block.head), [tuple(inline(cell(each)) for each in row) for row in block.rows]
            parts += [f"## {block.title}", inline(block.says), markdown_table(tuple(head), cells)]
        elif isinstance(block, Sheet) and block in sheets[1:]:
            parts += _sheet(block)
        elif isinstance(block, Audio) and block.file in report.files:
            parts += [f"## {block.title}", f"[{block.file}]({block.file})", sentence(inline(block.says))]
        elif isinstance(block, Texts):
            shown = (_fenced(sample.shown[:_CHARACTERS]) for sample in block.texts[:_TEXTS])
            parts += [f"## {block.title}", sentence(inline(block.says)), *shown]
    parts += ["## Data", _data(report)]
    if report.plan is not None:
        planned = [(label, inline(str(report.plan[key]))) for key, label in _PLAN if report.plan.get(key) is not None]
        parts += ["## Training", markdown_table(("value", "of the plan"), planned), "All values: `training/plan.json`."]
        parts += [sentence(report.overfitting)] if report.overfitting is not None else []
    parts += risk_sections(accounts)
    return harmless("\n\n".join([*parts, "## Intended use and limits", about.limits])) + "\n"


def risk_sections(accounts: Accounts, licences: bool = True) -> list[str]:
    """What was measured of risks, the ledger of licences, privacy, and how what a model makes is recognised."""
    parts = []
    for risk in accounts.risks:
        parts += [f"## {risk.title}", *([f"Measured on {inline(risk.of)}."] if risk.of else [])]
        beside = {each.quantity: each for each in risk.beside}
        rows = [
            (
                inline(named(each)),
                f"**{value(each)}**",
                interval(each),
                *([value(beside[each.quantity]) if each.quantity in beside else ""] if beside else []),
                f"{each.n:,} {each.pieces}",
                f"`{each.definition}`",
            )
            for each in risk.measurements[:_RISKS]
        ]
        head = ("measurement", "value", "95 % interval", *([risk.against] if beside else []), "n", "definition")
        parts += [markdown_table(head, rows)] if rows else []
        parts += [sentence(inline(f"{risk.against}: {risk.why}"))] if risk.why else []
        parts += [sentence(inline(line)) for line in risk.notes]
        parts.append(f"All numbers: `{risk.name}.json`; a page: `{risk.name}.html`.")
    ledger = accounts.licences
    if licences and ledger.entries:
        known = [
            (*("unknown" if each.licence == UNKNOWN else inline(each.licence), each.how),
             *(inline(Path(each.source).name or each.source), f"{each.files:,}"))
            for each in ledger.entries[:_RISKS]
        ]  # fmt: skip
        parts += ["## Licences of the data", markdown_table(("licence", "known by", "source", "files"), known)]
        parts += [sentence(inline(line)) for line in ledger.obligations]
    if accounts.canaries or accounts.privacy is not None:
        parts.append("## Privacy")
    if accounts.privacy is not None:
        bound = "This bounds what the weights tell; a tokenizer that was learned from the same text is not covered"
        parts.append(f"Trained with differential privacy: {accounts.privacy.brief}. {bound}.")
    if accounts.canaries:
        parts.append(
            f"{accounts.canaries:,} random secrets were planted in the training data, to see what is learned by heart."
        )
    if accounts.marks:
        parts += ["## Watermark and provenance", *(sentence(line) for line in accounts.marks)]
    return parts


def _header(report: Report, accounts: Accounts) -> str:
    """JSON strings are YAML strings, so names from outside cannot break out of the header."""
    about, data = report.presentation, report.data
    licences = tuple(dict.fromkeys((*data.licences, *accounts.based)))
    codes = [CODES[each] for each in data.languages if each in CODES]
    lines = [
        "---", *([f"library_name: {about.library}"] if about.library else []), f"pipeline_tag: {about.task}",
        *hub_header(licences), *([f"base_model: {json.dumps(accounts.base)}"] if accounts.base else []),
        *(["language:", *(f"- {each}" for each in codes)] if codes else []),
        "tags:", "- daedal", f"- {json.dumps(about.tag)}", "model-index:",
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
    for risk in accounts.risks:
        if risk.measurements:
            lines += [
                "  - task:", f"      type: {about.task}", "    dataset:", f"      name: {json.dumps(risk.title)}",
                f"      type: {risk.name}", "    metrics:",
            ]  # fmt: skip
        for own in risk.measurements[:4]:
            lines += [
                f"    - type: {own.quantity.split('/')[0]}", f"      name: {json.dumps(own.definition)}",
                f"      value: {own.value:.6g}",
            ]  # fmt: skip
    return "\n".join([*lines, "---"])


def _ranking(report: Report, block: Ranking) -> str:
    rows = []
    for name, measurement in report.ranking(block.quantity):
        bold = "**" if name == OWN else ""
        rows.append((f"{bold}{inline(name)}{bold}", f"{bold}{measurement.value:.3f}{bold}", interval(measurement)))
    head = ("predictor", headed(report.measured(block.quantity)), "95 % interval")
    return f"{sentence(inline(block.of))}\n\n" + markdown_table(head, rows)


def _sheet(block: Sheet) -> list[str]:
    return [f"## {block.title}", f"![{block.title}]({block.file})", sentence(inline(block.says))]


def _data(report: Report) -> str:
    data, lines = report.data, []
    if data.trained:
        lines.append(f"Trained on {inline(data.trained)}.")
    for name, known in (("Sources", data.sources), ("Languages, as detected", data.languages)):
        if known:
            lines.append(f"{name}: " + ", ".join(map(inline, known)) + ".")
    lines.append(f"Licence of the data: {', '.join(map(inline, data.licences)) or 'unknown'}.")
    return " ".join(lines)


def markdown_table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A table in Markdown."""
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ("---",) * len(head), *rows])


def _fenced(text: str) -> str:
    """A block whose fence is longer than any run of backticks in it."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}text\n{text}\n{fence}"


def inline(text: str) -> str:
    """Text from outside as plain words: nothing in it is Markdown or HTML."""
    return "".join(f"\\{c}" if c in r"\`*{}[]<>#|!~" else c for c in " ".join(text.split()))
