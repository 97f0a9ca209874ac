"""Who is let in: by host, by origin, by key; and that nothing is open by oversight."""

import logging
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from starlette.routing import Route

from daedal.errors import DaedalError
from daedal.serving.access import OPEN
from daedal.serving.app import Application
from daedal.serving.keys import Key, KeyRing
from daedal.serving.settings import Settings
from served import Served, asked, request, served

ORIGIN = "https://studio.example"


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    path, ring, tokens = tmp_path_factory.mktemp("keys") / "keys.json", KeyRing(), {}
    for scope in ("admin", "user", "read"):
        ring, tokens[scope] = ring.add(f"{scope}-key", scope)
    ring.save(path)
    return {**tokens, "file": str(path)}


@pytest.fixture(scope="module")
def locked(
    tmp_path_factory: pytest.TempPathFactory, tokens: dict[str, str]
) -> Iterator[tuple[Served, Application, dict[str, str]]]:
    """A server with keys."""
    keys = Path(tokens["file"])
    with served(tmp_path_factory.mktemp("locked"), keys=keys, hosts=("box.example",), origins=(ORIGIN,)) as (
        server,
        app,
    ):
        yield server, app, tokens


@pytest.fixture(scope="module")
def free(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server without keys."""
    with served(tmp_path_factory.mktemp("free")) as (server, _):
        yield server


def test_keys_that_change_count_at_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "keys.json"
    ring, first = KeyRing().add("first", "user")
    ring.save(path)
    with served(tmp_path / "data", keys=path) as (server, _):

        def status(token: str) -> int:
            return httpx.get(f"{server.url}/v1/models", headers=bearer(token)).status_code

        assert status(first) == 200
        both, second = ring.add("second", "user")
        both.save(path)
        assert (status(first), status(second)) == (200, 200)
        both.without("first").save(path)
        assert (status(first), status(second)) == (401, 200)
        for harm in (lambda: path.write_text("{"), path.unlink):
            harm()
            assert (status(first), status(second)) == (401, 200)
            assert ". The keys stay as they were" in caplog.text
            assert ".." not in caplog.text
            caplog.clear()


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def test_every_route_is_closed_without_a_key(locked: tuple[Served, Application, dict[str, str]]) -> None:
    server, app, _ = locked
    walked = 0
    for route in app.starlette.routes:
        assert isinstance(route, Route)
        path = route.path
        for name in route.param_convertors:
            path = path.replace(f"{{{name}:path}}", "x").replace(f"{{{name}}}", "x")
        for method in route.methods or ():
            answer = server.client.request(method, path)
            walked += 1
            if path in OPEN:
                assert answer.status_code == 200
            else:
                assert answer.status_code == 401, (method, path)
                assert answer.headers["www-authenticate"] == "Bearer"
    assert walked > 20
    assert {"/health", "/ready"} == OPEN
    assert server.client.get("/no-such-route").status_code == 401
    assert server.client.request("PUT", "/v1/models").status_code == 401


@pytest.mark.parametrize("header", ["authorization", "x-api-key"])
def test_a_key_counts_wherever_it_is_sent(locked: tuple[Served, Application, dict[str, str]], header: str) -> None:
    server, _, tokens = locked

    def status(token: str, **more: str) -> int:
        given = {header: f"Bearer {token}" if header == "authorization" else token, **more}
        return server.client.get("/v1/models", headers=given).status_code

    key = tokens["user"]
    assert status(key) == 200
    for wrong in (key[:-1], key + "x", key.upper(), "Bearer", key[3:], "dk-", "k" * 5000):
        assert status(wrong) == 401
    other = {"x-api-key" if header == "authorization" else "authorization": "Bearer " + tokens["admin"]}
    assert status(key, **other) == 401  # two keys: neither


def test_a_key_does_what_its_scope_says(locked: tuple[Served, Application, dict[str, str]]) -> None:
    server, _, tokens = locked
    asks = [
        ("read", "GET", "/v1/models", None),
        ("read", "GET", "/v1/files", None),
        ("read", "POST", "/tokenize", {"model": "none", "prompt": "x"}),
        ("read", "POST", "/detokenize", {"model": "none", "tokens": [1]}),
        ("read", "POST", "/v1/messages/count_tokens", {"model": "none", "messages": []}),
        ("read", "POST", "/v1/responses/input_tokens", {"model": "none", "input": "x"}),
        ("user", "POST", "/v1/responses", {"model": "none", "input": "x"}),
        ("user", "POST", "/v1/completions", asked("count 1")),
        ("user", "DELETE", "/v1/files/file-x", None),
        ("user", "DELETE", "/v1/models/m", None),
        ("admin", "GET", "/metrics", None),
        ("admin", "POST", "/v1/models/m/load", None),
        ("admin", "POST", "/v1/models/m/unload", None),
        ("admin", "POST", "/v1/models/m/unload%0A", None),  # a route's "$" takes it, a careless check does not
        ("admin", "GET", "/metrics%0A", None),
    ]
    for least, method, path, body in asks:
        for scope in ("read", "user"):
            answer = server.client.request(method, path, json=body, headers=bearer(tokens[scope]))
            refused = "insufficient_scope" in answer.text or "may only read" in answer.text
            assert answer.status_code == 403 or not refused
            if "%0A" in path:
                assert answer.status_code == 404
            else:
                assert refused == (least not in {"read": {"read"}, "user": {"read", "user"}}[scope]), (scope, path)
    assert server.client.get("/metrics", headers=bearer(tokens["admin"])).status_code == 200


def test_a_key_finds_only_its_own_files(locked: tuple[Served, Application, dict[str, str]]) -> None:
    server, _, tokens = locked
    mine, other = bearer(tokens["user"]), bearer(tokens["admin"])
    form = {"files": {"file": ("a.txt", b"mine")}, "data": {"purpose": "user_data"}}
    id = server.client.post("/v1/files", headers=mine, **form).json()["id"]  # type: ignore[arg-type]
    for method, path in (("GET", ""), ("GET", "/content"), ("DELETE", "")):
        assert server.client.request(method, f"/v1/files/{id}{path}", headers=other).status_code == 404
    assert server.client.get("/v1/files", headers=other).json()["data"] == []
    assert server.client.get(f"/v1/files/{id}/content", headers=mine).content == b"mine"


def test_a_later_key_of_the_same_name_is_somebody_else(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    form = {"files": {"file": ("a.txt", b"mine")}, "data": {"purpose": "user_data"}}
    ring, first = KeyRing().add("alice", "user")
    ring.save(path)
    with served(tmp_path, ready=False, keys=path) as (server, _):

        def files(token: str) -> int:
            return len(server.client.get("/v1/files", headers=bearer(token)).json()["data"])

        server.client.post("/v1/files", headers=bearer(first), **form)  # type: ignore[arg-type]
        assert files(first) == 1
        ring, second = ring.without("alice").add("alice", "user")
        ring.save(path)
        assert files(second) == 0
    older = ring.keys[0].but(id="")
    assert (older.owner, Key(name="alice", sha256="0" * 64).owner) == ("alice", "alice")
    with pytest.raises(DaedalError):
        KeyRing().add(ring.keys[0].owner, "user")  # nobody is named as another is known


def test_keys_are_in_no_log(
    locked: tuple[Served, Application, dict[str, str]], caplog: pytest.LogCaptureFixture
) -> None:
    server, _, tokens = locked
    with caplog.at_level(logging.DEBUG):
        for token in (tokens["user"], "dk-wrong-key"):
            server.client.get("/v1/models", headers=bearer(token), params={"key": token})
            server.client.get("/v1/models", headers={"x-api-key": token})
            server.raw(request(asked("count 1"), "/v1/completions", f"x-api-key: {token}", "connection: close"))
    said = [record.getMessage() for record in caplog.records if record.name.startswith(("daedal", "uvicorn"))]
    assert any("user-key GET /v1/models 200" in line for line in said)
    assert not any(tokens["user"] in line or "dk-wrong" in line for line in said)


def test_a_key_has_so_many_requests_at_a_time(tmp_path: Path) -> None:
    with served(tmp_path, per_key=2) as (server, app):
        app.guard._under_way["local"] = 2
        answer = server.client.get("/v1/models")
        assert (answer.status_code, answer.json()["error"]["code"]) == (429, "rate_limit_exceeded")
        assert answer.headers["retry-after"] == "1"
        app.guard._under_way["local"] = 0


def test_a_server_for_strangers_without_keys_does_not_start(tmp_path: Path) -> None:
    for host in ("0.0.0.0", "::", "192.168.1.5", "example.com", "", "0", "127.0.0.1.example.com"):
        with pytest.raises(DaedalError, match="open to everybody"):
            Application(Settings(data=tmp_path, host=host))
    for host in ("127.0.0.1", "127.9.9.9", "::1", "localhost"):
        Application(Settings(data=tmp_path, host=host)).store.close()


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "192.168.1.5", "localhost.", "[", "", "a b", "[::2"]
)
def test_a_host_of_another_name_is_refused(free: Served, host: str) -> None:
    for path in ("/v1/models", "/health", "/v1/messages"):
        answer = free.raw(f"GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 403"), answer
        if path != "/v1/messages":
            assert b'"code":"host_not_allowed"' in answer


def test_its_own_names_are_answered_to(free: Served, locked: tuple[Served, Application, dict[str, str]]) -> None:
    for host in ("localhost", "LOCALHOST:1", "127.0.0.1", f"127.0.0.1:{free.port}", "[::1]:80"):
        assert free.client.get("/health", headers={"host": host}).status_code == 200, host
    assert locked[0].client.get("/health", headers={"host": "box.example:443"}).status_code == 200
    assert b"403" in free.raw(b"GET /health HTTP/1.0\r\n\r\n").partition(b"\r\n")[0]


def test_pages_of_other_origins_cannot_use_the_server(free: Served) -> None:
    form = {"files": {"file": ("a.txt", b"x")}, "data": {"purpose": "user_data"}}
    for origin in ("https://evil.example", "null", "http://localhost:1", f"http://127.0.0.1:{free.port}0"):
        for answer in (
            free.client.post("/v1/files", headers={"origin": origin}, **form),  # type: ignore[arg-type]
            free.client.post("/v1/models/m/unload", headers={"origin": origin}),
            free.client.get("/v1/models", headers={"origin": origin}),
        ):
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "origin_not_allowed")
            assert not [name for name in answer.headers if name.startswith("access-control")]
    assert free.client.get("/v1/models", headers={"origin": f"http://127.0.0.1:{free.port}"}).status_code == 200
    # A form of another page, as browsers that send no origin would send it
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        answer = free.client.post("/v1/completions", content=b"{}", headers={"content-type": kind})
        assert answer.status_code == 415


def test_pages_of_listed_origins_can(locked: tuple[Served, Application, dict[str, str]]) -> None:
    server, _, tokens = locked
    asks = {"origin": ORIGIN, "access-control-request-method": "POST"}
    before = server.client.options(
        "/v1/completions", headers={**asks, "access-control-request-headers": "authorization,x-stainless-os"}
    )
    assert before.status_code == 200
    assert before.headers["access-control-allow-origin"] == ORIGIN
    answer = server.client.get("/v1/models", headers={"origin": ORIGIN, **bearer(tokens["user"])})
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    wrong = server.client.get("/v1/models", headers={"origin": ORIGIN, **bearer("no")})
    assert (wrong.status_code, wrong.headers["access-control-allow-origin"]) == (401, ORIGIN)
    assert "access-control-allow-credentials" not in answer.headers
    elsewhere = server.client.options("/v1/completions", headers={**asks, "origin": "https://evil.example"})
    assert "access-control-allow-origin" not in elsewhere.headers


def test_an_open_policy_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DaedalError, match="Every page of the web"):
        Application(Settings(data=tmp_path, origins=("*",)))


def test_browsers_are_told_to_do_nothing_with_an_answer(free: Served) -> None:
    answers: list[httpx.Response] = [
        free.client.get("/health"),
        free.client.get("/nothing"),
        free.write("count 1"),
        free.write("count 1", stream=True),
        free.client.post("/v1/completions", content=b"{"),
    ]
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-request-id"].startswith("req_")
        assert "server" not in answer.headers
    assert len({answer.headers["x-request-id"] for answer in answers}) == len(answers)
