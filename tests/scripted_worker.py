"""A worker whose model says what it is told to: what `daedal.serving` reads and writes, without a model.

The last line of the prompt is the script:

    say TEXT            TEXT
    many NUMBER         so many words
    vary TEXT           TEXT and the number of the sample; the second sample is the most likely one
    cut TEXT            TEXT, and then the context is full
    command             the command itself, as JSON
    too long            refused: the context is too small
    fail TEXT           TEXT, and then an error of the engine
    crash TEXT          TEXT, and then the worker breaks down
    slow TEXT           TEXT, a tenth of a second between tokens

Anything else is answered with "ok". `\\n` in a script is a line break, and `\\-` is nothing. Tokens are words with the space
before them, or bytes.
"""

import base64
import json
import re
import struct
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

INFO: dict[str, Any] = {
    "kind": "text", "context": 200, "vocab_size": 5000, "width": 8, "parameters": 1000, "fingerprint": "0123456789abcdef0123",
    "quantize": None, "chat_template": "{{ messages }}", "tool_template": False, "codec": "bpe", "max_rows": 4,
    "can": ["generate", "embed", "tokenize", "classify", "rank"], "classes": ["plain", "toxic", "hate"], "problem": "several",
    "special_tokens": {"bos_token": None, "eos_token": "<|endoftext|>", "bos_token_id": None, "eos_token_id": 0},
}  # fmt: skip
_WORDS: dict[bytes, int] = {}


def ids_of(text: str) -> list[int]:
    """Token ids: bytes that are not ASCII alone, words whole."""
    pieces = re.findall(rb"[\x80-\xff]|\s?[^\s\x80-\xff]+|\s", text.encode())
    return [piece[0] if len(piece) == 1 else _WORDS.setdefault(piece, 256 + len(_WORDS)) for piece in pieces]


def spelling(id: int) -> bytes:
    if id < 256:
        return bytes([id])
    return next((piece for piece, known in _WORDS.items() if known == id), b"?")


def token(id: int, logprob: float | None, top: int) -> dict[str, Any]:
    likely = [
        [id, list(spelling(id)), logprob],
        *([other, [other], -3.0 - other / 100] for other in range(65, 65 + top)),
    ]
    return {
        "id": id,
        "bytes": list(spelling(id)),
        "logprob": logprob,
        "top": likely[:top] if logprob is not None else [],
    }


def written(prompt: dict[str, Any]) -> str:
    """The prompt as text."""
    if "messages" in prompt:
        return "\n".join(f"{turn['role']}: {turn['content']}" for turn in prompt["messages"])
    if "raw" in prompt:
        return prompt["raw"]
    return prompt["text"] if "text" in prompt else b"".join(map(spelling, prompt["ids"])).decode("utf-8", "replace")


def events(command: dict[str, Any], cancelled: set[int]) -> Iterator[dict[str, Any]]:
    """What a worker answers to one command."""
    op = command["op"]
    if op == "tokenize":
        ids = ids_of(written(command["prompt"]))
        names = [spelling(id).decode("utf-8", "replace") for id in ids]
        yield {"event": "result", "ids": ids, "pieces": names if command.get("pieces") else None}
    elif op == "detokenize":
        yield {"event": "result", "text": written({"ids": command["ids"]})}
    elif op == "embed":
        counts = [len(one.get("ids") or ids_of(one.get("text", ""))) for one in command["inputs"]]
        width = command["dimensions"] or INFO["width"]
        vectors = [struct.pack(f"<{width}f", *[count / 10] * width) for count in counts]
        yield {
            "event": "result",
            "vectors": [base64.b64encode(vector).decode() for vector in vectors],
            "tokens": counts,
        }
    elif op == "classify":
        yield {
            "event": "result",
            "found": [classified(one["text"]) for one in command["inputs"]],
            "tokens": [len(ids_of(one["text"])) for one in command["inputs"]],
        }
    elif op == "rank":
        asked = set(command["query"].split())
        yield {
            "event": "result",
            "scores": [float(len(asked & set(text.split()))) for text in command["documents"]],
            "tokens": [len(ids_of(text)) for text in (command["query"], *command["documents"])],
        }
    elif op == "stats":
        yield {"event": "result", "running": 0, "waiting": 0, "cache_tokens": 0}
    else:
        yield from generated(command, cancelled)


def classified(text: str) -> dict[str, Any]:
    """A text has the labels whose names are in it."""
    probs = [0.75 if name in text else 0.125 for name in INFO["classes"]]
    label = INFO["classes"][probs.index(max(probs))]
    has = [name for name in INFO["classes"] if name in text]
    return {"label": label, "probs": probs, "labels": has, "value": None, "cut": False}


def generated(command: dict[str, Any], cancelled: set[int]) -> Iterator[dict[str, Any]]:
    text, options = written(command["prompt"]), command["options"]
    ids = ids_of(text)
    script = re.sub(r"^\w+: ", "", text.rpartition("\n")[2])
    verb, _, said = script.partition(" ")
    said = said.replace("\\n", "\n").replace("\\-", "")
    if script == "too long" or len(ids) >= INFO["context"]:
        message = f"This model's maximum context length is {INFO['context']} tokens, and the prompt has {len(ids)}"
        yield {"event": "error", "status": 400, "message": message, "param": None, "code": "context_length_exceeded"}
        return
    if script == "command":
        said = json.dumps({name: value for name, value in command.items() if name != "id"})
    elif verb == "many":
        said = " ".join(["word"] * int(said))
    elif verb not in ("say", "vary", "cut", "fail", "crash", "slow"):
        said = "ok"
    yield {"event": "started", "prompt_tokens": len(ids), "cached_tokens": len(ids) // 2, "waited": 0.0}
    if command["echo"] is not None:
        echoed = [token(id, -0.5 if place else None, command["echo"]) for place, id in enumerate(ids)]
        yield {"event": "prompt", "tokens": echoed}
    for index in range(command["n"]):
        yield from sample(command, options, index, verb, f"{said}{index}" if verb == "vary" else said, cancelled)
    if verb == "fail":
        yield {"event": "error", "status": 500, "message": "It broke", "param": None, "code": "generation_failed"}
        return
    yield {"event": "done"}


def sample(
    command: dict[str, Any], options: dict[str, Any], index: int, verb: str, said: str, cancelled: set[int]
) -> Iterator[dict[str, Any]]:
    reason, stopped = ("context" if verb == "cut" else "stop"), None
    for stop in options.get("stop", ()):
        before, found, _ = said.partition(stop)
        said, stopped, reason = (before, stop, "stop") if found else (said, stopped, reason)
    ids = ids_of(said)
    if options.get("max_tokens") is not None and len(ids) > options.get("max_tokens"):
        ids, reason, stopped = ids[: options.get("max_tokens")], "length", None
    held = b""
    for id in ids:
        if command["id"] in cancelled:
            return
        if verb == "slow":
            time.sleep(0.1)
        held += spelling(id)
        told = held.decode("utf-8", "ignore") if not _partial(held) else ""
        held = held if not told else b""
        event: dict[str, Any] = {"event": "text", "index": index, "text": told, "count": 1}
        if options.get("logprobs") is not None:
            event["tokens"] = [token(id, -0.25 if index == 1 else -0.5, options.get("logprobs"))]
        yield event
    if verb == "crash":
        sys.exit(1)
    yield {"event": "finished", "index": index, "reason": reason, "stop": stopped, "tokens": len(ids)}


def _partial(spelling: bytes) -> bool:
    try:
        spelling.decode()
    except UnicodeDecodeError:
        return True
    return False


def main() -> None:
    """Read commands, write events: each command in a thread of its own, as an engine runs them together."""
    lock, cancelled = threading.Lock(), set[int]()

    def write(event: dict[str, Any]) -> None:
        with lock:
            sys.stdout.write(json.dumps(event) + "\n")
            sys.stdout.flush()

    def answer(command: dict[str, Any]) -> None:
        try:
            for event in events(command, cancelled):
                write({"id": command["id"], **event})
        except SystemExit:
            import os

            os._exit(1)

    write({"event": "ready", "info": INFO})
    for line in sys.stdin:
        command = json.loads(line)
        if command["op"] == "cancel":
            cancelled.add(command["target"])
        else:
            threading.Thread(target=answer, args=(command,), daemon=True).start()


if __name__ == "__main__":
    main()
