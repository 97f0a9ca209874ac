"""Drawings for the report: bars and a curve as SVG, in the page's own colours so that they follow light and dark."""

import math
from collections.abc import Sequence
from html import escape

from daedal.evaluation.measurement import Measurement

Points = Sequence[tuple[int, float]]


def bars(ranking: Sequence[tuple[str, Measurement]], own: str, label: str) -> str:
    """Horizontal bars with their intervals, the bar called `own` set off."""
    left, width, step = 172, 430, 34
    largest = max(0.0, *((m.interval or (0, m.value))[1] for _, m in ranking)) or 1.0
    parts = []
    for place, (name, measurement) in enumerate(ranking):
        y, length = place * step + 6, width * max(0.0, measurement.value) / largest
        kind = "own" if name == own else "other"
        parts.append(f'<text x="{left - 12}" y="{y + 15}" text-anchor="end" class="{kind}">{escape(name)}</text>')
        parts.append(f'<rect x="{left}" y="{y}" width="{length:.1f}" height="22" rx="3" class="{kind}"/>')
        end = length
        if measurement.interval is not None:
            low, high = (width * max(0.0, value) / largest for value in measurement.interval)
            end, middle = max(length, high), y + 11
            parts.append(f'<path d="M{left + low:.1f} {middle}H{left + high:.1f}" class="whisker"/>')
        parts.append(f'<text x="{left + end + 10:.1f}" y="{y + 15}" class="{kind}">{measurement.value:.3f}</text>')
    height = len(ranking) * step + 6
    return _svg(left + width + 70, height, label, parts)


def curve(
    train: Points,
    validation: Points,
    lines: Sequence[tuple[str, float]],
    label: str,
) -> str:
    """Loss over steps: training thin, validation strong, baselines as dashed lines with their names."""
    left, right, top, width, height = 48, 150, 14, 560, 280
    values = [value for _, value in (*train, *validation)] + [value for _, value in lines]
    steps = [step for step, _ in (*train, *validation)]
    if not steps:
        return ""
    low, high = min(values), max(values)
    # The first steps fall from far above and would press all that matters into the bottom
    settled = [value for step, value in (*train, *validation) if step >= max(steps) * 0.02]
    high = min(high, max([*settled, *(value for _, value in lines)]) * 1.02)
    ticks = _ticks(low, high)
    low, high, last = min(low, ticks[0]), max(high, ticks[-1]), max(1, *steps)

    def x(step: float) -> float:
        return left + width * step / last

    def y(value: float) -> float:
        return top + height * (high - min(value, high)) / ((high - low) or 1)

    parts = []
    for value in ticks:
        parts.append(f'<path d="M{left} {y(value):.1f}H{left + width}" class="grid"/>')
        parts.append(f'<text x="{left - 8}" y="{y(value) + 4:.1f}" text-anchor="end" class="tick">{value:g}</text>')
    below = f'y="{top + height + 20}" text-anchor="middle" class="tick"'
    parts += [f'<text x="{x(step):.1f}" {below}>{step:,.0f}</text>' for step in _ticks(0, last) if step <= last]
    parts.append(f'<text x="{left + width / 2}" y="{top + height + 40}" text-anchor="middle" class="tick">step</text>')
    labels = []
    for name, value in lines:
        parts.append(f'<path d="M{left} {y(value):.1f}H{left + width}" class="baseline"/>')
        labels.append((y(value), name, "tick"))
    if train:
        parts.append(f'<path d="{_path([(x(step), y(value)) for step, value in train])}" class="train"/>')
    if validation:
        places = [(x(step), y(value)) for step, value in validation]
        parts.append(f'<path d="{_path(places)}" class="validation"/>')
        parts += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" class="validation-dot"/>' for a, b in places]
        labels.append((places[-1][1], "validation", "own"))
    elif train:
        labels.append((y(train[-1][1]), "training", "own"))
    for at, name, kind in _spaced(labels, 15):
        parts.append(f'<text x="{left + width + 8}" y="{at + 4:.1f}" class="{kind}">{escape(name)}</text>')
    return _svg(left + width + right, top + height + 48, label, parts)


def lines(series: Sequence[tuple[str, Sequence[tuple[float, float]]]], across: str, label: str) -> str:
    """Lines with a dot at each point, the first strong, each with its name at its end."""
    left, right, top, width, height = 56, 150, 14, 560, 280
    points = [point for _, line in series for point in line]
    if not points:
        return ""
    below, beside = _ticks(0.0, max(x for x, _ in points)), _ticks(min(y for _, y in points), max(y for _, y in points))
    last, low, high = below[-1] or 1.0, beside[0], beside[-1]

    def at(point: tuple[float, float]) -> tuple[float, float]:
        return left + width * point[0] / last, top + height * (high - point[1]) / ((high - low) or 1)

    parts = []
    for value in beside:
        y = at((0, value))[1]
        parts.append(f'<path d="M{left} {y:.1f}H{left + width}" class="grid"/>')
        parts.append(f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end" class="tick">{value:g}</text>')
    under = f'y="{top + height + 20}" text-anchor="middle" class="tick"'
    parts += [f'<text x="{at((value, low))[0]:.1f}" {under}>{value:g}</text>' for value in below]
    middle = f'x="{left + width / 2}" y="{top + height + 40}" text-anchor="middle" class="tick"'
    parts.append(f"<text {middle}>{escape(across)}</text>")
    labels = []
    for place, (name, line) in enumerate(series):
        places, kind = [at(point) for point in line], "validation" if place == 0 else "train"
        parts.append(f'<path d="{_path(places)}" class="{kind}"/>')
        parts += [
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" class="{kind if place else "validation-dot"}"/>'
            for x, y in places
        ]
        labels.append((places[-1][1], name, "tick" if place else "own"))
    for at_height, name, kind in _spaced(labels, 15):
        parts.append(f'<text x="{left + width + 8}" y="{at_height + 4:.1f}" class="{kind}">{escape(name)}</text>')
    return _svg(left + width + right, top + height + 48, label, parts)


def _ticks(low: float, high: float) -> list[float]:
    """Four to eight round numbers from about `low` to about `high`."""
    span = (high - low) or abs(high) or 1.0
    rough = span / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    first = math.floor(low / step)
    return [round(step * (first + index), 10) for index in range(math.ceil(high / step) - first + 1)]


def _spaced(labels: Sequence[tuple[float, str, str]], least: float) -> list[tuple[float, str, str]]:
    """Labels moved down until none covers another."""
    placed: list[tuple[float, str, str]] = []
    for at, name, kind in sorted(labels):
        placed.append((max(at, placed[-1][0] + least) if placed else at, name, kind))
    return placed


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _svg(width: float, height: float, label: str, parts: Sequence[str]) -> str:
    return (
        f'<div class="scroll"><svg viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" role="img" '
        f'aria-label="{escape(label)}">{"".join(parts)}</svg></div>'
    )
