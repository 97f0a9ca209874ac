"""One model's process as the server sees it: what becomes of calls and counts when it ends, loads or is only looked at."""

import asyncio
import os
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from daedal.serving.errors import ApiError
from daedal.serving.process import ModelProcess

WORKER = """
import json, os, sys, time
from pathlib import Path

def say(said):
    sys.stdout.write(said)
    sys.stdout.flush()

marks = Path(sys.argv[1])
marks.write_text(marks.read_text() + "+" if marks.exists() else "+")
if "fails-later" in sys.argv and len(marks.read_text()) > 1:
    time.sleep(0.3)
    say('{"event": "failed", "message": "no"}\\n')
    sys.exit(2)
say('{"event": "ready", "info": {"max_rows": 1}}\\n')
for line in sys.stdin:
    command = json.loads(line)
    id, op = command["id"], command["op"]
    if op == "die":
        say('{"id": %d, "event": "image", "png": "%s' % (id, "A" * command["bytes"]))
        os.kill(os.getpid(), 9)
    if op == "end slowly":
        os.close(1)
        time.sleep(0.5)
        os._exit(1)
    if op == "work":
        time.sleep(command["seconds"])
    say(json.dumps({"id": id, "event": "result" if op != "work" else "done"}) + "\\n")
"""


def process(folder: Path, *options: str, waiting: int = 4) -> ModelProcess:
    return ModelProcess("m", [sys.executable, "-S", "-c", WORKER, str(folder / "marks"), *options], waiting)


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 20))


async def carry_out(model: ModelProcess, op: str, **fields: Any) -> None:
    async for _ in model.run(op, "me", **fields):
        pass


@pytest.mark.parametrize("size", [0, 100, 70_000, 200_000])
def test_one_that_dies_in_the_middle_of_a_line_is_back(tmp_path: Path, size: int) -> None:
    async def work() -> None:
        model = process(tmp_path)
        await model.load()
        for _ in range(3):  # whether its end or its last words come first is a matter of luck
            with pytest.raises(ApiError, match="crashed"):
                await carry_out(model, "die", bytes=size)
            await model.load()
            await carry_out(model, "work", seconds=0)
        assert model.crashes == 3
        await model.stop()

    run(work())


def test_a_call_while_a_crashed_one_is_loaded_again_shares_its_fate(tmp_path: Path) -> None:
    async def work() -> None:
        for number, options in enumerate([(), ("fails-later",)]):
            folder = tmp_path / str(number)
            folder.mkdir()
            model = process(folder, *options)
            await model.load()
            assert model.pid is not None
            os.kill(model.pid, 9)
            while not model.loading:
                await asyncio.sleep(0.001)
            if options:
                with pytest.raises(ApiError, match="cannot be loaded: no"):
                    await carry_out(model, "work", seconds=0)
            else:
                await carry_out(model, "work", seconds=0)
            assert not model.calls
            await model.stop()

    run(work())


def test_one_that_is_unloaded_while_it_is_to_come_back_stays_away(tmp_path: Path) -> None:
    async def work() -> None:
        model = process(tmp_path)
        await model.load()
        with pytest.raises(ApiError, match="crashed"):
            await carry_out(model, "end slowly")
        loading = asyncio.create_task(model.load())
        await asyncio.sleep(0.05)
        assert model.loading
        await model.stop()
        with pytest.raises(ApiError, match="was unloaded"):
            await loading
        await asyncio.sleep(0.6)
        assert not model.wanted
        assert model.pid is None
        assert (tmp_path / "marks").read_text() == "+"
        await model.load()
        assert model.ready
        await model.stop()

    run(work())


def test_who_only_asks_how_it_goes_is_no_work(tmp_path: Path) -> None:
    async def work() -> None:
        model = process(tmp_path, waiting=0)
        await model.load()
        used = model.used
        await model.ask("stats", "")
        assert model.used == used
        busy = asyncio.create_task(carry_out(model, "work", seconds=0.3))
        await asyncio.sleep(0.1)
        asking = asyncio.create_task(model.ask("stats", ""))
        await asyncio.sleep(0)
        assert len(model.calls) == 1
        with pytest.raises(ApiError, match="The queue of m is full: 0 are in it"):
            await carry_out(model, "work", seconds=0)
        await busy
        await asking
        await model.stop()

    run(work())


def test_the_pace_is_that_of_all_work(tmp_path: Path) -> None:
    async def work() -> None:
        model = process(tmp_path)
        await model.load()
        for _ in range(5):
            await model.ask("embed", "me")
        assert model._pace.seconds(1) < 0.1
        leaving = model.run("work", "me", seconds=0)
        async for _ in leaving:  # who takes the last event and goes has been served
            break
        await leaving.aclose()
        assert model._pace._count == 6
        assert time.monotonic() - model._pace.last < 1
        await model.stop()

    run(work())
