"""Anthropic's Python client talks to a server on a port and needs no change."""

from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from anthropic import Anthropic

from api_server import CALL, NAME, TOOLS, serve, user

INPUT: Any = [
    {"name": "weather", "description": "Tells the weather", "input_schema": TOOLS[0]["function"]["parameters"]}
]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serve(tmp_path_factory.mktemp("served")) as address:
        yield address


@pytest.fixture(scope="module")
def claude(url: str) -> Anthropic:
    return Anthropic(base_url=url, api_key="none", max_retries=0)


def test_a_message_is_answered(claude: Anthropic) -> None:
    made = claude.messages.create(model=NAME, max_tokens=50, system="Be brief", messages=user("say Hello there"))
    assert made.content[0].text == "Hello there"  # type: ignore[union-attr]
    assert (made.stop_reason, made.stop_sequence) == ("end_turn", None)
    usage = made.usage
    assert usage.output_tokens == 2
    assert (usage.cache_read_input_tokens or 0) > 0
    assert claude.messages.count_tokens(
        model=NAME, system="Be brief", messages=user("say Hello there")
    ).input_tokens == (usage.input_tokens + (usage.cache_read_input_tokens or 0))


@pytest.mark.parametrize(
    ("asked", "reason", "stop"),
    [
        ({"messages": user("say a b"), "max_tokens": 1}, "max_tokens", None),
        ({"messages": user("cut a b")}, "model_context_window_exceeded", None),
        ({"messages": user("say a b"), "stop_sequences": ["x", " b"]}, "stop_sequence", " b"),
        ({"messages": user(f"say {CALL}"), "tools": INPUT}, "tool_use", None),
    ],
)
def test_a_message_says_why_it_ended(claude: Anthropic, asked: Any, reason: str, stop: str | None) -> None:
    asked = {"model": NAME, "max_tokens": 50, **asked}
    made = claude.messages.create(**asked)
    with claude.messages.stream(**asked) as stream:
        streamed = stream.get_final_message()
    for one in (made, streamed):
        assert (one.stop_reason, one.stop_sequence) == (reason, stop)
    assert made.usage.output_tokens == streamed.usage.output_tokens


def test_a_message_calls_tools_and_goes_on(claude: Anthropic) -> None:
    asked: Any = {"model": NAME, "max_tokens": 50, "tools": INPUT, "messages": user(f"say Let me see.\\n{CALL}")}
    made = claude.messages.create(**asked)
    words, call = made.content
    assert (words.text, call.name, call.input) == ("Let me see.", "weather", {"city": "Paris"})  # type: ignore[union-attr]
    with claude.messages.stream(**asked) as stream:
        assert [block.type for block in stream.get_final_message().content] == ["text", "tool_use"]
        assert stream.get_final_message().content[1].input == {"city": "Paris"}  # type: ignore[union-attr]
    result = {"type": "tool_result", "tool_use_id": call.id, "content": [{"type": "text", "text": "Sun"}]}  # type: ignore[union-attr]
    talk: Any = [
        *user("Weather?"),
        {"role": "assistant", "content": made.content},
        {"role": "user", "content": [result]},
    ]
    talk[-1]["content"].append({"type": "text", "text": "say Sunny"})
    assert claude.messages.create(**{**asked, "messages": talk}).content[0].text == "Sunny"  # type: ignore[union-attr]


def test_a_mistake_in_a_message_is_told_as_anthropic_tells_it(claude: Anthropic) -> None:
    with pytest.raises(anthropic.BadRequestError) as refused:
        claude.messages.create(model=NAME, max_tokens=5, messages=user("too long"))
    assert refused.value.body["error"]["type"] == "invalid_request_error"  # type: ignore[index]
    with pytest.raises(anthropic.NotFoundError):
        claude.messages.create(model="nobody", max_tokens=5, messages=user("say x"))
    with pytest.raises(anthropic.BadRequestError):
        claude.messages.create(model=NAME, max_tokens=5, messages=[*user("x"), {"role": "assistant", "content": "I"}])
