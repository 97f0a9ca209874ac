"""POST /v1/embeddings: texts as vectors of length one."""

import asyncio
import base64
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from daedal.serving.abilities import able
from daedal.serving.access import owner
from daedal.serving.answers import json_answer, read_usage
from daedal.serving.completions import as_prompt
from daedal.serving.errors import ApiError, parse
from daedal.serving.generation import check_ids
from daedal.serving.limits import read_json, unless_gone
from daedal.serving.schema.embeddings import EmbeddingRequest


async def embeddings(request: Request) -> Response:
    """One vector for each input."""
    body = parse(EmbeddingRequest, await read_json(request))
    model = await able(request, body.model, "embed", prompt="input", inputs="input")
    width = model.info["width"]
    if body.dimensions is not None and body.dimensions > width:
        message = f"The model's vectors have {width} numbers, not {body.dimensions}"
        raise ApiError(400, message, param="dimensions", code="invalid_value")
    check_ids(model, "input", *(text for text in body.input if not isinstance(text, str)))
    inputs = [as_prompt(text) for text in body.input]
    result = await unless_gone(request, model.ask("embed", owner(request), inputs=inputs, dimensions=body.dimensions))
    vectors: list[Any] = result["vectors"]  # in base64
    if body.encoding_format == "float":
        vectors = await asyncio.to_thread(_numbers, vectors)
    return json_answer(
        {
            "object": "list",
            "data": [
                {"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)
            ],
            "model": body.model,
            "usage": read_usage(result["tokens"]),
        }
    )


def _numbers(vectors: list[str]) -> list[orjson.Fragment]:
    """JSON of the numbers: of thousands of vectors, nothing for the event loop to wait for."""
    return [orjson.Fragment(orjson.dumps(memoryview(base64.b64decode(one)).cast("f").tolist())) for one in vectors]


routes = [Route("/v1/embeddings", embeddings, methods=["POST"])]
