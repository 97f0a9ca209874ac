"""What we answer has every key that the official APIs require, none that they do not know, and only their values.

The facts are in openapi_facts.json, which openapi_facts.py writes.
"""

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from api_server import application, running, serve

OBJECTS: dict[str, Any] = json.loads((Path(__file__).parent / "openapi_facts.json").read_text())["objects"]
INSIDE = {
    ("CreateChatCompletionResponse.choices", "message"): "ChatCompletionResponseMessage",
    ("CreateChatCompletionResponse.choices.logprobs", "content"): "ChatCompletionTokenLogprob",
    ("CreateChatCompletionResponse", "usage"): "CompletionUsage",
    ("ChatCompletionResponseMessage", "tool_calls"): "ChatCompletionMessageToolCall",
    ("CreateChatCompletionStreamResponse", "usage"): "CompletionUsage",
    ("CreateChatCompletionStreamResponse.choices", "delta"): "ChatCompletionStreamResponseDelta",
    ("CreateChatCompletionStreamResponse.choices.logprobs", "content"): "ChatCompletionTokenLogprob",
    ("ChatCompletionStreamResponseDelta", "tool_calls"): "ChatCompletionMessageToolCallChunk",
    ("CreateCompletionResponse", "usage"): "CompletionUsage",
    ("CreateEmbeddingResponse", "data"): "Embedding",
    ("Response", "usage"): "ResponseUsage",
    ("Response", "reasoning"): "Reasoning",
    ("Response", "text"): "ResponseTextParam",
    ("Response", "tools"): "FunctionTool",
    ("OutputTextContent", "logprobs"): "LogProb",
    ("ResponseTextDeltaEvent", "logprobs"): "LogProb",
    ("ResponseTextDoneEvent", "logprobs"): "LogProb",
    ("ResponseCreatedEvent", "response"): "Response",
    ("ResponseInProgressEvent", "response"): "Response",
    ("ResponseCompletedEvent", "response"): "Response",
    ("ResponseIncompleteEvent", "response"): "Response",
    ("ResponseFailedEvent", "response"): "Response",
    ("Message", "usage"): "Usage",
    ("RawMessageStartEvent", "message"): "Message",
    ("RawMessageDeltaEvent", "usage"): "MessageDeltaUsage",
}  # fmt: skip
"""Of a key that holds an object described elsewhere, where. Items and parts are known by their type."""
BY_TYPE = {
    "output_text": "OutputTextContent",
    "function_call": "FunctionToolCall",
    "text": "TextBlock",
    "tool_use": "ToolUseBlock",
}
EVENTS = {
    "response.created": "ResponseCreatedEvent",
    "response.in_progress": "ResponseInProgressEvent",
    "response.output_item.added": "ResponseOutputItemAddedEvent",
    "response.content_part.added": "ResponseContentPartAddedEvent",
    "response.output_text.delta": "ResponseTextDeltaEvent",
    "response.output_text.done": "ResponseTextDoneEvent",
    "response.content_part.done": "ResponseContentPartDoneEvent",
    "response.output_item.done": "ResponseOutputItemDoneEvent",
    "response.function_call_arguments.delta": "ResponseFunctionCallArgumentsDeltaEvent",
    "response.function_call_arguments.done": "ResponseFunctionCallArgumentsDoneEvent",
    "response.completed": "ResponseCompletedEvent",
    "response.incomplete": "ResponseIncompleteEvent",
    "response.failed": "ResponseFailedEvent",
    "message_start": "RawMessageStartEvent",
    "content_block_start": "RawContentBlockStartEvent",
    "content_block_delta": "RawContentBlockDeltaEvent",
    "content_block_stop": "RawContentBlockStopEvent",
    "message_delta": "RawMessageDeltaEvent",
    "message_stop": "RawMessageStopEvent",
}
TOOL = {"name": "f", "parameters": {"type": "object"}}
CALL = 'say Words\\n<tool_call>\\n{"name": "f", "arguments": {}}\\n</tool_call>'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with serve(tmp_path_factory.mktemp("served")) as url, httpx.Client(base_url=url, timeout=10) as client:
        yield client


def check(name: str, value: Any) -> None:
    """Hold a value against the facts."""
    if isinstance(value, list):
        for one in value:
            check(name, one)
    if not isinstance(value, dict):
        return
    facts = OBJECTS[name]
    assert set(facts["required"]) <= set(value), name
    assert set(value) <= set(facts["fields"]), name
    for key, inner in value.items():
        allowed = facts.get("enums", {}).get(key)
        if allowed and isinstance(inner, str):
            assert inner in allowed, (name, key)
        inside = INSIDE.get((name, key), f"{name}.{key}")
        if inside in OBJECTS:
            check(inside, inner)
        elif key in ("output", "content", "item", "part", "content_block"):
            for one in inner if isinstance(inner, list) else [inner]:
                if isinstance(one, dict) and one["type"] != "message":
                    check(BY_TYPE[one["type"]], one)
                elif isinstance(one, dict):
                    check("OutputMessage", one)


def ask(server: httpx.Client, path: str, **body: Any) -> Any:
    answer = server.post(path, json={"model": "scripted", **body})
    assert answer.status_code == 200, answer.text
    return answer.json()


def stream(server: httpx.Client, path: str, **body: Any) -> list[Any]:
    answer = server.post(path, json={"model": "scripted", "stream": True, **body})
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = []
    for block in answer.text.strip().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.split("\n"))
        if lines["data"] != "[DONE]":
            events.append(json.loads(lines["data"]))
            assert lines.get("event", events[-1].get("type")) == events[-1].get("type")
    return events


def user(text: str) -> Any:
    return [{"role": "user", "content": text}]


def test_chat_completions(server: httpx.Client) -> None:
    tools = [{"type": "function", "function": TOOL}]
    for body in (
        {"messages": user("say a b"), "logprobs": True, "top_logprobs": 2, "n": 2},
        {"messages": user(CALL), "tools": tools, "logprobs": True},
        {"messages": user("cut a"), "metadata": {"a": "b"}},
    ):
        check("CreateChatCompletionResponse", ask(server, "/v1/chat/completions", **body))
        for chunk in stream(server, "/v1/chat/completions", **body, stream_options={"include_usage": True}):
            check("CreateChatCompletionStreamResponse", chunk)


def test_a_call_that_was_cut_before_its_arguments_is_not_shown(server: httpx.Client) -> None:
    half = CALL.replace("say", "cut", 1).partition("arguments")[0]
    body = {"messages": user(half), "tools": [{"type": "function", "function": TOOL}]}
    (choice,) = ask(server, "/v1/chat/completions", **body)["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("Words", "length")
    assert "tool_calls" not in choice["message"]
    chunks = [chunk["choices"][0] for chunk in stream(server, "/v1/chat/completions", **body)]
    assert "".join(chunk["delta"].get("content", "") for chunk in chunks) == "Words"
    assert chunks[-1]["finish_reason"] == "length"
    (said,) = ask(
        server, "/v1/messages", max_tokens=50, messages=user(half), tools=[{"name": "a", "input_schema": {}}]
    )["content"]
    assert said == {"type": "text", "text": "Words"}  # clients take a null for citations that are wrong


def test_what_is_not_used_is_named_in_a_header(server: httpx.Client) -> None:
    tools = [{"type": "web_search"}, {"type": "function", "name": "a"}]
    body = {"model": "scripted", "input": "say a", "store": False, "reasoning": {"effort": "low"}, "tools": tools}
    answered = server.post("/v1/responses", json=body)
    assert answered.status_code == 200, answered.text
    assert answered.headers["x-daedal-unused"] == "tools.web_search, reasoning.effort"
    assert [tool["type"] for tool in answered.json()["tools"]] == ["function"]
    refused = server.post("/v1/responses", json={**body, "tool_choice": {"type": "web_search"}})
    assert refused.status_code == 400
    plain = server.post("/v1/responses", json={"model": "scripted", "input": "say a", "store": False})
    assert "x-daedal-unused" not in plain.headers


def test_completions(server: httpx.Client) -> None:
    for body in ({"prompt": "say a"}, {"prompt": ["say a", "say b"], "logprobs": 2, "echo": True, "n": 2}):
        check("CreateCompletionResponse", ask(server, "/v1/completions", **body))
        for chunk in stream(server, "/v1/completions", **body):
            check("CreateCompletionResponse", chunk)


def test_responses(server: httpx.Client) -> None:
    tools = [{"type": "function", **TOOL}]
    for body in (
        {"input": "say a b", "include": ["message.output_text.logprobs"], "top_logprobs": 2, "user": "x"},
        {"input": CALL, "tools": tools, "tool_choice": {"type": "function", "name": "f"}},
        {"input": "cut a", "text": {"format": {"type": "json_object"}}},
    ):
        made = ask(server, "/v1/responses", **body)
        check("Response", {key: value for key, value in made.items() if key not in EXTRA})
        check("ResponseItemList", server.get(f"/v1/responses/{made['id']}/input_items").json())
        for event in stream(server, "/v1/responses", **body):
            told = event.get("response")
            if told:
                event["response"] = {key: value for key, value in told.items() if key not in EXTRA}
            check(EVENTS[event["type"]], event)
    check("TokenCountsResource", ask(server, "/v1/responses/input_tokens", input="a b"))


EXTRA = {"store"}
"""Keys of a response that the service sends and its description does not have."""


def test_embeddings(server: httpx.Client) -> None:
    check("CreateEmbeddingResponse", ask(server, "/v1/embeddings", input="a"))


def test_messages(server: httpx.Client) -> None:
    tools = [{"name": "f", "input_schema": {"type": "object"}}]
    for body in (
        {"messages": user("say a b"), "system": "Be brief"},
        {"messages": user(CALL), "tools": tools},
        {"messages": user("say a b"), "stop_sequences": [" b"]},
    ):
        check("Message", ask(server, "/v1/messages", max_tokens=50, **body))
        events = stream(server, "/v1/messages", max_tokens=50, **body)
        for event in events:
            if event["type"] != "ping":
                check(EVENTS[event["type"]], event)
        assert (events[0]["type"], events[-1]["type"]) == ("message_start", "message_stop")
    check("MessageTokensCount", ask(server, "/v1/messages/count_tokens", messages=user("a")))


# -- when the engine fails ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {"messages": user("fail a b")}),
        ("/v1/completions", {"prompt": ["say a", "fail b"]}),
        ("/v1/responses", {"input": "fail a b"}),
        ("/v1/messages", {"messages": user("fail a b"), "max_tokens": 5}),
    ],
)
def test_an_engine_that_fails_is_told_in_the_shape_of_the_route(server: httpx.Client, path: str, body: Any) -> None:
    whole = server.post(path, json={"model": "scripted", **body})
    assert whole.status_code == 500
    events = stream(server, path, **body)
    last = events[-1]
    if path == "/v1/responses":
        assert whole.json()["error"]["code"] == "generation_failed"
        assert (last["type"], last["response"]["error"]["code"]) == ("response.failed", "server_error")
        check("Response", {key: value for key, value in last["response"].items() if key not in EXTRA})
    elif path == "/v1/messages":
        assert whole.json() == last == {"type": "error", "error": {"type": "api_error", "message": "It broke"}}
    else:
        assert whole.json() == last
        assert last["error"]["code"] == "generation_failed"
    assert len(events) > 2


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
def test_mistakes_have_anthropics_shape_on_its_routes(server: httpx.Client, path: str) -> None:
    asked = {"model": "scripted", "messages": user("say a"), "max_tokens": 5, "thinkng": 1}
    told = server.post(path, json=asked)
    assert told.status_code == 400
    assert told.json()["error"]["type"] == "invalid_request_error"
    assert "thinkng" in told.json()["error"]["message"]
    assert server.post(path, json=asked, headers={"anthropic-version": "1999-01-01"}).status_code == 400


# -- hostile requests --------------------------------------------------------------------------------------------------

WRONG: list[Any] = [
    None,
    True,
    -1,
    0,
    1e308,
    10**30,
    "",
    "x" * 2000,
    [],
    {},
    [[]],
    [None],
    [{}],
    {"a": {"a": []}},
    "../../etc",
]


@pytest.mark.parametrize(
    ("path", "least", "name"),
    [
        ("/v1/chat/completions", {"messages": user("say a")}, "CreateChatCompletionRequest"),
        ("/v1/completions", {"prompt": "say a"}, "CreateCompletionRequest"),
        ("/v1/responses", {"input": "say a"}, "CreateResponse"),
        ("/v1/embeddings", {"input": "a"}, "CreateEmbeddingRequest"),
        ("/v1/messages", {"messages": user("say a"), "max_tokens": 5}, "MessageCreateParamsBase"),
        ("/v1/moderations", {"input": "a"}, "CreateModerationRequest"),
    ],
)
def test_nothing_that_a_field_can_hold_is_our_fault(server: httpx.Client, path: str, least: Any, name: str) -> None:
    for field in OBJECTS[name]["fields"]:
        for value in WRONG:
            told = server.post(path, json={"model": "scripted", **least, field: value})
            assert told.status_code < 500, (field, value, told.text)
            assert len(told.content) < 5000


# -- clients that leave ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("streamed", [False, True])
def test_a_client_that_leaves_frees_its_place_at_once(tmp_path: Path, streamed: bool) -> None:
    slow = "slow " + "a " * 50
    served = application(tmp_path)
    with running(served) as url:
        (process,) = served.models.processes
        for path, body in (
            ("/v1/chat/completions", {"messages": user(slow), "n": 2}),
            ("/v1/completions", {"prompt": [slow, slow], "echo": True}),
            ("/v1/responses", {"input": slow, "truncation": "auto"}),
            ("/v1/messages", {"messages": user(slow), "max_tokens": 100}),
        ):
            asked = {"model": "scripted", "stream": streamed, **body}
            with suppress(httpx.ReadTimeout), httpx.stream("POST", url + path, json=asked, timeout=0.3) as answer:
                pieces = answer.iter_bytes()  # the client leaves when nothing holds this any more
                next(pieces)
                assert streamed
                assert process.calls
            left = time.monotonic()
            while process.calls:
                assert time.monotonic() - left < 1
                time.sleep(0.01)
