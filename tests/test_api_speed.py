"""Writing a chunk of a stream costs the server a small part of the tenth of a millisecond that it may have for a token.

Measured as the least of several runs, so that what else the machine does is left out.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest

from daedal.serving import chat, completions, messages, responses
from daedal.serving.answers import Head
from daedal.serving.chunks import ChatChunks, TextChunks
from daedal.serving.message_writer import MessageWriter
from daedal.serving.response_writer import ResponseWriter
from daedal.serving.schema.chat import ChatRequest
from daedal.serving.schema.completions import CompletionRequest
from daedal.serving.schema.messages import MessageRequest
from daedal.serving.schema.responses import ResponseRequest
from daedal.serving.tools import Function, Toolbox

TOKENS = 2000
HEAD = Head("chatcmpl-0", 0, "model", "fp_0")
TOOLS = Toolbox.choose([Function("f", "", {})], "auto")
ASKED: dict[str, Any] = {"model": "m", "stream": True}
TALK = [{"role": "user", "content": "hi"}]


async def events() -> AsyncGenerator[dict[str, Any]]:
    yield {"event": "started", "prompt_tokens": 10, "cached_tokens": 0, "waited": 0.0}
    for _ in range(TOKENS):
        yield {"event": "text", "index": 0, "text": " wörd", "count": 1}
    yield {"event": "finished", "index": 0, "reason": "stop", "stop": None, "tokens": TOKENS}
    yield {"event": "done"}


def chat_stream(tools: bool) -> AsyncGenerator[bytes]:
    body = ChatRequest.model_validate({**ASKED, "messages": TALK})
    return chat._chunks(events(), body, tools, ChatChunks(HEAD))  # type: ignore[return-value]


def text_stream() -> AsyncGenerator[bytes]:
    body = CompletionRequest.model_validate({**ASKED, "prompt": "hi"})
    return completions._chunks([events()], body, [""], TextChunks(HEAD))  # type: ignore[return-value]


def response_stream(tools: Toolbox) -> AsyncGenerator[bytes]:
    body = ResponseRequest.model_validate({**ASKED, "input": "hi", "store": False})
    writer = ResponseWriter(responses.blank(body), False)
    return responses._events(None, events(), writer, tools, [], True)  # type: ignore[arg-type, return-value]


def message_stream(tools: Toolbox) -> AsyncGenerator[bytes]:
    body = MessageRequest.model_validate({**ASKED, "max_tokens": 5, "messages": TALK})
    return messages._events(events(), body, tools, MessageWriter("msg_0", "m"))  # type: ignore[return-value]


async def spent(make: Callable[[], AsyncGenerator[bytes]]) -> float:
    """Microseconds of CPU for each token."""
    chunks = 0
    before = time.process_time()
    async for chunk in make():
        chunks += chunk.count(b"data: ")
    assert chunks > TOKENS
    return 1e6 * (time.process_time() - before) / TOKENS


STREAMS: dict[str, Callable[[], AsyncGenerator[bytes]]] = {
    "chat": lambda: chat_stream(False),
    "chat with tools": lambda: chat_stream(True),
    "response": lambda: response_stream(Toolbox()),
    "response with tools": lambda: response_stream(TOOLS),
    "message": lambda: message_stream(Toolbox()),
    "message with tools": lambda: message_stream(TOOLS),
    "text": text_stream,
}


@pytest.mark.parametrize("name", STREAMS)
def test_a_chunk_costs_less_than_30_microseconds(name: str) -> None:
    assert min(asyncio.run(spent(STREAMS[name])) for _ in range(5)) < 30


if __name__ == "__main__":
    for name, make in STREAMS.items():
        print(f"{name:20} {min(asyncio.run(spent(make)) for _ in range(5)):6.1f} µs a token")
