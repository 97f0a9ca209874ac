"""Requests that mean harm, or nothing: each is answered in the one shape, soon, and nobody else notices.

Every field of every request is given every value of a list that has broken servers, with real models behind them. Beside
all of it a text is written again and again, and stays the same; the processes of the models stay too.
"""

import json
import threading
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

import api_server
from daedal.codecs.image import PixelCodec
from daedal.codecs.text import TextCodec
from daedal.models.checkpoint import save_model, save_own
from daedal.models.classifier import Classifier
from daedal.models.flow import Flow, FlowConfig
from daedal.serving.app import Application
from daedal.serving.schema.base import Request
from daedal.serving.schema.chat import ChatRequest
from daedal.serving.schema.classify import ClassifyRequest
from daedal.serving.schema.completions import CompletionRequest
from daedal.serving.schema.embeddings import EmbeddingRequest
from daedal.serving.schema.images import EditRequest, GenerationRequest, VariationRequest
from daedal.serving.schema.inference import InferenceRequest
from daedal.serving.schema.messages import MessageRequest
from daedal.serving.schema.moderations import ModerationRequest
from daedal.serving.schema.rerank import RerankRequest
from daedal.serving.schema.responses import ResponseRequest
from daedal.serving.schema.tokens import DetokenizeRequest, TokenizeRequest
from image_files import encoded, huge_png, noise
from tiny_models import shaken, tiny_codec, tiny_encoder, tiny_gpt

TEXTS = ["The quick brown fox jumps over the lazy dog.", "naïve café 東京", '{"name": "weather", "arguments": {}}']
_SLOWEST = 10.0
"""Seconds for one answer, on a machine that does other things too."""


class Target(NamedTuple):
    """An endpoint and a request that is right."""

    path: str
    schema: type[Request]
    right: dict[str, Any]


TALK = [{"role": "user", "content": "The fox"}]
TARGETS = [
    Target("/v1/completions", CompletionRequest, {"model": "tiny", "prompt": "The", "max_tokens": 2}),
    Target("/v1/chat/completions", ChatRequest, {"model": "tiny", "messages": TALK, "max_tokens": 2}),
    Target("/v1/responses", ResponseRequest, {"model": "tiny", "input": "The fox", "max_output_tokens": 2}),
    Target("/v1/messages", MessageRequest, {"model": "tiny", "messages": TALK, "max_tokens": 2}),
    Target("/v1/embeddings", EmbeddingRequest, {"model": "tiny", "input": "The fox"}),
    Target("/v1/moderations", ModerationRequest, {"input": "The fox"}),
    Target("/v1/classify", ClassifyRequest, {"model": "judge", "input": "The fox"}),
    Target("/v1/rerank", RerankRequest, {"model": "judge", "query": "The fox", "documents": ["The dog"]}),
    Target("/models/judge", InferenceRequest, {"inputs": "The fox"}),
    Target("/tokenize", TokenizeRequest, {"model": "tiny", "prompt": "The fox"}),
    Target("/detokenize", DetokenizeRequest, {"model": "tiny", "tokens": [1, 2]}),
    Target("/v1/images/generations", GenerationRequest, {"model": "flow", "prompt": "cat", "steps": 1}),
]
FORMS = [
    Target("/v1/images/edits", EditRequest, {"model": "flow", "prompt": "cat", "steps": "1"}),
    Target("/v1/images/variations", VariationRequest, {"model": "flow"}),
]


def nested(depth: int, inside: Any = 1) -> Any:
    return inside if depth == 0 else nested(depth - 1, {"a": inside} if depth % 2 else [inside])


HOSTILE: list[Any] = [
    None, True, 0, -1, 1, 2, 2**31, 2**53 + 1, 2**63, 2**64, -(2**63) - 1, 0.5, 1e-320, 1e308, -1e308,
    "", "x", "\x00\x1b[31m\r\n: x", "\u202e\U0001f600\uffff", "9" * 5000, "x" * 100_000, "../../../etc/passwd", "{{ 7*7 }}",
    [], [[]], [None], [1e308], [-1], [2**31], ["x"] * 3000, {}, {"": {}}, {"type": "x"}, {"__proto__": []}, nested(50),
    {str(number): 100 for number in range(5000)}, {"-1": 1, "1e9": 1}, {"1": 1e308},
]  # fmt: skip
UNREADABLE = [
    b"NaN", b"-Infinity", b"1e999", b"1" * 400, b'"\\ud800"', b'"\xff"', b"[" * 90 + b"]" * 90, b"01", b"'x'", b"",
    b"[" * 20_000, b"[" + b"1," * 300_000 + b"1]", b'{"0": 1, "1": 1,' + b'"2": 1, ' * 1_000_000 + b'"3": 1}',
]  # fmt: skip


class Attacked(NamedTuple):
    """A server under fire."""

    url: str
    client: httpx.Client
    application: Application
    alone: str

    def processes(self) -> dict[str, int | None]:
        return {process.name: process.pid for process in self.application.models.processes}

    def send(self, path: str, body: Any, **fields: Any) -> httpx.Response:
        """What is answered: in time, no fault of the server's, and a fault of the request in the one shape."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        began = time.monotonic()
        answer = self.client.post(path, content=content, headers={"content-type": "application/json"}, **fields)
        checked(answer)
        assert time.monotonic() - began < _SLOWEST
        return answer


def checked(answer: httpx.Response) -> None:
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert len(answer.content) < 4096
        body, path = answer.json(), answer.request.url.path
        if path.startswith("/v1/messages"):
            assert set(body) == {"type", "error"}
            assert set(body["error"]) == {"type", "message"}
        else:
            assert set(body) == {"error"}
            assert set(body["error"]) == {"message", "type", "param", "code"}
            assert body["error"]["code"]
        message = body["error"]["message"]
        assert message.isprintable()
        assert "Traceback" not in message


def write(client: httpx.Client) -> str:
    """A text, as a stream."""
    body = {"model": "tiny", "prompt": "The quick", "max_tokens": 24, "seed": 7, "stream": True, "temperature": 0.7}
    body["logit_bias"] = {"0": -100}
    answer = client.post("/v1/completions", json=body)
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: {")]
    return "".join(event["choices"][0]["text"] for event in events)


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    folder = tmp_path_factory.mktemp("fuzz")
    codec = TextCodec.train("bpe", TEXTS * 4, 300)
    codec.save(folder / "tiny")
    save_model(tiny_gpt(codec, context=512), folder / "tiny")
    shape: Any = {"channels": 3, "height": 8, "width": 8}
    flow = shaken(Flow(FlowConfig(**shape, features=16, levels=1, blocks=1, classes=2)))
    save_own(flow, folder / "flow", ("cat", "dog"))
    PixelCodec(**shape).save(folder / "flow")
    marks = tiny_codec(TEXTS * 4)
    save_model(tiny_encoder(Classifier, marks, labels=("hate", "relevant")), folder / "judge", codec=marks)
    models = {name: str(folder / name) for name in ("tiny", "flow", "judge")}
    application = api_server.application(
        folder / "data", models=models, aliases={}, moderation="judge", moderation_threshold=1.0
    )
    with api_server.running(application) as url, httpx.Client(base_url=url, timeout=30) as client:
        yield Attacked(url, client, application, write(client))


@pytest.fixture(autouse=True)
def unharmed(attacked: Attacked) -> Iterator[None]:
    """While a test runs, a text is written again and again: always the same, by the process that was there before."""
    before, ended, texts = attacked.processes(), threading.Event(), list[str]()

    def keep_writing() -> None:
        with httpx.Client(base_url=attacked.url, timeout=30) as client:
            while not ended.is_set() or not texts:
                texts.append(write(client))
                time.sleep(0.1)

    thread = threading.Thread(target=keep_writing)
    thread.start()
    yield
    ended.set()
    thread.join()
    assert set(texts) == {attacked.alone}
    assert attacked.processes() == before


def fields(schema: type[BaseModel]) -> list[str]:
    return [info.alias or name for name, info in schema.model_fields.items()]


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.path)
def test_no_value_of_a_field_does_harm(attacked: Attacked, target: Target) -> None:
    assert attacked.send(target.path, target.right).status_code == 200
    for name in fields(target.schema):
        for value in HOSTILE[:: 8 if name in target.schema.refused() else 1]:  # what is refused anyway has fewer
            answer = attacked.send(target.path, {**target.right, name: value})
            if answer.status_code == 400:
                named(answer, name)


def named(answer: httpx.Response, field: str) -> None:
    """The error says which field is at fault: the one that is not right, or one that does not go with it."""
    error = answer.json()["error"]
    if error["message"].startswith("the request: ") or error.get("code") == "invalid_json":
        return  # no single field is
    if "param" in error:
        assert error["param"], (field, error)
    else:
        assert field in error["message"] or "prompt" in error["message"], (field, error)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.path)
def test_what_cannot_be_read_is_refused(attacked: Attacked, target: Target) -> None:
    for value in UNREADABLE:
        body = json.dumps({**target.right, "seed": "here"}).encode().replace(b'"here"', value)
        assert attacked.send(target.path, body).status_code in (400, 413), value[:40]


SAMPLING = {
    "temperature", "top_p", "top_k", "min_p", "repetition_penalty", "presence_penalty", "frequency_penalty", "logit_bias",
    "n", "best_of", "seed", "stop", "min_tokens", "echo", "logprobs", "max_tokens", "prompt", "stream",
}  # fmt: skip
EDGES = st.sampled_from(
    [0, 1, 2, 0.0, 1e-320, 1e-45, 1e-8, 0.01, 0.5, 1.0, 1.5, 2.0, -2, -2.0, 10, 16, 300, True, False, None]
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(asked=st.dictionaries(st.sampled_from(sorted(SAMPLING)), EDGES, min_size=2, max_size=6), biases=st.booleans())
def test_no_mixture_of_what_is_allowed_does_harm(attacked: Attacked, asked: dict[str, Any], biases: bool) -> None:
    asked = {"model": "tiny", "prompt": "The", "max_tokens": 3, **{k: v for k, v in asked.items() if v is not None}}
    if biases:
        asked["logit_bias"] = {str(id): -100 for id in range(300)}
    if isinstance(asked["max_tokens"], int):
        asked["max_tokens"] = min(asked["max_tokens"], 4)
    attacked.send("/v1/completions", asked)


def many(count: int, rule: Any) -> dict[str, Any]:
    return {f"p{number}": rule for number in range(count)}


def doubled(levels: int, wide: int, inside: Any) -> dict[str, Any]:
    """A schema that is small and means something large."""
    step = {"type": "array", "minItems": wide, "items": False}
    rules = {f"a{i}": {**step, "prefixItems": [{"$ref": f"#/$defs/a{i + 1}"}] * wide} for i in range(levels)}
    return {"$ref": "#/$defs/a0", "$defs": {**rules, f"a{levels}": inside}}


TEXT = {"type": "string"}
SCHEMAS: dict[str, Any] = {
    "itself": {"$ref": "#"},
    "a circle": {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
    "a page": {"$ref": "http://127.0.0.1:1/x"},
    "a file": {"$ref": "file:///etc/passwd"},
    "a name for itself": {"$id": "http://127.0.0.1:1/x", "$schema": "http://127.0.0.1:1/y", "type": "object"},
    "10,000 properties": {"type": "object", "properties": many(10_000, TEXT)},
    "1,000 properties": {"type": "object", "properties": many(1000, TEXT)},
    "1,000 required": {"type": "object", "properties": many(1000, TEXT), "required": list(many(1000, 0))},
    "4,900 choices": {"enum": [f"value {number}" for number in range(4900)]},
    "a long text": {"const": "x" * 100_000},
    "nothing at all": {"type": "integer", "minimum": 5, "maximum": 4},
    "two types": {"allOf": [TEXT, {"type": "integer"}]},
    "not": {"not": {}},
    "deep": nested(25, TEXT),
    "too deep": nested(40, TEXT),
    "many items": {"type": "array", "items": {"const": "x"}, "minItems": 10**9},
    "a long string": {"type": "string", "minLength": 2**62},
    "a million letters": {"type": "string", "minLength": 10**6},
    "much from little": doubled(8, 8, {"const": "x" * 100}),
    "more from little": doubled(4, 8, {"const": "x" * 100}),
    "choices of choices": {"allOf": [{"oneOf": [{"required": [f"a{i}{j}"]} for j in range(5)]} for i in range(40)]},
    "no multiple": {"type": "number", "multipleOf": 0},
    "tiny multiple": {"type": "number", "multipleOf": 1e-300},
    "huge numbers": {"type": "number", "minimum": -1e308, "maximum": 1e308},
    "no type": {"type": "nonsense"},
    "a number for a type": {"type": 3},
    "a list of properties": {"type": "object", "properties": [1]},
    "a setting of the library's": {"x-guidance": {"whitespace_pattern": "(a+)+"}, "type": "object"},
    "the same, inside": {"type": "object", "properties": {"a": {"x-guidance": {"whitespace_pattern": "(a+)+"}}}},
    "NUL": {"const": "\x00\ud7ff"},
    **{
        f"pattern {pattern}": {"type": "string", "pattern": pattern}
        for pattern in (
            "^(a+)+$", "^(([a-z])+.)+[A-Z]([a-z])+$", "^((a{1,100}){1,100}){1,100}$", "^(\\w{1,300}){1,300}x$",
            "^(a|b)*a(a|b){30}$", "(?:.*a.{12}b.*c.{12}){4}", "^(?=a)b$", "^(a)\\1$", "(", "(?<n>a)(?P=n)", "\\p{L}{1000}",
        )
    },
}  # fmt: skip


@pytest.mark.parametrize("where", ["format", "tool", "text.format", "output_config", "input_schema"])
def test_no_schema_does_harm(attacked: Attacked, where: str) -> None:
    for name, schema in SCHEMAS.items():
        began = time.monotonic()
        form, tool = {"name": "f", "schema": schema}, {"name": "f", "parameters": schema}
        path, fields = {
            "format": ("chat/completions", {"response_format": {"type": "json_schema", "json_schema": form}}),
            "tool": (
                "chat/completions",
                {"tools": [{"type": "function", "function": tool}], "tool_choice": "required"},
            ),
            "text.format": ("responses", {"text": {"format": {"type": "json_schema", **form}}}),
            "output_config": ("messages", {"output_config": {"format": {"type": "json_schema", "schema": schema}}}),
            "input_schema": (
                "messages",
                {"tools": [{"name": "f", "input_schema": schema}], "tool_choice": {"type": "any"}},
            ),
        }[where]
        (target,) = [target for target in TARGETS if target.path == f"/v1/{path}"]
        answer = attacked.send(target.path, {**target.right, **fields})
        if answer.status_code == 400:
            error = answer.json()["error"]
            assert error.get("param", "there") or error["code"] == "invalid_json", name
        assert time.monotonic() - began < 5, name


TALKS: list[Any] = [
    [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://169.254.169.254/"}}]}],
    [{"role": "user", "content": [{"type": "file", "file": {"file_id": "../../etc/passwd"}}]}],
    [{"role": "tool", "content": "x"}], [{"role": "tool", "tool_call_id": "x", "content": "x"}] * 50,
    [{"role": "assistant", "tool_calls": [{"id": "x", "function": {"name": "f", "arguments": "not JSON"}}]}],
    [{"role": "assistant", "tool_calls": [{"id": "x", "function": {"name": "f", "arguments": "[" * 50_000}}]}],
    [{"role": "assistant", "tool_calls": [{"id": "x", "function": {"name": "f", "arguments": '{"a": 1e999}'}}]}],
    [{"role": "user", "content": "{{ ''.__class__.__mro__ }}{% for a in range(10**9) %}{% endfor %}"}],
    [{"role": "user", "content": "<tool_call>\n{\"name\": \"" * 50}], [{"role": "user", "content": "x"}] * 5000,
    [{"role": "user", "content": "\x00\x1b]0;x\x07\u2028\ufeff"}], [{"role": "user\n", "content": "x"}],
    [{"role": "user", "content": ""}], [{"role": "system", "content": "x"}], [{"role": "assistant"}],
    [{"role": "user", "content": [{"type": "text", "text": "x"}] * 1001}], [{"role": "user", "content": "x", "name": "../x"}],
]  # fmt: skip


def test_no_conversation_does_harm(attacked: Attacked) -> None:
    for talk in TALKS:
        for path, fields in (
            ("/v1/chat/completions", {"messages": talk, "max_tokens": 2}),
            ("/v1/messages", {"messages": talk, "max_tokens": 2}),
            ("/v1/messages/count_tokens", {"messages": talk}),
            ("/v1/responses", {"input": talk, "max_output_tokens": 2}),
            ("/v1/responses/input_tokens", {"input": talk}),
            ("/tokenize", {"messages": talk}),
        ):
            attacked.send(path, {"model": "tiny", **fields})


NAMES = [
    "../../../../etc/passwd", "/etc/passwd", "..\\..\\windows", "C:x", "%2e%2e%2f", "..%c0%af", "a\x00b", "..", ".", "tiny/..",
    "./tiny", "x" * 3000, "a\r\nb: c", "file:///etc/passwd", "//host/share", "~", "$HOME", "tiny\n", "TINY", "{{7*7}}", "con",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_no_name_leads_anywhere(attacked: Attacked, name: str) -> None:
    quoted = "".join(f"%{byte:02x}" for byte in name.encode())
    for target in TARGETS:
        if "model" in target.right:
            answer = attacked.send(target.path, {**target.right, "model": name})
            assert answer.status_code in (400, 404)
            assert "root:" not in answer.text
    for path in (
        f"/v1/models/{quoted}", f"/v1/files/{quoted}", f"/v1/files/{quoted}/content", f"/v1/responses/{quoted}",
        f"/v1/responses/{quoted}/input_items",
        f"/tokenizer_info?model={quoted}", f"/v1/files?after={quoted}&purpose={quoted}",
    ):  # fmt: skip
        answer = attacked.client.get(path)
        checked(answer)
        assert "root:" not in answer.text
        assert answer.status_code in (400, 404) or path.startswith("/v1/files?"), path
    for path in (f"/v1/models/{quoted}", f"/v1/files/{quoted}", f"/v1/responses/{quoted}"):
        assert attacked.client.delete(path).status_code == 404
    answer = attacked.send("/v1/responses", {"model": "tiny", "input": "x", "previous_response_id": name})
    assert answer.status_code in (400, 404)


@pytest.mark.parametrize("target", FORMS, ids=lambda target: target.path)
def test_no_form_does_harm(attacked: Attacked, target: Target) -> None:
    picture = encoded(noise(0, 8, 8))
    texts = [value for value in HOSTILE if isinstance(value, str)] + [
        "nan",
        "inf",
        "-1",
        "1e308",
        str(2**63),
        "9" * 30,
        "true",
    ]

    def send(fields: dict[str, str], **files: tuple[str, bytes]) -> httpx.Response:
        answer = attacked.client.post(target.path, data={**target.right, **fields}, files=files)
        checked(answer)
        return answer

    assert send({}, image=("a.png", picture)).status_code == 200
    for name in fields(target.schema):
        for value in texts:
            answer = send({name: value}, image=("a.png", picture))
            if answer.status_code == 400:
                named(answer, name)
    for data in (b"", b"x", picture[:50], b"<svg onload=alert(1)>", huge_png(), b"GIF89a" + b"\xff" * 100):
        for files in ({"image": ("../../x.png", data)}, {"image": ("a", picture), "mask": ("a", data)}):
            answer = send({}, **files)
            assert answer.status_code == 400
            assert answer.json()["error"]["param"] in ("image", "mask")
