"""A worker that says of sounds, tunes and clips what it is told to: what `daedal.serving` reads and writes, without a model.

Its folder's name says what it is: voice, mute (knows no speakers), ears, composer or film. A prompt may hold:

    slow                half a second before each word, or each tenth of a clip
    crash               and then the process dies
    fail                refused by the model
"""

import argparse
import base64
import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

INFO: dict[str, dict[str, Any]] = {
    "voice": {"kind": "speech", "can": ["speak"], "speakers": ["ada", "bob"], "rate": 8000, "options": ["steps"]},
    "mute": {"kind": "speech", "can": ["speak"], "speakers": [], "rate": 8000, "options": []},
    "ears": {"kind": "transcripts", "can": ["transcribe"], "rate": 8000},
    "composer": {"kind": "music", "can": ["compose"]},
    "film": {
        "kind": "videos",
        "can": ["film"],
        "size": [32, 32],
        "frames": 16,
        "conditions": "caption",
        "options": ["guidance"],
    },
}


def sent(data: bytes) -> str:
    return base64.b64encode(data).decode()


def events(command: dict[str, Any], cancelled: set[int]) -> Iterator[dict[str, Any]]:
    """What is answered to one command."""
    prompt = command.get("prompt") or ""
    if "fail" in prompt:
        yield {"event": "error", "status": 400, "message": "Never learned", "param": "prompt", "code": "invalid_value"}
        return
    match command["op"]:
        case "stats":
            yield {"event": "result", "running": 0, "waiting": 0, "cache_tokens": 0}
        case "speak":
            for word in prompt.split():
                if "slow" in prompt:
                    time.sleep(0.5)
                if command["id"] in cancelled:
                    return
                if word == "crash":
                    os._exit(3)
                yield {"event": "sound", "seconds": 0.5, "data": sent(f"{word} ".encode())}
            told = {name: command[name] for name in ("speaker", "seed", "format", "stream")}
            yield {"event": "done", "data": sent(json.dumps(told).encode())}
        case "transcribe":
            heard = base64.b64decode(command["audio"], validate=True).decode()
            words = [{"text": word, "start": at, "end": at + 0.5} for at, word in enumerate(heard.split())]
            told = {"text": heard, "words": words, "label": None, "probabilities": {}, "speaker": "ada", "speakers": {}}
            yield {"event": "result", "seconds": 3.0, "transcript": {**told, "seconds": 3.0}}
        case "compose":
            for number in range(command["n"]):
                record = {
                    "number": number,
                    "asked": {key: command[key] for key in ("said", "continue", "bars", "seconds")},
                }
                yield {
                    "event": "tune",
                    "seconds": 1.0,
                    "data": sent(b"MThd" + command["format"].encode()),
                    "record": record,
                }
            yield {"event": "done"}
        case "check_film":
            frames = 16 if command["seconds"] is None else round(8 * command["seconds"])
            settled = {"frames": frames, "fps": 8.0, "scale": 2, "picture": command["picture"]}
            yield {"event": "result", **settled, "unknown": [word for word in prompt.split() if word == "zebra"]}
        case "film":
            for tenth in range(10):
                if command["id"] in cancelled:
                    return
                yield {"event": "progress", "done": tenth / 10}
                time.sleep(0.5 if "slow" in prompt else 0)
            if "crash" in prompt:
                os._exit(3)
            video = {"type": "video/mp4", "data": sent(json.dumps({**command, "id": 0}).encode())}
            shown = {"type": "image/png", "data": sent(b"PNG")}
            yield {
                "event": "result",
                "seconds": 2.0,
                "contents": {"video": video, "thumbnail": shown, "spritesheet": shown},
            }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("journal")
    given = parser.parse_args()
    lock, cancelled = threading.Lock(), set[int]()

    def say(event: dict[str, Any]) -> None:
        with lock:
            sys.stdout.write(json.dumps(event) + "\n")
            sys.stdout.flush()

    def answer(command: dict[str, Any]) -> None:
        for event in events(command, cancelled):
            say({"id": command["id"], **event})

    say({"event": "ready", "info": {**INFO[given.name], "fingerprint": "0" * 20, "parameters": 1}})
    for line in sys.stdin:
        command = json.loads(line)
        with open(given.journal, "a") as file:
            file.write(f"{command['op']} {command.get('target', command.get('id', ''))}\n")
        if command["op"] == "cancel":
            cancelled.add(command["target"])
        else:
            threading.Thread(target=answer, args=(command,), daemon=True).start()


if __name__ == "__main__":
    main()
