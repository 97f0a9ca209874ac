"""A server of models of sounds, tunes and films (media_worker.py), in a thread or in a process of its own."""

import sys
from pathlib import Path
from typing import Any

from daedal.serving.server import serve
from daedal.serving.settings import Settings
from daedal.serving.supervisor import Command

WORKER = Path(__file__).with_name("media_worker.py")
SCRIPTED = Path(__file__).with_name("scripted_worker.py")


def command(folder: Path) -> Command:
    def made(name: str, where: str) -> list[str]:
        script = [str(SCRIPTED)] if name == "chat" else [str(WORKER), name, str(folder / "journal")]
        return [sys.executable, "-S", *script]

    return made


def settings(folder: Path, *names: str, **more: Any) -> Settings:
    return Settings(**{"data": folder / "data", "models": dict.fromkeys(names, "."), "port": 0, **more})


if __name__ == "__main__":
    serve(settings(Path(sys.argv[1]), "film"), lambda url: print(url, flush=True), command(Path(sys.argv[1])))
