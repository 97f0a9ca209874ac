"""The model card: `README.md` in the run folder, with the YAML header that the Hugging Face Hub reads."""

import json
from typing import Any

from daedal.evaluation.measurement import Measurement
from daedal.evaluation.report import EvaluationReport, copied, counted, shown
from daedal.printable import harmless

_PLAN = (
    ("budget", "time budget, s"), ("steps", "steps"), ("batch", "sequences a step"), ("context", "context, tokens"),
    ("optimizer", "optimizer"), ("learning_rate", "peak learning rate"), ("precision", "precision"), ("seed", "seed"),
    ("init", "started from"), ("threads", "CPU threads"), ("device", "device"),
)  # fmt: skip


def model_card(report: EvaluationReport) -> str:
    """The card, in Markdown."""
    model, data = report.model, report.data
    bits = report.bits_per_byte
    swift = model.architecture == "swift"
    parts = [
        _header(report),
        f"# {_inline(model.name)}",
        f"A {model.architecture} language model with {model.parameters:,} parameters, trained and measured with "
        f"Daedal {report.daedal}. It predicts held-out text at **{bits.value:.3f} bits per "
        f"byte**" + (f" (95 % interval {bits.interval[0]:.3f} to {bits.interval[1]:.3f})." if bits.interval else "."),
        "## Use",
        '```python\nimport daedal\n\nmodel = daedal.load("PATH/TO/THIS/FOLDER")\n'
        'print(model.generate("Once", max_tokens=100, temperature=0.8, seed=1)[0])\n```',
    ]
    if swift:
        parts.append("This architecture is Daedal's own: other programs do not open it.")
    else:
        parts.append(
            "```python\nfrom transformers import AutoModelForCausalLM, AutoTokenizer\n\n"
            'tokenizer = AutoTokenizer.from_pretrained("PATH/TO/THIS/FOLDER")\n'
            'model = AutoModelForCausalLM.from_pretrained("PATH/TO/THIS/FOLDER")\n'
            'ids = tokenizer("Once", return_tensors="pt").input_ids\n'
            "print(tokenizer.decode(model.generate(ids, max_new_tokens=100, do_sample=True)[0]))\n```"
        )
    parts += [
        "## How good it is",
        f"Measured on the {_inline(data.name)} text: {counted(data.documents, 'document')}, {data.bytes:,} bytes, "
        f"{data.tokens:,} tokens. All predictors below were measured on the same bytes; less is better.",
        _table(("predictor", "bits per byte", "95 % interval"), _ranking(report)),
        _table(("measurement", "value", "95 % interval", "n", "definition"), [_row(m) for m in _numbers(report)]),
        "The definitions are explained, with their formulas, in Daedal's `docs/measurement.md`. Beside this card, "
        "`report.html` shows the loss curve and `evaluation.json` holds all numbers with the hashes of the model and the data.",
    ]
    if report.memorization is not None and report.memorization.samples:
        parts += ["## What it copies", _sentence(copied(report.memorization))]
    parts += ["## Data", _data(report)]
    if report.plan is not None:
        rows = [(label, _inline(str(report.plan[key]))) for key, label in _PLAN if report.plan.get(key) is not None]
        parts += ["## Training", _table(("value", "of the plan"), rows), "All values: `training/plan.json`."]
        parts += [_sentence(report.overfitting)] if report.overfitting is not None else []
    if report.samples:
        parts += ["## Samples", _sampling(report), *(_fenced(shown(sample)[:800]) for sample in report.samples[:4])]
    parts += ["## Intended use and limits", _limits(report)]
    return harmless("\n\n".join(parts)) + "\n"


def _header(report: EvaluationReport) -> str:
    """JSON strings are YAML strings, so names from outside cannot break out of the header."""
    bits, data = report.bits_per_byte, report.data
    licences = [licence for licence in data.licences if licence != "unknown"]
    # one licence that all data has may be named; anything else is for the person who publishes to say
    licence = licences[0] if len(licences) == 1 == len(data.licences) else "unknown"
    lines = [
        "---",
        *([] if report.model.architecture == "swift" else ["library_name: transformers"]),
        "pipeline_tag: text-generation",
        f"license: {json.dumps(licence)}",
        "tags:",
        "- daedal",
        f"- {json.dumps(report.model.architecture)}",
        "model-index:",
        f"- name: {json.dumps(report.model.name)}",
        "  results:",
        "  - task:",
        "      type: text-generation",
        "    dataset:",
        f"      name: {json.dumps(', '.join(data.sources) or data.name)}",
        "      type: text",
        f"      split: {json.dumps(data.name)}",
        "    metrics:",
        "    - type: bits_per_byte",
        f"      name: {json.dumps(bits.definition)}",
        f"      value: {bits.value:.6g}",
        "---",
    ]
    return "\n".join(lines)


def _numbers(report: EvaluationReport) -> list[Measurement]:
    return [*report.measurements, *(report.memorization.measurements if report.memorization else ())]


def _ranking(report: EvaluationReport) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for name, measurement in report.ranking():
        bold = "**" if name == "this model" else ""
        rows.append((f"{bold}{_inline(name)}{bold}", f"{bold}{measurement.value:.3f}{bold}", _interval(measurement)))
    return rows


def _row(measurement: Measurement) -> tuple[str, ...]:
    value = f"{measurement.value:.4g} {measurement.unit}"
    pieces = f"{measurement.n:,} {measurement.pieces}"
    return measurement.name, value, _interval(measurement), pieces, f"`{measurement.definition}`"


def _interval(measurement: Measurement) -> str:
    return f"{measurement.interval[0]:.3f} to {measurement.interval[1]:.3f}" if measurement.interval else ""


def _data(report: EvaluationReport) -> str:
    data = report.data
    lines = []
    if data.train_bytes:
        lines.append(
            f"Trained on {counted(data.train_documents, 'document')}, {data.train_bytes:,} bytes, {data.train_tokens:,} tokens."
        )
    if data.sources:
        lines.append("Sources: " + ", ".join(_inline(source) for source in data.sources) + ".")
    if data.languages:
        lines.append("Languages, as detected: " + ", ".join(_inline(language) for language in data.languages) + ".")
    known = ", ".join(_inline(licence) for licence in data.licences)
    lines.append(f"Licence of the data: {known or 'unknown'}.")
    return " ".join(lines)


def _sampling(report: EvaluationReport) -> str:
    how = ", ".join(f"{key} {_inline(str(value))}" for key, value in report.sampling.items())
    return f"The first ones drawn, not chosen ({how}): from nothing, or going on from held-out text."


def _limits(report: EvaluationReport) -> str:
    return (
        f"For learning, experiments and play. A model of {report.model.parameters:,} parameters knows the form of its training "
        "text better than any fact: what it writes is invented, may repeat what the training text says word for word, and "
        "carries its errors and prejudices. It was not aligned or filtered for safety, and was measured on text like its "
        "training text only. Do not use it where a wrong or offensive sentence does harm."
    )


def _table(head: tuple[str, ...], rows: list[Any]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in lines)


def _fenced(text: str) -> str:
    """A block whose fence is longer than any run of backticks in it."""
    longest = max((len(run) for run in text.replace("\n", " ").split() if set(run) == {"`"}), default=0)
    fence = "`" * max(3, longest + 1, 4 if "```" in text else 3)
    while fence in text:
        fence += "`"
    return f"{fence}text\n{text}\n{fence}"


def _inline(text: str) -> str:
    """Text from outside as plain words: nothing in it is Markdown or HTML."""
    return "".join(f"\\{c}" if c in r"\`*{}[]<>#|!~" else c for c in " ".join(text.split()))


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."
