"""SST-2 from nothing: our classifier beside a BERT of Transformers of the same shape, trained for the same seconds.

    python benchmarks/sentiment.py PATH/TO/sst2 --text TEXT... [--seconds 600] [--seeds 5] [--out FOLDER]

Both first fill in what is hidden of the text for three quarters of the time, with the same tokenizer, then learn the labels of
the train split alone. The peer has the best of three learning rates, by the dev split and the first seed. Accuracy is on the
1,821 test sentences; beside it the majority and naive-Bayes-weighted word bigrams with a linear model.
"""

import argparse
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


def peer(home: Path, run: Path, seconds: float, rate: float, seed: int) -> dict[str, float]:
    """Transformers' ModernBERT of the shape and with the tokenizer of a run of ours."""
    from transformers import AutoConfig, AutoModelForMaskedLM, AutoModelForSequenceClassification, AutoTokenizer

    torch.manual_seed(seed)
    torch.set_num_threads(1)
    body = run / "training" / "bert"
    tokenizer, config = AutoTokenizer.from_pretrained(str(body)), AutoConfig.from_pretrained(str(body))
    text = open_data(home / "text")
    pieces = Passages(text.split("train"), config.max_position_embeddings - 2)
    rows = [[tokenizer.cls_token_id, *pieces[at].tolist(), tokenizer.sep_token_id] for at in range(len(pieces))]
    batch = max(1, round(2048 / (sum(map(len, rows)) / len(rows))))
    masked = AutoModelForMaskedLM.from_config(config)
    row_peers.train(masked, row_peers.masked_batches(rows, tokenizer, batch, seed), SHARE * seconds, 10 * rate)
    config.num_labels = 2
    model = AutoModelForSequenceClassification.from_config(config)
    base = model.base_model_prefix
    getattr(model, base).load_state_dict(getattr(masked, base).state_dict())
    data = open_data(home / "sst2")
    splits = {
        name: (data.split(name).values("text"), data.split(name).target("label"))
        for name in ("train", "validation", "test")
    }
    read = {name: rows_of(tokenizer, texts, config.max_position_embeddings) for name, (texts, _) in splits.items()}
    pad = int(tokenizer.pad_token_id)
    batches = row_peers.labelled_batches(read["train"], splits["train"][1], pad, 32, seed)
    row_peers.train(model, batches, (1 - SHARE) * seconds, rate)
    return {
        name: float((row_peers.classified(model, read[name], pad) == splits[name][1]).mean())
        for name in ("validation", "test")
    }


def ours(home: Path, run: Path, seconds: float, seed: int, options: dict[str, Any]) -> dict[str, float]:
    if not (run / "evaluation.json").exists():
        daedal.train(
            "classifier", data=home / "sst2", out=run, budget=f"{seconds:.0f}s", pretrain_data=str(home / "text"), seed=seed,
            threads=1, **options,
        )  # fmt: skip
    data, model = open_data(home / "sst2"), daedal.load(run)
    found = {}
    for name in ("validation", "test"):
        texts, labels = data.split(name).values("text"), data.split(name).target("label")
        names = data.classes("label")
        said = [each.label for each in model.classify(texts)]
        found[name] = float(np.mean([names[int(label)] == one for label, one in zip(labels, said, strict=True)]))
    return found


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
    results["daedal"] = [
        ours(home, home / f"ours-{seed}", asked.seconds, seed, options)["test"] for seed in range(asked.seeds)
    ]
    run = home / "ours-0"
    rates = {rate: peer(home, run, asked.seconds, rate, 0) for rate in (1e-4, 3e-4, 1e-3)}
    best = max(rates, key=lambda rate: rates[rate]["validation"])
    results[f"transformers (learning rate {best:g})"] = [rates[best]["test"]] + [
        peer(home, run, asked.seconds, best, seed)["test"] for seed in range(1, asked.seeds)
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
