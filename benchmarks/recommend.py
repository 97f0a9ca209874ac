"""A recommender beside SASRec's published recipe, and beside simple predictors: what people take next, among all items.

    daedal data build ml-latest-small --out films
    python benchmarks/recommend.py films --seconds 300 --seeds 1 2 3

Leave-one-out by time: all learn each training history but its last two items, are validated by the one before the last where
they keep the best state, and tell the last. Ours trains with one thread for so many seconds of the clock, all of planning,
validating, measuring and saving included; the others get the processor seconds that it took, for training alone. A gain is the
mean over seeds; intervals are bootstrapped over people, and those of differences are of the same people.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import daedal
from daedal.codecs.items import END
from daedal.data import open_data
from daedal.data.next_items import held, items_of, learned
from daedal.evaluation.bootstrap import bootstrap
from daedal.evaluation.examples.recommending import FIRST, found_of
from daedal.evaluation.kinds.histories import Cases
from daedal.evaluation.measures.ranks import discounted
from daedal.evaluation.predictors.item_counts import Popularity, Successors
from daedal.evaluation.predictors.item_neighbours import ItemNeighbours
from daedal.evaluation.predictors.matrix_factors import MatrixFactors
from sasrec_peer import TrainedSASRec

PEERS: dict[str, dict[str, Any]] = {
    "SASRec (as published for MovieLens)": {"loss": "bce", "maxlen": 200, "dropout": 0.2},
    "SASRec (as published for sparse data)": {"loss": "bce", "maxlen": 50, "dropout": 0.5},
    "SASRec with cross-entropy": {"loss": "ce", "maxlen": 50, "dropout": 0.5},
}


def places(cases: Cases, ask: Any) -> Any:
    def ranked(histories: Any) -> Any:
        scores = np.array(ask(histories), dtype=np.float64)
        scores[:, : END + 1] = -np.inf
        return scores

    return found_of(ranked, cases).places


def shown(values: Any) -> str:
    pieces = np.stack((values, np.ones_like(values)), 1)
    low, high = bootstrap(pieces, lambda sums: sums[:, 0] / sums[:, 1]) or (values.mean(), values.mean())
    return f"{values.mean():.4f} [{low:.4f}, {high:.4f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("data", type=Path, help="a data folder of histories")
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--set", nargs="*", default=[], help="values of our plan, as width=64")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--json", type=Path, help="where to write the gains of all people")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    data: Any = open_data(asked.data)
    vocab = data.codec("items").codec.vocab_size
    stored = [np.asarray(items_of(row)) for row in data.split("train").ragged("items")]
    histories = [learned(each, 2) for each in stored]
    test = Cases.of([pair for pair in (held(each, 1) for each in stored) if pair is not None], "test")
    validation = Cases.of([pair for pair in (held(each, 2) for each in stored) if pair is not None], "validation")
    assert test is not None
    assert validation is not None
    pairs = list(zip(validation.histories, validation.targets, strict=True))

    def gain(scores: Any) -> float:
        return float(discounted(places(validation, _Parts(scores)), FIRST).mean())

    found: dict[str, list[Any]] = {}
    values = {
        name: json.loads(value) if value[:1] in "0123456789" else value
        for name, _, value in (each.partition("=") for each in asked.set)
    }
    for seed in asked.seeds:
        with tempfile.TemporaryDirectory() as folder:
            began = time.process_time()
            daedal.train(
                "recommender",
                data=asked.data,
                out=Path(folder) / "run",
                budget=asked.seconds,
                seed=seed,
                threads=1,
                **values,
            )
            spent = time.process_time() - began
            model = daedal.load(Path(folder) / "run")
            name = f"ours ({model.model.parameter_count / 1e6:.2f} M weights)"
            found.setdefault(name, []).append(places(test, lambda some, model=model: model.logits(some).numpy()))
        print(
            f"seed {seed}: ours took {spent:.0f} processor seconds, NDCG {discounted(found[name][-1], FIRST).mean():.4f}",
            flush=True,
        )
        for peer, how in ({} if asked.no_peers else PEERS).items():
            trained = TrainedSASRec(histories, vocab, spent, pairs, gain, seed=seed, **how)
            found.setdefault(peer, []).append(places(test, trained.scores))
            print(
                f"seed {seed}: {peer}, {trained.steps} steps, best on validation {max(trained.told):.4f}, last "
                f"{trained.told[-1]:.4f}, NDCG {discounted(found[peer][-1], FIRST).mean():.4f}",
                flush=True,
            )
    simple = {
        "popularity": Popularity.fit(histories, vocab),
        "Markov chain": Successors.fit(histories, vocab),
        "item-kNN": ItemNeighbours.fit(histories, vocab),
        "iALS": MatrixFactors.fit(histories, vocab),
    }
    found |= {name: [places(test, predictor.scores)] for name, predictor in simple.items()}
    ours = next(iter(found))
    gains = {name: np.mean([discounted(each, FIRST) for each in many], 0) for name, many in found.items()}
    print(f"\n{len(test.targets)} people, {vocab - 2:,} items\n")
    print("| | NDCG@10 | HR@10 | MRR | NDCG of ours less this |\n| --- | --- | --- | --- | --- |")
    for name, many in found.items():
        hits, reciprocal = (np.mean([of(each) for each in many], 0) for of in (lambda p: p <= FIRST, lambda p: 1 / p))
        away = "" if name == ours else shown(gains[ours] - gains[name])
        print(f"| {name} | {shown(gains[name])} | {shown(hits * 1.0)} | {shown(reciprocal)} | {away} |")
    if asked.json is not None:
        asked.json.write_text(json.dumps({name: each.tolist() for name, each in gains.items()}))


class _Parts:
    """Scores that are there already, as they are asked for."""

    def __init__(self, scores: Any) -> None:
        self._scores, self._first = scores, 0

    def __call__(self, histories: Any) -> Any:
        self._first += len(histories)
        return self._scores[self._first - len(histories) : self._first]


if __name__ == "__main__":
    main()
