"""The tiny Shakespeare race: nanoGPT's CPU recipe against `daedal train` in a tenth, a quarter and all of its time.

    python benchmarks/shakespeare_race.py PATH/TO/tinyshakespeare/input.txt [--seeds 0 1 2 3 4] [--threads 1] [--quick]

- The peer is nanoGPT's published recipe for a laptop (config/train_shakespeare_char.py with the README's CPU flags: 4 layers,
  4 heads, width 128, context 64, batch 12, 2000 steps, AdamW 1e-3 to 1e-4 by cosine, no dropout), written anew in plain
  PyTorch. Its time is that of its training loop alone.
- Ours is `daedal.train` with nothing set but the budget and the seed. Its time is the whole call: planning, training,
  evaluation and saving. The data folder is built once, before, as the peer's character table is.
- Both see the first 90 % of the characters and are measured on all of the other 111,540: nats per character, windows
  overlapping by half, so that every prediction has at least half a window before it.

Peer and ours alternate, seed by seed, with the same number of threads.
"""

import argparse
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CONTEXT, BATCH, LAYERS, HEADS, WIDTH = 64, 12, 4, 4, 128


def peer(text: str, steps: int, seed: int) -> dict[str, float]:
    """Train nanoGPT's recipe and measure it."""
    import torch
    import torch.nn.functional as F
    from torch import nn

    class Norm(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(WIDTH))

        def forward(self, x):
            return F.layer_norm(x, (WIDTH,), self.weight, None, 1e-5)

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm1, self.norm2 = Norm(), Norm()
            self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH, bias=False), nn.Linear(WIDTH, WIDTH, bias=False)
            self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH, bias=False), nn.Linear(4 * WIDTH, WIDTH, bias=False)

        def forward(self, x):
            batch, time_, _ = x.shape
            heads = (
                part.view(batch, time_, HEADS, -1).transpose(1, 2) for part in self.qkv(self.norm1(x)).split(WIDTH, 2)
            )
            mixed = F.scaled_dot_product_attention(*heads, is_causal=True)
            x = x + self.out(mixed.transpose(1, 2).contiguous().view(batch, time_, WIDTH))
            return x + self.down(F.gelu(self.up(self.norm2(x))))

    class Network(nn.Module):
        def __init__(self, vocabulary: int) -> None:
            super().__init__()
            self.tokens, self.positions = nn.Embedding(vocabulary, WIDTH), nn.Embedding(CONTEXT, WIDTH)
            self.blocks, self.norm = nn.ModuleList(Block() for _ in range(LAYERS)), Norm()
            self.head = nn.Linear(WIDTH, vocabulary, bias=False)
            self.tokens.weight = self.head.weight
            for name, parameter in self.named_parameters():
                if parameter.ndim == 2:
                    residual = name.endswith(("out.weight", "down.weight"))
                    nn.init.normal_(parameter, 0.0, 0.02 / math.sqrt(2 * LAYERS) if residual else 0.02)

        def forward(self, ids):
            x = self.tokens(ids) + self.positions(torch.arange(ids.shape[1]))
            for block in self.blocks:
                x = block(x)
            return self.head(self.norm(x))

    characters = sorted(set(text))
    index = {character: number for number, character in enumerate(characters)}
    data = torch.tensor([index[character] for character in text])
    train, validation = data[: int(0.9 * len(data))], data[int(0.9 * len(data)) :]
    torch.manual_seed(seed)
    network = Network(len(characters))
    matrices = [p for p in network.parameters() if p.ndim == 2]
    gains = [p for p in network.parameters() if p.ndim == 1]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": gains, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.99))
    start = time.perf_counter()
    for step in range(steps):
        warm, share = 100, (step - 100) / max(1, steps - 100)
        rate = 1e-3 * (step + 1) / (warm + 1) if step < warm else 1e-4 + 0.45e-3 * (1 + math.cos(math.pi * share))
        for group in optimizer.param_groups:
            group["lr"] = rate
        begins = torch.randint(len(train) - CONTEXT, (BATCH,))
        inputs = torch.stack([train[i : i + CONTEXT] for i in begins])
        targets = torch.stack([train[i + 1 : i + 1 + CONTEXT] for i in begins])
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(network(inputs).flatten(0, 1), targets.flatten()).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
    seconds = time.perf_counter() - start
    network.eval()
    total, half, done = 0.0, CONTEXT // 2, 0
    starts = [*range(0, len(validation) - 1 - CONTEXT, half), len(validation) - 1 - CONTEXT]
    with torch.no_grad():
        for begin in range(0, len(starts), 256):
            chunk = starts[begin : begin + 256]
            rows = validation[torch.tensor(chunk)[:, None] + torch.arange(CONTEXT + 1)]
            nats = F.cross_entropy(network(rows[:, :-1]).transpose(1, 2), rows[:, 1:], reduction="none")
            for row, first in zip(nats, chunk, strict=True):
                total += row[done - first :].sum().item()
                done = first + CONTEXT
    return {"seconds": seconds, "nats_per_character": total / (len(validation) - 1)}


def ours(data: str, budget: float, seed: int) -> dict[str, float]:
    """`daedal.train` within a budget, and what its evaluation says."""
    import daedal

    folder = tempfile.mkdtemp()
    try:
        start = time.perf_counter()
        daedal.train("gpt", data=data, out=Path(folder) / "run", budget=budget, seed=seed)
        seconds = time.perf_counter() - start
        report = json.loads((Path(folder) / "run" / "evaluation.json").read_text())
        plan = json.loads((Path(folder) / "run" / "training" / "plan.json").read_text())
        found = [m for m in report["measurements"] if m["name"] == "nats per character"]
        shape = {name: plan[name] for name in ("width", "depth", "context", "batch", "vocab_size", "optimizer")}
        return {"seconds": seconds, "nats_per_character": found[0]["value"], **shape}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def alone(threads: int, *arguments: object) -> dict[str, float]:
    """Run this file's `--one` in a process of its own, with so many threads."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, __file__, "--one", *map(str, arguments)]
    out = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(out.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--quick", action="store_true", help="one seed, and the peer for 100 steps: only to see that it runs"
    )
    options = parser.parse_args()
    import daedal

    folder = Path(tempfile.mkdtemp())
    daedal.build_data([options.text], folder / "data", split=(0.9, 0.1, 0.0))
    steps = 100 if options.quick else 2000
    shares = {"tenth": 0.1, "quarter": 0.25, "whole": 1.0}
    rows: dict[str, list[dict[str, float]]] = {"peer": [], **{name: [] for name in shares}}
    for seed in options.seeds[: 1 if options.quick else None]:
        rows["peer"].append(alone(options.threads, "peer", options.text, steps, seed))
        seconds = max(rows["peer"][-1]["seconds"], 60.0 if options.quick else 0.0)
        for name, share in shares.items():
            rows[name].append(alone(options.threads, "ours", folder / "data", seconds * share, seed))
        for name, results in rows.items():
            print(f"seed {seed} {name:8} {json.dumps(results[-1])}", flush=True)
    shutil.rmtree(folder)
    peer_seconds = statistics.median(result["seconds"] for result in rows["peer"])
    for name, results in rows.items():
        losses, seconds = [r["nats_per_character"] for r in results], statistics.median(r["seconds"] for r in results)
        spread = statistics.stdev(losses) if len(losses) > 1 else 0.0
        told = f"{statistics.mean(losses):.4f} nats per character (s.d. {spread:.4f}, n={len(losses)})"
        print(f"{name:8} {told} in {seconds:.1f} s, {seconds / peer_seconds:.2f} of the peer's time")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        what, source, amount, seed = sys.argv[2:6]
        run = (
            peer(Path(source).read_text(), int(amount), int(seed))
            if what == "peer"
            else ours(source, float(amount), int(seed))
        )
        print(json.dumps(run))
    else:
        main()
