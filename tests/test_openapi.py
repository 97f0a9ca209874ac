"""/openapi.json says what is served: the answer to whatever it describes has a status and a form that stand there."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from jsonschema import Draft202012Validator

from api_server import NAME, application, running
from daedal.serving import openapi
from daedal.serving.app import Application

schemathesis = pytest.importorskip("schemathesis")
conformance = pytest.importorskip("schemathesis.specs.openapi.checks")

EXAMPLES = 3
"""Requests of each kind to each operation."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Application]]:
    app = application(tmp_path_factory.mktemp("served"), root_path="/box")
    with running(app) as url:
        yield url, app


@pytest.fixture(scope="module")
def document(served: tuple[str, Application]) -> dict[str, Any]:
    answer = httpx.get(f"{served[0]}/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    found: dict[str, Any] = answer.json()
    return found


def test_every_route_is_described(served: tuple[str, Application], document: dict[str, Any]) -> None:
    described = {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}
    assert document["servers"] == [{"url": "/box"}]
    assert described == {
        f"{method} {route.path.replace(':path', '')}"
        for route in served[1].starlette.routes
        for method in route.methods - {"HEAD"}  # type: ignore[attr-defined]
    }
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_a_request_is_described_as_wide_as_it_is_taken(document: dict[str, Any]) -> None:
    texts: Any = {
        "model": "m",
        "messages": [{"role": "user", "content": "x"}],
        "stop": "x",
        "tool_choice": "auto",
        "n": None,
    }
    parts: Any = {
        "model": "m",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}],
        "stop": ["x"],
    }
    for body in (texts, parts, {**parts, "store": True}, {**parts, "audio": None}):
        assert valid(document, "ChatRequest", body)
    for body in (
        {"model": "m"},
        {**parts, "n": 17},
        {**parts, "secret": 1},
        {**parts, "audio": {"voice": "x"}},
        {**parts, "n": "1"},
    ):
        assert not valid(document, "ChatRequest", body)
    assert valid(document, "ResponseRequest", {"model": "m", "input": "x", "tool_choice": "none"})
    assert valid(
        document, "MessageRequest", {"model": "m", "messages": parts["messages"], "system": "x", "max_tokens": 1}
    )
    assert valid(document, "EmbeddingRequest", {"model": "m", "input": [1, 2]})


def valid(document: dict[str, Any], name: str, body: Any) -> bool:
    return Draft202012Validator({"$ref": f"#/components/schemas/{name}", **document}).is_valid(body)


def test_keys_are_described_where_there_are_keys(served: tuple[str, Application]) -> None:
    made = openapi.description(served[1].starlette.routes, keys=True)  # type: ignore[arg-type]
    assert "security" not in made["paths"]["/health"]["get"]
    assert made["paths"]["/v1/models"]["get"]["security"] == [{"bearer": []}, {"header": []}]


def operations() -> list[str]:
    from daedal.serving import audio, files, health, images, texts, videos

    rooms = (health, files, texts, images, audio, videos, openapi)
    routes = [route for room in rooms for route in room.routes]
    return [
        f"{method} {route.path.replace(':path', '')}" for route in routes for method in sorted(route.methods - {"HEAD"})
    ]


@pytest.mark.parametrize("name", operations())
def test_answers_are_as_described(served: tuple[str, Application], document: dict[str, Any], name: str) -> None:
    """Requests that fit the description, and such as break it, by schemathesis."""
    method, _, path = name.partition(" ")
    operation = schemathesis.openapi.from_dict(document)[path][method]
    asked = [
        schemathesis.checks.not_a_server_error,
        conformance.status_code_conformance,
        conformance.content_type_conformance,
        conformance.response_schema_conformance,
    ]
    said = document["paths"][path][method.lower()]
    breakable = "requestBody" in said or any(place["in"] == "query" for place in said.get("parameters", ()))
    modes = [schemathesis.GenerationMode.POSITIVE, *([schemathesis.GenerationMode.NEGATIVE] if breakable else [])]
    for mode in modes:
        checked = asked + [conformance.negative_data_rejection] * (mode == schemathesis.GenerationMode.NEGATIVE)

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(
            max_examples=EXAMPLES,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def holds(case: Any) -> None:
            model = case.body.get("model") if isinstance(case.body, dict) else None
            if isinstance(model, str) and 0 < len(model) <= 256:
                case.body["model"] = NAME  # else all that it would find is that there is no such model
            case.call_and_validate(base_url=served[0], checks=checked)  # noqa: B023

        holds()
