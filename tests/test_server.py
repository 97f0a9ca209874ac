"""The server on its port: errors, limits, clients that leave or dawdle, and its end."""

import json
import logging
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from command_line import mistake
from daedal.cli.serve import _host, _origin
from daedal.serving import limits, protocol, sse
from daedal.serving.app import Application
from daedal.serving.keys import KeyRing
from daedal.serving.log import Lines
from served import Process, Served, asked, request, served, until


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, Application]]:
    with served(tmp_path_factory.mktemp("server"), body=2**16, upload=2**16, root_path="/box") as (server, application):
        application.starlette.router.routes.extend([Route("/bug", bug), Route("/bug/stream", bug_in_a_stream)])
        yield server, application


@pytest.fixture
def server(running: tuple[Served, Application]) -> Served:
    return running[0]


async def bug(request: Request) -> Response:
    raise RuntimeError("cannot read /etc/secrets/key at 0x7f001234\n12:00:00 root GET /forged 200\x1b[31m")


async def bug_in_a_stream(request: Request) -> Response:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"data: {}\n\n"
        raise RuntimeError("cannot read /etc/secrets/key")

    return sse.stream(request, chunks())


def answered(raw: bytes) -> tuple[int, dict[str, str], Any]:
    """Status, headers and JSON of an answer as it came over the wire."""
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return int(first.split()[1]), headers, json.loads(body)


PLAIN = asked("count 1")
CLOSE = "connection: close"
FAULTS: dict[str, tuple[bytes, int, str]] = {
    "no route": (b"GET /nothing HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n", 404, "route_not_found"),
    "no method": (b"PUT /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n", 405, "method_not_allowed"),
    "two hosts": (b"GET / HTTP/1.1\r\nhost: localhost\r\nHost: localhost\r\nconnection: close\r\n\r\n", 400, "invalid_header"),
    "no host": (b"GET /v1/models HTTP/1.1\r\nconnection: close\r\n\r\n", 400, "invalid_header"),
    "another host": (b"GET http://evil/health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n", 400, "invalid_header"),
    "two keys": (request(PLAIN, "/v1/completions", CLOSE, "authorization: a", "Authorization: a"), 400, "invalid_header"),
    "two types": (request(PLAIN, "/v1/completions", CLOSE, "content-type: text/plain"), 400, "invalid_header"),
    "two encodings": (request(PLAIN, "/v1/completions", CLOSE, *["content-encoding: identity"] * 2), 400, "invalid_header"),
    "chunks and a length": (request(PLAIN, "/v1/completions", CLOSE, "transfer-encoding: chunked"), 400, "invalid_http"),
    "no JSON": (request(b"{", "/v1/completions", CLOSE), 400, "invalid_json"),
    "no text": (request(b'{"a": "\xff"}', "/v1/completions", CLOSE), 400, "invalid_json"),
    "half a letter": (request(b'{"a": "\\ud800"}', "/v1/completions", CLOSE), 400, "invalid_json"),
    "no number": (request(b'{"a": NaN}', "/v1/completions", CLOSE), 400, "invalid_json"),
    "too large a number": (request(b'{"a": 1e999}', "/v1/completions", CLOSE), 400, "invalid_json"),
    "no object": (request([], "/v1/completions", CLOSE), 400, "invalid_json"),
    "deep": (request(b'{"a":' + b"[" * 100 + b"]" * 100 + b"}", "/v1/completions", CLOSE), 400, "invalid_json"),
    "deeper": (request(b'{"a":' + b"[" * 30000 + b"]" * 30000 + b"}", "/v1/completions", CLOSE), 400, "invalid_json"),
    "unknown model": (request({**PLAIN, "model": "x"}, "/v1/completions", CLOSE), 404, "model_not_found"),
    "unknown field": (request({**PLAIN, "secret": 1}, "/v1/completions", CLOSE), 400, "unknown_parameter"),
    "missing field": (request({"prompt": "x"}, "/v1/completions", CLOSE), 400, "missing_required_parameter"),
    "too large": (request({**PLAIN, "user": "x" * 2**16}, "/v1/completions", CLOSE), 413, "request_too_large"),
    "compressed": (request(PLAIN, "/v1/completions", CLOSE, "content-encoding: gzip"), 415, "unsupported_encoding"),
    "form": (request(PLAIN, "/v1/files", CLOSE), 415, "unsupported_media_type"),
    "no boundary": (b"POST /v1/files HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 0\r\n"
                    b"content-type: multipart/form-data\r\n\r\n", 400, "invalid_form"),
    "no HTTP": (b"\x16\x03\x01hello\r\n\r\n", 400, "invalid_http"),
    "a tunnel": (b"CONNECT evil:443 HTTP/1.1\r\nhost: localhost\r\n\r\n", 400, "invalid_http"),
    "raw letters": (b"GET /\xff HTTP/1.1\r\nhost: localhost\r\n\r\n", 400, "invalid_http"),
    "two lengths": (b"POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", 400, "invalid_http"),
    "a negative length": (b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: -1\r\n\r\n", 400, "invalid_http"),
    "a line break": (b"GET /%0d%0ax HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n", 404, "route_not_found"),
    "a long head": (b"GET / HTTP/1.1\r\nhost: localhost\r\nx: " + b"x" * (2**16 + 9), 431, "request_too_large"),
    "a bug": (b"GET /bug HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n", 500, "server_error"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_errors_have_one_shape(server: Served, fault: str) -> None:
    raw, status, code = FAULTS[fault]
    found, headers, body = answered(server.raw(raw))
    assert (found, body["error"]["code"]) == (status, code)
    assert set(body) == {"error"}
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert isinstance(body["error"]["message"], str)
    assert headers["content-type"] == "application/json"
    assert headers["x-request-id"].startswith("req_")
    assert headers.get("x-should-retry") == (None if status == 500 else "false")
    for private in ("/etc", "0x7f", "Traceback", "RuntimeError", ".py"):
        assert private not in body["error"]["message"]
    if status == 405:
        assert "GET" in headers["allow"]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/models/",
        "//v1/models",
        "/v1//models//",
        "/box/v1/models",
        "/box//v1/models/",
        "/v1/models?x=1",
        "http://localhost/v1/models",
    ],
)
def test_an_address_is_read_as_it_was_meant(server: Served, path: str) -> None:
    raw = server.raw(f"GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".encode())
    status, _, body = answered(raw)
    assert (status, [model["id"] for model in body["data"]]) == (200, ["m"])
    assert server.client.get("/boxes/v1/models").status_code == server.client.get("/box/box/health").status_code == 404


def test_http_1_0_gets_streams_without_chunks(server: Served) -> None:
    data = json.dumps({**asked("count 3"), "stream": True}).encode()
    head = "POST /v1/completions HTTP/1.0\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    head += f"content-length: {len(data)}\r\n\r\n"
    told, _, body = server.raw(head.encode() + data).partition(b"\r\n\r\n")
    assert told.startswith(b"HTTP/1.1 200")
    assert b"transfer-encoding" not in told.lower()
    assert b"connection: close" in told.lower()
    *events, done, end = body.split(b"\n\n")
    assert (done, end) == (b"data: [DONE]", b"")
    assert all(json.loads(event.removeprefix(b"data: "))["object"] == "text_completion" for event in events)


def test_a_client_that_waits_to_be_told_to_go_on_is_told(server: Served) -> None:
    raw = request(asked("count 1"), "/v1/completions", CLOSE, "expect: 100-continue")
    first, _, rest = server.raw(raw).partition(b"\r\n\r\n")
    assert first == b"HTTP/1.1 100 Continue"
    assert answered(rest)[0] == 200


def test_an_offer_to_change_the_protocol_is_declined(server: Served) -> None:
    """Java's client offers h2c with its first request, and goes on in HTTP/1.1 on the same connection."""
    offer = ("connection: upgrade, http2-settings", "upgrade: h2c", "http2-settings: AAMAAABk")
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(request(asked("count 1"), "/v1/completions", *offer))
        assert connection.recv(2**16).startswith(b"HTTP/1.1 200 OK")
        connection.sendall(request(asked("count 2"), "/v1/completions", CLOSE))
        answer = b""
        while piece := connection.recv(2**16):
            answer += piece
    assert answer.count(b"HTTP/1.1 200 OK") == 1


@pytest.mark.parametrize("target", ["/health", "localhost:80"])
def test_whoever_wants_a_proxy_is_told_that_this_is_none(
    server: Served, target: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What is behind it is not read: it would be for another server."""
    raw = f"CONNECT {target} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode()
    answer = server.raw(raw + request(asked("count 1"), "/v1/completions", CLOSE))
    assert answer.count(b"HTTP/1.1 ") == 1
    assert answered(answer)[0] == 400
    assert "Traceback" not in caplog.text


def test_faults_name_the_field(server: Served) -> None:
    for body, param in (
        ({**PLAIN, "secret": 1}, "secret"),
        ({**PLAIN, "stream": "x"}, "stream"),
        ({**PLAIN, "a b\n": 1}, "a b\\n"),
        ({"prompt": "x"}, "model"),
    ):
        error = server.client.post("/v1/completions", json=body).json()["error"]
        assert error["param"] == param
        assert param in error["message"]


def test_what_a_client_sent_is_not_sent_back_at_length(server: Served) -> None:
    bodies: list[Any] = [
        {**PLAIN, **{f"field{number}": number for number in range(3000)}},
        {**PLAIN, "x" * 60000: 1},
        {**PLAIN, "stop": ["x" * 10] * 3000},
        {**PLAIN, "model": "x" * 60000},
        {**PLAIN, "logit_bias": {str(number): "x" for number in range(3000)}},
    ]
    for body in bodies:
        answer = server.client.post("/v1/completions", json=body)
        assert 400 <= answer.status_code < 500
        assert len(answer.content) < 4096
    assert len(server.client.get("/" + "x" * 10000).content) < 1024


def test_a_bug_is_in_the_log_and_nowhere_else(server: Served, caplog: pytest.LogCaptureFixture) -> None:
    answer = server.client.get("/bug")
    (record,) = [record for record in caplog.records if record.exc_info]
    assert answer.headers["x-request-id"] in answer.json()["error"]["message"]
    assert answer.headers["x-request-id"] in record.getMessage()
    record.exc_text = None  # pytest has written it in its own way
    shown = Lines().format(record)
    assert "cannot read /etc/secrets/key" in shown
    assert "\x1b" not in shown
    assert [line for line in shown.splitlines() if not line.startswith("  | ")] == [shown.splitlines()[0]]


def test_a_path_cannot_forge_the_log(server: Served, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    server.client.get("/x%0a12:00:00%20root%20GET%20/forged%20200%1b%5b31m")
    lines = [Lines().format(record) for record in caplog.records if record.name == "daedal.serving"]
    assert len(lines) == 1
    assert lines[0].isprintable()


def test_errors_in_a_stream_are_events_of_it(server: Served) -> None:
    bug, crash = server.client.get("/bug/stream"), server.write("crash", stream=True)
    assert bug.status_code == crash.status_code == 200
    for answer, code in ((bug, "server_error"), (crash, "engine_crashed")):
        event = json.loads(answer.text.strip().rpartition("data: ")[2])
        assert event["error"]["code"] == code
        assert set(event["error"]) == {"message", "type", "param", "code"}
    assert "secrets" not in bug.text
    until(lambda: server.client.get("/ready").status_code == 200)


def test_a_large_body_is_refused_while_it_comes_in(server: Served) -> None:
    head = b"POST /v1/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:  # it says how much it will send
        connection.sendall(head + b"content-length: 9999999999\r\n\r\n")
        assert connection.recv(2**16).startswith(b"HTTP/1.1 413")
    for path, kind in (("/v1/completions", b"application/json"), ("/v1/files", b"multipart/form-data; boundary=x")):
        head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\n".encode() + b"content-type: " + kind + b"\r\n"
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:  # it does not say
            connection.sendall(head + b"transfer-encoding: chunked\r\n\r\n")
            start = b"--x\r\ncontent-disposition: form-data; name=file; filename=x\r\n\r\n" if "files" in path else b"{"
            for piece in (start, *[b" " * 2**14] * 5):
                connection.sendall(b"%x\r\n" % len(piece) + piece + b"\r\n")
            assert connection.recv(2**16).startswith(b"HTTP/1.1 413")


def test_whoever_dawdles_is_cut_off(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "_SECONDS", 0.3)
    monkeypatch.setattr(limits, "_SECONDS", 0.3)
    first = b"GET /health HTTP/1.1\r\nhost: localhost\r\n"
    for sent in (b"", first, first + b"\r\n" + first):  # at once, in the first head, in the second
        began = time.monotonic()
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
            connection.sendall(sent)
            until(lambda: _closed(connection))
        assert time.monotonic() - began < 2
    answer = server.raw(request(PLAIN)[:-5])  # in the body; what is answered then is the end
    assert answer.startswith(b"HTTP/1.1 408")


def _closed(connection: socket.socket) -> bool:
    try:
        return not connection.recv(2**16)
    except ConnectionResetError:
        return True


def test_whoever_does_not_read_is_cut_off(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "_UNREAD", 0.3)
    cancelled = len(server.journal("cancel"))
    with _narrow(server) as connection:
        connection.sendall(request(asked("flood 100000", stream=True)))
        until(lambda: len(server.journal("cancel")) > cancelled)


def _narrow(server: Served) -> socket.socket:
    """A connection that takes little before it is read from."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", server.port))
    return connection


def test_the_memory_of_a_client_that_reads_slowly_does_not_grow(running: tuple[Served, Application]) -> None:
    server, application = running
    process = application.models._processes["m"]
    count = 2000
    with _narrow(server) as connection:
        connection.sendall(request(asked(f"flood {count}", stream=True), "/v1/completions", CLOSE))
        until(lambda: process.calls)
        (call,) = process.calls
        most = 0
        while process.calls:
            most = max(most, len(call._events))
            time.sleep(0.01)
        assert most <= 3  # all that nobody has taken is one piece of text
        answer = b""
        while piece := connection.recv(2**18):
            answer += piece
    events = [line for line in answer.split(b"\n") if line.startswith(b"data: {")]
    assert sum(len(json.loads(event[6:])["choices"][0]["text"]) for event in events) == count * 2000
    assert len(events) < count / 2


@pytest.mark.parametrize("fields", [{"stream": True}, {}], ids=["streamed", "whole"])
@pytest.mark.parametrize("pipelined", [False, True])
def test_a_client_that_leaves_ends_the_work_for_it(server: Served, fields: dict[str, Any], pipelined: bool) -> None:
    before = len(server.journal("cancel"))
    more = [request(PLAIN)] if pipelined else []
    left = server.leave(request(asked("count 1000 20", **fields)), *more)
    until(lambda: len(server.journal("cancel")) > before)
    when, _, id = server.journal("cancel")[-1]
    assert when - left < 0.2
    assert id == server.journal("generate")[-1][2]
    time.sleep(0.05)
    assert "499" in "".join(
        name for name in Served.counters(server.client.get("/metrics").text) if "completions" in name
    )


def test_a_disk_that_blocks_keeps_nobody_else_waiting(
    running: tuple[Served, Application], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, application = running
    monkeypatch.setattr(application.store.files, "_page", lambda *_: time.sleep(1) or [])
    with ThreadPoolExecutor(8) as pool:
        blocked = [pool.submit(httpx.get, f"{server.url}/v1/files") for _ in range(8)]
        time.sleep(0.1)
        seconds = []
        for path in ["/health", "/v1/models/m", "/health"] * 3:
            began = time.monotonic()
            assert server.client.get(path).status_code == 200
            seconds.append(time.monotonic() - began)
        assert not any(future.done() for future in blocked)
        assert sorted(seconds)[4] < 0.05
        assert max(seconds) < 0.5  # this machine may be busy with other things
        assert all(future.result().status_code == 200 for future in blocked)


def test_silence_is_filled_with_comments(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "_QUIET", 0.1)
    answer = server.write("count 3 250", stream=True)
    assert answer.text.count(": still at it\n\n") >= 3
    assert answer.text.endswith("data: [DONE]\n\n")


def test_it_finishes_what_is_under_way_before_it_ends(tmp_path: Path) -> None:
    with Process(tmp_path) as process, ThreadPoolExecutor(1) as pool:
        server = process.served
        streamed = pool.submit(server.write, "count 20 50", stream=True)
        until(lambda: server.journal("generate"))
        process.signal(signal.SIGTERM)
        until(lambda: server.client.get("/ready").status_code == 503)
        refused = server.write("count 1")
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "shutting_down")
        assert "retry-after" in refused.headers
        assert server.client.get("/health").status_code == 200
        assert streamed.result().text.endswith("data: [DONE]\n\n")
        assert process.process.wait(5) == 0
        until(lambda: not _alive(server.journal("start")[0][1]))


@pytest.mark.parametrize("again", [True, False], ids=["second signal", "time is over"])
def test_it_does_not_wait_for_ever(tmp_path: Path, again: bool) -> None:
    with Process(tmp_path, drain=30 if again else 0.2) as process, ThreadPoolExecutor(2) as pool:
        server = process.served
        cut = pool.submit(server.write, "count 1000 50", stream=True)
        whole = pool.submit(server.write, "count 1000 50")
        until(lambda: len(server.journal("generate")) == 2)
        process.signal(signal.SIGTERM)
        time.sleep(0.2)
        if again:
            process.signal(signal.SIGTERM)
        assert process.process.wait(5) is not None
        assert '"code":"shutting_down"' in cut.result().text
        refused = whole.result()
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "shutting_down")
        until(lambda: not _alive(server.journal("start")[0][1]))


def test_an_upload_that_is_under_way_when_it_stops_is_refused_in_the_one_shape(tmp_path: Path) -> None:
    with Process(tmp_path, drain=0.1) as process:
        with socket.create_connection(("127.0.0.1", process.served.port)) as connection:
            connection.sendall(request(b"{" * 100)[:-50])
            time.sleep(0.2)
            process.signal(signal.SIGTERM)
            answer = b""
            while piece := connection.recv(2**16):
                answer += piece
        assert answer.startswith(b"HTTP/1.1 503")
        assert b'"code":"shutting_down"' in answer
        assert process.process.wait(5) == 0


@pytest.mark.parametrize("wait", [0.2, 0.5, 1.0])
def test_it_stops_while_a_model_is_loaded(tmp_path: Path, wait: float) -> None:
    place = json.dumps({"port": 0, "models": {"m": "."}, "data": str(tmp_path / "data")})
    arguments = [sys.executable, str(Path(__file__).parent / "served.py"), str(tmp_path), place, "--load", "5"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        server.stdout.readline()  # it listens
        time.sleep(wait)
        server.terminate()
        _, told = server.communicate(timeout=10)
    assert (server.returncode, "Traceback" in told) == (0, False), told


def test_models_end_with_a_server_that_is_killed(tmp_path: Path) -> None:
    with Process(tmp_path) as process:
        ((_, model, _),) = process.served.journal("start")
        assert _alive(model)
        process.signal(signal.SIGKILL)
        until(lambda: not _alive(model))


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_the_server_needs_no_torch() -> None:
    code = "import sys, daedal.serving.server, daedal.cli.serve; print('torch' in sys.modules, 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False False\n"


def test_mistakes_on_the_command_line_are_told_in_a_line(tmp_path: Path) -> None:
    run, empty, keys = tmp_path / "run", tmp_path / "empty", tmp_path / "keys.json"
    for folder in (run, empty):
        folder.mkdir()
    (run / "config.json").write_text("{}")
    KeyRing().save(keys)
    data = ("--data", tmp_path / "data")
    assert "nothing to serve" in mistake("serve", *data)
    assert "missing" in mistake("serve", tmp_path / "none", *data)
    assert "no run folder" in mistake("serve", empty, *data)
    assert "no folder" in mistake("serve", "--models", tmp_path / "none", *data)
    assert "is no alias" in mistake("serve", run, "--alias", "x", *data)
    assert "missing" in mistake("serve", run, "--alias", f"x={tmp_path}/none", *data)
    assert "Two models" in mistake("serve", run, "--alias", f"run={run}", *data)
    assert "Two models" in mistake("serve", run, run, *data)
    assert "open to everybody" in mistake("serve", run, "--host", "0.0.0.0", *data)
    assert "missing" in mistake("serve", run, "--keys", tmp_path / "none.json", *data)
    assert "every page" in mistake("serve", run, "--cors-origin", "*", *data).lower()
    for origin in ("http://a.com/", "nonsense", "a.com", "https://a.com:443", "http://a.com?x", "https://*.a.com"):
        assert "is no origin" in mistake("serve", run, "--cors-origin", origin, *data)
    for host in ("example.com:8814", "https://foo.org", "[::1]", "foo/", "*.foo.org", ""):
        assert "is no name of a host" in mistake("serve", run, "--allow-host", host, *data)
    for prefix in ("daedal", "http://a.com/x", "/a b", "//"):
        assert "is no beginning of a path" in mistake("serve", run, "--root-path", prefix, *data)
    assert "--host is empty" in mistake("serve", run, "--host", "", *data)
    for option, value in (("max-waiting", "-1"), ("idle-minutes", "-1"), ("drain-seconds", "inf"), ("rows", "0")):
        assert f"--{option}: Input should be" in mistake("serve", run, f"--{option}={value}", *data)
    assert "--port: " in mistake("serve", run, "--port", "99999", *data)
    assert "cannot keep" in mistake("serve", run, "--data", run / "config.json")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = f"Nothing can listen on 127.0.0.1:{port} (Address already in use). Choose another --port."
        assert told in mistake("serve", run, "--port", str(port), *data)
    for host in ("no-such-host.invalid", "a" * 70):
        said = mistake("serve", run, "--host", host, "--keys", keys, *data)
        assert "Nothing can listen" in said
        assert "another --host" in said


def test_hosts_and_origins_are_as_requests_have_them() -> None:
    assert [_host(name) for name in ("Foo.example.com", "10.0.0.1", "::1", "my_host")] == [
        "foo.example.com",
        "10.0.0.1",
        "::1",
        "my_host",
    ]
    for origin in ("https://a.com", "http://a.com:8080", "http://[::1]:8080", "tauri://localhost"):
        assert _origin(origin.upper()) == origin
