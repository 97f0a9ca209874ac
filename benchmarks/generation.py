"""Tokens per second of generation, beside `transformers` `generate`, in one process and on the same weights.

GPT-2-shaped models of 6x384 and 12x768 with GPT-2's vocabulary and random weights; 32 prompt tokens, then 128 new ones, greedy,
nothing ends a text early; one stream and sixteen. The sides take turns, and each has the median of its rounds. Float32 on
both sides makes the first ratio; int8 weights against float32 is another ratio and is never mixed into it. That both sides
say the same tokens is checked in every round.

    python benchmarks/generation.py            # 10 minutes on an idle machine
    python benchmarks/generation.py --quick    # one minute, one small model: does it work
    python benchmarks/generation.py --run RUN --text FILE   # what fewer bits cost, for a model of yours
"""

import argparse
import json
import math
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F

from daedal.inference.engine import Engine
from daedal.inference.engine_request import Request, Row, Token
from daedal.inference.generator import Generator
from daedal.inference.onnx import OnnxNetwork
from daedal.inference.sampling import SamplingOptions
from daedal.models.autoregression import Network, TorchNetwork
from daedal.models.checkpoint import load_model
from daedal.models.gpt import GPT

SHAPES = {"6x384": (6, 384, 6), "12x768": (12, 768, 12)}
PROMPT = 32
Tokens = list[list[int]]


def ours(engine: Engine, prompts: Tokens, new: int) -> Tokens:
    options = SamplingOptions(temperature=0, max_tokens=new)
    said: dict[Row, list[int]] = {engine.submit(Request(prompt, options)): [] for prompt in prompts}
    while engine.busy:
        for event in engine.step():
            if isinstance(event, Token):
                said[event.row].append(event.id)
    return list(said.values())


def engine_of(network: Network, draft: Network | None = None) -> Engine:
    """Without what is known of earlier texts, and without guesses from the text itself: random weights repeat themselves."""
    return Engine(network, draft, prefixes=0, lookup=False)


def theirs(model, prompts: Tokens, new: int, **settings: str) -> Tokens:  # type: ignore[no-untyped-def]
    ids = torch.tensor(prompts)
    out = model.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=new, do_sample=False, pad_token_id=0, **settings
    )
    return out[:, PROMPT:].tolist()


def agreement(a: Tokens, b: Tokens) -> float:
    """The part of the tokens before the rows first differ."""
    same = [
        next((i for i, (x, y) in enumerate(zip(p, q, strict=True)) if x != y), len(p))
        for p, q in zip(a, b, strict=True)
    ]
    return sum(same) / sum(map(len, a))


def race(shape: str, streams: int, vocab: int, new: int, rounds: int) -> dict[str, object]:
    from transformers import GPT2Config, GPT2LMHeadModel

    depth, width, heads = SHAPES[shape]
    torch.manual_seed(0)
    config = GPT2Config(
        n_layer=depth,
        n_embd=width,
        n_head=heads,
        vocab_size=vocab,
        n_positions=1024,
        bos_token_id=None,
        eos_token_id=None,
    )
    peer = GPT2LMHeadModel(config).eval()
    with tempfile.TemporaryDirectory() as folder:
        peer.save_pretrained(folder)
        model = load_model(folder)
    assert isinstance(model, GPT)
    whole, small = OnnxNetwork(model), OnnxNetwork(model, 8)
    prompts = torch.randint(0, vocab, (streams, PROMPT)).tolist()
    exact, drafted, int8 = engine_of(whole), engine_of(whole, small), engine_of(small)
    plain = engine_of(TorchNetwork(model))
    sides: dict[str, Callable[[], Tokens]] = {
        "transformers fp32": lambda: theirs(peer, prompts, new),
        "transformers fp32, static cache": lambda: theirs(peer, prompts, new, cache_implementation="static"),
        "daedal fp32": lambda: ours(exact, prompts, new),
        "daedal fp32, int8 draft": lambda: ours(drafted, prompts, new),
        "daedal int8": lambda: ours(int8, prompts, new),
        "daedal fp32 in PyTorch": lambda: ours(plain, prompts, new),
    }
    if streams > 1:
        del sides["daedal fp32, int8 draft"]  # drafts are for a single stream
    speeds: dict[str, list[float]] = {name: [] for name in sides}
    agreements: dict[str, list[float]] = {name: [] for name in sides}
    for round in range(rounds + 1):
        said = {}
        for name, side in sides.items():
            started = time.perf_counter()
            said[name] = side()
            if round:  # the first warms up
                speeds[name].append(streams * new / (time.perf_counter() - started))
        for name, tokens in said.items():
            agreements[name].append(agreement(tokens, said["transformers fp32"]))
    medians = {name: statistics.median(values) for name, values in speeds.items()}
    best = max(value for name, value in medians.items() if name.startswith("transformers"))
    print(f"\n{shape}, vocabulary {vocab}, {streams} stream{'s' * (streams > 1)}: tokens/s, median of {rounds}")
    for name, median in medians.items():
        spread = f"{min(speeds[name]):.0f} to {max(speeds[name]):.0f}"
        ratio = "" if name.startswith("transformers") else f"{median / best:5.2f}x the better peer"
        print(f"  {name:32} {median:8.1f}  ({spread})  {min(agreements[name]):6.1%} same tokens  {ratio}", flush=True)
    return {
        "shape": shape, "vocab": vocab, "streams": streams, "tokens_per_second": medians, "all": speeds,
        "same_tokens": {name: min(values) for name, values in agreements.items()}, "bounds": bounds(model, streams),
    }  # fmt: skip


def bounds(model: GPT, streams: int) -> dict[str, float]:
    """What this machine allows in float32: reading every weight once for each step, or multiplying with each."""
    weights = sum(p.numel() for p in model.transformer.parameters() if p.ndim == 2) + model.head_weight.numel()
    memory = torch.ones(2**26)  # 256 MiB
    square = torch.ones(1024, 1024)
    read = memory.nbytes / _fastest(lambda: memory.sum())
    multiply = 2 * 1024**3 / _fastest(lambda: square @ square)
    by_memory, by_arithmetic = streams * read / (4 * weights), multiply / (2 * weights)
    print(
        f"  bounds in fp32: {by_memory:.0f} tokens/s by memory ({read / 1e9:.1f} GB/s), "
        f"{by_arithmetic:.0f} by arithmetic ({multiply / 1e9:.0f} GFLOP/s); int8 weights: {4 * by_memory:.0f} by memory"
    )
    return {"fp32_memory": by_memory, "fp32_arithmetic": by_arithmetic, "int8_memory": 4 * by_memory}


def _fastest(work: Callable[[], object]) -> float:
    times = []
    for _ in range(7):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def cost_of_quantizing(run: str, text: str) -> None:
    """Bits per byte of a text by a model with its own weights, with int8 and with int4 ones.

    The first half of each context is read as a prompt is, the second half is scored as what is written after it.
    """
    generator = Generator.open(run, device="cpu")
    model, codec = generator.model, generator.codec
    ids = codec.encode(Path(text).read_text(encoding="utf-8"))[:40_000]
    half = model.config.context // 2
    windows = torch.tensor(ids[: (len(ids) - 1) // half * half + 1]).unfold(0, 2 * half + 1, half)
    size = sum(len(codec.token_bytes(id)) for id in windows[:, half + 1 :].flatten().tolist())
    for bits in (32, 8, 4):
        network, nats = OnnxNetwork(model, bits), 0.0  # type: ignore[arg-type]
        for window in windows:
            cache = network.new_cache(1, 2 * half)
            network(window[None, :half], cache)
            logits = network(window[None, half:-1], cache, every=True)[0]
            nats += F.cross_entropy(logits, window[half + 1 :], reduction="sum").item()
        count = windows[:, half + 1 :].numel()
        print(f"{bits:2d} bits: {nats / math.log(2) / size:.4f} bits per byte on {count:,} tokens", flush=True)


def profile(shape: str, streams: int, vocab: int) -> None:
    """Where the time of a decoding step goes."""
    from daedal.models.gpt import GPTConfig

    depth, width, heads = SHAPES[shape]
    model = GPT(GPTConfig.of("gpt2", vocab_size=vocab, width=width, depth=depth, heads=heads, context=1024)).eval()
    prompts = torch.randint(0, vocab, (streams, PROMPT)).tolist()
    for name, engine in (("fp32", engine_of(OnnxNetwork(model))), ("int8", engine_of(OnnxNetwork(model, 8)))):
        ours(engine, prompts, 4)
        with torch.profiler.profile() as trace:
            ours(engine, prompts, 32)
        print(f"\n{shape}, {streams} streams, {name}")
        print(trace.key_averages().table(sort_by="self_cpu_time_total", row_limit=12, max_name_column_width=44))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--vocab", type=int, default=50257)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--profile", action="store_true", help="where our time goes, instead of the race")
    parser.add_argument(
        "--run", metavar="RUN", help="a model whose bits per byte with fewer bits are measured, on --text"
    )
    parser.add_argument("--text", metavar="FILE")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if given.run:
        if not given.text:
            parser.error("--run needs --text FILE")
        cost_of_quantizing(given.run, given.text)
        return
    shapes = ["6x384"] if given.quick else list(SHAPES)
    if given.profile:
        for shape in shapes:
            for streams in (1, 16):
                profile(shape, streams, given.vocab)
        return
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    print(f"{platform.processor() or platform.machine()}, {given.threads} threads, torch {torch.__version__}, "
          f"transformers {transformers.__version__}")  # fmt: skip
    new, rounds = (32, 2) if given.quick else (128, given.rounds)
    results = [race(shape, streams, given.vocab, new, rounds) for shape in shapes for streams in (1, 16)]
    if given.json:
        Path(given.json).write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
