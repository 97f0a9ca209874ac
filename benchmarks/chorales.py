"""JSB chorales, canonical split: `daedal train music` beside a GPT-2 of Transformers, for the same seconds on the same tokens.

    python benchmarks/chorales.py PATH/TO/jsb-chorales-quarter.json [--seconds 900] [--seeds 0 1 2] [--threads 1]

- The peer has the size of a small Music Transformer (Huang et al. 2018: 6 layers of width 256, 8 heads), absolute positions as
  GPT-2 has, dropout 0.1, AdamW; and what people do for chorales: windows of 64 steps, transposed by up to six semitones.
- Ours is `daedal.train` with nothing set but the budget, the seed and the threads; its time is the whole call.
- Both are measured on all 77 test chorales: nats a step, ends not counted, every code with at least half a window before it.
  From the literature: RNN-NADE 5.56, RNN-RBM 6.27 (Boulanger-Lewandowski et al. 2012, arXiv:1206.6392).

CPU seconds of both are told beside the nats; run it on an idle machine.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import daedal
from daedal.codecs.tune_codec import TuneCodec
from daedal.data.tune_windows import Changes, TuneWindows
from daedal.training.tune_likelihood import code_log_likelihoods
from row_peers import train

STEPS, BATCH, RATE = 64, 8, 5e-4


def peer(data: Any, seconds: float, seed: int) -> dict[str, float]:
    """Train the peer and measure it."""
    from transformers import GPT2Config, GPT2LMHeadModel

    codec = TuneCodec.load(data.folder)
    windows = {
        name: TuneWindows(data.split(name).ragged("tune"), codec, STEPS * codec.layout.voices)
        for name in ("train", "test")
    }
    torch.manual_seed(seed)
    shape = {"n_embd": 256, "n_layer": 6, "n_head": 8, "n_positions": windows["train"].width}
    model = GPT2LMHeadModel(GPT2Config(vocab_size=codec.vocab_size, bos_token_id=None, eos_token_id=None, **shape))

    def batches() -> Any:
        first = 0
        while True:
            inputs, targets = windows["train"].batch(first, BATCH, seed, Changes(transpose=6))
            yield {"input_ids": torch.from_numpy(inputs), "labels": torch.from_numpy(targets)}
            first += BATCH

    class Judged(torch.nn.Module):
        """What `code_log_likelihoods` asks of a model."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def token_log_likelihoods(self, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
            logs = self.model(inputs).logits.double().log_softmax(-1)
            return logs.gather(2, targets.clamp_min(0)[..., None])[..., 0] * (targets >= 0)

    begun = time.process_time()
    steps = train(_Shifted(model), batches(), seconds, RATE, lambda found: found)
    cpu = time.process_time() - begun
    return {"nats": nats_per_step(Judged().eval(), windows["test"], codec), "cpu": cpu, "steps": steps}


class _Shifted(torch.nn.Module):
    """A model of Transformers, which shifts labels itself, with labels that are shifted already."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        logits = self.model(input_ids).logits
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-100)


def nats_per_step(model: Any, windows: TuneWindows, codec: TuneCodec) -> float:
    """Over all steps of a split."""
    found = code_log_likelihoods(model, windows)
    return -sum(float(nats[:-1].sum()) for nats in found) * codec.layout.voices / sum(len(nats) - 1 for nats in found)


def ours(data: Any, seconds: float, seed: int, threads: int, out: Path) -> dict[str, float]:
    """`daedal.train` within a budget, measured in the same way."""
    begun = time.process_time()
    daedal.train("music", data=data.folder, out=out, budget=seconds, seed=seed, threads=threads)
    cpu = time.process_time() - begun
    opened = daedal.load(out)
    length = opened.model.config.context - opened.codec.opening + 1
    windows = TuneWindows(data.split("test").ragged("tune"), opened.codec, length)
    return {"nats": nats_per_step(opened.model, windows, opened.codec), "cpu": cpu}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("chorales", type=Path)
    parser.add_argument("--seconds", type=float, default=900.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    with tempfile.TemporaryDirectory() as folder:
        data = daedal.build_data([asked.chorales], Path(folder) / "data")
        found: dict[str, list[dict[str, float]]] = {"ours": [], "gpt2": []}
        for seed in asked.seeds:
            found["gpt2"].append(peer(data, asked.seconds, seed))
            print(json.dumps({"gpt2": found["gpt2"][-1], "seed": seed}), flush=True)
            found["ours"].append(ours(data, asked.seconds, seed, asked.threads, Path(folder) / f"run-{seed}"))
            print(json.dumps({"ours": found["ours"][-1], "seed": seed}), flush=True)
        for name, runs in found.items():
            nats = [run["nats"] for run in runs]
            spread = f" +- {np.std(nats, ddof=1):.3f}" if len(nats) > 1 else ""
            print(f"{name}: {statistics.mean(nats):.3f}{spread} nats a step, {runs[0]['cpu']:.0f} CPU s")


if __name__ == "__main__":
    main()
