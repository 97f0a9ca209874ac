"""Attacks of docs/attacks.md that no other test holds off, and that each has a test."""

import gzip
import re
import socket
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import TypeAdapter, ValidationError

import api_server
from daedal.codecs.text import TextCodec
from daedal.inference import constraint
from daedal.inference.constraint import ConstraintCompiler, Unconstrainable
from daedal.inference.joined_schema import is_too_large
from daedal.models.checkpoint import save_model
from daedal.serving.keys import KeyRing
from daedal.serving.memory import resident
from daedal.serving.schema.json_schema import JSONSchema
from served import Process, Served, asked, request, served, until
from tiny_models import tiny_gpt

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "attacks.md"
CODEC = TextCodec.train("bpe", ["The quick brown fox jumps over the lazy dog."] * 4, 280)


def test_each_attack_has_its_tests() -> None:
    rows = re.findall(r"^\| (\d+) \|.*\|(.*)\|$", PAGE.read_text(encoding="utf-8"), re.M)
    assert [int(number) for number, _ in rows] == list(range(1, 18))
    there = {name for path in HERE.glob("test_*.py") for name in re.findall(r"^def (test_\w+)", path.read_text(), re.M)}
    for number, cell in rows:
        named = re.findall(r"`(test_\w+)`", cell)
        assert named, number
        assert set(named) <= there, set(named) - there


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("attacks"), "--rows", "300", per_key=300) as (running, _):
        yield running


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, list[str]]]:
    """A server with a model and two keys."""
    folder = tmp_path_factory.mktemp("writer")
    CODEC.save(folder / "tiny")
    save_model(tiny_gpt(CODEC, context=256), folder / "tiny")
    ring, first = KeyRing().add("first", "admin")
    ring, second = ring.add("second", "user")
    ring.save(folder / "keys.json")
    given: Any = {"models": {"tiny": str(folder / "tiny")}, "aliases": {}, "keys": folder / "keys.json"}
    with api_server.serve(folder / "data", **given) as url:
        yield url, [first, second]


def ask(writer: tuple[str, list[str]], path: str, body: Any, key: int = 0) -> httpx.Response:
    url, keys = writer
    return httpx.post(f"{url}{path}", json=body, headers={"authorization": f"Bearer {keys[key]}"}, timeout=30)


def test_what_one_key_has_asked_is_not_cached_for_another(writer: tuple[str, list[str]]) -> None:
    body = {"model": "tiny", "prompt": "The quick brown fox " * 8, "max_tokens": 1}

    def cached(key: int) -> int:
        usage = ask(writer, "/v1/completions", body, key).json()["usage"]
        return int((usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0))

    assert cached(0) == 0
    assert cached(0) > 0
    assert cached(1) == 0
    assert cached(1) > 0


def test_nothing_is_fetched_for_a_client(writer: tuple[str, list[str]]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as trap:
        trap.settimeout(0.3)
        port = trap.getsockname()[1]
        for address in (
            f"http://127.0.0.1:{port}/x", f"http://localhost:{port}/x", f"http://2130706433:{port}/x",
            f"http://[::ffff:127.0.0.1]:{port}/x", f"http://example.com@127.0.0.1:{port}/x", "file:///etc/passwd",
        ):  # fmt: skip
            picture = {"type": "image_url", "image_url": {"url": address}}
            source = {"type": "image", "source": {"type": "url", "url": address}}
            schema = {"name": "x", "schema": {"$ref": address, "$schema": address}}
            for path, body in (
                ("/v1/chat/completions", {"messages": [{"role": "user", "content": [picture]}]}),
                ("/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}],
                                          "response_format": {"type": "json_schema", "json_schema": schema}}),
                ("/v1/responses", {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": address}]}]}),
                ("/v1/responses", {"input": "x", "tools": [{"type": "mcp", "server_url": address, "server_label": "x"}]}),
                ("/v1/messages", {"max_tokens": 1, "messages": [{"role": "user", "content": [source]}]}),
                ("/v1/completions", {"prompt": "x", "model": address}),
            ):  # fmt: skip
                answer = ask(writer, path, {"model": "tiny", **body})
                left_out = answer.headers.get("x-daedal-unused") == "tools.mcp"
                assert answer.status_code in (400, 404) or left_out, (path, answer.text)
                assert "root:" not in answer.text
        with pytest.raises(TimeoutError):  # nobody came
            trap.accept()


def test_a_client_brings_no_template(writer: tuple[str, list[str]]) -> None:
    for name in ("chat_template", "chat_template_kwargs"):
        for path in ("/v1/chat/completions", "/tokenize"):
            body = {"model": "tiny", "messages": [{"role": "user", "content": "x"}], name: "{{ messages.__class__ }}"}
            answer = ask(writer, path, body)
            assert (answer.status_code, answer.json()["error"]["param"]) == (400, name)
    talk = [{"role": "user", "content": "{{ 7 * 7 }}{% for x in range(9) %}y{% endfor %}"}]
    tokens = ask(writer, "/tokenize", {"model": "tiny", "messages": talk}).json()["tokens"]
    said = ask(writer, "/detokenize", {"model": "tiny", "tokens": tokens}).json()["prompt"]
    assert talk[0]["content"] in said


def test_a_text_takes_so_much_work_for_its_constraint(monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = ConstraintCompiler(CODEC, CODEC.vocab_size, [CODEC.eos_id or 0])
    fits = compiler.compile("json_schema", {"const": "x" * 10_000})
    for _ in range(3):
        fits.mask()
    monkeypatch.setattr(constraint, "_START", 0.0)
    monkeypatch.setattr(constraint, "_STEP", 0.0)
    with pytest.raises(Unconstrainable, match="too much work"):
        compiler.compile("json_schema", {"const": "x" * 10_000})


def test_a_schema_that_doubles_itself_is_refused_before_it_is_written_out() -> None:
    """In `allOf` or beside a `$ref` the engine writes out what references mean: it took minutes and all memory."""

    def doubled(depth: int, twice: Any) -> Any:
        defs = {f"d{n}": twice({"$ref": f"#/$defs/d{n + 1}"}) for n in range(depth)}
        return {"$defs": {**defs, f"d{depth}": {"type": "string", "pattern": "^a"}}, "$ref": "#/$defs/d0"}

    joined = (
        lambda ref: {"allOf": [ref, ref]},
        lambda ref: {**ref, "anyOf": [ref, ref]},
        lambda ref: {**ref, "allOf": [ref]},
    )
    for twice in joined:
        with pytest.raises(ValidationError, match="too large"):
            TypeAdapter(JSONSchema).validate_python(doubled(25, twice))
    compiler = ConstraintCompiler(CODEC, CODEC.vocab_size, [CODEC.eos_id or 0])
    with pytest.raises(Unconstrainable, match="too much work"):
        compiler.compile("json_schema", doubled(25, joined[0]))
    compiler.compile(
        "json_schema", doubled(25, lambda ref: {"anyOf": [{"type": "array", "items": ref}, {"type": "null"}]})
    )
    compiler.compile("json_schema", doubled(2, joined[0]))
    model = doubled(25, lambda ref: {"type": "object", "properties": {"a": ref, "b": {**ref, "description": "as a"}}})
    assert TypeAdapter(JSONSchema).validate_python(model) == model
    compiler.compile("json_schema", model)


def test_patterns_that_one_text_must_match_together_are_few() -> None:
    """The engine makes 2^n of n of them: 22 took ten seconds and a gigabyte."""

    def joined(count: int, name: str) -> Any:
        return [{"properties": {name.format(n): {"type": "string", "pattern": f"a.*{n}.*b"}}} for n in range(count)]

    compiler = ConstraintCompiler(CODEC, CODEC.vocab_size, [CODEC.eos_id or 0])
    with pytest.raises(Unconstrainable, match="too much work"):
        compiler.compile("json_schema", {"items": {"allOf": joined(60, "same")}})
    with pytest.raises(ValidationError, match="patterns for one text"):
        TypeAdapter(JSONSchema).validate_python({"$defs": {"all": {"allOf": joined(22, "same")}}})
    compiler.compile("json_schema", {"type": "object", "allOf": joined(20, "another{}")})
    every = {f"p{n}": {"$ref": f"#/$defs/d{n}"} for n in range(30)}  # each leads to all, on 30! ways
    began = time.thread_time()
    is_too_large({"$defs": {f"d{n}": {"properties": every} for n in range(30)}, "allOf": [{"$ref": "#/$defs/d0"}]})
    assert time.thread_time() - began < 1


@pytest.mark.parametrize(
    "pattern",
    ["((((a{50}){50}){50}){50})", "((a{1000}){1000})b", "a{1000000}", "x" * 300_000],
    ids=lambda pattern: pattern[:20],
)
def test_a_pattern_that_takes_too_much_work_is_refused_with_little(pattern: str) -> None:
    compiler = ConstraintCompiler(CODEC, CODEC.vocab_size, [CODEC.eos_id or 0])
    compiler.compile("regex", "[a-z]+")  # its own preparations
    began = time.thread_time()
    with pytest.raises(Unconstrainable, match="too much work"):
        compiler.compile("regex", pattern)
    assert time.thread_time() - began < 0.5  # of the processor; it was over a second


def test_compressed_requests_are_not_unpacked(server: Served) -> None:
    bomb = zlib.compress(b"[" + b"1," * 10**6 + b"1]")
    for encoding, body in (("gzip", gzip.compress(b"{}")), ("deflate", bomb), ("br", b"x"), ("gzip, gzip", b"x")):
        for path, kind in (("/v1/completions", "application/json"), ("/v1/files", "multipart/form-data; boundary=x")):
            headers = {"content-type": kind, "content-encoding": encoding}
            answer = server.client.post(path, content=body, headers=headers)
            assert (answer.status_code, answer.json()["error"]["code"]) == (415, "unsupported_encoding")


@pytest.mark.parametrize(
    ("name", "kind", "data"),
    [
        ("a.svg", "image/svg+xml", b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"),
        ("a.html", "text/html", b"<script>alert(1)</script>"),
        ("a.html\r\ncontent-type: text/html", "text/html", b"<script>alert(1)</script>"),
        ('a";filename="b.html', "text/html\r\nx: y", b"<img src=x onerror=alert(1)>"),
        ("a.js", "text/javascript", b"alert(1)"),
    ],
)
def test_a_file_is_never_a_page(server: Served, name: str, kind: str, data: bytes) -> None:
    answer = server.client.post("/v1/files", files={"file": (name, data, kind)}, data={"purpose": "user_data"})
    if answer.status_code == 400:
        return
    content = server.client.get(f"/v1/files/{answer.json()['id']}/content")
    assert content.content == data
    assert content.headers["content-type"] == "application/octet-stream"
    assert content.headers["content-disposition"].startswith("attachment")
    assert content.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in content.headers["content-security-policy"]
    assert "x" not in content.headers


def waited(server: Served) -> float:
    """Seconds that a text and a look at the server's health usually take: more on a machine that is busy with other work."""
    seconds = []
    for _ in range(20):
        began = time.monotonic()
        assert server.write("count 1").status_code == 200
        assert server.client.get("/health").status_code == 200
        seconds.append(time.monotonic() - began)
    return sorted(seconds)[10]


def test_idle_streams_and_connections_keep_nobody_waiting(tmp_path: Path) -> None:
    with Process(tmp_path, per_key=300) as process, ExitStack() as stack:
        server = process.served
        calm = waited(server)
        before = resident(process.process.pid)

        def connect(sent: bytes) -> None:
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            connection.sendall(sent)

        for _ in range(200):
            connect(request(asked("count 2 60000", stream=True)))
            connect(b"GET /health HTTP/1.1\r\n")
            connect(b"")
        until(lambda: waited(server) < max(0.1, 5 * calm), 30)  # once it has taken them all in
        assert resident(process.process.pid) - before < 30e6
