"""How reliable a server is and what it takes for itself: each measurement on a server of its own, with a model of yours.

- `cpu`: CPU time of the server, without the engine, for each token of sixteen streams
- `start`: from the start to ready, and the memory of a server that has no model
- `soak`: how the memory of server and engine grows over 5,000 requests of many kinds, after 500 to warm up
- `leave`: how long a client's slot stays taken after it has left
- `engine`: `kill -9` of the engine under load: what fails, what hangs, and how soon it answers again
- `server`: `kill -9` of the server while files come in: what was acknowledged is there, and how soon it is back
- `prefix`: time to the first token of a prompt of 512 tokens, cold and read before
- `same`: whether sixteen streams are the texts that the library writes

    python benchmarks/serving.py RUN [--only NAME] [--quantize int8]

The last line is all numbers as JSON. Targets are those that the project has set itself; clients run on the same machine.
"""

import argparse
import hashlib
import http.client
import itertools
import json
import os
import random
import signal
import socket
import statistics
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

from daedal.serving.load import load
from daedal.serving.memory import resident
from daedal.serving.probe import Trial, trial

STREAMS, TOKENS = 16, 128
WARM_UP, SOAK = 500, 5000
TIMES = 10
"""That something is killed."""
HANGS = 60.0
"""Seconds without an answer after which a request is taken to hang."""
TARGETS = {
    "cpu_us_per_token": 100, "start_seconds": 5, "idle_mb": 400, "soak_grown_mb": 20, "leave_streamed_max_ms": 200,
    "leave_whole_max_ms": 200, "engine_back_max_seconds": 5, "engine_hung": 0, "server_back_max_seconds": 5,
    "server_files_lost": 0, "prefix_ratio": 0.2, "same_different": 0,
}  # fmt: skip
Numbers = dict[str, float]


class Client:
    """Requests to a server's model, each over a connection of its own."""

    def __init__(self, server: Trial, run: Path) -> None:
        self.server, self.model = server, run.name
        self.host = urllib.parse.urlsplit(server.url).netloc
        self.vocab, self.context = _size(run)

    def ask(
        self, path: str, body: Any = None, method: str = "POST", kind: str = "application/json"
    ) -> tuple[int, bytes]:
        """Status and body of an answer; 0 where the connection was cut or the server is away."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
        with closing(http.client.HTTPConnection(self.host, timeout=HANGS)) as connection:
            try:
                connection.request(method, path, content, {"content-type": kind})
                answer = connection.getresponse()
                return answer.status, answer.read()
            except TimeoutError:
                raise
            except (OSError, http.client.HTTPException):
                return 0, b""

    def ids(self, count: int, seed: int) -> list[int]:
        """A prompt of chance."""
        chance = random.Random(seed)
        return [chance.randrange(self.vocab // 4, self.vocab) for _ in range(count)]

    def completion(self, seed: int, prompt: int = 16, **fields: Any) -> dict[str, Any]:
        asked = {"model": self.model, "prompt": self.ids(prompt, seed), "max_tokens": 16, "temperature": 0}
        return {**asked, **fields}

    def first_token(self, body: dict[str, Any]) -> tuple[float, int]:
        """Seconds until the first token of a stream, and how many tokens of its prompt were known."""
        body = {**body, "stream": True, "stream_options": {"include_usage": True}}
        with closing(http.client.HTTPConnection(self.host, timeout=HANGS)) as connection:
            began = time.perf_counter()
            connection.request("POST", "/v1/completions", json.dumps(body), {"content-type": "application/json"})
            answer = connection.getresponse()
            answer.readline()
            seconds = time.perf_counter() - began
            usages = [line[6:] for line in answer.read().splitlines() if b'"usage":{' in line]
        return seconds, json.loads(usages[-1])["usage"]["prompt_tokens_details"]["cached_tokens"]

    def running(self) -> float:
        """Texts that are being written."""
        with urllib.request.urlopen(f"{self.server.url}/metrics", timeout=HANGS) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("daedal_requests_running{"))


def _size(run: Path) -> tuple[int, int]:
    config = json.loads((run / "config.json").read_text())
    return config["vocab_size"], config.get("max_position_embeddings") or config["n_positions"]


def _cpu(pid: int) -> float:
    """Seconds of CPU time that a process has used."""
    values = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(values[11]) + int(values[12])) / os.sysconf("SC_CLK_TCK")


# -- measurements ------------------------------------------------------------------------------------------------------


def cpu(run: Path, options: list[str]) -> Numbers:
    with trial([str(run), *options]) as server:
        client = Client(server, run)
        prompts = [client.ids(16, seed) for seed in range(STREAMS * 4)]
        load(server.url, client.model, prompts, STREAMS, TOKENS, rounds=1)
        before = _cpu(server.pid)
        records = load(server.url, client.model, prompts, STREAMS, TOKENS, rounds=4)
        # Each call of `load` warms up with eight tokens a stream
        tokens = sum(record["tokens"] for record in records) + 8 * STREAMS
        return {"cpu_us_per_token": 1e6 * (_cpu(server.pid) - before) / tokens, "cpu_tokens": tokens}


def start(run: Path, options: list[str]) -> Numbers:
    seconds = []
    for _ in range(3):
        with trial([str(run), *options]) as server:
            seconds.append(server.seconds)
    with tempfile.TemporaryDirectory() as empty, trial(["--models", empty]) as server:
        urllib.request.urlopen(f"{server.url}/v1/models").read()
        memory, alone = server.memory(), server.seconds
    return {"start_seconds": statistics.median(seconds), "start_without_model_seconds": alone, "idle_mb": memory / 1e6}


def soak(run: Path, options: list[str]) -> Numbers:
    with trial([str(run), *options]) as server, ThreadPoolExecutor(STREAMS) as pool:
        client, numbers = Client(server, run), itertools.count()
        form = _form(b"some text")
        talk = {"model": client.model, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 4}
        kinds: list[Callable[[int], tuple[str, Any, str]]] = [
            lambda n: ("/v1/completions", client.completion(n, max_tokens=4), ""),
            lambda n: ("/v1/completions", client.completion(n, max_tokens=4, stream=True, logprobs=2), ""),
            lambda n: ("/v1/chat/completions", {**talk, "seed": n}, ""),
            lambda n: (
                "/v1/chat/completions",
                {**talk, "stream": True, "response_format": {"type": "json_object"}},
                "",
            ),
            lambda n: ("/v1/embeddings", {"model": client.model, "input": f"text {n}"}, ""),
            lambda n: ("/tokenize", {"model": client.model, "prompt": f"text {n}"}, ""),
            lambda n: ("/v1/responses", {"model": client.model, "input": f"text {n}", "max_output_tokens": 4}, ""),
            lambda n: ("/v1/completions", client.completion(n, temperature=-1), ""),
            lambda n: (f"/no/such/route/{n}", {}, ""),
            lambda n: ("/v1/files", form, "multipart/form-data; boundary=x"),
        ]

        def one(_: int) -> int:
            number = next(numbers)
            path, body, kind = kinds[number % len(kinds)](number)
            return client.ask(path, body, kind=kind or "application/json")[0]

        list(pool.map(one, range(WARM_UP)))
        pids = [server.pid, *server.engines()]
        before, began = [resident(pid) for pid in pids], time.perf_counter()
        statuses = Counter(pool.map(one, range(SOAK)))
        grown = [(resident(pid) - old) / 1e6 for pid, old in zip(pids, before, strict=True)]
        assert not [status for status in statuses if status >= 500 or status == 0], statuses
        return {
            "soak_grown_mb": sum(grown),
            "soak_grown_server_mb": grown[0],
            "soak_grown_engine_mb": sum(grown[1:]),
            "soak_requests_per_second": SOAK / (time.perf_counter() - began),
        }


def leave(run: Path, options: list[str]) -> Numbers:
    found: Numbers = {}
    with trial([str(run), *options]) as server:
        client = Client(server, run)
        for name, fields in (("streamed", {"stream": True}), ("whole", {})):
            seconds = []
            for number in range(TIMES):
                body = client.completion(number, 16, max_tokens=client.context - 16, logit_bias={"0": -100}, **fields)
                content = json.dumps(body).encode()
                head = f"POST /v1/completions HTTP/1.1\r\nhost: {client.host}\r\ncontent-type: application/json\r\n"
                host, _, port = client.host.partition(":")
                with socket.create_connection((host, int(port))) as connection:
                    connection.sendall(head.encode() + b"content-length: %d\r\n\r\n" % len(content) + content)
                    while not client.running():
                        time.sleep(0.005)
                left = time.perf_counter()
                while client.running():
                    pass
                seconds.append(1000 * (time.perf_counter() - left))
            found |= {f"leave_{name}_ms": statistics.median(seconds), f"leave_{name}_max_ms": max(seconds)}
    return found


def engine(run: Path, options: list[str]) -> Numbers:
    with trial([str(run), *options]) as server:
        client, counts, ended, chance = Client(server, run), Counter[str](), threading.Event(), random.Random(0)

        def keep_asking(place: int) -> None:
            for number in itertools.count():
                if ended.is_set():
                    return
                body = client.completion(place * 10**6 + number, max_tokens=64, stream=place % 2 == 0)
                try:
                    status, answer = client.ask("/v1/completions", body)
                except TimeoutError:
                    counts["hung"] += 1
                    continue
                crashed = b'"engine_crashed"' in answer
                whole = status == 200 and (not body["stream"] or answer.endswith(b"data: [DONE]\n\n"))
                counts["crashed" if crashed else "answered" if whole else "other"] += 1
                if crashed:
                    time.sleep(0.1)

        threads = [threading.Thread(target=keep_asking, args=(place,)) for place in range(STREAMS)]
        for thread in threads:
            thread.start()
        back = []
        for number in range(TIMES):
            time.sleep(1 + chance.random())
            (pid,) = server.engines()
            os.kill(pid, signal.SIGKILL)
            killed = time.perf_counter()
            while client.ask("/v1/completions", client.completion(-number, max_tokens=1))[0] != 200:
                time.sleep(0.02)
            back.append(time.perf_counter() - killed)
        ended.set()
        for thread in threads:
            thread.join()
    return {
        "engine_failed": counts["crashed"],
        "engine_other": counts["other"],
        "engine_answered": counts["answered"],
        "engine_hung": counts["hung"],
        "engine_back_seconds": statistics.median(back),
        "engine_back_max_seconds": max(back),
    }


def server(run: Path, options: list[str]) -> Numbers:
    kept: dict[str, str] = {}
    back, chance = [], random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / "state"
        for _ in range(TIMES):
            with trial([str(run), *options], state=state) as running:
                back.append(running.seconds)
                client, before = Client(running, run), len(kept)
                threads = [threading.Thread(target=_keep_sending, args=(client, kept)) for _ in range(4)]
                for thread in threads:
                    thread.start()
                while len(kept) < before + 20:
                    time.sleep(0.01)
                time.sleep(chance.random() / 4)
                os.kill(running.pid, signal.SIGKILL)
                for thread in threads:
                    thread.join()
        with trial([str(run), *options], state=state) as running:
            back.append(running.seconds)
            client = Client(running, run)
            lost = sum(
                hashlib.sha256(client.ask(f"/v1/files/{id}/content", method="GET")[1]).hexdigest() != hash
                for id, hash in kept.items()
            )
    return {
        "server_files": len(kept),
        "server_files_lost": lost,
        "server_back_seconds": statistics.median(back[1:]),
        "server_back_max_seconds": max(back[1:]),
    }


def _keep_sending(client: Client, kept: dict[str, str]) -> None:
    while True:
        data = os.urandom(random.randrange(1, 200_000))
        status, answer = client.ask("/v1/files", _form(data), kind="multipart/form-data; boundary=x")
        if status != 200:
            return
        kept[json.loads(answer)["id"]] = hashlib.sha256(data).hexdigest()


def _form(data: bytes) -> bytes:
    purpose = b'--x\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nuser_data\r\n'
    file = b'--x\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n'
    return purpose + file + data + b"\r\n--x--\r\n"


def prefix(run: Path, options: list[str]) -> Numbers:
    with trial([str(run), *options]) as server:
        client, cold, warm = Client(server, run), [], []
        client.first_token(client.completion(-1, 512, max_tokens=2))
        for number in range(7):
            body = client.completion(number, 512, max_tokens=2)
            cold.append(client.first_token(body)[0])
            seconds, known = client.first_token(body)
            warm.append(seconds)
    first, again = statistics.median(cold), statistics.median(warm)
    return {
        "prefix_cold_ms": 1e3 * first,
        "prefix_ms": 1e3 * again,
        "prefix_ratio": again / first,
        "prefix_tokens": known,
    }


def same(run: Path, options: list[str]) -> Numbers:
    from daedal.inference.generator import Generator

    quantize: Any = options[1] if options else None
    writer = Generator.open(run, quantize=quantize)
    with trial([str(run), *options]) as server, ThreadPoolExecutor(STREAMS) as pool:
        client = Client(server, run)
        texts = [writer.codec.decode(client.ids(16, seed)) for seed in range(STREAMS)]

        def streamed(text: str) -> str:
            body = client.completion(0, prompt=1, max_tokens=64, stream=True) | {"prompt": text}
            lines = client.ask("/v1/completions", body)[1].splitlines()
            events = [json.loads(line[6:]) for line in lines if line.startswith(b"data: {")]
            return "".join(event["choices"][0]["text"] for event in events)

        over = list(pool.map(streamed, texts))
    alone = [writer.generate(text, temperature=0, max_tokens=64)[0].text for text in texts]
    return {"same_texts": STREAMS, "same_different": sum(a != b for a, b in zip(over, alone, strict=True))}


MEASUREMENTS = (cpu, start, soak, leave, engine, server, prefix, same)


def _rows(found: Numbers) -> Iterator[str]:
    for name, value in found.items():
        target = TARGETS.get(name)
        verdict = "" if target is None else f"{target:>10} {'met' if value <= target else 'MISSED'}"
        yield f"{name:<30}{value:>12.4g}{verdict}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--only", choices=[measurement.__name__ for measurement in MEASUREMENTS])
    parser.add_argument("--quantize")
    given = parser.parse_args()
    options = ["--quantize", given.quantize] if given.quantize else []
    found: Numbers = {}
    print(f"{'':<30}{'measured':>12}{'target':>10}")
    for measurement in MEASUREMENTS:
        if given.only in (None, measurement.__name__):
            numbers = measurement(given.run.resolve(), options)
            print("\n".join(_rows(numbers)), flush=True)
            found |= numbers
    print(json.dumps({name: round(value, 4) for name, value in found.items()}))


if __name__ == "__main__":
    main()
