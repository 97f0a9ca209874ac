"""How well models that draw from words compose scenes: the tables of docs/text-to-image.md.

    python benchmarks/composition.py RUN... [--per-task 100] [--seed 1] [--guidance 2] [--temperature 0.7]
        [--steps 60] [--churn 10] [--solver euler] [--best-of 8 --judge CLIP] [--quick] [--out FILE.json]
        [--write README.md docs/text-to-image.md]

A RUN was trained with captions on `scenes:N,pairs=trained,relation-pairs=trained` (opened by `daedal.load`), so that the
held-out columns ask for what it never saw. With `--best-of`, single drawings are told beside the best of several. The first
tables are ceilings: true pictures, which say what the judge gets wrong, and what each run's own tokenizer makes of them, which
says what no model over its tokens can exceed. `--write` puts the table of the last run into pages, where they have room for it:
between the lines of `BEGIN` and `END`.
"""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

import daedal
from daedal.evaluation.measurement import Measurement
from daedal.evaluation.worlds.composition import Composition, ceiling, composition, table
from daedal.evaluation.worlds.prompts import MAIN_TASKS, PARTS
from daedal.inference.generator import Generator
from daedal.models.coded import Coded

BEGIN, END = "<!-- composition -->", "<!-- end of composition -->"


def drawer(model: Generator, how: dict[str, Any]) -> Any:
    """What draws prompts with a model."""

    def draw(prompts: Sequence[str], seed: int) -> list[np.ndarray]:
        return [np.asarray(picture.image) for picture in model.generate(len(prompts), prompt=prompts, seed=seed, **how)]

    return draw


def through(model: Generator) -> Any:
    """What the codec of a model makes of pictures."""
    whole = model.model
    assert isinstance(whole, Coded)

    @torch.no_grad()
    def pass_through(pictures: Sequence[np.ndarray]) -> list[np.ndarray]:
        return list(model.codec.decode_batch(whole.codec.reconstruct(model.codec.encode_batch(np.stack(pictures)))))

    return pass_through


def beside(scores: Composition, best: Composition | None, of: int, tokens: Composition | None) -> str:
    """The main tasks of a run, the best `of` several drawings, and what its tokens allow, in Markdown."""
    columns = [(part, scores, part) for part in PARTS if part in scores.scores["position"]]
    columns += [(f"{part}, best of {of}", best, part) for part in ("seen", "held-out pairs")] if best else []
    columns += [("true scenes through its tokens", tokens, "seen")] if tokens else []
    rows = [("task", *(title for title, *_ in columns)), ("---", *("---:" for _ in columns))]
    for row in ("overall", *MAIN_TASKS):
        cells = [found.scores[row].get(part) for _, found, part in columns]
        rows.append((row, *(cell(each) if each else "" for each in cells)))
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def cell(score: Measurement) -> str:
    low, high = score.interval or (0.0, 1.0)
    return f"{100 * score.value:.0f} % [{100 * low:.0f}, {100 * high:.0f}]"


def write(page: Path, text: str) -> None:
    """Put a table where a page has room for it."""
    before, begin, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{page} has no {BEGIN} ... {END}")
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", metavar="RUN")
    parser.add_argument("--per-task", type=int, default=100, help="prompts for each task and part")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--guidance", type=float)
    parser.add_argument("--temperature", type=float)
    parser.add_argument("--steps", type=int, help="of a flow, as the next two")
    parser.add_argument("--churn", type=float)
    parser.add_argument("--solver")
    parser.add_argument(
        "--best-of", type=int, default=1, help="pictures drawn for each prompt, of which the judge takes one"
    )
    parser.add_argument("--judge", help="the run folder of a CLIP; a model that can caption pictures judges its own")
    parser.add_argument("--out", type=Path, help="write the numbers here as JSON")
    parser.add_argument("--write", type=Path, nargs="+", default=[], metavar="PAGE", help="put the last table here")
    parser.add_argument("--quick", action="store_true", help="five prompts each: only to see that it runs")
    options = parser.parse_args()
    per_task = 5 if options.quick else options.per_task
    names = ("guidance", "temperature", "steps", "churn", "solver")
    how = {name: value for name in names if (value := getattr(options, name)) is not None}
    judge = daedal.load(options.judge) if options.judge else None
    assert judge is None or isinstance(judge, Generator)
    found: dict[str, Composition] = {}
    for run in options.runs:
        model = daedal.load(run)
        assert isinstance(model, Generator)
        side = model.codec.shape[1]
        if not found:
            found["true pictures"] = ceiling(side, per_task, options.seed)
        if isinstance(model.model, Coded):
            found[f"{run}, through its tokens"] = ceiling(side, per_task, options.seed, through=through(model))
        for of in sorted({1, options.best_of}):
            name = run if of == 1 else f"{run}, best of {of}"
            start = time.process_time()
            found[name] = composition(
                drawer(model, how), side, per_task, options.seed, best_of=of,
                choose=(judge or model).choose if of > 1 else None, model_hash=model.fingerprint,
            )  # fmt: skip
            print(f"{name}: {time.process_time() - start:.0f} CPU seconds", flush=True)
    for name, scores in found.items():
        print(f"\n{name}\n\n{table(scores)}")
    last = options.runs[-1]
    for page in options.write:
        best = found.get(f"{last}, best of {options.best_of}")
        write(page, beside(found[last], best, options.best_of, found.get(f"{last}, through its tokens")))
    if options.out:
        options.out.write_text(
            json.dumps({name: scores.model_dump() for name, scores in found.items()}, indent=1) + "\n"
        )


if __name__ == "__main__":
    main()
