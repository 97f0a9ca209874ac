"""SST-2 from nothing: our classifier beside a BERT of Transformers of the same shape, trained for the same seconds.

    python benchmarks/sentiment.py PATH/TO/sst2 --text TEXT... [--seconds 600] [--seeds 5] [--out FOLDER]

Each fills in what is hidden of the text for three quarters of the time, with the same tokenizer, once; then learns the
labels of the train split alone in the last quarter, from each seed anew. The peer has the best of three learning rates,
by the dev split and the first seed. Accuracy is on the 1,821 test sentences; beside it the majority and naive-Bayes-
weighted word bigrams with a linear model.
"""

import argparse
import copy
import json
import math
import time
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import torch

import daedal
import row_peers
from daedal.data import open_data
from daedal.data.passages import Passages
from daedal.evaluation.predictors.bigram_classifier import BigramClassifier

SHARE = 0.75


def rows_of(tokenizer: Any, texts: list[str], longest: int) -> list[list[int]]:
    return [list(map(int, row)) for row in tokenizer(texts, truncation=True, max_length=longest)["input_ids"]]


def peer_pretrained(home: Path, run: Path, seconds: float, rate: float) -> Any:
    """Transformers' ModernBERT of the shape and with the tokenizer of a run of ours, that has learned to fill in."""
    from transformers import AutoConfig, AutoModelForMaskedLM, AutoTokenizer

    torch.manual_seed(0)
    torch.set_num_threads(1)
    tokenizer, config = AutoTokenizer.from_pretrained(str(run)), AutoConfig.from_pretrained(str(run))
    pieces = Passages(open_data(home / "text").split("train"), config.max_position_embeddings - 2)
    rows = [[tokenizer.cls_token_id, *pieces[at].tolist(), tokenizer.sep_token_id] for at in range(len(pieces))]
    batch = max(1, round(2048 / (sum(map(len, rows)) / len(rows))))
    masked = AutoModelForMaskedLM.from_config(config)
    row_peers.train(masked, row_peers.masked_batches(rows, tokenizer, batch, 0), seconds, rate)
    return masked


def peer(home: Path, run: Path, masked: Any, seconds: float, rate: float, seed: int) -> dict[str, float]:
    """Its accuracy by split once it has learned the labels."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    torch.manual_seed(seed)
    tokenizer, config = AutoTokenizer.from_pretrained(str(run)), copy.deepcopy(masked.config)
    config.num_labels, longest = 2, config.max_position_embeddings
    model = AutoModelForSequenceClassification.from_config(config)
    base = model.base_model_prefix
    getattr(model, base).load_state_dict(getattr(masked, base).state_dict())
    data, read, truth = open_data(home / "sst2"), {}, {}
    for name in ("train", "validation", "test"):
        split = data.split(name)
        read[name], truth[name] = rows_of(tokenizer, split.values("text"), longest), split.target("label")
    pad = int(tokenizer.pad_token_id)
    row_peers.train(model, row_peers.labelled_batches(read["train"], truth["train"], pad, 32, seed), seconds, rate)
    return {
        name: float((row_peers.classified(model, read[name], pad) == truth[name]).mean())
        for name in ("validation", "test")
    }


def ours(home: Path, bert: Path, seconds: float, seed: int) -> float:
    run = home / f"ours-{seed}"
    if not (run / "evaluation.json").exists():
        daedal.train(
            "classifier", data=home / "sst2", out=run, init=str(bert), budget=f"{seconds:.0f}s", seed=seed, threads=1
        )
    data, model = open_data(home / "sst2"), daedal.load(run)
    names, split = data.classes("label"), data.split("test")
    said = [each.label for each in model.classify(split.values("text"))]
    return float(np.mean([names[int(label)] == one for label, one in zip(split.target("label"), said, strict=True)]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--text", type=Path, nargs="+", required=True)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("sentiment"))
    parser.add_argument("--set", nargs="*", default=[], help="values of our plan, as width=128")
    asked = parser.parse_args()
    home: Path = asked.out
    home.mkdir(parents=True, exist_ok=True)
    options = {name: json.loads(value) for name, _, value in (each.partition("=") for each in asked.set)}
    text = {"document": "line", "codec": "bpe", "vocab_size": 8192, "kind": "text"}
    daedal.build_data([*asked.text], home / "text", **text)
    daedal.build_data([asked.data], home / "sst2", codec="bpe", vocab_size=8192)
    data = open_data(home / "sst2")
    (train, labels), (test, truth) = (
        (data.split(name).values("text"), data.split(name).target("label")) for name in ("train", "test")
    )
    results: dict[str, list[float]] = {"majority": [float(max(np.bincount(truth)) / len(truth))]}
    bigrams = BigramClassifier.fit(train, np.eye(2, dtype=bool)[labels])
    results["naive-Bayes bigrams"] = [float((bigrams.scores(test).argmax(1) == truth).mean())]
    first, last = SHARE * asked.seconds, (1 - SHARE) * asked.seconds
    bert = home / "bert"
    if not (bert / "evaluation.json").exists():
        daedal.train("bert", data=home / "text", out=bert, budget=f"{first:.0f}s", threads=1, **options)
    results["daedal"] = [ours(home, bert, last, seed) for seed in range(asked.seeds)]
    print(results, flush=True)
    masked = peer_pretrained(home, bert, first, 2e-3)
    rates = {rate: peer(home, bert, masked, last, rate, 0) for rate in (1e-4, 3e-4, 1e-3)}
    best = max(rates, key=lambda rate: rates[rate]["validation"])
    results[f"transformers (learning rate {best:g})"] = [rates[best]["test"]] + [
        peer(home, bert, masked, last, best, seed)["test"] for seed in range(1, asked.seeds)
    ]
    for name, values in results.items():
        spread = f" +- {stdev(values):.4f} over {len(values)} seeds" if len(values) > 1 else ""
        error = 1.96 * math.sqrt(mean(values) * (1 - mean(values)) / len(truth))
        print(f"{name:40} {mean(values):.4f} (+- {error:.4f} by the sentences){spread}")
    (home / "result.json").write_text(
        json.dumps({"seconds": asked.seconds, "results": results, "when": time.time()}, indent=1)
    )


if __name__ == "__main__":
    main()
