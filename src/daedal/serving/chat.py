"""POST /v1/chat/completions."""

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from daedal.serving import sse
from daedal.serving.abilities import able
from daedal.serving.answers import Head, json_answer, new_id, usage
from daedal.serving.calls import CallReader, Piece
from daedal.serving.chunks import DONE, ChatChunks
from daedal.serving.errors import note_unused, parse
from daedal.serving.generation import (
    Events,
    Generated,
    Sample,
    check_ids,
    check_size,
    collect,
    generate,
)
from daedal.serving.grammar import constraint, left_out
from daedal.serving.hearing import heard
from daedal.serving.limits import read_json, unless_gone
from daedal.serving.logprobs import Token, chat_logprobs
from daedal.serving.schema.chat import ChatRequest, Message
from daedal.serving.schema.content import joined
from daedal.serving.schema.tools import Tool, ToolChoice
from daedal.serving.statements import stated
from daedal.serving.tools import Function, Toolbox, conversation


async def chat_completions(request: Request) -> Response:
    """The assistant's next turn of a conversation, or `n` of them."""
    body = parse(ChatRequest, await read_json(request), request)
    form = "tools" if body.tools else "response_format"
    model = await able(request, body.model, "generate", prompt="messages", constraint=form)
    check_ids(model, "logit_bias", map(int, body.logit_bias))
    body.messages = await heard(request, body.messages)
    tools = toolbox(body.tools, body.tool_choice, body.parallel_tool_calls)
    asked = command(body, tools, model.info["tool_template"])
    note_unused(request, left_out(tools, body.form, body.stop))
    if not body.stream:
        check_size(model, [asked])
    events = generate(request, model, asked)
    head = Head.new("chatcmpl-", body.model, model.info)
    calls = tools.mode != "none"
    if body.stream:
        chunks = ChatChunks(head, body.stream_options.include_usage)
        return sse.stream(request, _chunks(events, body, calls, chunks))
    generated = await unless_gone(request, collect(events, body.n))
    told = answer(generated, body, calls, head)
    said = told["choices"][0]["message"]["content"] if body.n == 1 else None
    return json_answer(told, headers=stated(request, model, said))


def toolbox(tools: Sequence[Tool], choice: ToolChoice | None, several: bool) -> Toolbox:
    """What the answer may call."""
    defined = [tool.function for tool in tools]
    functions = [Function(each.name, each.description, each.parameters, each.strict) for each in defined]
    if choice is None:
        return Toolbox.choose(functions, None, several=several)
    if choice.type == "function":
        named = [choice.function.name] if choice.function else []
        return Toolbox.choose(functions, "function", named, several)
    if choice.type == "allowed_tools" and choice.allowed_tools is not None:
        names = [tool.function.name for tool in choice.allowed_tools.tools]
        return Toolbox.choose(functions, choice.allowed_tools.mode, names, several)
    return Toolbox.choose(functions, choice.type, several=several)


def turns(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Messages as chat templates take them."""
    return [_turn(message) for message in messages]


def _turn(message: Message) -> dict[str, Any]:
    role = "system" if message.role == "developer" else message.role
    turn: dict[str, Any] = {"role": role, "content": joined(message.content) or message.refusal or ""}
    if message.name is not None:
        turn["name"] = message.name
    if message.tool_calls:
        turn["tool_calls"] = [call.model_dump() for call in message.tool_calls]
    if message.tool_call_id is not None:
        turn["tool_call_id"] = message.tool_call_id
    return turn


def command(body: ChatRequest, tools: Toolbox, native: bool) -> dict[str, Any]:
    """The fields of the wire's `generate`."""
    return {
        "prompt": conversation(turns(body.messages), tools, native),
        "n": body.n,
        "options": {**body.sampling(), "max_tokens": body.limit, "logprobs": body.alternatives},
        "constraint": constraint(tools, body.form),
        "echo": None,
        "min_tokens": body.min_tokens,
    }


def answer(generated: Generated, body: ChatRequest, calls: bool, head: Head) -> dict[str, Any]:
    """The whole completion.

    Args:
        calls: whether the texts may hold calls of tools.
    """
    choices = [
        _choice(index, sample, calls, body.alternatives is not None) for index, sample in enumerate(generated.samples)
    ]
    return {
        **head.fields("chat.completion"),
        "choices": choices,
        "usage": usage(generated.prompt_tokens, generated.cached_tokens, generated.written),
        "service_tier": "default",
        "metadata": body.metadata,
    }


def _choice(index: int, sample: Sample, calls: bool, logprobs: bool) -> dict[str, Any]:
    words, made = (sample.text, []) if not calls else split(sample.text, sample.cut)
    message: dict[str, Any] = {"role": "assistant", "content": words, "refusal": None, "annotations": []}
    if made:
        message["tool_calls"] = [
            {"id": new_id("call_"), "type": "function", "function": {"name": name, "arguments": arguments}}
            for name, arguments in made
        ]
        message["content"] = words or None
    return {
        "index": index,
        "message": message,
        "logprobs": {"content": chat_logprobs(sample.tokens), "refusal": None} if logprobs else None,
        "finish_reason": "tool_calls" if made and sample.reason == "stop" else sample.finish_reason,
    }


def split(text: str, cut: bool = False) -> tuple[str, list[tuple[str, str]]]:
    """The words of an answer, and of each call in it the name and the arguments.

    Args:
        cut: the text may have been cut off in the middle of a call.
    """
    reader = CallReader()
    words: list[str] = []
    calls: list[list[str]] = []
    for piece in [*reader.feed(text), *reader.finish(cut)]:
        if piece.kind == "words":
            words.append(piece.text)
        elif piece.kind == "name":
            calls.append([piece.text, ""])
        else:
            calls[piece.call][1] += piece.text
    return "".join(words), [(name, arguments) for name, arguments in calls]


async def _chunks(events: Events, body: ChatRequest, calls: bool, chunks: ChatChunks) -> AsyncIterator[bytes]:
    """The stream: a first chunk for each choice, its text as it comes, and why it ended."""
    generated = Generated.of(body.n)
    readers = [CallReader() for _ in range(body.n)] if calls else None
    untold: list[list[Token]] = [[] for _ in range(body.n)]  # tokens whose text is held back
    logprobs = body.alternatives is not None
    async with aclosing(events) as stream:
        async for event in stream:
            kind = event["event"]
            if kind == "text":
                index, text = event["index"], event["text"]
                generated.samples[index].count += event["count"]
                if readers is None and not logprobs:
                    if text:
                        yield chunks.text(index, text)
                    continue
                untold[index].extend(event.get("tokens") or ())
                pieces = [Piece("words", text)] if readers is None else readers[index].feed(text)
                for chunk in _told(chunks, index, pieces, untold[index]):
                    yield chunk
            elif kind == "started":
                generated.take(event)
                for index in range(body.n):
                    yield chunks.role(index)
            elif kind == "finished":
                generated.take(event)
                index, sample = event["index"], generated.samples[event["index"]]
                rest = [] if readers is None else readers[index].finish(sample.cut)
                for chunk in _told(chunks, index, rest, untold[index]):
                    yield chunk
                called = readers is not None and readers[index].calls > 0 and sample.reason == "stop"
                yield chunks.finish(index, "tool_calls" if called else sample.finish_reason, untold[index])
    if body.stream_options.include_usage:
        yield chunks.usage(usage(generated.prompt_tokens, generated.cached_tokens, generated.written))
    yield DONE


def _told(chunks: ChatChunks, index: int, pieces: Sequence[Piece], untold: list[Token]) -> list[bytes]:
    """Chunks for what came; the first of them tells of the tokens that are still untold."""
    told: list[bytes] = []
    for piece in pieces:
        if not piece.text and not untold:
            continue
        told.append(chunks.piece(index, piece, untold))
        untold.clear()
    return told


routes = [Route("/v1/chat/completions", chat_completions, methods=["POST"])]
