"""How often intervals hold the truth: of ratios over documents drawn from real ones, of shares of prompts in six tasks.

    daedal data build python-docs --out DATA
    daedal train gpt --data DATA --budget 3m --threads 1 --out RUN
    python benchmarks/interval_coverage.py DATA [--run RUN] [--times 4000]

The documents of the train split are the population. Their nats are those of a 5-gram that learned from the other nine tenths
of them, and with `--run` of that model (which has seen them). Samples are drawn with replacement.
"""

import argparse
import math

import numpy as np

import daedal
from daedal.data.shards import Dataset
from daedal.evaluation.documents import Documents
from daedal.evaluation.intervals import difference_interval, ratio_interval, student_t
from daedal.evaluation.likelihood import score, sliding
from daedal.evaluation.means import stratified
from daedal.evaluation.ngram import KneserNey

SIZES = (8, 20, 28, 50, 100, 200, 500)
FOLDS = 10


def counted(documents: Documents) -> np.ndarray:
    """Nats of each document under a 5-gram of the other folds."""
    flat = documents.read(0, int(documents.offsets[-1]))
    owner = np.repeat(np.arange(len(documents)), np.diff(documents.offsets))
    text = np.arange(len(flat)) - documents.offsets[owner] < documents.tokens[owner]
    fold = np.random.default_rng(0).permutation(len(documents)) % FOLDS
    losses = np.zeros(len(flat))
    for each in range(FOLDS):
        held = fold[owner] == each
        model = KneserNey(flat[~held], documents.codec.vocab_size, documents.end, 5)
        losses[held] = -model.log_probabilities(flat[held])
    return np.bincount(owner[text], weights=losses[text], minlength=len(documents))


def plain(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """The ratio estimator with Student's t of n - 1, which takes all documents as alike (Cochran 1977, section 2.11)."""
    n, value = len(x), x.sum() / y.sum()
    half = student_t(0.975, n - 1) * math.sqrt(n / (n - 1) * ((x - value * y) ** 2).sum()) / y.sum()
    return value - half, value + half


def over_documents(name: str, x: np.ndarray, y: np.ndarray, other: np.ndarray | None, times: int) -> None:
    truth = (x if other is None else x - other).sum() / y.sum()
    for n in SIZES:
        held = np.zeros(2)
        for time in range(times):
            chosen = np.random.default_rng((n, time)).integers(0, len(x), n)
            part, sizes = x[chosen], y[chosen]
            alone = other is None
            found = ratio_interval(part, sizes) if alone else difference_interval(part, other[chosen], sizes)
            against = plain(part if alone else part - other[chosen], sizes)
            for place, interval in enumerate((against, found or (0.0, 0.0))):
                held[place] += interval[0] <= truth <= interval[1]
        print(f"| {name} | {n} | {held[0] / times:.1%} | {held[1] / times:.1%} |", flush=True)


def over_shares(times: int) -> None:
    generator = np.random.default_rng(0)
    for shares in ((0.98,) * 6, (0.02,) * 6, (0.98, 0.98, 0.98, 0.9, 0.5, 0.3)):
        for weights in (None, (0.4, 0.25, 0.15, 0.1, 0.06, 0.04)):
            truth, held = float(np.average(shares, weights=weights)), 0
            for _ in range(times):
                low, high = stratified(generator.binomial(100, shares).tolist(), [100] * 6, weights) or (0.0, 0.0)
                held += low <= truth <= high
            print(f"| {shares}, {'unequal' if weights else 'equal'} weights | {held / times:.1%} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("--run")
    parser.add_argument("--times", type=int, default=4000)
    options = parser.parse_args()
    dataset = Dataset.open(options.data)
    documents = Documents.of_split(dataset.split("train"), dataset.codec)
    bytes_of, by_counts = documents.bytes.astype(np.float64), counted(documents)
    print("| nats of | documents | ratio estimator | this |\n| --- | ---: | ---: | ---: |")
    over_documents("a 5-gram", by_counts, bytes_of, None, options.times)
    if options.run:
        model = daedal.load(options.run).model
        by_model = score(model, documents, *sliding(model))
        over_documents("the model", by_model, bytes_of, None, options.times)
        over_documents("the model minus the 5-gram", by_model, bytes_of, by_counts, options.times)
    print("\n| shares of 100 prompts each | this |\n| --- | ---: |")
    over_shares(options.times)


if __name__ == "__main__":
    main()
