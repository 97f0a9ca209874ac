"""Responses, made and kept and gone on from, with OpenAI's Python client."""

import json
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import openai
import pytest
from anthropic import Anthropic
from openai import OpenAI

from api_server import CALL, NAME, TOOLS, serve, user
from daedal.serving import database, stored
from daedal.serving import store as stores
from daedal.serving.keys import KeyRing


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serve(tmp_path_factory.mktemp("served")) as address:
        yield address


@pytest.fixture(scope="module")
def client(url: str) -> OpenAI:
    return OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)


def test_a_response_is_made_kept_and_forgotten(client: OpenAI) -> None:
    made = client.responses.create(model=NAME, input="say Hello", instructions="Be kind", metadata={"a": "b"})
    assert made.output_text == "Hello"
    assert made.status == "completed"
    assert made.usage is not None
    assert made.usage.input_tokens_details.cached_tokens > 0
    assert client.responses.retrieve(made.id) == made
    listed = client.responses.input_items.list(made.id).data
    assert [item.type for item in listed] == ["message"]
    with pytest.raises(openai.BadRequestError):
        client.responses.cancel(made.id)
    client.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(made.id)


def test_a_response_that_is_not_stored_is_not_found(client: OpenAI) -> None:
    made = client.responses.create(model=NAME, input="say Hello", store=False)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(made.id)
    with pytest.raises(openai.NotFoundError) as refused:
        client.responses.create(model=NAME, input="say x", previous_response_id=made.id)
    assert refused.value.param == "previous_response_id"


def test_a_conversation_goes_on_from_a_response(client: OpenAI) -> None:
    first = client.responses.create(model=NAME, input="say One")
    second = client.responses.create(model=NAME, input="say Two", previous_response_id=first.id)
    third = client.responses.create(
        model=NAME, input=[*user("command")], previous_response_id=second.id, instructions="Be kind"
    )
    said = json.loads(third.output_text)["prompt"]["messages"]
    assert [turn["content"] for turn in said] == ["Be kind", "say One", "One", "say Two", "Two", "command"]


def test_a_response_is_streamed_with_every_event(client: OpenAI) -> None:
    events = list(client.responses.create(model=NAME, input="say Hello there", stream=True))
    assert [kind for kind, _ in groupby(event.type for event in events)] == [
        "response.created", "response.in_progress", "response.output_item.added", "response.content_part.added",
        "response.output_text.delta", "response.output_text.done", "response.content_part.done",
        "response.output_item.done", "response.completed",
    ]  # fmt: skip
    assert [event.sequence_number for event in events] == list(range(len(events)))
    ended: Any = events[-1]
    assert ended.response.output_text == "Hello there"
    assert client.responses.retrieve(ended.response.id).output_text == "Hello there"
    with client.responses.stream(model=NAME, input="say Hello there") as stream:
        assert stream.get_final_response().output_text == "Hello there"


def test_a_response_that_cannot_be_kept_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_SPARE", 2**60)
    with serve(tmp_path) as url:
        client = OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)
        for stream in (False, True):
            with pytest.raises(openai.InternalServerError) as refused:
                client.responses.create(model=NAME, input="say Hello", stream=stream)
            assert (refused.value.status_code, refused.value.code) == (503, "disk_full")
            assert refused.value.response.headers["retry-after"] == "60"
        assert client.responses.create(model=NAME, input="say Hello", store=False).output_text == "Hello"

        async def room(*_: Any) -> None:
            """There is, until the answer comes."""

        monkeypatch.setattr(stores.Responses, "require_room", room)
        events = list(client.responses.create(model=NAME, input="say Hello", stream=True))
        ended: Any = events[-1]
        assert (ended.type, ended.response.status, ended.response.completed_at) == ("response.failed", "failed", None)
        assert ended.response.error.code == "server_error"
        assert "disk is full" in ended.response.error.message


def test_a_response_calls_tools(client: OpenAI) -> None:
    tools: Any = [{"type": "function", **TOOLS[0]["function"]}]
    asked: Any = {"model": NAME, "input": f"say Let me see.\\n{CALL}", "tools": tools}
    made = client.responses.create(**asked)
    words, call = made.output
    assert (words.type, call.type) == ("message", "function_call")
    assert json.loads(call.arguments) == {"city": "Paris"}  # type: ignore[union-attr]
    events = list(client.responses.create(**asked, stream=True))
    kinds = [event.type for event in events if "output_text" not in event.type and "content_part" not in event.type]
    assert kinds[2:5] == ["response.output_item.added", "response.output_item.done", "response.output_item.added"]
    assert kinds[-3:] == [
        "response.function_call_arguments.done", "response.output_item.done", "response.completed",
    ]  # fmt: skip
    deltas = [event.delta for event in events if event.type == "response.function_call_arguments.delta"]
    assert json.loads("".join(deltas)) == {"city": "Paris"}
    answered: Any = [{"type": "function_call_output", "call_id": call.call_id, "output": "Sun"}, *user("say Sunny")]  # type: ignore[union-attr]
    assert (
        client.responses.create(model=NAME, input=answered, previous_response_id=made.id, tools=tools).output_text
        == "Sunny"
    )
    whole: Any = [*user("Weather?"), *(item.model_dump(exclude_none=True) for item in made.output), *answered]
    assert client.responses.create(model=NAME, input=whole, tools=tools).output_text == "Sunny"


def test_a_response_that_is_cut_off_is_incomplete(client: OpenAI) -> None:
    made = client.responses.create(model=NAME, input="cut Hello")
    assert (made.status, made.output_text) == ("incomplete", "Hello")
    assert made.incomplete_details is not None
    assert made.incomplete_details.reason == "max_output_tokens"
    assert list(client.responses.create(model=NAME, input="cut Hello", stream=True))[-1].type == "response.incomplete"


def test_a_response_tells_log_probabilities(client: OpenAI) -> None:
    made = client.responses.create(
        model=NAME, input="say a b", include=["message.output_text.logprobs"], top_logprobs=2
    )
    content: Any = made.output[0].content[0]  # type: ignore[union-attr, index]
    assert [one.token for one in content.logprobs] == ["a", " b"]
    assert len(content.logprobs[0].top_logprobs) == 2


def test_the_oldest_turns_are_left_out_where_that_is_asked_for(client: OpenAI) -> None:
    long: Any = [turn for number in range(50) for turn in user(f"number {number} of many")]
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.create(model=NAME, input=[*long, *user("command")])
    assert refused.value.code == "context_length_exceeded"
    made = client.responses.create(
        model=NAME, input=[*long, *user("command")], truncation="auto", instructions="Be kind", max_output_tokens=5000
    )
    said = [turn["content"] for turn in json.loads(made.output_text)["prompt"]["messages"]]
    assert said[0] == "Be kind"
    assert said[-2:] == ["number 49 of many", "command"]
    assert 10 < len(said) < 50
    counted = client.responses.input_tokens.count(model=NAME, input=[*long, *user("x")]).input_tokens
    assert counted > 200


def test_a_conversation_goes_on_from_so_many_bytes(client: OpenAI, monkeypatch: pytest.MonkeyPatch) -> None:
    previous: Any = None
    for number in range(4):
        previous = client.responses.create(model=NAME, input=f"say {number}", previous_response_id=previous).id
    monkeypatch.setattr(stored, "_LARGEST", 3000)
    asked: Any = {"model": NAME, "input": "command", "previous_response_id": previous}
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.create(**asked)
    assert (refused.value.param, refused.value.code) == ("previous_response_id", "context_length_exceeded")
    made = client.responses.create(**asked, truncation="auto")
    said = [turn["content"] for turn in json.loads(made.output_text)["prompt"]["messages"]]
    assert said in (["say 2", "2", "say 3", "3", "command"], ["say 1", "1", "say 2", "2", "say 3", "3", "command"])


def test_of_one_request_that_takes_too_many_calls_the_last_stay(
    client: OpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: Any = {"model": NAME, "truncation": "auto"}
    previous: Any = client.responses.create(**asked, input="say 0").id
    for number in range(6):
        call = {"call_id": f"c{number}", "name": "weather", "arguments": "{}", "type": "function_call"}
        told = {"call_id": f"c{number}", "type": "function_call_output", "output": f"told {number}"}
        if number == 3:
            monkeypatch.setattr(stored, "_LARGEST", 4000)
        made = client.responses.create(**asked, input=[call, told], previous_response_id=previous)
        previous = made.id
    items = client.responses.input_tokens.count(**asked, input="command", previous_response_id=previous).input_tokens
    alone = client.responses.input_tokens.count(**asked, input="command").input_tokens
    assert items > alone + 10


def test_what_one_key_has_stored_no_other_key_finds(tmp_path: Path) -> None:
    ring, secrets = KeyRing(), {}
    for name in ("ann", "bob"):
        ring, secrets[name] = ring.add(name, "user")
    ring.save(tmp_path / "keys.json")
    with serve(tmp_path / "data", keys=tmp_path / "keys.json") as url:
        ann, bob = (OpenAI(base_url=f"{url}/v1", api_key=secrets[name], max_retries=0) for name in ("ann", "bob"))
        made = ann.responses.create(model="alias", input="say Hello")
        assert ann.responses.retrieve(made.id).output_text == "Hello"
        for ask in (
            lambda: bob.responses.retrieve(made.id),
            lambda: bob.responses.delete(made.id),
            lambda: bob.responses.input_items.list(made.id),
            lambda: bob.responses.create(model="alias", input="say x", previous_response_id=made.id),
        ):
            with pytest.raises(openai.NotFoundError):
                ask()
        with pytest.raises(openai.AuthenticationError):
            OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0).responses.create(model="alias", input="say x")
        Anthropic(base_url=url, api_key=secrets["bob"]).messages.create(
            model="alias", max_tokens=5, messages=user("say x")
        )
