"""Requests as programs send them, cut down to their form: each is answered, and what is not used is named.

Recorded: Codex 0.171.0 and OpenAI's Agents SDK for JavaScript 0.20.0. Claude Code's and Continue's were written by hand.
"""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from api_server import CALL, NAME, TOOLS, serve

CITY = TOOLS[0]["function"]["parameters"]
SAY = f"say I look.\\n{CALL}"
CODEX: dict[str, Any] = {
    "model": NAME,
    "input": [
        {"type": "message", "id": "msg_1", "role": "developer", "content": [{"type": "input_text", "text": "You code."}]},
        {"type": "message", "id": "msg_2", "role": "user", "content": [{"type": "input_text", "text": SAY}]},
    ],
    "tools": [
        {"type": "function", "name": "weather", "description": "d" * 12_000, "strict": False, "parameters": CITY},
        {"type": "namespace", "name": "agents", "description": "", "tools": [{"type": "function", "name": "close_agent"}]},
        {"type": "local_shell"},
        {"type": "web_search", "external_web_access": False},
        {"type": "custom", "name": "apply_patch", "format": {"type": "grammar", "syntax": "lark", "definition": "start: x"}},
    ],
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "reasoning": {"effort": "medium", "summary": "auto"},
    "store": False,
    "stream": True,
    "include": ["reasoning.encrypted_content"],
    "prompt_cache_key": "01a2286d",
    "client_metadata": {"x-codex-turn-metadata": "{}"},
}  # fmt: skip
CLAUDE_CODE: dict[str, Any] = {
    "model": NAME,
    "max_tokens": 32_000,
    "system": [{"type": "text", "text": "You code.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
    "messages": [
        {"role": "user", "content": "Hi"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Well", "signature": "x"},
                {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Rome"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": "Sun", "cache_control": {"type": "ephemeral"}},
                {"type": "text", "text": SAY, "cache_control": {"type": "ephemeral"}},
            ],
        },
    ],
    "tools": [
        {"name": "weather", "description": "d" * 12_000, "input_schema": CITY, "cache_control": {"type": "ephemeral"}},
        {"name": f"mcp__{'long_' * 15}_name", "input_schema": {"type": "object", "properties": {}}},
        {"type": "web_search_20250305", "name": "web_search", "max_uses": 8},
        {"type": "bash_20250124", "name": "bash"},
    ],
    "metadata": {"user_id": "user_0_account__session_1"},
    "thinking": {"type": "enabled", "budget_tokens": 31_999},
    "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
    "output_config": {"effort": "medium"},
    "temperature": 1,
    "stream": True,
}  # fmt: skip
AGENTS_SDK: dict[str, Any] = {
    "model": NAME,
    "messages": [
        {"role": "system", "content": "Be brief"},
        {"role": "user", "content": SAY},
        {
            "role": "assistant",
            "content": [
                {
                    "type": "text",
                    "text": "I look.",
                    "role": "assistant",
                    "refusal": None,
                    "annotations": [],
                    "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}],
                }
            ],
            "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "Sun"},
        {"role": "user", "content": SAY},
    ],
    "tools": TOOLS,
    "stream": True,
    "store": False,
    "prompt_cache_retention": "24h",
    "reasoning_effort": "low",
    "verbosity": "low",
}  # fmt: skip
CONTINUE: dict[str, Any] = {
    "model": NAME,
    "messages": [
        {"role": "system", "content": [{"type": "text", "text": "You code.", "cache_control": {"type": "ephemeral"}}]},
        {"role": "assistant", "content": "x", "reasoning_content": None, "tool_calls": None},
        {"role": "user", "content": [{"type": "text", "text": SAY}]},
    ],
    "tools": TOOLS,
    "max_tokens": 4096,
    "stream": True,
    "stream_options": {"include_usage": True},
    "parallel_tool_calls": False,
}
PROGRAMS = {
    "codex": (
        "/v1/responses",
        CODEX,
        "tools.namespace, tools.local_shell, tools.web_search, tools.custom, reasoning.effort, reasoning.summary, "
        "include.reasoning.encrypted_content, client_metadata",
    ),
    "claude-code": (
        "/v1/messages?beta=true",
        CLAUDE_CODE,
        "messages.thinking, tools.web_search_20250305, tools.bash_20250124, output_config.effort, thinking, context_management",
    ),
    "agents-sdk": (
        "/v1/chat/completions",
        AGENTS_SDK,
        "prompt_cache_retention, reasoning_effort, verbosity",
    ),
    "continue": ("/v1/chat/completions", CONTINUE, "cache_control"),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with serve(tmp_path_factory.mktemp("served")) as url, httpx.Client(base_url=url, timeout=30) as client:
        yield client


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_is_answered_with_a_call_and_told_what_is_not_used(server: httpx.Client, program: str) -> None:
    path, body, unused = PROGRAMS[program]
    answered = server.post(path, json=body, headers={"anthropic-beta": "context-management-2025-06-27"})
    assert answered.status_code == 200, answered.text
    assert set(answered.headers["x-daedal-unused"].split(", ")) == set(unused.split(", "))
    events = [json.loads(line[6:]) for line in answered.text.split("\n") if line.startswith("data: {")]
    assert "weather" in json.dumps(events)
    assert not any(event.get("type") in ("error", "response.failed") for event in events)
    assert "<tool_call>" not in answered.text


def test_what_is_not_used_is_bounded_in_the_header(server: httpx.Client) -> None:
    tools = [{"type": f"web_search_{number}"} for number in range(100)]
    answered = server.post("/v1/responses", json={"model": NAME, "input": "say a", "store": False, "tools": tools})
    assert answered.status_code == 200
    assert answered.headers["x-daedal-unused"].endswith("tools.web_search_23, ...")


def test_a_built_in_tool_is_refused_only_where_the_choice_asks_for_it(server: httpx.Client) -> None:
    for path, body, choice in [
        ("/v1/responses", CODEX, {"type": "web_search"}),
        ("/v1/responses", CODEX, {"type": "custom", "name": "apply_patch"}),
        ("/v1/messages", CLAUDE_CODE, {"type": "tool", "name": "web_search"}),
        ("/v1/chat/completions", AGENTS_SDK, {"type": "function", "function": {"name": "web_search"}}),
    ]:
        answered = server.post(path, json={**body, "tool_choice": choice})
        assert answered.status_code == 400, choice
