"""How fast a server answers many at once, beside llama.cpp and `transformers serve`: same weights, same machine, one run.

Two models with random weights: 6x384 with 16k ids, and GPT-2's shape. Each stream sends its own prompt and gets so many new
tokens. `daedal` and `llama-server` draw them; the others take the likeliest, which is less work. The sides take turns, and
each has the median of its rounds.

- `daedal`, `transformers` (continuous batching, which is faster) and `llama-server`: over HTTP, streamed; `daedal.serving.load`
- `llama-node`: llama.cpp in one process, without a server, through its Node binding; `llama_cpp.mjs`
- `llama-bench`: llama.cpp's own `llama-batched-bench`, without sampling, text or a server: what its engine can do at most

    pip install 'daedal[bench]'
    npm install --prefix NODE node-llama-cpp
    git clone --depth 1 https://github.com/ggml-org/llama.cpp && cmake -G Ninja -B BUILD llama.cpp \\
        -DCMAKE_BUILD_TYPE=Release -DGGML_NATIVE=ON && ninja -C BUILD llama-server llama-batched-bench
    python benchmarks/serve_peers.py --node NODE --llama BUILD/bin --threads 1,2

llama.cpp is run at its best: flash attention, large batches, and threads that are bound to cores (unbound, they wait for each
other where anything else runs: its two threads were ten times slower than one). The Node binding cannot bind them and takes
its own time for each token. Float32 beside float32 and int8 beside Q8_0 make ratios; one beside the other does not. Each line
is one measurement, as JSON; the last is all of them. The load takes its part of the machine too.
"""

import argparse
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from daedal.codecs.text import TextCodec
from daedal.interop.export import export
from daedal.models.checkpoint import save_model
from daedal.models.gpt import GPT, GPTConfig
from daedal.serving.load import load, middle

SHAPES: dict[str, dict[str, Any]] = {
    "6x384": {"architecture": "qwen3", "vocab_size": 16384, "width": 384, "depth": 6, "heads": 6, "context": 1024},
    "12x768": {"architecture": "gpt2", "vocab_size": 50257, "width": 768, "depth": 12, "heads": 12, "context": 1024},
}
SIDES = (
    "daedal", "daedal-int8", "transformers", "llama-node-f32", "llama-node-q8_0", "llama-server-f32",
    "llama-server-q8_0", "llama-bench-f32", "llama-bench-q8_0",
)  # fmt: skip
DRAWN = {"temperature": 1, "seed": 0}
"""The likeliest tokens would repeat themselves, and ours would guess them."""
_BOUND = {"OMP_PROC_BIND": "true", "OMP_PLACES": "cores"}


def words(count: int) -> list[str]:
    """Words of letters, so many that a vocabulary of this size fills up."""
    letters = random.Random(0)
    return ["".join(letters.choices("abcdefghijklmnopqrstuvwxyz", k=letters.randint(4, 8))) for _ in range(count)]


def build(shape: str, folder: Path) -> tuple[Path, TextCodec]:
    """A run folder with random weights, none of them zero."""
    values = dict(SHAPES[shape])
    lexicon = words(values["vocab_size"] // 3)
    codec = TextCodec.train("bpe", [" ".join(lexicon)] * 4, values["vocab_size"])
    model = GPT(GPTConfig.of(values.pop("architecture"), **values))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.fill_(1.0)
            else:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * parameter.shape[-1] ** -0.5)
        silent = [id for id in range(model.config.vocab_size) if not codec.token_bytes(id)]
        model.embedding.weight[silent] = 0.0  # tokens without a text are never the likeliest
    save_model(model, folder, codec=codec)
    return folder, codec


def prompts(codec: TextCodec, length: int, count: int) -> list[str]:
    """Texts of exactly `length` tokens, no two alike."""
    chosen = random.Random(1)
    whole = [word for word in words(2000) if len(codec.encode(" " + word)) == 1]
    if len(whole) < 100:
        whole = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    texts = []
    while len(texts) < count:
        text = "".join(" " + chosen.choice(whole) for _ in range(length))
        if len(codec.encode(text)) == length:
            texts.append(text)
    return texts


@contextmanager
def server(command: Sequence[str], port: int, environment: dict[str, str], log: Path) -> Iterator[str]:
    """A server that runs while the block does; gives its address once it answers."""
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=os.environ | environment)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            if process.poll() is not None:
                raise RuntimeError(f"{command[0]} ended: {log.read_text()[-2000:]}")
            try:
                with urllib.request.urlopen(f"{url}/health", timeout=1):
                    break
            except OSError:
                time.sleep(0.2)
        yield url
    finally:
        process.terminate()
        process.wait(30)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def measure(side: str, run: Path, codec: TextCodec, threads: int, streams: int, given: argparse.Namespace) -> Any:
    """Some rounds of one side."""
    port, name, extra, bound = free_port(), str(run), {}, {}
    if side.startswith("llama"):
        _, kind, quantize = side.split("-")
        file = run.with_name(f"{run.name}-{quantize}.gguf")
        if not file.exists():
            export(run, file, quantize)
        if kind == "node":
            return _node(file, threads, streams, given)
        if kind == "bench":
            return [_bench(file, threads, streams, given) for _ in range(given.rounds)]
        command = _llama(given, "llama-server", file, threads, streams)
        command += ["--port", str(port), "-np", str(streams)]
        extra, bound = {"ignore_eos": True, **DRAWN, "top_k": 0, "top_p": 1, "min_p": 0}, _BOUND
    elif side == "transformers":
        command = [sys.executable, "-m", "transformers.cli.transformers", "serve", str(run), "--port", str(port)]
        command += ["--device", "cpu", "--host", "127.0.0.1", *given.transformers.split()]
    else:
        command = [sys.executable, "-m", "daedal", "serve", str(run), "--port", str(port)]
        command += ["--quantize", "int8"] if side == "daedal-int8" else []
        name, extra = run.name, {"min_tokens": given.tokens, **DRAWN}
    with server(command, port, {"OMP_NUM_THREADS": str(threads), **bound}, run.with_suffix(".log")) as url:
        texts = prompts(codec, given.prompt, streams * (given.rounds + 1))
        return load(url, name, texts, streams, given.tokens, given.rounds, extra=extra)


def _node(file: Path, threads: int, streams: int, given: argparse.Namespace) -> list[Any]:
    script = str(Path(__file__).with_name("llama_cpp.mjs"))
    values = {"threads": threads, "streams": streams, "prompt": given.prompt, "tokens": given.tokens}
    values |= {"rounds": given.rounds, "flash": "on", "batch": 2048}
    options = [text for key, value in values.items() for text in (f"--{key}", str(value))]
    ended = subprocess.run(["node", script, str(given.node), str(file), *options], capture_output=True, text=True)
    ended.check_returncode()
    return [json.loads(line) for line in ended.stdout.splitlines()]


def _bench(file: Path, threads: int, streams: int, given: argparse.Namespace) -> dict[str, Any]:
    command = _llama(given, "llama-batched-bench", file, threads, streams)
    command += ["-npp", str(given.prompt), "-ntg", str(given.tokens), "-npl", str(streams), "--output-format", "jsonl"]
    environment = os.environ | _BOUND | {"OMP_NUM_THREADS": str(threads)}
    out = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
    (found,) = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    tokens = streams * given.tokens
    return {
        "streams": streams,
        "tokens": tokens,
        "tokens_per_second": tokens / found["t"],
        "decode_tokens_per_second": found["speed_tg"],
        "first_token_p50": found["t_pp"],
        "first_token_max": found["t_pp"],
    }


def _llama(given: argparse.Namespace, program: str, file: Path, threads: int, streams: int) -> list[str]:
    room = str(streams * (given.prompt + given.tokens + 64))
    sizes = ["-c", room, "-b", "2048", "-ub", "2048", "-fa", "on", "-t", str(threads), "-tb", str(threads)]
    return [str(given.llama / program), "-m", str(file), *sizes]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", default=",".join(SHAPES))
    parser.add_argument("--sides", default=",".join(SIDES))
    parser.add_argument("--node", type=Path, help="the folder that has node-llama-cpp")
    parser.add_argument("--llama", type=Path, help="the folder that has llama-server and llama-batched-bench")
    parser.add_argument("--transformers", default="--continuous-batching", help="options of `transformers serve`")
    parser.add_argument("--threads", default="1")
    parser.add_argument("--streams", default="1,4,16")
    parser.add_argument("--prompt", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--turns", type=int, default=1, help="how often each side has its turn")
    given = parser.parse_args()
    results: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for shape in given.shapes.split(","):
            run, codec = build(shape, Path(folder) / shape)
            for threads, streams in [
                (int(t), int(s)) for t in given.threads.split(",") for s in given.streams.split(",")
            ]:
                rounds: dict[str, list[Any]] = {side: [] for side in given.sides.split(",")}
                for _ in range(given.turns):
                    for side, records in rounds.items():
                        records += measure(side, run, codec, threads, streams, given)
                for side, records in rounds.items():
                    speeds = [round(record["tokens_per_second"], 1) for record in records]
                    results.append({"shape": shape, "side": side, **middle(records), "threads": threads, "all": speeds})
                    print(json.dumps(results[-1]), flush=True)
    print(json.dumps({"results": results}))


if __name__ == "__main__":
    main()
