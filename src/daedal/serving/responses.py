"""POST /v1/responses and what is kept of responses: an answer to items, which a later request can go on from."""

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from daedal.serving import errors, sse
from daedal.serving.abilities import able
from daedal.serving.access import owner
from daedal.serving.answers import json_answer, new_id, now
from daedal.serving.calls import CallReader, Piece
from daedal.serving.errors import ApiError, note_unused, parse
from daedal.serving.generation import Events, Generated, generate
from daedal.serving.grammar import constraint, left_out
from daedal.serving.limits import Gone, read_json, unless_gone
from daedal.serving.response_items import Kept, resolved, turns
from daedal.serving.response_writer import ResponseWriter
from daedal.serving.schema.queries import ItemsQuery, RetrieveQuery, plain
from daedal.serving.schema.responses import (
    InputRequest,
    InputTokensRequest,
    ResponseRequest,
    ResponseTool,
    ResponseToolChoice,
)
from daedal.serving.statements import stated
from daedal.serving.stored import delete, history, load, save
from daedal.serving.supervisor import Model
from daedal.serving.tools import Function, Toolbox, Turn, conversation
from daedal.serving.truncation import shortened


async def create_response(request: Request) -> Response:
    """Answer, and keep the answer unless `store` is false."""
    body = parse(ResponseRequest, await read_json(request), request)
    if body.store:
        await request.app.state.store.responses.require_room(owner(request))
    form = "tools" if body.tools else "text.format"
    model = await able(request, body.model, "generate", prompt="input", constraint=form)
    tools = toolbox(body)
    note_unused(request, left_out(tools, body.text.format.constraint(), param="text.format"))
    before = await history(request, body.previous_response_id, body.truncation)
    given = resolved(body.input, before)
    prompt = await unless_gone(request, _prompt(model, owner(request), body, tools, [*before, *given]))
    events = generate(request, model, command(body, tools, prompt))
    writer = ResponseWriter(blank(body), body.alternatives is not None)
    written = _events(request, events, writer, tools, given, body.stream)
    if body.stream:
        return sse.stream(request, written)
    await unless_gone(request, _all(written))
    return json_answer(writer.response, headers=stated(request, model, spoken(writer.response)))


async def input_tokens(request: Request) -> Response:
    """How many tokens the model would read."""
    body = parse(InputTokensRequest, await read_json(request), request)
    model = await able(request, body.model, "generate", prompt="input")
    before = await history(request, body.previous_response_id, body.truncation)
    items = [*before, *resolved(body.input, before)]
    prompt = await unless_gone(request, _prompt(model, owner(request), body, toolbox(body), items))
    result = await unless_gone(request, model.ask("tokenize", owner(request), prompt=prompt))
    return json_answer({"object": "response.input_tokens", "input_tokens": len(result["ids"])})


async def get_response(request: Request) -> Response:
    """A response that was kept."""
    parse(RetrieveQuery, plain(request.query_params))
    return json_answer((await load(request, request.path_params["response_id"]))["response"])


async def delete_response(request: Request) -> Response:
    """Forget a response."""
    id = request.path_params["response_id"]
    await delete(request, id)
    return json_answer({"id": id, "object": "response", "deleted": True})


async def cancel_response(request: Request) -> Response:
    """
    Raises:
        ApiError: always: no response is made in the background.
    """
    await load(request, request.path_params["response_id"])
    message = "Only a response made in the background can be cancelled, and this one was not; close its stream instead"
    raise ApiError(400, message, param="response_id", code="invalid_value")


async def input_items(request: Request) -> Response:
    """What a response answers: the items of its own request."""
    query = parse(ItemsQuery, plain(request.query_params))
    items: list[Kept] = (await load(request, request.path_params["response_id"]))["input"]
    if query.order == "desc":
        items = items[::-1]
    if query.after is not None:
        ids = [item["id"] for item in items]
        if query.after not in ids:
            raise ApiError(404, "The response has no item with this id", param="after", code="item_not_found")
        items = items[ids.index(query.after) + 1 :]
    page = items[: query.limit]
    return json_answer(
        {
            "object": "list",
            "data": page,
            "first_id": page[0]["id"] if page else None,
            "last_id": page[-1]["id"] if page else None,
            "has_more": len(items) > len(page),
        }
    )


def toolbox(body: InputRequest) -> Toolbox:
    """What the answer may call."""
    functions = [Function(tool.name, tool.description, tool.parameters, tool.binding) for tool in body.tools]
    choice, several = body.tool_choice, body.parallel_tool_calls
    if choice is None:
        return Toolbox.choose(functions, None, several=several)
    if choice.type == "allowed_tools":
        return Toolbox.choose(functions, choice.mode, [tool.name for tool in choice.tools], several)
    return Toolbox.choose(functions, choice.type, [choice.name] if choice.name else None, several)


def command(body: ResponseRequest, tools: Toolbox, prompt: dict[str, Any]) -> dict[str, Any]:
    """The fields of the wire's `generate`."""
    return {
        "prompt": prompt,
        "n": 1,
        "options": {**body.sampling(), "max_tokens": body.max_output_tokens, "logprobs": body.alternatives},
        "constraint": constraint(tools, body.text.format.constraint(), "text.format"),
        "echo": None,
        "min_tokens": 0,
    }


async def _prompt(
    model: Model, asker: str, body: InputRequest, tools: Toolbox, items: Sequence[Kept]
) -> dict[str, Any]:
    """The conversation: of it, with `truncation: auto`, only the last turns that fit."""
    said = turns(items)
    if not said and not body.instructions:
        raise ApiError(400, "There is nothing to answer: give input", param="input", code="missing_required_parameter")

    def prompt(some: Sequence[Turn]) -> dict[str, Any]:
        first: list[Turn] = [{"role": "system", "content": body.instructions}] if body.instructions else []
        return conversation([*first, *some], tools, model.info["tool_template"])

    async def tokens(some: Sequence[Turn]) -> int:
        return len((await model.ask("tokenize", asker, prompt=prompt(some)))["ids"])

    if body.truncation == "disabled":
        return prompt(said)
    room = model.info["context"] - min(_wanted(body), model.info["context"] // 4)
    return prompt(await shortened(said, room, tokens))


def _wanted(body: InputRequest) -> int:
    limit = getattr(body, "max_output_tokens", None)
    return limit if limit is not None else 2**31


async def _events(
    request: Request, events: Events, writer: ResponseWriter, tools: Toolbox, given: Sequence[Kept], streamed: bool
) -> AsyncIterator[bytes]:
    """The stream of a response; when it ends, the response is kept, and then the last event says so."""
    generated = Generated.of(1)
    reader = CallReader() if tools.mode != "none" else None
    begun = False
    try:
        async with aclosing(events) as stream:
            async for event in stream:
                if not begun:
                    begun = True
                    for told in writer.begin():
                        yield told
                generated.take(event)
                if event["event"] == "text":
                    text = event["text"]
                    pieces = ([Piece("words", text)] if text else []) if reader is None else reader.feed(text)
                    for told in writer.take(pieces, event.get("tokens") or ()):
                        yield told
        for told in writer.take(reader.finish(generated.samples[0].cut) if reader else ()):
            yield told
        for told in writer.finish(generated.samples[0].reason, usage(generated)):
            yield told
        if writer.response["store"]:
            await save(request, writer.response, given)
    except Gone:
        raise
    except Exception as raised:
        if not (streamed and begun):
            raise
        yield writer.fail("server_error", errors.told(raised, request).message)
        return
    yield writer.end()


async def _all(written: AsyncIterator[bytes]) -> None:
    async for _ in written:
        pass


def usage(generated: Generated) -> dict[str, Any]:
    """Tokens as responses count them."""
    read, written = generated.prompt_tokens, generated.written
    return {
        "input_tokens": read,
        "input_tokens_details": {"cached_tokens": generated.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": read + written,
    }


def blank(body: ResponseRequest) -> dict[str, Any]:
    """The object before there is any output."""
    form = body.text.format.model_dump(by_alias=True, exclude_unset=True)
    return {
        "id": new_id("resp_"),
        "object": "response",
        "created_at": now(),
        "completed_at": None,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": body.instructions,
        "max_output_tokens": body.max_output_tokens,
        "max_tool_calls": body.max_tool_calls,
        "metadata": body.metadata,
        "model": body.model,
        "output": [],
        "parallel_tool_calls": body.parallel_tool_calls,
        "previous_response_id": body.previous_response_id,
        "prompt_cache_key": body.prompt_cache_key,
        "reasoning": {"effort": None, "summary": None},
        "safety_identifier": body.safety_identifier,
        "service_tier": "default",
        "store": body.store,
        "temperature": body.temperature,
        "text": {"format": {"type": "text", **form}, "verbosity": "medium"},
        "tool_choice": _choice(body.tool_choice),
        "tools": [_tool(tool) for tool in body.tools],
        "top_logprobs": body.top_logprobs or 0,
        "top_p": body.top_p,
        "truncation": body.truncation,
        "usage": None,
        "user": body.user,
    }


def spoken(response: dict[str, Any]) -> str:
    """The text of a response: what OpenAI's client calls its `output_text`."""
    messages = [item for item in response["output"] if item["type"] == "message"]
    return "".join(part["text"] for item in messages for part in item["content"])


def _choice(choice: ResponseToolChoice | None) -> Any:
    if choice is None:
        return "auto"
    if choice.type in ("none", "auto", "required"):
        return choice.type
    tools = [{"type": tool.type, "name": tool.name} for tool in choice.tools]
    own = {"name": choice.name} if choice.type == "function" else {"mode": choice.mode, "tools": tools}
    return {"type": choice.type, **own}


def _tool(tool: ResponseTool) -> dict[str, Any]:
    own = {"name": tool.name, "description": tool.description or None, "parameters": tool.parameters}
    return {"type": "function", **own, "strict": tool.strict}


routes = [
    Route("/v1/responses", create_response, methods=["POST"]),
    Route("/v1/responses/input_tokens", input_tokens, methods=["POST"]),
    Route("/v1/responses/{response_id}", get_response, methods=["GET"]),
    Route("/v1/responses/{response_id}", delete_response, methods=["DELETE"]),
    Route("/v1/responses/{response_id}/cancel", cancel_response, methods=["POST"]),
    Route("/v1/responses/{response_id}/input_items", input_items, methods=["GET"]),
]
