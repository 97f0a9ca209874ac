"""POST /v1/images/generations, /v1/images/edits and /v1/images/variations: pictures drawn, drawn in part, and drawn again."""

import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from daedal.serving import sse
from daedal.serving.abilities import able
from daedal.serving.access import owner
from daedal.serving.answers import json_answer
from daedal.serving.commands import Event
from daedal.serving.errors import ApiError, parse
from daedal.serving.forms import read_file, read_form
from daedal.serving.limits import read_json, unless_gone
from daedal.serving.moderation import moderation
from daedal.serving.schema.images import EditRequest, GenerationRequest, VariationRequest
from daedal.serving.supervisor import Model

Body = GenerationRequest | EditRequest | VariationRequest
M = TypeVar("M", bound=BaseModel)

_NUMBERS = ("n", "seed", "steps", "partial_images", "output_compression")
_FRACTIONS = ("guidance", "temperature", "strength")
_LEFT = 0.6
"""How far from a picture that is edited without a mask."""


async def generations(request: Request) -> Response:
    """New pictures."""
    body = parse(GenerationRequest, await read_json(request))
    model = await able(request, body.model, "draw")
    return await _answer(request, model, body, _asked(model, body), "image_generation")


async def edits(request: Request) -> Response:
    """A given picture, drawn anew where its mask says so."""
    body, files = await _read(request, EditRequest, ("image", "mask"))
    model = await able(request, body.model, "edit")
    strength = body.strength or (None if "mask" in files else _LEFT)
    return await _answer(request, model, body, {**_asked(model, body), **files, "strength": strength}, "image_edit")


async def variations(request: Request) -> Response:
    """Pictures like a given one."""
    body, files = await _read(request, VariationRequest, ("image",))
    model = await able(request, body.model, "vary")
    fields = {**_common(model, body), **files, "vary": True, "strength": body.strength}
    return await _answer(request, model, body, fields, "image_variation")


# -- what is asked -----------------------------------------------------------------------------------------------------


async def _read(request: Request, kind: type[M], names: tuple[str, ...]) -> tuple[M, dict[str, str]]:
    """A form as a body, and its pictures in base64."""
    async with read_form(request, set(names), set(kind.model_fields)) as form:
        body = parse(kind, form.body(_NUMBERS, _FRACTIONS))
        files = {"image": await read_file(form.file("image"), "image", "picture", "invalid_image")}
        if "mask" in form.files:
            files["mask"] = await read_file(form.file("mask"), "mask", "picture", "invalid_image")
        return body, files


def _common(model: Model, body: Body) -> dict[str, Any]:
    height, width = model.info["size"]
    if body.size not in ("auto", f"{width}x{height}"):
        raise ApiError(400, f"The model draws pictures of {width}x{height} pixels", param="size", code="invalid_value")
    if body.output_compression is not None and body.output_format == "png":
        raise ApiError(400, "A png is not compressed with loss", param="output_compression", code="invalid_value")
    return {"n": body.n, "seed": body.seed, "format": body.output_format, "quality": body.output_compression}


def _asked(model: Model, body: GenerationRequest | EditRequest) -> dict[str, Any]:
    if body.prompt and model.info["conditions"] is None:
        said = "The model was trained without words: it draws whatever it has learned. Send an empty prompt"
        raise ApiError(400, said, param="prompt", code="unsupported_parameter")
    if body.partial_images and not body.stream:
        raise ApiError(400, "Sketches are sent with stream only", param="partial_images", code="invalid_value")
    options = {name: getattr(body, name) for name in ("guidance", "steps", "temperature")}
    for name, value in options.items():
        if value is not None and name not in model.info["options"]:
            raise ApiError(400, f"The model has no {name}", param=name, code="unsupported_parameter")
    return {**_common(model, body), **options, "prompt": body.prompt or None, "previews": body.partial_images}


# -- what is answered --------------------------------------------------------------------------------------------------


async def _answer(request: Request, model: Model, body: Body, fields: Mapping[str, Any], event: str) -> Response:
    if prompt := getattr(body, "prompt", None):
        await unless_gone(request, moderation(request).require_fine(model, owner(request), [prompt]))
    events = model.run("draw", owner(request), **fields)
    if getattr(body, "stream", False):
        return sse.stream(request, _events(events, model, body, event))
    pictures = await unless_gone(request, _all(events))
    data = [
        {"b64_json": picture["png"], "seed": picture["seed"]}
        for picture in sorted(pictures, key=lambda one: one["index"])
    ]
    return json_answer({"created": int(time.time()), "data": data, **_told(model, body, pictures[0])})


async def _all(events: AsyncGenerator[Event]) -> list[Event]:
    async with aclosing(events) as stream:
        return [event async for event in stream if event["event"] == "image"]


async def _events(events: AsyncGenerator[Event], model: Model, body: Body, name: str) -> AsyncGenerator[bytes]:
    async with aclosing(events) as stream:
        async for event in stream:
            if event["event"] == "done":
                return
            sketch = event["event"] == "preview"
            kind = f"{name}.{'partial_image' if sketch else 'completed'}"
            told = {"type": kind, "b64_json": event["png"], "created_at": int(time.time()), **_told(model, body, event)}
            told |= {"partial_image_index": event["number"]} if sketch else {"seed": event["seed"]}
            yield b"event: " + kind.encode() + b"\ndata: " + orjson.dumps(told) + b"\n\n"


def _told(model: Model, body: Body, picture: Event) -> dict[str, Any]:
    """What clients read of a picture. Tokens are what other servers bill: there are none here."""
    height, width = model.info["size"]
    usage = {
        "input_tokens": 0,
        "output_tokens": 0,
        "total_tokens": 0,
        "input_tokens_details": {"text_tokens": 0, "image_tokens": 0},
    }
    return {
        "size": f"{width}x{height}",
        "quality": "auto",
        "background": "opaque",
        "output_format": body.output_format,
        "usage": usage,
        **({"unknown_words": unknown} if (unknown := picture.get("unknown")) else {}),
    }


routes = [
    Route("/v1/images/generations", generations, methods=["POST"]),
    Route("/v1/images/edits", edits, methods=["POST"]),
    Route("/v1/images/variations", variations, methods=["POST"]),
]
