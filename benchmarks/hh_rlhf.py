"""hh-rlhf's harmless pairs: our reward model beside TRL's, from the same GPT in the same seconds, and beside what lengths and
words tell.

    python benchmarks/hh_rlhf.py PATH/TO/harmless-base [--init RUN] [--seconds 300] [--seeds 3] [--out FOLDER]

The first 2,000 pairs are learned from (some of them are the validation split), and the last 312 are the test: an interval of
5.5 points either way. `--init` is a run of `daedal train gpt` or `daedal train chat`; without it both begin from random
weights of one shape. TRL's RewardTrainer has the best of three learning rates, by the validation pairs and the first seed, in
float32 on as many threads; it is left out where TRL is not installed.
"""

import argparse
import gzip
import importlib.util
import json
import tempfile
import time
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import torch

import daedal
from daedal.data import open_data
from daedal.evaluation.means import wilson

TRAINED = 2000
RATES = (1e-4, 3e-4, 1e-3)


def split(source: Path, home: Path) -> Path:
    """The rows of the test file, in its order, as two files."""
    lines = [
        line
        for path in sorted(source.glob("*.jsonl.gz"))
        for line in gzip.decompress(path.read_bytes()).decode().splitlines()
    ]
    folder = home / "rows"
    folder.mkdir(parents=True, exist_ok=True)
    for name, part in (("train", lines[:TRAINED]), ("test", lines[TRAINED:])):
        (folder / f"{name}.jsonl").write_text("\n".join(part) + "\n", encoding="utf-8")
    return folder


def ours(home: Path, init: str | None, seconds: float, seed: int, threads: int) -> Path:
    run = home / f"ours-{seed}"
    if not (run / "evaluation.json").exists():
        daedal.train(
            "reward", data=home / "data", out=run, init=init, budget=f"{seconds:.0f}s", seed=seed, threads=threads
        )
    return run


def right(chosen: Any, rejected: Any) -> float:
    """Accuracy, a tie being half right."""
    return float(((1 + np.sign(np.subtract(chosen, rejected))) / 2).mean())


def peer(run: Path, init: str | None, data: Any, seconds: float, rate: float, seed: int) -> dict[str, float]:
    """Accuracies of TRL's reward model on the validation and the test pairs, with the tokenizer and template of ours."""
    from datasets import Dataset
    from transformers import (
        AutoConfig,
        AutoModelForCausalLM,
        AutoModelForSequenceClassification,
        AutoTokenizer,
        TrainerCallback,
    )
    from trl import RewardConfig, RewardTrainer

    torch.manual_seed(seed)
    tokenizer, config = AutoTokenizer.from_pretrained(run), AutoConfig.from_pretrained(run)
    if tokenizer.chat_template is None:
        from daedal.codecs.chat import PLAIN

        tokenizer.chat_template = PLAIN
    model = AutoModelForSequenceClassification.from_config(config)
    if init is not None:
        model.model.load_state_dict(AutoModelForCausalLM.from_pretrained(init, dtype=torch.float32).model.state_dict())

    def rows(name: str) -> Any:
        held = data.split(name)
        pairs = zip(held.values("chosen"), held.values("rejected"), strict=True)
        return Dataset.from_list([{"chosen": a["messages"], "rejected": b["messages"]} for a, b in pairs])

    class Stop(TrainerCallback):  # type: ignore[misc]
        """Ends training when its time is used; the learning rate does not fall, as TRL does not know when that will be."""

        def on_train_begin(self, *given: Any, **named: Any) -> None:
            self.begun = time.perf_counter()

        def on_step_end(self, args: Any, state: Any, control: Any, **named: Any) -> None:
            control.should_training_stop = time.perf_counter() - self.begun >= seconds

    with tempfile.TemporaryDirectory() as out:
        how = RewardConfig(
            output_dir=out, learning_rate=rate, lr_scheduler_type="constant_with_warmup", warmup_steps=10, seed=seed,
            per_device_train_batch_size=16, num_train_epochs=10_000, max_length=min(1024, config.max_position_embeddings),
            use_cpu=True, bf16=False, report_to=[], logging_strategy="no", save_strategy="no", disable_tqdm=True,
            gradient_checkpointing=False, dataloader_pin_memory=False,
        )  # fmt: skip
        trainer = RewardTrainer(
            model=model, args=how, train_dataset=rows("train"), processing_class=tokenizer, callbacks=[Stop()]
        )
        trainer.train()
    steps = trainer.state.global_step
    model.save_pretrained(folder := run.parent / f"peer-{rate:g}-{seed}")
    tokenizer.save_pretrained(folder)
    judge = daedal.load(folder)  # which reads it to the same numbers
    found: dict[str, float] = {"steps": steps}
    for name in ("validation", "test"):
        held = data.split(name)
        found[name] = right(judge.reward(held.values("chosen")), judge.reward(held.values("rejected")))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--init")
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("hh-rlhf"))
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    home: Path = asked.out
    if not (home / "data").exists():
        daedal.build_data([split(asked.data, home)], home / "data", **({"tokenizer": asked.init} if asked.init else {}))
    data: Any = open_data(home / "data")
    results: dict[str, list[float]] = {}
    test = len(data.split("test"))
    for seed in range(asked.seeds):
        run = ours(home, asked.init, asked.seconds, seed, asked.threads)
        report = daedal.evaluate(run, home / "data", split="test")
        if not seed:
            print(report.summary(), flush=True)
            for each in report.baselines:
                results[each.name] = [each.measurements[0].value]
        results.setdefault("daedal", []).append(report.measured("preference-accuracy").value)
    if importlib.util.find_spec("trl") is not None:
        tried = {rate: peer(home / "ours-0", asked.init, data, asked.seconds, rate, 0) for rate in RATES}
        print(tried, flush=True)
        best = max(tried, key=lambda rate: tried[rate]["validation"])
        results[f"TRL (learning rate {best:g})"] = [tried[best]["test"]] + [
            peer(home / "ours-0", asked.init, data, asked.seconds, best, seed)["test"] for seed in range(1, asked.seeds)
        ]
    for name, values in sorted(results.items(), key=lambda each: -mean(each[1])):
        low, high = wilson(mean(values) * test, test) or (0.0, 1.0)
        spread = f", +- {stdev(values):.3f} over {len(values)} seeds" if len(values) > 1 else ""
        print(f"{name:32} {mean(values):.3f} [{low:.3f}, {high:.3f}]{spread}")
    (home / "result.json").write_text(json.dumps({"seconds": asked.seconds, "results": results}, indent=1))


if __name__ == "__main__":
    main()
