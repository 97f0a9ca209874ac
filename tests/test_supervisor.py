"""Models behind a server: which there are, which are loaded, and what happens when their processes do not behave."""

import json
import os
import re
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from daedal.errors import DaedalError
from daedal.models.identity import IDENTITY, Identity
from daedal.serving import process, supervisor
from daedal.serving.app import Application
from daedal.serving.metrics import Metrics
from daedal.serving.settings import Settings
from served import Served, asked, request, served, until


def code(answer: httpx.Response) -> str:
    found: str = answer.json()["error"]["code"]
    return found


def folder_of_runs(path: Path, *names: str) -> Path:
    for name in names:
        (path / name).mkdir(parents=True)
        (path / name / "config.json").write_text("{}")
    (path / "notes").mkdir()
    return path


def test_models_go_by_their_names_and_other_names(tmp_path: Path) -> None:
    runs = folder_of_runs(tmp_path / "runs", "a", "b")
    with served(tmp_path, folder=runs, aliases={"gpt-4o-mini": "m", "other": "a"}) as (server, _):
        models = {model["id"]: model for model in server.client.get("/v1/models").json()["data"]}
        assert set(models) == {"m", "a", "b", "gpt-4o-mini", "other"}
        assert (models["m"]["loaded"], models["a"]["loaded"]) == (True, False)
        assert models["other"]["root"] == "a"
        assert server.client.get("/v1/models/gpt-4o-mini").json()["id"] == "gpt-4o-mini"
        assert server.write("count 2", "gpt-4o-mini").json()["choices"][0]["text"] == " 0 1"
        assert server.write("count 2", "b").status_code == 200
        for name in ("../runs/a", "a/../b", "notes", str(runs / "a"), "a\x00", ".", "", "A"):
            assert server.write("count 1", name).status_code in (400, 404), name
        for path in ("..%2fruns%2fa", "a%2f..%2fb", "%2e%2e", "nothing"):
            assert code(server.client.get(f"/v1/models/{path}")) == "model_not_found"
        assert server.client.delete("/v1/models/a").status_code == 403
        assert (runs / "a" / "config.json").exists()


def test_an_alias_for_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DaedalError, match="which is no model here"):
        Application(Settings(data=tmp_path, models={"m": "."}, aliases={"x": "y"}))


def test_a_model_is_loaded_once_however_many_ask(tmp_path: Path) -> None:
    runs = folder_of_runs(tmp_path / "runs", "a")
    with served(tmp_path, "--load", "0.3", models={}, folder=runs) as (server, _), ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: server.write("count 1", "a").status_code, range(8)))
        assert answers == [200] * 8
        assert len(server.journal("start")) == 1


def test_who_leaves_while_a_model_is_loaded_is_not_waited_for(tmp_path: Path) -> None:
    runs = folder_of_runs(tmp_path / "runs", "a")
    with served(tmp_path, "--load", "3", models={}, folder=runs) as (server, application):
        server.leave(request(asked("count 1", "a")))
        until(lambda: not application.guard.under_way)
        assert application.models._processes["a"].loading  # for the next who comes
        assert server.write("count 1", "a").status_code == 200
        assert len(server.journal("start")) == 1


def test_what_nobody_uses_is_unloaded_and_what_is_busy_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "_ROUND", 0.05)
    runs = folder_of_runs(tmp_path / "runs", "a")
    with served(tmp_path, folder=runs, idle=0.2 / 60) as (server, application):
        assert server.write("count 10 60", "a").status_code == 200  # three times the idle time
        assert len(server.journal("start")) == 2
        until(lambda: not application.models._processes["a"].ready)
        assert application.models._processes["m"].ready  # it was named, and stays
        assert server.write("count 1", "a").status_code == 200
        assert len(server.journal("start")) == 3


def test_the_longest_unused_makes_way_and_a_busy_one_does_not(tmp_path: Path) -> None:
    runs = folder_of_runs(tmp_path / "runs", "a", "b")
    with served(tmp_path, models={}, folder=runs, memory=1e-9) as (server, application):
        processes = application.models._processes
        assert server.write("count 1", "a").status_code == 200
        assert server.write("count 1", "b").status_code == 200
        assert [processes[name].ready for name in "ab"] == [False, True]
        thread = threading.Thread(target=server.write, args=("count 10 50", "b"))
        thread.start()
        until(lambda: processes["b"].calls)
        refused = server.write("count 1", "a")
        assert (refused.status_code, code(refused)) == (503, "overloaded")
        assert int(refused.headers["retry-after"]) >= 1
        thread.join()
        assert server.write("count 1", "a").status_code == 200


def test_models_that_are_being_loaded_count_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "_weight", lambda _: 2**60)
    runs = folder_of_runs(tmp_path / "runs", "a", "b")
    with served(tmp_path, "--load", "0.4", models={}, folder=runs) as (server, _), ThreadPoolExecutor(2) as pool:
        answers = [future.result() for future in [pool.submit(server.write, "count 1", name) for name in "ab"]]
        assert sorted(answer.status_code for answer in answers) == [200, 503]
        assert len(server.journal("start")) == 1


def test_a_model_that_cannot_be_loaded_is_left_alone_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_STEADY", 0.4)
    runs = folder_of_runs(tmp_path / "runs", "a")
    fault = f"no file {tmp_path}/weights at 0x7f00dead"
    with served(tmp_path, "--fail", fault, models={}, folder=runs) as (server, _):
        answers = [server.write("count 1", "a") for _ in range(3)]
        for answer in answers:
            assert (answer.status_code, code(answer)) == (503, "model_load_failed")
            assert str(tmp_path) not in answer.text
            assert "0x7f" not in answer.text
        assert len(server.journal("start")) == 1
        time.sleep(0.5)
        server.write("count 1", "a")
        assert len(server.journal("start")) == 2


def test_a_crash_fails_the_requests_of_its_model_and_the_model_is_back(tmp_path: Path) -> None:
    runs = folder_of_runs(tmp_path / "runs", "a")
    with served(tmp_path, folder=runs) as (server, application), ThreadPoolExecutor(4) as pool:
        assert server.write("count 1", "a").status_code == 200
        other = pool.submit(server.write, "count 10 60", "a")
        streamed = pool.submit(server.write, "count 500 10", stream=True)
        running = application.models._processes["m"]
        for writing in (2, 1, 1):  # the stream is among the first to be lost
            mine = pool.submit(server.write, "count 500 10")
            until(lambda writing=writing: running.ready and len(running.calls) == writing)
            assert running.pid is not None
            os.kill(running.pid, signal.SIGKILL)
            began = time.monotonic()
            answer = mine.result()
            assert (answer.status_code, code(answer)) == (503, "engine_crashed")
            assert "retry-after" in answer.headers
            assert server.write("count 1").status_code == 200
            assert time.monotonic() - began < 5
        assert '"code":"engine_crashed"' in streamed.result().text
        assert other.result().status_code == 200
        assert b'engine_crashes{model="m"} 3.0' in server.client.get("/metrics").content


@pytest.mark.parametrize("trouble", ["garbage", "nonsense"])
def test_one_that_says_what_is_no_event_is_taken_for_crashed(tmp_path: Path, trouble: str) -> None:
    with served(tmp_path) as (server, _):
        assert code(server.write(trouble)) == "engine_crashed"
        assert server.write("count 1").status_code == 200


def test_one_that_only_crashes_is_restarted_later_and_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_SOON", 1.0)
    with served(tmp_path) as (server, application):
        running = application.models._processes["m"]
        answers = [server.write("crash") for _ in range(4)]
        assert {(answer.status_code, code(answer)) for answer in answers} == {(503, "engine_crashed")}
        assert running.crashes == 2  # the third and the fourth did not reach it
        until(lambda: server.client.get("/ready").status_code == 200)
        assert server.write("count 1").status_code == 200
        server.write("crash")
        assert running._delay == 0.0  # it had done some work: at once
        assert server.write("count 1").status_code == 200


def test_a_process_that_hangs_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_ASK", 0.1)
    monkeypatch.setattr(process, "_HUNG", 0.3)
    with served(tmp_path) as (server, _):
        assert code(server.write("hang")) == "engine_crashed"
        assert server.write("count 2").status_code == 200


def test_more_than_may_wait_are_told_when_to_come_back(tmp_path: Path) -> None:
    with served(tmp_path, "--rows", "2", waiting=2) as (server, application), ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            server.write("count 1")
        running = application.models._processes["m"]
        waiting = [pool.submit(server.write, "count 10 40") for _ in range(4)]
        until(lambda: len(running.calls) == 4)
        refused = server.write("count 1")
        assert (refused.status_code, code(refused)) == (429, "queue_full")
        assert refused.json()["error"]["type"] == "rate_limit_error"
        assert 1 <= int(refused.headers["retry-after"]) <= 3
        assert [future.result().status_code for future in waiting] == [200] * 4


def test_an_admin_loads_and_unloads(tmp_path: Path) -> None:
    with served(tmp_path) as (server, application), ThreadPoolExecutor(1) as pool:
        running = application.models._processes["m"]
        busy = pool.submit(server.write, "count 10 50")
        until(lambda: running.calls)
        assert code(server.client.post("/v1/models/m/unload")) == "model_busy"
        assert busy.result().status_code == 200
        assert server.client.post("/v1/models/m/unload").json() == {"id": "m", "object": "model", "loaded": False}
        assert running.pid is None
        assert server.client.get("/ready").status_code == 200  # nothing is wrong
        assert server.client.post("/v1/models/m/load").json()["loaded"]
        assert server.client.post("/v1/models/n/load").status_code == 404


def test_what_is_asked_while_a_model_is_being_unloaded_loads_it_again(tmp_path: Path) -> None:
    with served(tmp_path) as (server, _), ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            futures: list[Any] = [pool.submit(server.client.post, "/v1/models/m/unload")]
            futures += [pool.submit(server.write, "count 1") for _ in range(3)]
            for future in futures[1:]:
                answer = future.result()
                assert answer.status_code == 200 or code(answer) == "model_unloaded"
        assert server.write("count 1").status_code == 200


def test_counters_tell_of_models(tmp_path: Path) -> None:
    with served(tmp_path) as (server, _):
        server.write("count 7")
        server.write("count 1", "x" * 50)
        server.write("count 5 20", n=3)
        text = server.client.get("/metrics").text
    counted = Served.counters(text)
    assert counted['daedal_generation_tokens_total{model="m"}'] == 7 + 15
    assert counted['daedal_prompt_tokens_total{model="m"}'] == 2 * 3
    assert counted['daedal_prefix_cache_hits_total{model="m"}'] == 2
    assert counted['daedal_request_success_total{finished_reason="stop",model="m"}'] == 1 + 3
    assert counted['daedal_request_queue_time_seconds_count{model="m"}'] == 2
    assert counted['daedal_time_to_first_token_seconds_count{model="m"}'] == 2
    # Pieces that come before the last was taken are one; three texts that are written at once take their time all the same
    assert 3 <= counted['daedal_inter_token_latency_seconds_count{model="m"}'] <= 6 + 3 * 4
    assert counted['daedal_inter_token_latency_seconds_sum{model="m"}'] > 2 * 4 * 0.02
    assert counted['daedal_requests_waiting{model="m"}'] == 2
    assert counted["daedal_models_loaded"] == 1
    assert counted['daedal_http_requests_total{route="/v1/completions",status="404"}'] == 1
    assert "xxx" not in text


def test_the_documentation_tells_of_each_metric() -> None:
    page = (Path(__file__).parent.parent / "docs" / "serving.md").read_text()
    names = re.findall("^# TYPE daedal_(\\w+) (?!gauge\\n.*_created)", Metrics().text().decode(), re.MULTILINE)
    assert names
    assert [name for name in names if f"`{name}`" not in page and not name.endswith("_created")] == []


def test_a_model_that_is_left_out_is_the_only_one_of_its_kind(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    for name in ("pictures", "words"):
        (runs / name).mkdir(parents=True)
        (runs / name / "config.json").write_text("{}")
    (runs / "pictures" / "image_codec.json").write_text("{}")
    with served(tmp_path, models={}, folder=runs) as (server, _):
        assert server.client.get("/tokenizer_info").json()["model"] == "words"
        drawn = server.client.post("/v1/images/generations", json={"prompt": ""})
        assert drawn.json()["error"]["message"].startswith("The model 'pictures' does not")  # this worker only writes
        (runs / "other").mkdir()
        (runs / "other" / "config.json").write_text("{}")
        for answer in (
            server.client.get("/tokenizer_info"),
            server.client.post("/tokenize", json={"prompt": "x"}),
            server.client.post("/detokenize", json={"tokens": [1]}),
        ):
            assert (answer.status_code, answer.json()["error"]["param"]) == (400, "model")


def test_what_a_model_makes_is_known_before_it_is_loaded(tmp_path: Path) -> None:
    for family, kind, capabilities, makes in (
        ("gpt", "text", (), "text"),
        ("gpt", "chat", ("complete",), "text"),
        ("translator", "pairs", ("translate",), "text"),
        ("embedder", "pairs", ("embed",), "readings"),
        ("classifier", "labelled", (), "readings"),
        ("gan", "pictures", ("sample",), "images"),
    ):
        Identity(family=family, kind=kind, columns={}, capabilities=capabilities).write(tmp_path)
        assert supervisor.makes(str(tmp_path)) == makes
    (tmp_path / IDENTITY).unlink()
    told = {"architectures": ["BertForTokenClassification"], "model_type": "bert"}
    (tmp_path / "config.json").write_text(json.dumps(told))  # as another program wrote it
    assert supervisor.makes(str(tmp_path)) == "readings"
