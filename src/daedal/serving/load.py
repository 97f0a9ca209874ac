"""A load for any server that speaks OpenAI's `/v1/completions`: so many streams at once, and when each token came.

Plain sockets on one event loop, and nothing is parsed before the last token is there: the load takes little from the machine
that it measures. Every stream sends its own prompt over a connection of its own. A server may put several tokens in one event,
so tokens are counted by its `usage`, or are as many as were asked for where it tells none (an error where it stopped earlier).
"""

import asyncio
import itertools
import json
import statistics
import time
import urllib.parse
from collections.abc import Sequence
from typing import Any


async def _request(
    host: str, port: int, body: dict[str, Any], key: str | None
) -> tuple[float, list[tuple[float, bytes]]]:
    """Send one request; when it began, and the pieces of the answer with the time of each."""
    content = json.dumps(body).encode()
    reader, writer = await asyncio.open_connection(host, port)
    head = f"POST /v1/completions HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
    head += f"Content-Length: {len(content)}\r\nConnection: close\r\n"
    head += f"Authorization: Bearer {key}\r\n" if key else ""
    began = time.perf_counter()
    writer.write(head.encode() + b"\r\n" + content)
    pieces: list[tuple[float, bytes]] = []
    while piece := await reader.read(65536):
        pieces.append((time.perf_counter() - began, piece))
    writer.close()
    return began, pieces


def _events(pieces: list[tuple[float, bytes]]) -> list[tuple[float, dict[str, Any]]]:
    """The events of an answer, each with the time of the piece that completed it."""
    whole = b"".join(piece for _, piece in pieces)
    head, _, body = whole.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"the server answered {whole[:500].decode(errors='replace')}")
    # where each byte of the body came from: the times of the pieces, by their ends
    ends, total = [], -len(head) - 4
    for moment, piece in pieces:
        total += len(piece)
        ends.append((total, moment))
    chunked = b"transfer-encoding: chunked" in head.lower()
    events: list[tuple[float, dict[str, Any]]] = []
    text, place, at = b"", 0, 0
    while place < len(body):
        if chunked:
            begin = body.index(b"\r\n", place) + 2
            size = int(body[place : begin - 2], 16)
            text += body[begin : begin + size]
            place = begin + size + 2
        else:
            text, place = body, len(body)
        while at < len(ends) - 1 and ends[at][0] < min(place, len(body)):
            at += 1
        *complete, text = text.replace(b"\r\n", b"\n").split(b"\n\n")
        for event in complete:
            data = [line[5:].strip() for line in event.split(b"\n") if line.startswith(b"data:")]
            events += [(ends[at][1], json.loads(line)) for line in data if line != b"[DONE]"]
    return events


def _times(events: list[tuple[float, dict[str, Any]]], asked: int) -> tuple[list[float], int]:
    """When tokens came, and how many there were."""
    times, count, stopped = [], None, False
    for moment, event in events:
        if "error" in event:
            raise RuntimeError(f"the server answered {event}")
        if event.get("usage"):
            count = event["usage"]["completion_tokens"]
        choices = event.get("choices") or []
        if choices:
            times += [moment] if choices[0].get("text") or not choices[0].get("finish_reason") else []
            stopped = stopped or choices[0].get("finish_reason") == "stop"
    if count is None and stopped:
        raise RuntimeError("a stream ended before it had all tokens, and the server does not say how many")
    return times, asked if count is None else count


async def _round(host: str, port: int, bodies: list[dict[str, Any]], key: str | None) -> dict[str, float]:
    answers = await asyncio.gather(*(_request(host, port, body, key) for body in bodies))
    start = min(began for began, _ in answers)
    first, between, tokens, end = [], [], 0, 0.0
    for (began, pieces), body in zip(answers, bodies, strict=True):
        times, count = _times(_events(pieces), body["max_tokens"])
        first.append(times[0])
        between += [later - earlier for earlier, later in itertools.pairwise(times)]
        tokens += count
        end = max(end, began + times[-1])
    between = sorted(between) or [0.0]
    return {
        "tokens": tokens,
        "tokens_per_second": tokens / (end - start),
        "first_token_p50": statistics.median(first),
        "first_token_max": max(first),
        "between_p50": statistics.median(between),
        "between_p95": between[min(len(between) - 1, int(0.95 * len(between)))],
    }


def load(
    url: str,
    model: str,
    prompts: Sequence[str | list[int]],
    streams: int,
    tokens: int,
    rounds: int = 3,
    key: str | None = None,
    extra: dict[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """One record a round, after one that warms up.

    Args:
        prompts: no two requests of a measurement share one while there are enough.
        extra: more fields of the requests.
    """
    parts = urllib.parse.urlsplit(url)
    host, port = parts.hostname or "127.0.0.1", parts.port or 80
    body = {"model": model, "max_tokens": tokens, "temperature": 0, "stream": True}
    body |= {"stream_options": {"include_usage": True}, **(extra or {})}
    records = []
    for number in range(rounds + 1):
        chosen = [prompts[(number * streams + place) % len(prompts)] for place in range(streams)]
        bodies = [{**body, "prompt": prompt, "max_tokens": tokens if number else 8} for prompt in chosen]
        record = asyncio.run(_round(host, port, bodies, key))
        if number:
            records.append({"streams": streams, **record})
    return records


def middle(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The median of each number of some rounds."""
    numbers = [name for name, value in records[0].items() if isinstance(value, int | float)]
    return {name: type(records[0][name])(statistics.median(record[name] for record in records)) for name in numbers}
