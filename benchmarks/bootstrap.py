"""How long intervals take: 10,000 bootstrap replicates of 1,000 items of accuracy, F1 and BLEU, beside sacreBLEU and lm-eval.

    python benchmarks/bootstrap.py [--replicates 10000] [--items 1000]

Processor seconds of one core, the counts of BLEU included. sacreBLEU's is `BLEU().corpus_score(..., n_bootstrap=...)`;
lm-eval's bootstrap is run for `--theirs` replicates and told for as many as ours.
"""

import argparse
import os
import time
from collections.abc import Callable

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["DISABLE_MULTIPROC"] = "1"  # lm-eval: no processes

import numpy as np

from daedal.evaluation.bootstrap import bootstrap
from daedal.evaluation.measures.bleu import bleu, counts

WORDS = [a + b for a in ("ba", "de", "fi", "ko") for b in ("n", "ru", "st", "la", "mo")]


def seconds(doing: Callable[[], object]) -> tuple[float, object]:
    began = time.process_time()
    found = doing()
    return time.process_time() - began, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--replicates", type=int, default=10_000)
    parser.add_argument("--items", type=int, default=1000)
    parser.add_argument("--theirs", type=int, default=20)
    asked = parser.parse_args()
    n, many = asked.items, asked.replicates
    draw = np.random.default_rng(0)
    right = [" ".join(draw.choice(WORDS, draw.integers(8, 25))) for _ in range(n)]
    said = [" ".join(word if draw.random() < 0.7 else draw.choice(WORDS) for word in text.split()) for text in right]
    hits = (draw.random(n) < 0.6).astype(float)
    truth = draw.random(n) < 0.4
    chosen = np.where(draw.random(n) < 0.75, truth, ~truth)
    table = np.stack([chosen & truth, chosen, truth], axis=1).astype(float)
    counts(said[:2], right[:2])  # imports
    rows: list[tuple[str, float, object]] = []
    accuracy = np.stack([hits, np.ones(n)], axis=1)
    rows.append(("accuracy", *seconds(lambda: bootstrap(accuracy, lambda s: s[:, 0] / s[:, 1], replicates=many))))
    rows.append(
        ("F1", *seconds(lambda: bootstrap(table, lambda s: 2 * s[:, 0] / (s[:, 1] + s[:, 2]), replicates=many)))
    )
    rows.append(("BLEU", *seconds(lambda: bootstrap(counts(said, right), bleu, replicates=many))))
    for name, took, found in rows:
        print(f"{name:10} {took:7.3f} s  {found}")
    print(f"together   {sum(row[1] for row in rows):7.3f} s")

    from sacrebleu.metrics.bleu import BLEU

    took, score = seconds(lambda: BLEU().corpus_score(said, [right], n_bootstrap=many))
    print(f"sacreBLEU  {took:7.3f} s  BLEU, {score}")
    from lm_eval.api import metrics

    pairs = list(zip(right, said, strict=True))
    theirs = [([one], other) for one, other in pairs]
    for name, measure, items in (
        ("BLEU", metrics.bleu, theirs),
        ("F1", metrics.f1_score, list(zip(truth.astype(int).tolist(), chosen.astype(int).tolist(), strict=True))),
        ("mean", metrics.mean, hits.tolist()),
    ):
        took, _ = seconds(
            lambda measure=measure, items=items: metrics._bootstrap_internal_no_mp(measure, items, asked.theirs)
        )
        print(f"lm-eval {name:5} {took / asked.theirs * many:9.1f} s for as many, by {asked.theirs}")


if __name__ == "__main__":
    main()
