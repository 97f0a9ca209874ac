"""The texts of labelled examples: what a classifier is given, and what simple predictors read."""

from collections.abc import Sequence

from daedal.evaluation.examples.held_out import Examples

SECOND = "text_b"
"""The column of a second text, of examples that are of two."""


def inputs(examples: Examples) -> list[str | tuple[str, str]]:
    """What a classifier is given: a text, or two."""
    texts = examples["text"]
    seconds = examples.columns.get(SECOND) or [None] * len(examples)
    return [one if other is None else (one, other) for one, other in zip(texts, seconds, strict=True)]


def joined(examples: Examples) -> list[str]:
    """The same as one text."""
    return [each if isinstance(each, str) else "\n".join(each) for each in inputs(examples)]


def short(text: str | tuple[str, str], most: int = 160) -> str:
    """A text on one line of a table."""
    line = " ".join((text if isinstance(text, str) else " | ".join(text)).split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def buckets(lengths: Sequence[int], parts: int = 4) -> list[tuple[str, list[int]]]:
    """Examples in groups of about equal number by their length, each with the lengths that it spans."""
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    borders = sorted({lengths[order[len(order) * part // parts]] for part in range(parts)}) if order else []
    found = []
    for place, least in enumerate(borders):
        most = borders[place + 1] - 1 if place + 1 < len(borders) else lengths[order[-1]]
        inside = [each for each in range(len(lengths)) if least <= lengths[each] <= most]
        found.append((f"{least:,} to {most:,}" if most > least else f"{least:,}", inside))
    return found
