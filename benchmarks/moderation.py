"""What moderation costs a server: tokens a second, time to the first token, and how long text is held back.

    python benchmarks/moderation.py RUN TEXT [--classifier RUN] [--streams 1 16] [--tokens 200] [--rounds 3]

Says how many characters rules read in a second of CPU, of the file TEXT, and how far they hold back a stream of it. Then serves
RUN with nothing, with the built-in rules, and with the rules and the classifier; asks for texts as streams; and reads what the
server's own metrics say of the time that pieces were held.
"""

import argparse
import contextlib
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from daedal.safety.moderation.rules import BUILTIN, CategoryRules, Rules, RuleStream


@contextlib.contextmanager
def served(run: Path, options: list[str]) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "daedal", "serve", run, "--port", str(port), "--data", folder, *options]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        url = f"http://127.0.0.1:{port}"
        try:
            while True:
                with contextlib.suppress(httpx.HTTPError):
                    if httpx.get(f"{url}/ready").status_code == 200:
                        break
                time.sleep(0.2)
            yield url
        finally:
            process.terminate()
            process.wait()


def stream(url: str, model: str, tokens: int, seed: int) -> tuple[float, float]:
    """Seconds to the first piece, and to the end."""
    asked = {
        "model": model, "prompt": "The", "max_tokens": tokens, "stream": True, "seed": seed, "temperature": 1.0,
        "min_tokens": tokens,
    }  # fmt: skip
    began, first = time.perf_counter(), 0.0
    with httpx.stream("POST", f"{url}/v1/completions", json=asked, timeout=300) as answer:
        for line in answer.iter_lines():
            if line.startswith("data: {") and not first:
                first = time.perf_counter() - began
    return first, time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("text", type=Path)
    parser.add_argument("--classifier", type=Path)
    parser.add_argument("--map", default="")
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--tokens", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    text = asked.text.read_text(encoding="utf-8")[: 2**20]
    words = tuple(f"madeupword{number}" for number in range(10_000))
    for name, rules in (
        ("built-in rules", Rules.read(BUILTIN)),
        ("10,000 words", Rules({"words": CategoryRules(words=words)})),
    ):
        began = time.process_time()
        found = len(rules.find(text))
        speed = len(text) / (time.process_time() - began) / 1e6
        print(f"{name}: {speed:.2f} million characters a second and core, {found} found in {len(text):,}")
        events = [text[place : place + 4] for place in range(0, 4 * 4000, 4)]
        stream = RuleStream(rules)
        began = time.process_time()
        late = [4 * (number + 1) - stream.read(piece)[1] for number, piece in enumerate(events)]
        each = (time.process_time() - began) / len(events)
        print(
            f"  as a stream: {1e6 * each:.0f} microseconds a token of 4 characters; held back: "
            f"{statistics.mean(late):.1f} characters on average, {max(late)} at most"
        )
    ways = {"nothing": [], "rules": ["--moderation-rules", "builtin"]}
    if asked.classifier is not None:
        told = ["--moderation-map", asked.map] if asked.map else []
        # a threshold that nothing reaches: what is measured is the judging
        ways["rules and classifier"] = [
            *ways["rules"], "--moderation", str(asked.classifier), *told, "--moderation-threshold", "1",
        ]  # fmt: skip
    for name, options in ways.items():
        with served(asked.run, options) as url:
            model = asked.run.resolve().name
            stream(url, model, asked.tokens, 0)
            for count in asked.streams:
                firsts, speeds = [], []
                for each in range(asked.rounds):
                    began = time.perf_counter()
                    with ThreadPoolExecutor(count) as pool:
                        seeds = range(1 + each * count, 1 + (each + 1) * count)
                        told_of = list(pool.map(stream, [url] * count, [model] * count, [asked.tokens] * count, seeds))
                    speeds.append(count * asked.tokens / (time.perf_counter() - began))
                    firsts += [first for first, _ in told_of]
                print(
                    f"{name}, {count} streams: {statistics.median(speeds):.0f} tokens/s "
                    f"({min(speeds):.0f} to {max(speeds):.0f}), first piece after {1e3 * statistics.median(firsts):.0f} ms"
                )
            metrics = httpx.get(f"{url}/metrics").text
            for of in ("held", "time"):
                buckets = re.findall(rf'daedal_moderation_{of}_seconds_bucket{{le="([^"]+)"}} (\S+)', metrics)
                total = float(buckets[-1][1]) if buckets else 0.0
                if total:
                    shares = {most: float(count) / total for most, count in buckets}
                    reached = next(most for most, share in shares.items() if share >= 0.99)
                    half = next(most for most, share in shares.items() if share >= 0.5)
                    print(f"  {of}: {total:.0f} times; half within {half} s, 99 % within {reached} s")


if __name__ == "__main__":
    main()
