"""Learning a small data set by heart: when it will happen, what is done about it, and the line that tells it."""

import math
from collections.abc import Sequence

_HARM = 0.01
"""A rise of the validation loss over its lowest that is worth a word, as a share of it."""


def verdict(points: Sequence[tuple[int, float]], name: str, kept: bool) -> str | None:
    """What the validations of a run say of it, in a line; None where the last was the best.

    Args:
        points: steps and values, in order.
        name: of the value: "bits_per_byte" or a loss.
        kept: whether the best weights are those that were saved, and not the last.
    """
    known = [(step, value) for step, value in points if math.isfinite(value)]
    if not known:
        return None
    (step, lowest), (end, last) = min(known, key=lambda point: point[1]), known[-1]
    rise = last - lowest > _HARM * abs(lowest)
    if step == end or not (rise or kept):
        return None
    unit = "" if name.endswith("loss") else f" {name.replace('_', ' ')}"
    line = f"validation was best at step {step} ({lowest:.3f}{unit})"
    if rise:
        line += f"; later steps overfit ({last:.3f} at step {end})"
    return line + ("; those weights are saved" if kept else "; the last weights are saved: --keep best saves those")
