"""A worker that gives trouble: what `daedal.serving.process` must live with. It says what its prompt tells it to.

    count N MS          N tokens, MS milliseconds apart (0 unless given)
    flood N             N tokens of 2,000 letters, as fast as it can
    crash               one token, and then the process dies
    hang                one token, and then it takes no more commands
    garbage             one token, and then a line that is no event
    nonsense            one token, and then an event that is none

Options: `--journal FILE` (commands with their times), `--load SECONDS`, `--fail MESSAGE` (instead of being ready), `--rows N`.
"""

import argparse
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any


class Trouble:
    """The process."""

    def __init__(self, journal: Path | None, rows: int) -> None:
        self.journal, self.rows = journal, rows
        self.lock, self.cancelled, self.hung = threading.Lock(), set[int](), threading.Event()

    def note(self, what: str, id: Any) -> None:
        if self.journal is not None:
            with self.lock, self.journal.open("a") as file:
                file.write(f"{time.time()} {os.getpid()} {what} {id}\n")

    def say(self, event: dict[str, Any] | str) -> None:
        with self.lock:
            sys.stdout.write((event if isinstance(event, str) else json.dumps(event)) + "\n")
            sys.stdout.flush()

    def run(self) -> None:
        special = {"bos_token": None, "eos_token": "<|endoftext|>", "bos_token_id": None, "eos_token_id": 0}
        info = {
            "kind": "text", "context": 10**6, "vocab_size": 100, "width": 4, "parameters": 10, "fingerprint": "0" * 20,
            "codec": "bpe", "quantize": None, "chat_template": "{{ messages }}", "tool_template": False,
            "special_tokens": special, "max_rows": self.rows, "can": ["generate", "embed", "tokenize"],
        }  # fmt: skip
        self.say({"event": "ready", "info": info})
        while line := sys.stdin.readline():
            command = json.loads(line)
            self.note(command["op"], command.get("target", command.get("id")))
            if command["op"] == "cancel":
                self.cancelled.add(command["target"])
            elif command["op"] == "stats":
                self.say({"id": command["id"], "event": "result", "running": 1, "waiting": 2, "cache_tokens": 3})
            else:
                threading.Thread(
                    target=self.write, args=(command["id"], command["prompt"]["text"], command["n"]), daemon=True
                ).start()
            if self.hung.wait(0.05 if command.get("prompt") == {"text": "hang"} else 0):
                time.sleep(3600)

    def flood(self, id: int, count: int) -> None:
        line = json.dumps({"id": id, "event": "text", "index": 0, "text": "x" * 2000, "count": 1}) + "\n"
        for _ in range(0, count, 50):
            if id in self.cancelled:
                return
            self.say((line * 50)[:-1])
        self.say({"id": id, "event": "finished", "index": 0, "reason": "stop", "stop": None, "tokens": count})
        self.say({"id": id, "event": "done"})

    def write(self, id: int, prompt: str, texts: int) -> None:
        self.say({"id": id, "event": "started", "prompt_tokens": 3, "cached_tokens": 1, "waited": 0.0})
        verb, count, pause, *_ = [*prompt.split(), "1", "0"]
        if verb == "flood":
            self.flood(id, int(count))
            return
        written = int(count) if verb == "count" else 1
        for number in range(written):
            if id in self.cancelled:
                return
            for index in range(texts):
                self.say({"id": id, "event": "text", "index": index, "text": f" {number}", "count": 1})
            if float(pause):
                time.sleep(float(pause) / 1000)
        if verb == "crash":
            os._exit(3)
        if verb == "hang":
            self.hung.set()
            return
        if verb == "garbage":
            self.say("Loading weights: 100%")
        if verb == "nonsense":
            self.say({"event": "text"})
        for index in range(texts):
            self.say({"id": id, "event": "finished", "index": index, "reason": "stop", "stop": None, "tokens": written})
        self.say({"id": id, "event": "done"})


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--journal", type=Path)
    parser.add_argument("--load", type=float, default=0.0)
    parser.add_argument("--fail")
    parser.add_argument("--rows", type=int, default=4)
    given = parser.parse_args()
    worker = Trouble(given.journal, given.rows)
    worker.note("start", 0)
    time.sleep(given.load)
    if given.fail:
        worker.say({"event": "failed", "message": given.fail})
    else:
        worker.run()


if __name__ == "__main__":
    main()
