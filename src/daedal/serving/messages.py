"""Anthropic's POST /v1/messages and POST /v1/messages/count_tokens, errors in Anthropic's shape."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from itertools import groupby
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from daedal.serving import sse
from daedal.serving.abilities import able
from daedal.serving.access import owner
from daedal.serving.answers import json_answer, new_id
from daedal.serving.calls import CallReader, Piece
from daedal.serving.chat import split
from daedal.serving.errors import ApiError, note_unused, parse
from daedal.serving.generation import Events, Generated, Sample, collect, generate
from daedal.serving.grammar import constraint, left_out
from daedal.serving.limits import read_json, unless_gone
from daedal.serving.message_writer import MessageWriter, usage
from daedal.serving.moderation import CODE
from daedal.serving.schema.messages import Block, CountRequest, MessageRequest
from daedal.serving.statements import stated
from daedal.serving.tools import Function, Toolbox, arguments_of, conversation

VERSIONS = ("2026-10-21", "2023-06-01")
"""Of Anthropic's API. What the newer one no longer has (temperature, top_p, top_k) we honour in both."""
_STOPPED = {"length": "max_tokens", "context": "model_context_window_exceeded", CODE: "refusal"}


def _check_version(request: Request) -> None:
    """
    Raises:
        ApiError: the request is in a form of which we know nothing.
    """
    if request.headers.get("anthropic-version", VERSIONS[0]) not in VERSIONS:
        raise ApiError(400, f"anthropic-version is {' or '.join(VERSIONS)}", param="anthropic-version")


async def messages(request: Request) -> Response:
    """The assistant's next turn."""
    _check_version(request)
    body = parse(MessageRequest, await read_json(request), request)
    model = await able(request, body.model, "generate", prompt="messages")
    tools = toolbox(body)
    events = generate(request, model, command(body, tools, model.info["tool_template"]))
    note_unused(request, left_out(tools, body.form, body.stop_sequences, "output_config.format"))
    writer = MessageWriter(new_id("msg_"), body.model)
    if body.stream:
        return sse.stream(request, _events(events, body, tools, writer))
    generated = await unless_gone(request, collect(events, 1))
    told = answer(generated, body, tools, writer)
    said = [block["text"] for block in told["content"] if block["type"] == "text"]
    return json_answer(told, headers=stated(request, model, "".join(said)))


async def count_tokens(request: Request) -> Response:
    """How many tokens the model would read."""
    _check_version(request)
    body = parse(CountRequest, await read_json(request), request)
    model = await able(request, body.model, "generate", prompt="messages")
    prompt = conversation(turns(body), toolbox(body), model.info["tool_template"])
    result = await unless_gone(request, model.ask("tokenize", owner(request), prompt=prompt))
    return json_answer({"input_tokens": len(result["ids"])})


def toolbox(body: CountRequest) -> Toolbox:
    """What the answer may call."""
    functions = [Function(tool.name, tool.description, tool.input_schema, tool.strict) for tool in body.tools]
    choice = body.tool_choice
    if choice is None:
        return Toolbox.choose(functions, None)
    mode = {"any": "required", "tool": "function"}.get(choice.type, choice.type)
    names = [choice.name] if choice.name else None
    return Toolbox.choose(functions, mode, names, not choice.disable_parallel_tool_use, param="tool_choice")


def turns(body: CountRequest) -> list[dict[str, Any]]:
    """The conversation as chat templates take it.

    Raises:
        ApiError: the last turn is the assistant's.
    """
    if body.messages[-1].role == "assistant":
        message = "The last turn is the assistant's: this server does not go on with a turn that was begun"
        raise ApiError(400, message, param="messages", code="unsupported_parameter")
    system = "\n".join(block.text for block in body.system)
    made: list[dict[str, Any]] = [{"role": "system", "content": system}] if system else []
    for speaker, said in groupby(body.messages, lambda turn: turn.role):
        made.extend(_turns(speaker, [block for turn in said for block in turn.content]))
    return made


def _turns(speaker: str, blocks: Sequence[Block]) -> list[dict[str, Any]]:
    """What one says until another does: results of calls are turns of their own."""
    made: list[dict[str, Any]] = [_result(block) for block in blocks if block.type == "tool_result"]
    words = "\n".join(block.text or "" for block in blocks if block.type == "text")
    calls = [_call(block) for block in blocks if block.type == "tool_use"]
    if words or calls or not made:
        made.append({"role": speaker, "content": words, **({"tool_calls": calls} if calls else {})})
    return made


def _result(block: Block) -> dict[str, Any]:
    text = "\n".join(part.text or "" for part in block.content)
    return {"role": "tool", "content": f"Error: {text}" if block.is_error else text, "tool_call_id": block.tool_use_id}


def _call(block: Block) -> dict[str, Any]:
    arguments = json.dumps(block.input, ensure_ascii=False)
    return {"id": block.id, "type": "function", "function": {"name": block.name, "arguments": arguments}}


def command(body: MessageRequest, tools: Toolbox, native: bool) -> dict[str, Any]:
    """The fields of the wire's `generate`."""
    return {
        "prompt": conversation(turns(body), tools, native),
        "n": 1,
        "options": {**body.sampling(), "logprobs": None},
        "constraint": constraint(tools, body.form, "output_config.format"),
        "echo": None,
        "min_tokens": 0,
    }


def answer(generated: Generated, body: MessageRequest, tools: Toolbox, writer: MessageWriter) -> dict[str, Any]:
    """The whole message."""
    sample = generated.samples[0]
    words, calls = (sample.text, []) if tools.mode == "none" else split(sample.text, sample.cut)
    content: list[dict[str, Any]] = [{"type": "text", "text": words}] if words or not calls else []
    content.extend(
        {"type": "tool_use", "id": new_id("toolu_"), "name": name, "input": _input(arguments)}
        for name, arguments in calls
    )
    reason, stop = ended(sample, bool(calls), body.stop_sequences)
    return {
        **writer.message,
        "content": content,
        "stop_reason": reason,
        "stop_sequence": stop,
        "usage": usage(generated),
    }


def _input(arguments: str) -> dict[str, Any]:
    """Arguments that were cut off are no object: there is nothing to give but an empty one."""
    found = arguments_of(arguments)
    return found if isinstance(found, dict) else {}


def ended(sample: Sample, called: bool, stops: Sequence[str]) -> tuple[str, str | None]:
    """Why a text ended: the reason, and which of the caller's stop texts it was."""
    if sample.reason in _STOPPED:
        return _STOPPED[sample.reason], None
    if sample.stop is not None and sample.stop in stops:
        return "stop_sequence", sample.stop
    return ("tool_use" if called else "end_turn"), None


async def _events(events: Events, body: MessageRequest, tools: Toolbox, writer: MessageWriter) -> AsyncIterator[bytes]:
    """The stream."""
    generated = Generated.of(1)
    reader = CallReader() if tools.mode != "none" else None
    async with aclosing(events) as stream:
        async for event in stream:
            generated.take(event)
            if event["event"] == "started":
                yield writer.begin(generated)
            elif event["event"] == "text" and event["text"]:
                text = event["text"]
                for piece in [Piece("words", text)] if reader is None else reader.feed(text):
                    yield writer.piece(piece)
    for piece in reader.finish(generated.samples[0].cut) if reader else ():
        yield writer.piece(piece)
    reason, stop = ended(generated.samples[0], reader is not None and reader.calls > 0, body.stop_sequences)
    yield writer.finish(reason, stop, generated)


routes = [
    Route("/v1/messages", messages, methods=["POST"]),
    Route("/v1/messages/count_tokens", count_tokens, methods=["POST"]),
]
