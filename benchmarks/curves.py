"""Curves of finished runs as SVG: the figures of the families' pages.

    python benchmarks/curves.py RUN... --out docs/images/FILE.svg [--of loss]

Shows the loss over seconds of training, learned and validated, of each run; `--of` another number of `training/metrics.jsonl`.
"""

import argparse
import json
import math
from pathlib import Path

import numpy as np

PAPER, INK, PALE = "#ffffff", "#333333", "#dddddd"
COLOURS = ("#c2410c", "#1d4ed8", "#15803d", "#7e22ce")
Line = tuple[str, list[tuple[float, float]]]


def chart(lines: list[Line], across: str, up: str, logarithmic: bool) -> str:
    """Lines over a logarithmic or plain axis, as SVG."""
    left, top, width, height = 60, 20, 560, 260
    scale = math.log10 if logarithmic else float
    points = [point for _, line in lines for point in line]
    low, high = scale(min(x for x, _ in points)), scale(max(x for x, _ in points))
    least, most = (edge(math.log10(y) for _, y in points) for edge in (min, max))
    most = max(most, least + 0.05)

    def at(x: float, y: float) -> tuple[float, float]:
        return (
            left + width * (scale(x) - low) / (high - low or 1),
            top + height * (most - math.log10(y)) / (most - least),
        )

    parts = []
    for tick in np.geomspace(10**least, 10**most, 5):
        y = at(10**low if logarithmic else low, tick)[1]
        parts.append(f'<path d="M{left} {y:.1f}H{left + width}" stroke="{PALE}"/>')
        parts.append(f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:.3g}</text>')
    ticks = np.geomspace(10**low, 10**high, 6) if logarithmic else np.linspace(low, high, 6)
    below = f'y="{top + height + 18}" text-anchor="middle"'
    parts += [f'<text x="{at(tick, 10**least)[0]:.1f}" {below}>{tick:.0f}</text>' for tick in ticks]
    for number, (name, line) in enumerate(lines):
        colour = COLOURS[number % len(COLOURS)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(*point) for point in line))
        place = f'x="{left + width}" y="{top + 16 * (number + 1)}" text-anchor="end"'
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(f'<text {place} fill="{colour}">{name}</text>')
    parts.append(f'<text x="{left + width / 2}" y="{top + height + 38}" text-anchor="middle">{across}</text>')
    parts.append(f'<text x="{left}" y="12">{up}</text>')
    body = "\n".join([f'<rect width="100%" height="100%" fill="{PAPER}"/>', *parts])
    box = f'viewBox="0 0 {left + width + 30} {top + height + 48}"'
    style = f'font-family="sans-serif" font-size="12" fill="{INK}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {box} {style}>\n{body}\n</svg>\n'


def lines(run: Path, name: str, of: str) -> list[Line]:
    """What was learned and what was validated of a run, over its seconds."""
    records = [json.loads(line) for line in (run / "training" / "metrics.jsonl").read_text().splitlines()]
    found = []
    for key, said in ((of, f"{name}, training"), (f"validation_{of}", f"{name}, held out")):
        points = [(record["seconds"], record[key]) for record in records if key in record]
        if points:
            found.append((said.removeprefix(", "), points))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--of", default="loss", help="the number")
    options = parser.parse_args()
    names = [run.name if len(options.runs) > 1 else "" for run in options.runs]
    drawn = [line for run, name in zip(options.runs, names, strict=True) for line in lines(run, name, options.of)]
    options.out.write_text(chart(drawn, "seconds", options.of, False))


if __name__ == "__main__":
    main()
