"""What the documentation shows runs: every bash and python block of README.md and docs/, in order, in an empty folder.

A block that begins with `daedal serve` serves, on a free port, until the page ends.
A block after the comment `<!-- not run: REASON -->` is skipped. Trainings are shortened as `QUICKER` says: to steps, which a
busy machine takes too, small networks and few scenes; and only the README builds all of Python's documentation. Nothing else
is changed. Output is shown in ```text blocks, which are not
compared: it holds times.
"""

import os
import re
import shlex
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from daedal.serving.probe import trial
from warm_python import python, started_warm

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^(?P<skip><!-- not run: [^\n]+ -->\n+)?```(?P<kind>bash|python)\n(?P<code>.*?)^```$", re.M | re.S)
LINK = re.compile(r"\[[^\]]+\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)")

QUICKER = {
    r"^(daedal (?:train|align) .*)--budget \w+": r"\1--steps 4",
    r"^(daedal train .*)--steps \d\d+": r"\1--steps 4",
    r'(daedal\.train\(.*)budget="\w+"': r"\1steps=4",
    r"^(daedal train (?:flow|text-to-image --prior flow) (?!.*--features).*)": r"\1 --features 16 --batch 8",
    r"^(daedal data build scenes:)\d{4,}": r"\g<1>300",
    r"^(daedal evaluate (?!.*--limit).*--task .*)": r"\1 --limit 20",
    r"^(daedal prompt search .*)--calls \d+": r"\1--calls 150",
}


class Block(NamedTuple):
    """A piece of a page that can be run."""

    page: Path
    line: int
    kind: str
    code: str


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(page, text.count("\n", 0, match.start("code")) + 1, match["kind"], match["code"])
        for match in FENCE.finditer(text)
        if not match["skip"]
    ]


RUNNABLE = [page for page in PAGES if blocks(page)]


def path() -> str:
    """Where commands are looked for."""
    return os.pathsep.join((str(Path(python()).parent), str(Path(sys.executable).parent), os.environ["PATH"]))


@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", RUNNABLE, ids=lambda page: page.name)
def test_what_a_page_shows_runs(page: Path, tmp_path: Path) -> None:
    with ExitStack() as servers:
        _run(page, tmp_path, servers)


def _run(page: Path, tmp_path: Path, servers: ExitStack) -> None:
    address = "http://127.0.0.1:8000"
    for block in blocks(page):
        code = block.code.replace("http://127.0.0.1:8000", address)
        if code.startswith("daedal serve"):
            arguments = code.splitlines()[0].partition("#")[0].split()[2:]
            with started_warm():
                address = servers.enter_context(trial(arguments, tmp_path)).url
            continue
        if page.name != "README.md":
            code = code.replace("daedal data build python-docs", f"daedal data build {ROOT}/src/daedal/data")
            code = code.replace("daedal data build python-code", f"daedal data build {ROOT}/src/daedal/codecs")
        for long, short in QUICKER.items():
            code = re.sub(long, short, code, flags=re.M)
        command = ["bash", "-euo", "pipefail", "-c", code if block.kind == "bash" else f"python -c {shlex.quote(code)}"]
        result = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, env={**os.environ, "PATH": path()}, timeout=600
        )
        assert result.returncode == 0, f"{page.name}, line {block.line}:\n{code}\n{result.stdout}\n{result.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    missing = [link for link in LINK.findall(page.read_text(encoding="utf-8")) if not (page.parent / link).exists()]
    assert missing == []
