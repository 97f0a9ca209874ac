"""The model card of a model of images: `README.md` in the run folder, with the YAML header that the Hugging Face Hub
reads."""

import json
from typing import Any

from daedal.evaluation.images.report import NEIGHBOURS, RECONSTRUCTIONS, SAMPLES, ImageReport
from daedal.evaluation.images.terminal import interval, value
from daedal.printable import harmless

_PLAN = ("budget", "steps", "batch", "optimizer", "learning_rate", "precision", "seed", "threads", "device")


def image_model_card(report: ImageReport) -> str:
    """The card, in Markdown."""
    model, data = report.model, report.data
    size = f"{model.width} x {model.height} pixels of {model.channels} channel" + ("s" if model.channels > 1 else "")
    parts = [
        _header(report),
        f"# {_inline(model.name)}",
        f"A {model.family} model of images of {size}, with {model.parameters:,} parameters, trained and measured with Daedal "
        f"{report.daedal}.",
    ]
    if SAMPLES in report.pictures:
        parts += [f"![Samples]({SAMPLES})", _drawn(report)]
    parts += ["## Use", _use(report), "## How good it is", _against(report)]
    names = tuple(each.name for each in report.baselines)
    rows = [
        (
            f"{_inline(own.name)} {'↑' if own.better == 'higher' else '↓'}", f"**{value(own)}**", interval(own),
            *("" if each is None else value(each) for each in beside), f"`{own.definition}`",
        )
        for own, beside in report.rows()
    ]  # fmt: skip
    parts.append(_table(("measurement", "value", "95 % interval", *names, "definition"), rows))
    parts.append(
        "↑ more is better, ↓ less. The definitions are explained, with their formulas, in Daedal's "
        "`docs/image-measurement.md`; `evaluation.json` holds all numbers with the hashes of the model and the data."
    )
    if report.baselines:
        parts.append(" ".join(f"*{each.name}*: {each.why}." for each in report.baselines))
    if report.classes:
        head = ("class", f"share of {_inline(data.name)}", "share of samples", "right, of asked for")
        parts += ["## Classes", _table(head, [
            (_inline(row.name), f"{row.reference:.3f}", f"{row.samples:.3f}", row.told) for row in report.classes
        ])]  # fmt: skip
    if NEIGHBOURS in report.pictures:
        parts += ["## What it copies", "The samples that are nearest to a training picture, each above that picture.",
                  f"![Samples above their nearest training pictures]({NEIGHBOURS})"]  # fmt: skip
    if RECONSTRUCTIONS in report.pictures:
        parts += ["## Reconstructions", "Held-out pictures, each above what comes back through the model's latents.",
                  f"![Pictures above their reconstructions]({RECONSTRUCTIONS})"]  # fmt: skip
    parts += ["## Data", _data(report)]
    if report.plan is not None:
        known = [(key, _inline(str(report.plan[key]))) for key in _PLAN if report.plan.get(key) is not None]
        parts += ["## Training", _table(("value", "of the plan"), known), "All values: `training/plan.json`."]
        if report.overfitting is not None:
            parts.append(f"{report.overfitting[0].upper()}{report.overfitting[1:]}.")
    parts += ["## Intended use and limits", _LIMITS_OF_MATCHING if "match" in model.capabilities else _LIMITS]
    return harmless("\n\n".join(parts)) + "\n"


_LIMITS = (
    "For learning, experiments and play. It draws pictures like those it was trained on, with their errors and prejudices, and "
    "may copy some of them; look at the nearest training pictures above. It was not filtered for safety."
)
_LIMITS_OF_MATCHING = (
    "For learning, experiments and play. It knows the pictures and words that it was trained on, with their errors and "
    "prejudices, and finds some text nearest to any picture, however little it fits. Decide nothing about people by it."
)


def _header(report: ImageReport) -> str:
    """JSON strings are YAML strings, so names from outside cannot break out of the header."""
    data = report.data
    licences = [licence for licence in data.licences if licence != "unknown"]
    licence = licences[0] if len(licences) == 1 == len(data.licences) else "unknown"
    can = report.model.capabilities
    tasks = {"sample": "unconditional-image-generation", "match": "zero-shot-image-classification"}
    task = next((task for name, task in tasks.items() if name in can), "image-to-image")
    lines = [
        "---", f"pipeline_tag: {task}", f"license: {json.dumps(licence)}", "tags:", "- daedal",
        f"- {json.dumps(report.model.family)}", "model-index:", f"- name: {json.dumps(report.model.name)}", "  results:",
        "  - task:", f"      type: {task}", "    dataset:",
        f"      name: {json.dumps(', '.join(data.sources) or data.name)}", "      type: images",
        f"      split: {json.dumps(data.name)}", "    metrics:",
    ]  # fmt: skip
    for own in report.measurements[:4]:
        lines += [
            f"    - type: {own.quantity.split('/')[0]}",
            f"      name: {json.dumps(own.definition)}",
            f"      value: {own.value:.6g}",
        ]
    return "\n".join([*lines, "---"])


def _use(report: ImageReport) -> str:
    lines = ["import daedal", "", 'model = daedal.load("PATH/TO/THIS/FOLDER")']
    if "sample" in report.model.capabilities:
        lines.append('model.generate(1, seed=1)[0].save("picture.png")')
    elif "match" in report.model.capabilities:
        lines.append('print(model.classify(["picture.png"], ["a text", "another text"]))')
    else:
        lines.append('model.reconstruct(["picture.png"])[0].save("both.png")')
    return "```python\n" + "\n".join(lines) + "\n```"


def _drawn(report: ImageReport) -> str:
    stated = ", ".join(f"{key} {amount}" for key, amount in report.sampling.items() if key != "pictures")
    return f"The first ones drawn, not chosen ({_inline(stated)})."


def _against(report: ImageReport) -> str:
    data = report.data
    return (
        f"Measured against {data.used:,} of the {data.pictures:,} {_inline(data.name)} pictures. {report.note}".rstrip()
    )


def _data(report: ImageReport) -> str:
    data, lines = report.data, []
    if data.train_pictures:
        lines.append(f"Trained on {data.train_pictures:,} pictures.")
    if data.sources:
        lines.append("Sources: " + ", ".join(_inline(source) for source in data.sources) + ".")
    known = ", ".join(_inline(licence) for licence in data.licences)
    return " ".join([*lines, f"Licence of the data: {known or 'unknown'}."])


def _table(head: tuple[str, ...], rows: list[Any]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ("---",) * len(head), *rows])


def _inline(text: str) -> str:
    """Text from outside as plain words: nothing in it is Markdown or HTML."""
    return "".join(f"\\{c}" if c in r"\`*{}[]<>#|!~" else c for c in " ".join(text.split()))
