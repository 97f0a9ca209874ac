"""What filling in the middle costs and brings, on Python's own library: a GPT trained with --fim, the same trained from left to
right only, and a GPT-2 of Hugging Face Transformers with the same windows by the usual recipe (AdamW, cosine), each with as
many seconds of CPU time on one thread.

    daedal data build python-code --out DATA
    python benchmarks/fim.py DATA OUT [--seconds 300] [--arms left-to-right,fim,transformers] [--holes 512]

- the seconds are CPU time of training alone, so that what else the machine does matters little; a step is timed first
- all have about as many weights: width 128, 4 blocks, context 256, the data's own tokens
- left to right: bits per byte of the validation documents, as `daedal evaluate` measures them
- holes: lines of these documents without their indentation, the same for all; bits per byte, and the share that the likeliest
  tokens fill in exactly, by what a model reads: both sides, prefix first (psm) or suffix first (spm), or what stands before
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from daedal import api
from daedal.codecs.infilling import with_marks
from daedal.data.paths import paths_of
from daedal.data.shards import Dataset
from daedal.evaluation.documents import Documents
from daedal.evaluation.infilling import fill_lines, hole_nats, line_holes, longest, measurements, prompt
from daedal.evaluation.likelihood import evaluate_documents
from daedal.models.model import IGNORE
from daedal.training.infilling import InfillingWindows
from daedal.training.processes import processes
from daedal.training.run import RunFolder, claimed
from daedal.training.session import Session

SHAPE: dict[str, Any] = {
    "width": 128, "depth": 4, "heads": 4, "kv_heads": 4, "context": 256, "batch": 8, "micro_batch": 8, "threads": 1,
    "precision": "fp32", "compile": False, "seed": 0,
}  # fmt: skip
_TRIED = (5, 35)


def trained(data: Path, out: Path, steps: int, options: dict[str, Any]) -> float:
    """Train without measuring; gives the seconds of CPU time that it took."""
    began = time.process_time()
    with processes(torch.device("cpu")) as group, claimed(RunFolder(out), group, new=True):
        session = Session(group, lambda *_: (0.0, lambda run: ""), time.monotonic())
        chosen = {**SHAPE, **options, "steps": steps, "evaluate_every": 10**6, "sample_every": 10**6}
        session.begin("gpt", data, out, None, None, None, chosen)
    return time.process_time() - began


def ours(data: Path, out: Path, seconds: float, **options: Any) -> None:
    """Train for so many seconds of CPU time."""
    few, many = (trained(data, out / f"tried-{steps}", steps, options) for steps in _TRIED)
    step = (many - few) / (_TRIED[1] - _TRIED[0])  # what the two have in common is no step
    steps = max(20, int(seconds / step))
    took = trained(data, out / "run", steps, options)
    print(f"{out.name}: {steps:,} steps of {1000 * step:.1f} ms, {took:.0f} s of CPU time in all", flush=True)


def transformers(data: Path, out: Path, seconds: float) -> None:
    """The usual recipe: GPT-2, AdamW 1e-3 with a tenth of warm-up and a cosine, clipped at 1, the same windows."""
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    torch.set_num_threads(1)
    dataset = Dataset.open(data)
    codec, paths = with_marks(dataset.codec), paths_of(data, "train")
    windows = InfillingWindows(
        dataset.split("train"), SHAPE["context"], 0, codec, 0.5, lambda document: paths[document]
    )
    config = GPT2Config(
        vocab_size=codec.vocab_size, n_positions=SHAPE["context"], n_embd=SHAPE["width"], n_layer=SHAPE["depth"],
        n_head=SHAPE["heads"], resid_pdrop=0, embd_pdrop=0, attn_pdrop=0, bos_token_id=codec.eos_id, eos_token_id=codec.eos_id,
    )  # fmt: skip
    model = GPT2LMHeadModel(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1)
    began, step = time.process_time(), 0
    while (share := (time.process_time() - began) / seconds) < 1:
        rate = 1e-3 * min(1.0, share / 0.1 + 1e-3) * 0.5 * (1 + np.cos(np.pi * share))
        for group in optimizer.param_groups:
            group["lr"] = rate
        inputs, targets = map(torch.from_numpy, windows.batch(step * SHAPE["batch"], SHAPE["batch"]))
        logits = model(inputs).logits
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORE)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step += 1
    model.save_pretrained(out / "run")
    codec.save(out / "run")
    print(f"{out.name}: {step:,} steps", flush=True)


def measure(data: Path, run: Path, holes: int, orders: tuple[Any, ...]) -> dict[str, Any]:
    """Bits per byte of the validation documents, and how lines of them are filled in."""
    generator, dataset = api.load(run), Dataset.open(data)
    split = dataset.split("validation")
    documents = Documents.of_split(split, generator.codec)
    measured = evaluate_documents(generator.model, documents)
    found: dict[str, Any] = {
        "parameters": generator.model.parameter_count,
        "left to right, validation": measured.bits_per_byte.shown(),
    }
    drawn = line_holes(documents, holes, 0, longest(generator.model))
    for order in orders:
        rows = [prompt(generator.codec, hole, generator.model.config.context, order) for hole in drawn]
        nats, written = hole_nats(generator.model, generator.codec, rows), fill_lines(generator, rows)
        hits = np.array([said == hole.text for said, hole in zip(written, drawn, strict=True)], dtype=np.float64)
        exact, bits = measurements(drawn, hits, nats, {"order": order or "left-to-right"}, {})
        found[str(order or "left to right")] = {"exact": exact.shown(), "bits per byte": bits.shown()}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--arms", default="left-to-right,fim,transformers")
    parser.add_argument("--holes", type=int, default=512)
    asked = parser.parse_args()
    arms: dict[str, tuple[Callable[[Path], Any], tuple[Any, ...]]] = {
        "left-to-right": (lambda out: ours(asked.data, out, asked.seconds), (None,)),
        "fim": (lambda out: ours(asked.data, out, asked.seconds, fim=True), ("psm", "spm", None)),
        "transformers": (lambda out: transformers(asked.data, out, asked.seconds), ("psm", "spm", None)),
    }
    for name in asked.arms.split(","):
        train, orders = arms[name]
        (asked.out / name).mkdir(parents=True, exist_ok=True)
        train(asked.out / name)
        print(
            json.dumps({name: measure(asked.data, asked.out / name / "run", asked.holes, orders)}, indent=2), flush=True
        )


if __name__ == "__main__":
    main()
